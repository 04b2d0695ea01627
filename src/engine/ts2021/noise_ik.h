/* engine/ts2021/noise_ik.h - the symmetric state of one Noise handshake: hash, chaining key, key.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "crypto/secret.h"

struct noise_ik {
	uint8_t h[32], ck[32];
	struct secret32 k;
};

void noise_ik_init(struct noise_ik *n, uint16_t version, const uint8_t responder_static[32]);
void noise_ik_fini(struct noise_ik *n);
void noise_ik_mix_hash(struct noise_ik *n, struct bytes data);
/* False when the result is the zero point. */
bool noise_ik_mix_dh(struct noise_ik *n, const struct secret32 *priv, const uint8_t pub[32]);
/* out holds in.n + 16 bytes. A key seals one message, so the nonce is zero. */
void noise_ik_seal(struct noise_ik *n, uint8_t *out, struct bytes in);
bool noise_ik_open(struct noise_ik *n, uint8_t *out, struct bytes in);
void noise_ik_split(const struct noise_ik *n, struct secret32 *to_server,
		    struct secret32 *to_client);
