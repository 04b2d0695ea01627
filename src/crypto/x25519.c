#include "crypto/x25519.h"

#include <sodium.h>

void x25519_generate(struct secret32 *priv, struct rng *rng)
{
	secret32_random(priv, rng);
	priv->b[0] &= 0xf8;
	priv->b[31] = (priv->b[31] & 0x7f) | 0x40;
}

void x25519_public(uint8_t pub[X25519_LEN], const struct secret32 *priv)
{
	(void)crypto_scalarmult_base(pub, priv->b);
}

bool x25519_shared(struct secret32 *out, const struct secret32 *priv, const uint8_t pub[X25519_LEN])
{
	if (crypto_scalarmult(out->b, priv->b, pub) != 0) {
		secret32_wipe(out);
		return false;
	}
	return true;
}
