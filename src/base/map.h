/*
 * base/map.h - hash map of items that carry their own key.
 *
 * The map stores pointers; key_of() shows where an item keeps its key. Hashing is seeded per map,
 * so a stranger who chooses keys cannot choose collisions.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct map_slot {
	void *item;
	uint64_t hash;
};

struct map {
	struct bytes (*key_of)(const void *item);
	struct map_slot *slots;
	size_t n, cap; /* cap is 0 or a power of two */
	uint64_t seed[2];
};

/* seed: 16 random bytes, or NULL where keys do not come from strangers. */
void map_init(struct map *m, struct bytes (*key_of)(const void *item), const void *seed);
void map_fini(struct map *m); /* frees the table, not the items */
void *map_get(const struct map *m, struct bytes key);
void *map_put(struct map *m, void *item);          /* returns the item it replaced, or NULL */
void *map_remove(struct map *m, struct bytes key); /* returns the item, or NULL */
/* Items in no order; *it starts at 0. Do not change the map on the way. NULL at the end. */
void *map_next(const struct map *m, size_t *it);

/* SipHash-1-3, also for callers that keep tables of their own. */
uint64_t map_hash(const uint64_t seed[2], struct bytes key);
