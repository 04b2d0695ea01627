/* One login, step by step. Every function may end the flow: f is not looked at after it. */
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/hash.h"
#include "crypto/secret.h"
#include "engine/oidc/oidc_state.h"
#include "wire/url.h"

enum { ARENA_MAX = 4 << 20, URL_LEN_MAX = 8 << 10, TOKEN_TEXT_MAX = 64 << 10 };

static void put(struct buf *b, const char *name, struct bytes value)
{
	if (b->n && b->p[b->n - 1] != '?' && b->p[b->n - 1] != '&')
		(void)buf_append_u8(b, '&');
	(void)buf_append_str(b, name);
	(void)buf_append_u8(b, '=');
	if (!url_percent_encode(value, b))
		b->bad = true;
}

/* ---- to the provider ---- */

static void put_challenge(struct buf *b, const char *verifier)
{
	char text[TEXT_BASE64_LEN(32) + 1];
	uint8_t hash[32];

	hash_sha256(hash, bytes_str(verifier));
	text_base64(BASE64_URL, bytes_of(hash, sizeof(hash)), text);
	put(b, "code_challenge", bytes_str(text));
	put(b, "code_challenge_method", bytes_str("S256"));
}

void flow_send_away(struct oidc *o, struct oidc_now now, struct flow *f)
{
	struct event *ev;
	struct buf url;

	buf_init(&url, URL_LEN_MAX);
	(void)buf_append_str(&url, o->provider.authorization);
	(void)buf_append_u8(&url, strchr(o->provider.authorization, '?') ? '&' : '?');
	put(&url, "response_type", bytes_str("code"));
	put(&url, "client_id", bytes_str(o->client_id));
	put(&url, "redirect_uri", bytes_str(o->redirect_uri));
	put(&url, "scope", bytes_str(o->scopes));
	put(&url, "state", bytes_str(f->state_token));
	put(&url, "nonce", bytes_str(f->nonce));
	put_challenge(&url, f->verifier);
	if (url.bad) {
		buf_fini(&url);
		oidc_fail(o, f, "The identity provider's address is too long.");
		return;
	}
	ev = oidc_event_add(o, OIDC_REDIRECT, f);
	ev->e.url = bytes_strdup(buf_bytes(&url));
	memcpy(ev->e.state, f->state_token, sizeof(ev->e.state));
	memcpy(ev->e.cookie, f->cookie, sizeof(ev->e.cookie));
	buf_fini(&url);
	f->ticket = 0;
	f->expires = mono_add_s(now.mono, OIDC_LOGIN_S);
	f->state = FLOW_AT_PROVIDER;
}

/* ---- code for tokens ---- */

/* RFC 6749 2.3.1: both halves are form-encoded first. */
static char *basic_auth(const struct oidc *o)
{
	struct buf pair, out;
	char *header;

	buf_init(&pair, 4096);
	buf_init(&out, 8192);
	(void)url_percent_encode(bytes_str(o->client_id), &pair);
	(void)buf_append_u8(&pair, ':');
	(void)url_percent_encode(bytes_str(o->client_secret), &pair);
	(void)buf_append_str(&out, "Basic ");
	if (buf_reserve(&out, TEXT_BASE64_LEN(pair.n) + 1)) {
		text_base64(BASE64_STD, buf_bytes(&pair), (char *)out.p + out.n);
		out.n += TEXT_BASE64_LEN(pair.n);
	}
	header = bytes_strdup(buf_bytes(&out));
	secret_wipe(pair.p, pair.n);
	secret_wipe(out.p, out.n);
	buf_fini(&pair);
	buf_fini(&out);
	return header;
}

void flow_redeem(struct oidc *o, struct oidc_now now, struct flow *f)
{
	bool in_body = o->provider.secret_in_body != f->other_way;
	struct fetch *fetch = oidc_fetch_add(o, now, FETCH_TOKEN, f, o->provider.token);
	struct buf *b = &fetch->body;

	put(b, "grant_type", bytes_str("authorization_code"));
	put(b, "code", bytes_str(f->code));
	put(b, "redirect_uri", bytes_str(o->redirect_uri));
	put(b, "code_verifier", bytes_str(f->verifier));
	if (!o->client_secret[0] || in_body)
		put(b, "client_id", bytes_str(o->client_id));
	if (o->client_secret[0] && in_body)
		put(b, "client_secret", bytes_str(o->client_secret));
	else if (o->client_secret[0])
		fetch->authorization = basic_auth(o);
	f->expires = mono_add_s(now.mono, 4 * OIDC_FETCH_S);
	f->state = FLOW_REDEEMING;
}

/*
 * Some providers take the secret one way only, whatever they publish. Worth one more try, unless it
 * is the code itself that is refused.
 */
static bool may_try_other_way(const struct oidc *o, const struct flow *f, unsigned status,
			      const struct json *doc)
{
	struct bytes error = { 0 };

	(void)json_string(json_get(doc, "error"), &error);
	return o->client_secret[0] && !f->other_way && (status == 400 || status == 401) &&
	       !bytes_equal_str(error, "invalid_grant");
}

static void say_refusal(struct oidc *o, struct flow *f, unsigned status, const struct json *doc)
{
	struct bytes text;

	if (!json_string(json_get(doc, "error_description"), &text) &&
	    !json_string(json_get(doc, "error"), &text))
		oidc_fail(o, f, "The identity provider answered with status %u.", status);
	else
		oidc_fail(o, f, "The identity provider refused the login: %.*s",
			  text.n > 150 ? 150 : (int)text.n, (const char *)text.p);
}

void flow_take_tokens(struct oidc *o, struct oidc_now now, struct flow *f, unsigned status,
		      struct bytes body)
{
	struct bytes id_token = { 0 }, access = { 0 };
	const struct json *doc;
	struct arena arena;
	struct err err;

	arena_init(&arena, ARENA_MAX);
	doc = json_parse(&arena, body, 0, &err);
	if (may_try_other_way(o, f, status, doc)) {
		f->other_way = true;
		flow_redeem(o, now, f);
	} else if (status != 200) {
		say_refusal(o, f, status, doc);
	} else if (!json_string(json_get(doc, "id_token"), &id_token) || id_token.n > JWS_MAX) {
		oidc_fail(o, f, "The identity provider sent no ID token.");
	} else {
		if (f->other_way)
			o->provider.secret_in_body = !o->provider.secret_in_body;
		f->other_way = false;
		f->id_token = bytes_strdup(id_token);
		if (json_string(json_get(doc, "access_token"), &access) &&
		    access.n <= TOKEN_TEXT_MAX)
			f->access_token = bytes_strdup(access);
		flow_verify(o, now, f);
	}
	arena_fini(&arena);
}

/* ---- what the tokens say ---- */

static void wait_for_keys(struct oidc *o, struct oidc_now now, struct flow *f)
{
	f->keys_asked = true;
	f->state = FLOW_WAITING_KEYS;
	if (!oidc_is_fetching(o, FETCH_KEYS))
		(void)oidc_fetch_add(o, now, FETCH_KEYS, NULL, o->provider.keys);
}

static void finish(struct oidc *o, struct flow *f)
{
	struct event *ev = oidc_event_add(o, OIDC_IDENTITY, f);

	ev->e.identity = f->identity;
	f->identity = NULL;
	oidc_flow_free(o, f);
}

static void ask_userinfo(struct oidc *o, struct oidc_now now, struct flow *f)
{
	struct fetch *fetch;
	struct buf header;

	if (!o->provider.userinfo || !f->access_token) {
		finish(o, f);
		return;
	}
	fetch = oidc_fetch_add(o, now, FETCH_USERINFO, f, o->provider.userinfo);
	buf_init(&header, TOKEN_TEXT_MAX + 16);
	(void)buf_printf(&header, "Bearer %s", f->access_token);
	fetch->authorization = bytes_strdup(buf_bytes(&header));
	secret_wipe(header.p, header.n);
	buf_fini(&header);
	f->state = FLOW_ASKING;
}

static void take_claims(struct oidc *o, struct oidc_now now, struct flow *f,
			const struct jws *token, struct arena *arena)
{
	struct oidc_token_rules rules = { o->issuer, o->client_id, f->nonce, now.wall };
	struct err err;
	const struct json *claims = json_parse(arena, token->payload, JSON_NO_DUPLICATES, &err);

	if (!claims || oidc_token_check(claims, &rules, &err) < 0) {
		oidc_fail(o, f, "The login was not accepted: %.180s", err.text);
		return;
	}
	f->identity = mem_alloc(sizeof(*f->identity));
	oidc_identity_read(f->identity, claims, o->groups_claim);
	ask_userinfo(o, now, f);
}

void flow_verify(struct oidc *o, struct oidc_now now, struct flow *f)
{
	struct provider *p = &o->provider;
	enum jws_verdict verdict = JWS_UNKNOWN_KEY;
	struct arena arena;
	struct jws token;
	struct err err;

	arena_init(&arena, ARENA_MAX);
	if (jws_decode(&token, &arena, bytes_str(f->id_token), &err) < 0) {
		oidc_fail(o, f, "The login was not accepted: %.180s", err.text);
		arena_fini(&arena);
		return;
	}
	if (p->jwks && (f->keys_asked || !mono_reached(now.mono, p->keys_good_until)))
		verdict = jws_verify(&token, p->jwks);
	if (verdict == JWS_GOOD)
		take_claims(o, now, f, &token, &arena);
	else if (!f->keys_asked && provider_may_refresh_keys(p, now.mono))
		wait_for_keys(o, now, f); /* also after a bad signature: a key was replaced */
	else if (verdict == JWS_BAD)
		oidc_fail(o, f, "The login was not accepted: the token's signature is wrong.");
	else
		oidc_fail(o, f,
			  "The login was not accepted: the token is signed by a key that the "
			  "provider does not publish.");
	arena_fini(&arena);
}

/* UserInfo adds what the ID token lacks; it counts only when it is about the same person. */
void flow_take_userinfo(struct oidc *o, struct flow *f, unsigned status, struct bytes body)
{
	const struct json *doc;
	struct arena arena;
	struct bytes sub;
	struct err err;

	arena_init(&arena, ARENA_MAX);
	doc = json_parse(&arena, body, JSON_NO_DUPLICATES, &err);
	if (status == 200 && json_string(json_get(doc, "sub"), &sub)) {
		if (!bytes_equal_str(sub, f->identity->subject)) {
			oidc_fail(o, f, "The identity provider spoke of two different people.");
			arena_fini(&arena);
			return;
		}
		oidc_identity_read(f->identity, doc, o->groups_claim);
	}
	finish(o, f);
	arena_fini(&arena);
}
