/* crypto/ed25519.h - Ed25519 signatures; non-canonical ones are refused. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "crypto/secret.h"

enum { ED25519_PUB_LEN = 32, ED25519_SIG_LEN = 64 };

struct ed25519_key {
	uint8_t b[64]; /* seed, then public key */
};

void ed25519_from_seed(struct ed25519_key *key, const struct secret32 *seed);
void ed25519_public(uint8_t pub[ED25519_PUB_LEN], const struct ed25519_key *key);
void ed25519_sign(uint8_t sig[ED25519_SIG_LEN], const struct ed25519_key *key,
		  struct bytes message);
bool ed25519_verify(const uint8_t sig[ED25519_SIG_LEN], const uint8_t pub[ED25519_PUB_LEN],
		    struct bytes message);
