/*
 * crypto/aeadvec.h - ChaCha20-Poly1305 over a vector of packets, in place; the datapath's cipher.
 *
 * A context belongs to one thread. Providers give identical bytes (the tests compare them); which
 * one is fastest depends on the machine and is decided once, at creation:
 *
 *   avx512     our own kernel, many packets at a time, where the CPU has AVX-512 with IFMA and
 * VBMI2 ipsec-mb   many packets at a time on x86-64 with AVX2 or AVX-512; loaded at run time when
 * the library is installed, 3.5 MB resident openssl    everywhere
 *
 * The nonce is four zero bytes and the counter, little-endian; there is no additional data.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/secret.h"

struct err;

enum { AEADVEC_MAX = 128, AEADVEC_TAG_LEN = 16 }; /* packets per call */

struct aeadvec_pkt {
	uint8_t *p;
	uint32_t len; /* of the text without the tag, which is at p + len */
	bool ok;      /* open: the tag verified. Otherwise the text is noise: do not look at it */
	uint64_t counter;
	const struct secret32 *key; /* may change from packet to packet; runs of one are faster */
};

struct aeadvec;

/* provider NULL: the fastest there is. Fails for a name that is unknown or cannot run here. */
struct aeadvec *aeadvec_create(const char *provider, struct err *err);
/* NULL: no-op. Wipes what it knows of keys. */
void aeadvec_destroy(struct aeadvec *v);
const char *aeadvec_name(const struct aeadvec *v);
/* Names of all providers of this build, NULL at the end; whether one runs is aeadvec_create()'s. */
const char *const *aeadvec_providers(void);

/* n is at most AEADVEC_MAX. */
void aeadvec_seal(struct aeadvec *v, struct aeadvec_pkt *pkts, unsigned n);
void aeadvec_open(struct aeadvec *v, struct aeadvec_pkt *pkts, unsigned n);
