/*
 * An independent WireGuard peer that judges the engine. Written from the protocol's description
 * with primitives from crypto/ alone; it shares no line with src/engine/wg and includes nothing of
 * it. Slow, one handshake at a time, no timers: it does what a test tells it to do.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rand.h"
#include "crypto/secret.h"

struct judge {
	struct rng rng;
	struct secret32 static_priv, ephemeral_priv, psk;
	uint8_t static_pub[32], their_static[32], their_ephemeral[32];
	uint8_t ck[32], h[32];
	uint32_t my_index, their_index;
	uint8_t last_mac1[16], cookie[16];
	bool has_cookie;
	uint8_t cookie_secret[32];
	uint8_t send_key[32], receive_key[32];
	/* From the last initiation taken. */
	uint8_t tai64n[12];
};

void judge_init(struct judge *j, uint64_t seed);

/* As initiator. ephemeral: NULL for a fresh one, or a public point to lie with. */
void judge_initiation(struct judge *j, uint64_t unix_s, uint32_t nanos, const uint8_t *ephemeral,
		      uint8_t out[148]);
bool judge_take_response(struct judge *j, const uint8_t *in, size_t n);
/* As responder. */
bool judge_take_initiation(struct judge *j, const uint8_t *in, size_t n);
void judge_response(struct judge *j, uint8_t out[92]);
/* Both macs at the end of a message for the other side; after changing one. */
void judge_stamp(struct judge *j, uint8_t *msg, size_t n);

/* Cookies. where: 6 bytes that stand for the sender's address. */
void judge_cookie_reply(struct judge *j, const uint8_t where[6], const uint8_t *msg, size_t n,
			uint8_t out[64]);
bool judge_mac2_ok(struct judge *j, const uint8_t where[6], const uint8_t *msg, size_t n);
bool judge_take_cookie(struct judge *j, const uint8_t *in, size_t n);

/* Transport. No padding is added. */
size_t judge_seal(struct judge *j, uint64_t counter, const uint8_t *plain, size_t n, uint8_t *out);
/* Length of the plaintext, or -1. */
int judge_open(struct judge *j, const uint8_t *in, size_t n, uint64_t *counter, uint8_t *plain);
