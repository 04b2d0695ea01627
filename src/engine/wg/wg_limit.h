/*
 * engine/wg/wg_limit.h - how much handshake work strangers can make us do.
 *
 * Three token buckets: an easy one (when it is empty we are under load, and for 1 s after), a hard
 * one four times as large which nothing passes, and under load one per source address (20 per
 * second, burst 5; IPv6 by /64). The latter live in a table of fixed size: sources that collide
 * share a bucket.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/mono.h"
#include "engine/wg/wg.h"

struct wg_bucket {
	struct mono full_at; /* when it will be full again */
};

enum { WG_SOURCE_BUCKETS = 1024 };

struct wg_limit {
	int64_t cost_ns; /* of one handshake message in the easy bucket */
	struct wg_bucket easy, hard;
	struct mono load_until;
	bool forced;
	uint64_t seed[2];
	struct wg_bucket sources[WG_SOURCE_BUCKETS];
};

void wg_limit_init(struct wg_limit *l, uint32_t per_s, struct rng *rng);
/* Counts a message whose mac1 is good. False: drop it, the hard limit is reached. */
bool wg_limit_admit(struct wg_limit *l, struct mono now);
bool wg_limit_is_loaded(const struct wg_limit *l, struct mono now);
/* Under load, with a good mac2. */
bool wg_limit_admit_source(struct wg_limit *l, struct mono now, const struct wg_source *from);
