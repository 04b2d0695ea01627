/*
 * crypto/aead.h - ChaCha20-Poly1305 and XChaCha20-Poly1305, one message at a time.
 *
 * For handshakes and control traffic. The datapath has a vector interface of its own
 * (crypto/aeadvec.h).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "crypto/secret.h"

enum { AEAD_TAG_LEN = 16, AEAD_NONCE_LEN = 12, AEAD_XNONCE_LEN = 24 };

/* out holds in.n + 16 bytes; in place (out == in.p) is fine. */
void aead_seal(uint8_t *out, const struct secret32 *key, const uint8_t nonce[AEAD_NONCE_LEN],
	       struct bytes in, struct bytes ad);
/* out holds in.n - 16 bytes. False, out wiped, when the tag does not verify. */
bool aead_open(uint8_t *out, const struct secret32 *key, const uint8_t nonce[AEAD_NONCE_LEN],
	       struct bytes in, struct bytes ad);

void aead_xseal(uint8_t *out, const struct secret32 *key, const uint8_t nonce[AEAD_XNONCE_LEN],
		struct bytes in, struct bytes ad);
bool aead_xopen(uint8_t *out, const struct secret32 *key, const uint8_t nonce[AEAD_XNONCE_LEN],
		struct bytes in, struct bytes ad);

/* Four zero bytes and the counter: WireGuard counts little-endian, TS2021 transport big-endian. */
void aead_nonce_le(uint8_t nonce[AEAD_NONCE_LEN], uint64_t counter);
void aead_nonce_be(uint8_t nonce[AEAD_NONCE_LEN], uint64_t counter);
