/* crypto/hash.h - BLAKE2s and what Noise and WireGuard build from it; SHA-256 for everything else.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

enum { HASH_LEN = 32, HASH_MAC_LEN = 16 };

/* BLAKE2s-256 of the parts one after the other. */
void hash_blake2s(uint8_t out[HASH_LEN], const struct bytes *parts, size_t n);
/* BLAKE2s keyed with up to 32 bytes, 128-bit output: WireGuard's MAC. */
void hash_blake2s_mac(uint8_t out[HASH_MAC_LEN], struct bytes key, struct bytes message);
void hash_hmac_blake2s(uint8_t out[HASH_LEN], struct bytes key, const struct bytes *parts,
		       size_t n);
/* Noise HKDF: n outputs (1 to 3) of 32 bytes each from a chaining key and input. */
void hash_hkdf(uint8_t (*out)[HASH_LEN], size_t n, const uint8_t ck[HASH_LEN], struct bytes input);

void hash_sha256(uint8_t out[32], struct bytes message);
/* Broken as a hash; only where a protocol uses it as a checksum (the WebSocket handshake). */
void hash_sha1(uint8_t out[20], struct bytes message);
void hash_hmac_sha256(uint8_t out[32], struct bytes key, struct bytes message);
