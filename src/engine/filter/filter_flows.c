/*
 * A cache of 64-bit keyed hashes, written and read by both data threads with plain atomics. Two
 * flows with one hash would let one answer in for the other: with a secret key nobody can aim for
 * that, and by chance it is one in 2^51 for a full table.
 */
#include "engine/filter/filter_flows.h"

#include <stdatomic.h>

#include "base/map.h"
#include "base/mem.h"
#include "crypto/secret.h"

enum { WAYS = 8, BUCKETS = 1024, KEY_LEN = 2 * 16 + 2 * 2 + 2 };

struct bucket {
	_Atomic uint64_t flow[WAYS]; /* 0: free */
};

struct filter_flows {
	uint64_t seed[2];
	_Atomic uint32_t turn; /* whose turn it is to give way, roughly */
	struct bucket buckets[BUCKETS];
};

struct filter_flows *filter_flows_create(const uint8_t seed[16])
{
	struct filter_flows *t = mem_alloc(sizeof(*t));

	memcpy(t->seed, seed, sizeof(t->seed));
	return t;
}

void filter_flows_destroy(struct filter_flows *t)
{
	if (!t)
		return;
	secret_wipe(t->seed, sizeof(t->seed));
	mem_free(t);
}

static uint64_t hash(const struct filter_flows *t, const struct ippkt *pkt, bool reversed)
{
	uint8_t key[KEY_LEN];
	struct writer w = writer_of(key, sizeof(key));
	const struct ip *near = reversed ? &pkt->dst : &pkt->src;
	const struct ip *far = reversed ? &pkt->src : &pkt->dst;
	uint64_t h;

	write_u8(&w, pkt->proto);
	write_u8(&w, pkt->version);
	write_copy(&w, near->b, 16);
	write_copy(&w, far->b, 16);
	write_be16(&w, reversed ? pkt->dst_port : pkt->src_port);
	write_be16(&w, reversed ? pkt->src_port : pkt->dst_port);
	h = map_hash(t->seed, bytes_of(key, writer_done(&w)));
	return h ? h : 1;
}

static bool has(struct bucket *b, uint64_t h)
{
	for (int i = 0; i < WAYS; i++)
		if (atomic_load_explicit(&b->flow[i], memory_order_relaxed) == h)
			return true;
	return false;
}

void flows_note(struct filter_flows *t, const struct ippkt *outbound)
{
	uint64_t h = hash(t, outbound, false);
	struct bucket *b = &t->buckets[h % BUCKETS];
	uint32_t turn;

	if (has(b, h))
		return;
	for (int i = 0; i < WAYS; i++) {
		uint64_t none = 0;

		if (atomic_compare_exchange_strong(&b->flow[i], &none, h))
			return;
	}
	turn = atomic_fetch_add_explicit(&t->turn, 1, memory_order_relaxed);
	atomic_store_explicit(&b->flow[turn % WAYS], h, memory_order_relaxed);
}

bool flows_expects(struct filter_flows *t, const struct ippkt *inbound)
{
	uint64_t h = hash(t, inbound, true);

	return has(&t->buckets[h % BUCKETS], h);
}
