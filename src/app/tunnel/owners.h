/*
 * app/tunnel/owners.h - the small numbers of peers, and when one may be given out again.
 *
 * A data thread or a message may still name a peer that was removed. Its number therefore rests
 * until the datapath is quiet; then it is given out before any new one, so that tables indexed by
 * owners grow with the most peers there ever were at once, not with all there ever were.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct owner_list {
	uint32_t *v;
	size_t n, cap;
};

struct owners {
	uint32_t next; /* never given out yet */
	struct owner_list free, back, resting;
};

void owners_fini(struct owners *o);
/* False when all below max are in use. */
bool owners_take(struct owners *o, uint32_t max, uint32_t *owner);
void owners_give_back(struct owners *o, uint32_t owner);
/* True: what was given back rests from now on; call owners_rested() when nobody can name it. */
bool owners_rest(struct owners *o);
void owners_rested(struct owners *o);
