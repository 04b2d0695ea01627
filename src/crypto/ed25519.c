#include "crypto/ed25519.h"

#include <sodium.h>

void ed25519_from_seed(struct ed25519_key *key, const struct secret32 *seed)
{
	uint8_t pub[ED25519_PUB_LEN];

	(void)crypto_sign_seed_keypair(pub, key->b, seed->b);
}

void ed25519_public(uint8_t pub[ED25519_PUB_LEN], const struct ed25519_key *key)
{
	memcpy(pub, key->b + 32, ED25519_PUB_LEN);
}

void ed25519_sign(uint8_t sig[ED25519_SIG_LEN], const struct ed25519_key *key, struct bytes message)
{
	(void)crypto_sign_detached(sig, NULL, message.p, message.n, key->b);
}

bool ed25519_verify(const uint8_t sig[ED25519_SIG_LEN], const uint8_t pub[ED25519_PUB_LEN],
		    struct bytes message)
{
	return crypto_sign_verify_detached(sig, message.p, message.n, pub) == 0;
}
