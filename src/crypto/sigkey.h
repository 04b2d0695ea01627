/*
 * crypto/sigkey.h - public keys of others, to verify what they signed: RSA, P-256, Ed25519.
 *
 * A key has exactly one algorithm. What a message says about its own algorithm is compared with the
 * key's and never chooses how the key is used.
 */
#pragma once

#include <stdbool.h>

#include "base/bytes.h"

struct err;
struct sig_key;

enum sig_alg {
	SIG_NONE,
	SIG_RS256, /* RSA PKCS#1 v1.5 with SHA-256; moduli of 2048 to 8192 bits */
	SIG_ES256, /* ECDSA P-256 with SHA-256; the signature is r and s, 32 bytes each */
	SIG_EDDSA, /* Ed25519 */
};

const char *sig_alg_name(enum sig_alg alg);    /* as in JWS: "RS256" */
enum sig_alg sig_alg_parse(struct bytes name); /* SIG_NONE for every other text */

/* Big-endian numbers without sign. NULL: not such a key. */
struct sig_key *sig_key_rsa(struct bytes modulus, struct bytes exponent, struct err *err);
struct sig_key *sig_key_p256(struct bytes x, struct bytes y, struct err *err);
struct sig_key *sig_key_ed25519(struct bytes public_key, struct err *err);
void sig_key_destroy(struct sig_key *k); /* NULL is a no-op */

enum sig_alg sig_key_alg(const struct sig_key *k);
bool sig_key_verify(const struct sig_key *k, struct bytes message, struct bytes signature);
