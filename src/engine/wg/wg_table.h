/*
 * engine/wg/wg_table.h - the writer's side of struct wg_table; data threads read it by
 * engine/wg/wg_session.h.
 *
 * Two arrays in chunks of 512 which appear on demand and stay until the end, so that a reader
 * needs one load for the chunk and one for the entry, and no entry ever moves. A receiver index is
 * a slot number in its low 18 bits; the 14 bits above it change whenever the slot is given out
 * again, so that late datagrams of a dead session find nothing.
 */
#pragma once

#include "engine/wg/wg_session.h"

struct wg_lane;
struct wg_session;
struct rng;

enum { WG_SLOT_BITS = 18, WG_SLOT_MAX = 1 << WG_SLOT_BITS, WG_CHUNK = 512 };

struct wg_session_chunk {
	_Atomic(struct wg_session *) at[WG_CHUNK];
};
struct wg_lane_chunk {
	_Atomic(struct wg_lane *) at[WG_CHUNK];
};

struct wg_table {
	_Atomic(struct wg_session_chunk *) sessions[WG_SLOT_MAX / WG_CHUNK];
	_Atomic(struct wg_lane_chunk *) lanes[WG_OWNER_MAX / WG_CHUNK];
};

struct wg_table *wg_table_create(void);
void wg_table_destroy(struct wg_table *t); /* not what it points at */
void wg_table_put_lane(struct wg_table *t, uint32_t owner, struct wg_lane *lane);
void wg_table_put_session(struct wg_table *t, uint32_t local_index, struct wg_session *s);

/* Which receiver index stands for what: control thread only. */
struct wg_index_entry {
	uint32_t index;
	uint32_t next_free;         /* slot + 1 of the next free one */
	void *peer;                 /* NULL: free */
	struct wg_session *session; /* NULL: an initiation of ours that waits for its response */
};

struct wg_index {
	struct wg_index_entry *entries;
	uint32_t n, cap;
	uint32_t free_first, free_last; /* slot + 1; first freed is first reused */
};

void wg_index_fini(struct wg_index *x);
/* False when all 262144 slots are taken. */
bool wg_index_take(struct wg_index *x, struct rng *rng, void *peer, uint32_t *index);
void wg_index_release(struct wg_index *x, uint32_t index);
struct wg_index_entry *wg_index_find(const struct wg_index *x, uint32_t index); /* or NULL */
