/*
 * A stand-in for Curve25519 behind the face of crypto/x25519.h, for cities of ten thousand hosts:
 * multiplication modulo 2^61 - 1. It agrees on keys as the real one does and hides nothing. Linked
 * into `sim-light` alone; everything else in there is the real code, `sim` has the real curve too.
 */
#include "crypto/x25519.h"

#include <string.h>

#include "base/rand.h"

static const uint64_t prime = (1ULL << 61) - 1;

static uint64_t load(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p + 8, sizeof(v));
	return v % prime;
}

static void store(uint8_t out[32], uint64_t v)
{
	for (unsigned i = 0; i < 32; i += 8)
		memcpy(out + i, &v, 8);
}

static uint64_t times(uint64_t a, uint64_t b)
{
	return (uint64_t)((unsigned __int128)a * b % prime);
}

void x25519_generate(struct secret32 *priv, struct rng *rng)
{
	do
		secret32_random(priv, rng);
	while (!load(priv->b));
}

void x25519_public(uint8_t pub[X25519_LEN], const struct secret32 *priv)
{
	store(pub, times(load(priv->b), 0x123456789abcdefULL));
}

bool x25519_shared(struct secret32 *out, const struct secret32 *priv, const uint8_t pub[X25519_LEN])
{
	uint64_t v = times(load(priv->b), load(pub));

	store(out->b, v);
	return v != 0;
}
