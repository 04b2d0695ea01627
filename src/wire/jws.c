#include "wire/jws.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"

enum { ARENA_MAX = 4 << 20 };

struct jwk {
	char *kid;
	struct sig_key *key;
};

struct jwks {
	struct jwk keys[JWKS_KEYS_MAX];
	size_t n;
};

/* ---- tokens ---- */

static bool unbase64(struct arena *arena, struct bytes text, struct bytes *out)
{
	struct buf raw;
	bool good;

	buf_init(&raw, JWS_MAX);
	good = text_unbase64(BASE64_URL, text, &raw);
	if (good)
		*out = arena_bytes(arena, buf_bytes(&raw));
	buf_fini(&raw);
	return good && (out->p || !out->n);
}

static int read_header(struct jws *out, struct arena *arena, struct bytes text, struct err *err)
{
	struct err why;
	const struct json *header = json_parse(arena, text, JSON_NO_DUPLICATES, &why);
	struct bytes alg;

	if (!json_is(header, JSON_OBJECT) || !json_string(json_get(header, "alg"), &alg))
		return err_set(err, ERR_MALFORMED, "the header of the token is no JSON with alg");
	out->alg = sig_alg_parse(alg);
	if (out->alg == SIG_NONE)
		return err_set(err, ERR_AUTH,
			       "the token is signed by algorithm %.*s; RS256, ES256 and EdDSA are "
			       "accepted",
			       alg.n > 32 ? 32 : (int)alg.n, (const char *)alg.p);
	if (json_get(header, "crit"))
		return err_set(err, ERR_MALFORMED, "the token needs an extension we do not know");
	if (json_get(header, "kid") &&
	    (!json_string(json_get(header, "kid"), &out->kid) || out->kid.n > JWS_KID_MAX))
		return err_set(err, ERR_MALFORMED, "the token's kid is no short text");
	return 0;
}

int jws_decode(struct jws *out, struct arena *arena, struct bytes text, struct err *err)
{
	struct bytes rest = text, header, payload, signature, more, raw;

	*out = (struct jws){ 0 };
	if (text.n > JWS_MAX)
		return err_set(err, ERR_LIMIT, "the token is longer than %d bytes", JWS_MAX);
	if (!text_split(&rest, '.', &header) || !text_split(&rest, '.', &payload) ||
	    !text_split(&rest, '.', &signature) || text_split(&rest, '.', &more))
		return err_set(err, ERR_MALFORMED, "a signed token has three parts");
	if (!unbase64(arena, header, &raw) || !unbase64(arena, payload, &out->payload) ||
	    !unbase64(arena, signature, &out->signature))
		return err_set(err, ERR_MALFORMED, "a part of the token is no base64url");
	out->signed_part = bytes_of(text.p, header.n + 1 + payload.n);
	return read_header(out, arena, raw, err);
}

/* ---- key sets ---- */

static bool number(struct arena *arena, const struct json *v, const char *name, struct bytes *out)
{
	struct bytes text;

	return json_string(json_get(v, name), &text) && unbase64(arena, text, out) && out->n;
}

static bool says(const struct json *v, const char *name, const char *wanted)
{
	struct bytes text;

	return json_string(json_get(v, name), &text) && bytes_equal_str(text, wanted);
}

/* NULL: not a key we can use. */
static struct sig_key *read_key(struct arena *arena, const struct json *v)
{
	struct bytes a, b;

	if (says(v, "kty", "RSA") && number(arena, v, "n", &a) && number(arena, v, "e", &b))
		return sig_key_rsa(a, b, NULL);
	if (says(v, "kty", "EC") && says(v, "crv", "P-256") && number(arena, v, "x", &a) &&
	    number(arena, v, "y", &b))
		return sig_key_p256(a, b, NULL);
	if (says(v, "kty", "OKP") && says(v, "crv", "Ed25519") && number(arena, v, "x", &a))
		return sig_key_ed25519(a, NULL);
	return NULL;
}

static void add_key(struct jwks *set, struct arena *arena, const struct json *v)
{
	struct bytes kid = { 0 };
	struct sig_key *key;

	if (json_get(v, "use") && !says(v, "use", "sig"))
		return;
	if (json_string(json_get(v, "kid"), &kid) && kid.n > JWS_KID_MAX)
		return;
	key = read_key(arena, v);
	if (!key)
		return;
	if (json_get(v, "alg") && !says(v, "alg", sig_alg_name(sig_key_alg(key)))) {
		sig_key_destroy(key);
		return;
	}
	set->keys[set->n++] = (struct jwk){ bytes_strdup(kid), key };
}

struct jwks *jwks_decode(struct bytes json, struct err *err)
{
	struct jwks *set = NULL;
	const struct json *doc, *keys;
	struct arena arena;

	arena_init(&arena, ARENA_MAX);
	if (json.n > JWKS_MAX) {
		(void)err_set(err, ERR_LIMIT, "the key set is longer than %d bytes", JWKS_MAX);
		goto out;
	}
	doc = json_parse(&arena, json, 0, err);
	keys = json_get(doc, "keys");
	if (!doc)
		goto out;
	if (!json_is(keys, JSON_ARRAY)) {
		(void)err_set(err, ERR_MALFORMED, "the key set has no list of keys");
		goto out;
	}
	if (keys->count > JWKS_KEYS_MAX) {
		(void)err_set(err, ERR_LIMIT, "the key set has more than %d keys", JWKS_KEYS_MAX);
		goto out;
	}
	set = mem_alloc(sizeof(*set));
	json_each (it, keys)
		add_key(set, &arena, it);
out:
	arena_fini(&arena);
	return set;
}

void jwks_destroy(struct jwks *set)
{
	if (!set)
		return;
	for (size_t i = 0; i < set->n; i++) {
		mem_free(set->keys[i].kid);
		sig_key_destroy(set->keys[i].key);
	}
	mem_free(set);
}

size_t jwks_count(const struct jwks *set)
{
	return set->n;
}

enum jws_verdict jws_verify(const struct jws *token, const struct jwks *set)
{
	enum jws_verdict verdict = JWS_UNKNOWN_KEY;

	for (size_t i = 0; i < set->n; i++) {
		const struct jwk *k = &set->keys[i];

		if (sig_key_alg(k->key) != token->alg)
			continue;
		if (token->kid.n && !bytes_equal_str(token->kid, k->kid))
			continue;
		if (sig_key_verify(k->key, token->signed_part, token->signature))
			return JWS_GOOD;
		verdict = JWS_BAD;
	}
	return verdict;
}
