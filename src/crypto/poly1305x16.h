/*
 * crypto/poly1305x16.h - the tags of sixteen messages at once, each under a key of its own.
 *
 * The message is what ChaCha20-Poly1305 authenticates without additional data: the text, zeros up
 * to a multiple of 16, and the block of lengths. Needs AVX-512 F, BW, IFMA and VBMI2; the caller
 * has asked the CPU.
 */
#pragma once

#include <stdint.h>

enum { POLY1305X16 = 16 };

struct poly1305x16_job {
	const uint8_t *p;
	uint64_t n;
	uint8_t key[32]; /* r and s, for this message only */
	uint8_t tag[16]; /* out */
};

/* n: 1 to 16. Messages of like length cost least: the longest decides. */
void poly1305x16_run(struct poly1305x16_job *jobs, unsigned n);
