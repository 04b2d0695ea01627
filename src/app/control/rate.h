/* app/control/rate.h - so many attempts per address and minute; a small table, old entries fall
 * out. */
#pragma once

#include <stdbool.h>

#include "base/ip.h"
#include "base/mono.h"

enum { RATE_SLOTS = 1024 };

struct rate {
	unsigned per_minute;
	struct {
		struct ip ip;
		struct mono since;
		unsigned n;
	} slots[RATE_SLOTS];
};

void rate_init(struct rate *r, unsigned per_minute);
/* Counts one; false when it is one too many. IPv6 counts by /64. */
bool rate_allow(struct rate *r, struct ip ip, struct mono now);
