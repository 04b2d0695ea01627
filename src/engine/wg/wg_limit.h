/*
 * engine/wg/wg_limit.h - how much handshake work strangers can make us do.
 *
 * An easy token bucket counts every message with a good mac1; when it is empty we are under load,
 * and for 1 s after. Then only messages with a good mac2 go on, through a bucket per source address
 * (20 per second, burst 5; IPv6 by /64) and a hard one, four times the easy one. A flood from
 * forged addresses thus takes nothing from those who can show a cookie. Source buckets live in a
 * table of fixed size: sources that collide share one.
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
/* Counts a message whose mac1 is good; true: under load, ask for a cookie. */
bool wg_limit_is_loaded(struct wg_limit *l, struct mono now);
/* Under load, with a good mac2. False: drop it. */
bool wg_limit_admit(struct wg_limit *l, struct mono now, const struct wg_source *from);
