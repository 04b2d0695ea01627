#include "engine/wg/wg_table.h"

#include "base/mem.h"
#include "base/rand.h"

struct wg_table *wg_table_create(void)
{
	return mem_alloc(sizeof(struct wg_table));
}

void wg_table_destroy(struct wg_table *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < array_len(t->sessions); i++)
		mem_free(atomic_load_explicit(&t->sessions[i], memory_order_relaxed));
	for (size_t i = 0; i < array_len(t->lanes); i++)
		mem_free(atomic_load_explicit(&t->lanes[i], memory_order_relaxed));
	mem_free(t);
}

struct wg_lane *wg_table_lane(const struct wg_table *t, uint32_t owner)
{
	struct wg_lane_chunk *chunk;

	if (owner >= WG_OWNER_MAX)
		return NULL;
	chunk = atomic_load_explicit(&t->lanes[owner / WG_CHUNK], memory_order_acquire);
	return chunk ? atomic_load_explicit(&chunk->at[owner % WG_CHUNK], memory_order_acquire)
		     : NULL;
}

struct wg_session *wg_table_session(const struct wg_table *t, uint32_t local_index)
{
	uint32_t slot = local_index & (WG_SLOT_MAX - 1);
	struct wg_session_chunk *chunk =
	    atomic_load_explicit(&t->sessions[slot / WG_CHUNK], memory_order_acquire);
	struct wg_session *s =
	    chunk ? atomic_load_explicit(&chunk->at[slot % WG_CHUNK], memory_order_acquire) : NULL;

	return s && s->local_index == local_index ? s : NULL;
}

void wg_table_put_lane(struct wg_table *t, uint32_t owner, struct wg_lane *lane)
{
	_Atomic(struct wg_lane_chunk *) *at = &t->lanes[owner / WG_CHUNK];

	if (!atomic_load_explicit(at, memory_order_relaxed))
		atomic_store_explicit(at, mem_alloc(sizeof(struct wg_lane_chunk)),
				      memory_order_release);
	atomic_store_explicit(&atomic_load_explicit(at, memory_order_relaxed)->at[owner % WG_CHUNK],
			      lane, memory_order_release);
}

void wg_table_put_session(struct wg_table *t, uint32_t local_index, struct wg_session *s)
{
	uint32_t slot = local_index & (WG_SLOT_MAX - 1);
	_Atomic(struct wg_session_chunk *) *at = &t->sessions[slot / WG_CHUNK];

	if (!atomic_load_explicit(at, memory_order_relaxed))
		atomic_store_explicit(at, mem_alloc(sizeof(struct wg_session_chunk)),
				      memory_order_release);
	atomic_store_explicit(&atomic_load_explicit(at, memory_order_relaxed)->at[slot % WG_CHUNK],
			      s, memory_order_release);
}

void wg_index_fini(struct wg_index *x)
{
	mem_free(x->entries);
	*x = (struct wg_index){ 0 };
}

/* Another generation than the last one of this slot, so an old index never names the new holder. */
static uint32_t next_index(uint32_t old, struct rng *rng)
{
	uint32_t generations = UINT32_C(1) << (32 - WG_SLOT_BITS);
	uint32_t step = 1 + (uint32_t)rng_below(rng, generations - 1);

	return old + (step << WG_SLOT_BITS);
}

bool wg_index_take(struct wg_index *x, struct rng *rng, void *peer, uint32_t *index)
{
	struct wg_index_entry *e;

	if (x->free_first) {
		e = &x->entries[x->free_first - 1];
		x->free_first = e->next_free;
		if (!x->free_first)
			x->free_last = 0;
	} else {
		if (x->n == WG_SLOT_MAX)
			return false;
		mem_reserve(x->entries, x->n, x->cap);
		e = &x->entries[x->n];
		*e = (struct wg_index_entry){ .index = x->n++ };
	}
	*e = (struct wg_index_entry){ .index = next_index(e->index, rng), .peer = peer };
	*index = e->index;
	return true;
}

struct wg_index_entry *wg_index_find(const struct wg_index *x, uint32_t index)
{
	uint32_t slot = index & (WG_SLOT_MAX - 1);
	struct wg_index_entry *e = slot < x->n ? &x->entries[slot] : NULL;

	return e && e->peer && e->index == index ? e : NULL;
}

void wg_index_release(struct wg_index *x, uint32_t index)
{
	struct wg_index_entry *e = wg_index_find(x, index);
	uint32_t number;

	if (!e)
		return;
	number = (uint32_t)(e - x->entries) + 1;
	*e = (struct wg_index_entry){ .index = e->index };
	if (x->free_last)
		x->entries[x->free_last - 1].next_free = number;
	else
		x->free_first = number;
	x->free_last = number;
}
