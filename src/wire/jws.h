/*
 * wire/jws.h - signed tokens as providers send them: compact JWS (RFC 7515) and the key sets that
 * verify them (RFC 7517). Reading only.
 *
 * Three algorithms and no negotiation: RS256, ES256, EdDSA. "none" and every MAC are refused by
 * their absence from crypto/sigkey.h; a key of one algorithm never verifies a token of another.
 */
#pragma once

#include "base/bytes.h"
#include "crypto/sigkey.h"

struct arena;
struct err;
struct jwks;

enum jws_limits {
	JWS_MAX = 64 << 10,
	JWKS_MAX = 256 << 10,
	JWKS_KEYS_MAX = 64,
	JWS_KID_MAX = 256,
};

struct jws {
	enum sig_alg alg;
	struct bytes kid;     /* empty: the token names no key */
	struct bytes payload; /* decoded, in the arena; nothing about it is proved yet */
	struct bytes signed_part, signature;
};

/* Everything points into text or the arena. */
int jws_decode(struct jws *out, struct arena *arena, struct bytes text, struct err *err);

/* Keys for encryption, of other algorithms or too weak are left out; an empty set is no error. */
struct jwks *jwks_decode(struct bytes json, struct err *err);
void jwks_destroy(struct jwks *set); /* NULL is a no-op */
size_t jwks_count(const struct jwks *set);

enum jws_verdict {
	JWS_GOOD,
	JWS_BAD,         /* there is such a key, and it did not sign this */
	JWS_UNKNOWN_KEY, /* none in the set: it may have been rotated */
};
/* A token that names no key is tried with every key of its algorithm. */
enum jws_verdict jws_verify(const struct jws *token, const struct jwks *set);
