/*
 * crypto/chacha32.h - up to 32 ChaCha20 blocks at once, from the key streams of several packets.
 *
 * For aeadvec_avx512.c. Needs AVX-512 F and BW; the caller has asked the CPU.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "crypto/secret.h"

enum { CHACHA32 = 32, CHACHA_BLOCK = 64 };

/* Consecutive blocks of one key stream, for consecutive bytes. */
struct chacha_run {
	const struct secret32 *key;
	uint64_t counter; /* of the packet: the nonce */
	uint32_t block;   /* the first */
	uint32_t lanes;   /* how many blocks */
	uint32_t len;     /* bytes, at most lanes * 64: xored into to[], or stored there */
	bool store;
	uint8_t *to;
};

struct chacha32 {
	unsigned n, lanes;
	struct chacha_run runs[CHACHA32];
};

/* Makes all blocks of c and empties it. */
void chacha32_run(struct chacha32 *c);
/* Adds a run of any number of lanes; makes blocks whenever 32 are together. */
void chacha32_add(struct chacha32 *c, const struct chacha_run *run);
