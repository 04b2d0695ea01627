/* crypto/x25519.h - Curve25519 key agreement. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "crypto/secret.h"

struct rng;

enum { X25519_LEN = 32 };

/* A fresh, clamped private key. */
void x25519_generate(struct secret32 *priv, struct rng *rng);
void x25519_public(uint8_t pub[X25519_LEN], const struct secret32 *priv);
/* False when the result is all zero: the peer sent a point of low order. */
bool x25519_shared(struct secret32 *out, const struct secret32 *priv,
		   const uint8_t pub[X25519_LEN]);
