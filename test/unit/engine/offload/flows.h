/* Packets as an honest sender makes them, with checksums summed the slow way: for tests only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rand.h"

struct flow {
	bool v6, udp;
	unsigned options;    /* TCP option bytes, a multiple of 4 */
	unsigned extensions; /* IPv6 extension header bytes, a multiple of 8 */
	uint8_t tos;
	uint16_t id; /* of the next packet */
	bool fixed_id, dont_fragment;
	uint32_t seq;
};

struct flow flow_random(struct rng *rng);
/* One packet with n payload bytes; its length. flags: TCP's. Advances id and seq. */
size_t flow_packet(struct flow *f, struct rng *rng, uint8_t *out, size_t n, uint8_t flags);
size_t flow_header(const struct flow *f);
/* Both checksums, by a loop that owes nothing to the code under test. */
bool flow_sums_are_right(const uint8_t *p, size_t n);
