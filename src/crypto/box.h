/* crypto/box.h - NaCl box (X25519, XSalsa20-Poly1305): disco messages and DERP client info. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "crypto/secret.h"

enum { BOX_NONCE_LEN = 24, BOX_TAG_LEN = 16, BOX_OVERHEAD = BOX_NONCE_LEN + BOX_TAG_LEN };

/* The shared key of a pair: half of the cost of a box, worth keeping. False for low-order points.
 */
bool box_shared(struct secret32 *shared, const struct secret32 *priv, const uint8_t pub[32]);
/* out: nonce (24), then in.n + 16 bytes of box. */
void box_seal(uint8_t *out, const struct secret32 *shared, const uint8_t nonce[BOX_NONCE_LEN],
	      struct bytes in);
/* in: nonce, then box. out holds in.n - BOX_OVERHEAD bytes. */
bool box_open(uint8_t *out, const struct secret32 *shared, struct bytes in);
