#include "engine/oidc/oidc.h"

#include <stdio.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/text.h"
#include "crypto/ed25519.h"
#include "crypto/hash.h"
#include "wire/url.h"

#include "kit/kit.h"

/* A provider in a few lines; what it says can be bent by the test. */
struct world {
	struct oidc *o;
	struct rng rng;
	struct oidc_now now;
	struct ed25519_key key;
	const char *alg, *aud, *nonce, *discovery, *jwks, *userinfo, *token_answer, *iss;
	int64_t life_s;
	unsigned fetches[4], token_status;
	char url[4096], state[65], cookie[65]; /* of the last redirect */
	char form[4096];                       /* of the last token request */
	char authorization[512];
	char seen_nonce[128];
	bool silent, wants_secret_in_body;
	struct oidc_event last;
};

static void world_start(struct world *w)
{
	struct secret32 seed = { { 7 } };
	struct oidc_conf conf = { .issuer = "https://id.example",
				  .client_id = "weft",
				  .client_secret = "s&cret",
				  .redirect_uri = "https://net.example/oidc/callback",
				  .scopes = "openid email",
				  .groups_claim = "groups",
				  .rng = &w->rng };

	*w = (struct world){ .alg = "EdDSA",
			     .aud = "weft",
			     .iss = "https://id.example",
			     .life_s = 300,
			     .token_status = 200 };
	w->rng = rng_seeded(3);
	w->now = (struct oidc_now){ { 1000000000 }, wall_from_s(1800000000) };
	ed25519_from_seed(&w->key, &seed);
	w->o = oidc_create(&conf);
}

static void world_stop(struct world *w)
{
	oidc_event_fini(&w->last);
	oidc_destroy(w->o);
}

static void append_base64(struct buf *b, struct bytes in)
{
	char text[4096];

	text_base64(BASE64_URL, in, text);
	(void)buf_append_str(b, text);
}

static void make_token(struct world *w, struct buf *whole)
{
	struct buf text, *out = &text;
	char header[128], claims[1024];
	uint8_t sig[64];

	(void)snprintf(header, sizeof(header), "{\"alg\":\"%s\",\"kid\":\"one\"}", w->alg);
	(void)snprintf(claims, sizeof(claims),
		       "{\"iss\":\"%s\",\"aud\":\"%s\",\"sub\":\"42\",\"exp\":%lld,\"iat\":%lld,"
		       "\"nonce\":\"%s\",\"email\":\"ana@example.com\",\"email_verified\":true}",
		       w->iss, w->aud, (long long)(wall_s(w->now.wall) + w->life_s),
		       (long long)wall_s(w->now.wall), w->nonce ? w->nonce : w->seen_nonce);
	buf_init(out, 1 << 16);
	append_base64(out, bytes_str(header));
	(void)buf_append_u8(out, '.');
	append_base64(out, bytes_str(claims));
	ed25519_sign(sig, &w->key, buf_bytes(out));
	(void)buf_append_u8(out, '.');
	append_base64(out, bytes_of(sig, sizeof(sig)));
	(void)buf_append(whole, buf_bytes(out));
	buf_fini(out);
}

static void answer(struct world *w, const struct oidc_fetch *f, struct buf *body, unsigned *status)
{
	uint8_t pub[32];

	*status = 200;
	if (strstr(f->url, "/.well-known/")) {
		w->fetches[0]++;
		(void)buf_append_str(
		    body, w->discovery ? w->discovery
				       : "{\"issuer\":\"https://id.example\","
					 "\"authorization_endpoint\":\"https://id.example/auth\","
					 "\"token_endpoint\":\"https://id.example/token\","
					 "\"userinfo_endpoint\":\"https://id.example/me\","
					 "\"jwks_uri\":\"https://id.example/keys\"}");
	} else if (strstr(f->url, "/keys")) {
		w->fetches[1]++;
		ed25519_public(pub, &w->key);
		(void)buf_append_str(body, "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\","
					   "\"kid\":\"one\",\"x\":\"");
		append_base64(body, bytes_of(pub, sizeof(pub)));
		(void)buf_append_str(body, "\"}]}");
		if (w->jwks) {
			buf_clear(body);
			(void)buf_append_str(body, w->jwks);
		}
	} else if (strstr(f->url, "/token")) {
		w->fetches[2]++;
		CHECK(bytes_to_cstr(f->body, w->form, sizeof(w->form)));
		(void)snprintf(w->authorization, sizeof(w->authorization), "%s",
			       f->authorization ? f->authorization : "");
		*status = w->token_status;
		if (w->wants_secret_in_body && !strstr(w->form, "client_secret=s%26cret")) {
			*status = 401;
			(void)buf_append_str(body, "{\"error\":\"invalid_client\"}");
		} else if (w->token_answer) {
			(void)buf_append_str(body, w->token_answer);
		} else {
			(void)buf_append_str(body, "{\"access_token\":\"at\",\"id_token\":\"");
			make_token(w, body);
			(void)buf_append_str(body, "\"}");
		}
	} else {
		w->fetches[3]++;
		CHECK_STR(f->authorization, "Bearer at");
		(void)buf_append_str(body, w->userinfo ? w->userinfo
						       : "{\"sub\":\"42\",\"name\":\"Ana\","
							 "\"groups\":[\"eng\"]}");
	}
}

/* Answers every fetch, keeps the last event. */
static bool settle(struct world *w)
{
	struct oidc_fetch f;
	struct oidc_event e;
	bool seen = false;

	while (!w->silent && oidc_next_fetch(w->o, &f)) {
		struct buf body;
		unsigned status;

		buf_init(&body, 1 << 20);
		answer(w, &f, &body, &status);
		oidc_answer(w->o, w->now, f.id, status, buf_bytes(&body), NULL);
		buf_fini(&body);
	}
	while (oidc_next_event(w->o, &e)) {
		oidc_event_fini(&w->last);
		w->last = e;
		seen = true;
	}
	return seen;
}

static void leave(struct world *w)
{
	const char *query;

	CHECK(oidc_begin(w->o, w->now, 1, "login-1", NULL) == 0);
	CHECK(settle(w) && w->last.kind == OIDC_REDIRECT && w->last.ticket == 1);
	if (w->last.kind != OIDC_REDIRECT)
		return;
	(void)snprintf(w->url, sizeof(w->url), "%s", w->last.url);
	memcpy(w->state, w->last.state, sizeof(w->state));
	memcpy(w->cookie, w->last.cookie, sizeof(w->cookie));
	query = strchr(w->url, '?');
	CHECK(query &&
	      url_query_get(bytes_str(query + 1), "nonce", w->seen_nonce, sizeof(w->seen_nonce)));
}

static int come_back(struct world *w, struct err *err)
{
	struct oidc_return back = { .state = bytes_str(w->state),
				    .code = bytes_str("c0de+"),
				    .cookie = bytes_str(w->cookie) };

	return oidc_returned(w->o, w->now, 2, &back, err);
}

static void expect_failure(struct world *w, const char *why)
{
	struct err err;

	leave(w);
	CHECK(come_back(w, &err) == 0);
	CHECK(settle(w) && w->last.kind == OIDC_FAILED && w->last.ticket == 2);
	if (!CHECK(strstr(w->last.why, why) != NULL))
		CHECK_STR(w->last.why, why);
	world_stop(w);
}

TEST(oidc_login_from_end_to_end)
{
	char value[128], text[64];
	struct world w;
	struct err err;
	uint8_t hash[32];

	world_start(&w);
	leave(&w);
	CHECK(strncmp(w.url, "https://id.example/auth?response_type=code&client_id=weft&", 58) ==
	      0);
	CHECK(strstr(w.url, "code_challenge_method=S256") != NULL);
	CHECK(strstr(w.url, "scope=openid%20email") != NULL);
	CHECK(come_back(&w, &err) == 0);
	CHECK(settle(&w) && w.last.ticket == 2);
	CHECK_STR(w.last.why, "");
	CHECK(w.last.kind == OIDC_IDENTITY);
	CHECK_STR(w.last.subject, "login-1");
	CHECK_STR(w.last.identity->issuer, "https://id.example");
	CHECK_STR(w.last.identity->subject, "42");
	CHECK_STR(w.last.identity->email, "ana@example.com");
	CHECK_STR(w.last.identity->name, "Ana"); /* from UserInfo */
	CHECK_INT(w.last.identity->n_groups, 1);
	CHECK(w.last.identity->email_verified);
	/* The secret is encoded before base64, the verifier matches its challenge. */
	CHECK_STR(w.authorization, "Basic d2VmdDpzJTI2Y3JldA==");
	CHECK(strstr(w.form, "code=c0de%2B&") != NULL);
	CHECK(url_query_get(bytes_str(w.form), "code_verifier", value, sizeof(value)));
	hash_sha256(hash, bytes_str(value));
	text_base64(BASE64_URL, bytes_of(hash, 32), text);
	CHECK(url_query_get(bytes_str(strchr(w.url, '?') + 1), "code_challenge", value,
			    sizeof(value)));
	CHECK_STR(value, text);
	/* The second login needs neither description nor keys again. */
	leave(&w);
	CHECK(come_back(&w, &err) == 0 && settle(&w) && w.last.kind == OIDC_IDENTITY);
	CHECK(w.fetches[0] == 1 && w.fetches[1] == 1 && w.fetches[2] == 2);
	world_stop(&w);
}

TEST(oidc_secret_goes_the_way_the_provider_takes_it)
{
	struct world w;
	struct err err;

	world_start(&w);
	w.wants_secret_in_body = true;
	leave(&w);
	CHECK(come_back(&w, &err) == 0 && settle(&w) && w.last.kind == OIDC_IDENTITY);
	CHECK_INT(w.fetches[2], 2);
	CHECK_STR(w.authorization, "");
	leave(&w); /* it is remembered */
	CHECK(come_back(&w, &err) == 0 && settle(&w) && w.last.kind == OIDC_IDENTITY);
	CHECK_INT(w.fetches[2], 3);
	w.token_status = 401; /* both ways refused: no third try */
	w.token_answer = "{\"error\":\"invalid_client\"}";
	leave(&w);
	CHECK(come_back(&w, &err) == 0 && settle(&w) && w.last.kind == OIDC_FAILED);
	CHECK_INT(w.fetches[2], 5);
	world_stop(&w);
}

TEST(oidc_state_is_good_once_and_in_one_browser)
{
	struct oidc_return back;
	struct world w;
	struct err err;

	world_start(&w);
	leave(&w);
	CHECK(come_back(&w, &err) == 0 && settle(&w));
	CHECK(come_back(&w, &err) < 0 && strstr(err.text, "unknown, was finished"));
	CHECK_INT(w.fetches[2], 1);

	leave(&w);
	back = (struct oidc_return){ .state = bytes_str(w.state), .code = bytes_str("c") };
	CHECK(oidc_returned(w.o, w.now, 3, &back, &err) < 0 && strstr(err.text, "another browser"));
	CHECK(come_back(&w, &err) < 0); /* one wrong cookie ends it */

	leave(&w);
	back = (struct oidc_return){ .state = bytes_str(w.state),
				     .cookie = bytes_str(w.cookie),
				     .error = bytes_str("access_denied") };
	CHECK(oidc_returned(w.o, w.now, 3, &back, &err) < 0 && strstr(err.text, "access_denied"));

	leave(&w);
	back = (struct oidc_return){ .state = bytes_str(w.state),
				     .cookie = bytes_str(w.cookie),
				     .iss = bytes_str("https://evil.example"),
				     .code = bytes_str("c") };
	CHECK(oidc_returned(w.o, w.now, 3, &back, &err) < 0 && strstr(err.text, "does not come"));
	CHECK(!settle(&w));
	world_stop(&w);
}

TEST(oidc_hostile_tokens)
{
	struct world w;

	world_start(&w);
	w.alg = "none";
	expect_failure(&w, "algorithm none");
	world_start(&w);
	w.alg = "HS256";
	expect_failure(&w, "algorithm HS256");
	world_start(&w);
	w.alg = "RS256"; /* there is no such key */
	expect_failure(&w, "does not publish");
	world_start(&w);
	w.aud = "other";
	expect_failure(&w, "another application");
	world_start(&w);
	w.iss = "https://evil.example";
	expect_failure(&w, "not made by");
	world_start(&w);
	w.life_s = -61;
	expect_failure(&w, "expired");
	world_start(&w);
	w.nonce = "replayed";
	expect_failure(&w, "another login");
	world_start(&w);
	w.userinfo = "{\"sub\":\"43\",\"email\":\"boss@example.com\"}";
	expect_failure(&w, "two different people");
	world_start(&w);
	w.token_status = 400;
	w.token_answer = "{\"error\":\"invalid_grant\"}";
	expect_failure(&w, "invalid_grant");
	world_start(&w);
	w.token_answer = "{\"access_token\":\"x\"}";
	expect_failure(&w, "no ID token");
	world_start(&w);
	w.token_answer = "<html>";
	expect_failure(&w, "no ID token");
	world_start(&w);
	w.jwks = "{\"keys\":[]}";
	expect_failure(&w, "does not publish");
	world_start(&w);
	w.jwks = "[]";
	expect_failure(&w, "cannot be used");
}

TEST(oidc_keys_rotate_and_invented_names_do_not_hammer)
{
	struct secret32 seed = { { 9 } };
	struct world w;
	struct err err;

	world_start(&w);
	leave(&w);
	CHECK(come_back(&w, &err) == 0 && settle(&w) && w.last.kind == OIDC_IDENTITY);
	ed25519_from_seed(&w.key, &seed); /* same name, new key, at once */
	leave(&w);
	CHECK(come_back(&w, &err) == 0 && settle(&w) && w.last.kind == OIDC_FAILED);
	CHECK_INT(w.fetches[1], 1);
	w.now.mono = mono_add_s(w.now.mono, 31);
	leave(&w);
	CHECK(come_back(&w, &err) == 0 && settle(&w) && w.last.kind == OIDC_IDENTITY);
	CHECK_INT(w.fetches[1], 2);
	world_stop(&w);
}

TEST(oidc_provider_must_be_who_it_says)
{
	static const char *const bad[][2] = {
		{ "{\"issuer\":\"https://evil.example\"}", "calls itself https://evil.example" },
		{ "{}", "calls itself" },
		{ "nonsense", "cannot be used" },
		{ "{\"issuer\":\"https://id.example\",\"authorization_endpoint\":\"javascript:1\"}",
		  "authorization_endpoint is no URL" },
		{ "{\"issuer\":\"https://id.example\","
		  "\"authorization_endpoint\":\"https://id.example/auth\","
		  "\"token_endpoint\":\"http://id.example/token\"}",
		  "token_endpoint is not protected" },
		{ "{\"issuer\":\"https://id.example\","
		  "\"authorization_endpoint\":\"https://id.example/auth\","
		  "\"token_endpoint\":\"https://id.example/token\","
		  "\"jwks_uri\":\"https://id.example/keys\","
		  "\"code_challenge_methods_supported\":[\"plain\"]}",
		  "PKCE" },
	};

	for (size_t i = 0; i < array_len(bad); i++) {
		struct world w;

		world_start(&w);
		w.discovery = bad[i][0];
		CHECK(oidc_begin(w.o, w.now, 1, "x", NULL) == 0);
		CHECK(settle(&w) && w.last.kind == OIDC_FAILED);
		if (!CHECK(strstr(w.last.why, bad[i][1]) != NULL))
			CHECK_STR(w.last.why, bad[i][1]);
		world_stop(&w);
	}
}

TEST(oidc_slow_provider_and_slow_person)
{
	struct world w;
	struct err err;

	world_start(&w);
	w.silent = true;
	CHECK(oidc_begin(w.o, w.now, 1, "x", NULL) == 0);
	CHECK(!settle(&w));
	CHECK_INT(oidc_deadline(w.o).ns, mono_add_s(w.now.mono, OIDC_FETCH_S).ns);
	w.now.mono = mono_add_s(w.now.mono, OIDC_FETCH_S);
	oidc_tick(w.o, w.now);
	CHECK(settle(&w) && w.last.kind == OIDC_FAILED && strstr(w.last.why, "no answer within"));
	w.silent = false;
	leave(&w);
	w.now.mono = mono_add_s(w.now.mono, OIDC_LOGIN_S);
	oidc_tick(w.o, w.now);
	CHECK(come_back(&w, &err) < 0);
	CHECK(oidc_deadline(w.o).ns == MONO_NEVER.ns);
	world_stop(&w);
}

TEST(oidc_browser_that_leaves_gets_nothing)
{
	struct oidc_fetch f;
	struct world w;

	world_start(&w);
	CHECK(oidc_begin(w.o, w.now, 1, "x", NULL) == 0);
	CHECK(oidc_next_fetch(w.o, &f));
	oidc_forget(w.o, 1);
	oidc_answer(w.o, w.now, f.id, 200, bytes_str("{}"), NULL);
	CHECK(!settle(&w));
	oidc_answer(w.o, w.now, f.id, 200, bytes_str("{}"), NULL); /* twice */
	world_stop(&w);
}

TEST(oidc_number_of_logins_is_bounded)
{
	struct oidc_event e;
	struct world w;
	size_t failed = 0;

	world_start(&w);
	for (uint64_t i = 1; i <= OIDC_FLOWS_MAX + 3; i++)
		CHECK(oidc_begin(w.o, w.now, i, "x", NULL) == 0);
	while (oidc_next_event(w.o, &e)) {
		failed += e.kind == OIDC_FAILED;
		CHECK(strstr(e.why, "Too many") != NULL);
		oidc_event_fini(&e);
	}
	CHECK_INT(failed, 3);
	world_stop(&w);
}
