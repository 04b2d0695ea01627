#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "base/rand.h"
#include "kit/kit.h"

struct item {
	uint32_t key;
	struct list link;
	struct heap_node timer;
};

static struct bytes item_key(const void *p)
{
	const struct item *it = p;

	return bytes_of(&it->key, sizeof(it->key));
}

TEST(map_matches_a_plain_array)
{
	enum { N = 500 };
	static struct item items[N];
	bool in[N] = { false };
	struct rng rng = rng_seeded(7);
	uint8_t seed[16];
	struct map m;
	size_t count = 0;

	rng.fill(&rng, seed, sizeof(seed));
	map_init(&m, item_key, seed);
	for (int step = 0; step < 20000; step++) {
		uint32_t k = (uint32_t)rng_below(&rng, N);

		items[k].key = k;
		if (rng_below(&rng, 2)) {
			void *old = map_put(&m, &items[k]);

			CHECK(old == (in[k] ? &items[k] : NULL));
			count += !in[k];
			in[k] = true;
		} else {
			void *old = map_remove(&m, bytes_of(&k, sizeof(k)));

			CHECK(old == (in[k] ? &items[k] : NULL));
			count -= in[k];
			in[k] = false;
		}
		CHECK(m.n == count);
	}
	for (uint32_t k = 0; k < N; k++)
		CHECK((map_get(&m, bytes_of(&k, sizeof(k))) != NULL) == in[k]);
	count = 0;
	for (size_t it = 0; map_next(&m, &it);)
		count++;
	CHECK(count == m.n);
	map_fini(&m);
}

TEST(siphash_1_3_vector) /* key 00..0f, empty input; SipHash-1-3 reference */
{
	uint8_t key[16];
	uint64_t seed[2];

	for (uint8_t i = 0; i < 16; i++)
		key[i] = i;
	memcpy(seed, key, sizeof(seed));
	CHECK(map_hash(seed, bytes_of(NULL, 0)) == 0xabac0158050fc4dc);
	CHECK(map_hash(seed, bytes_str("a")) != map_hash(seed, bytes_str("b")));
}

TEST(heap_sorts_and_forgets)
{
	enum { N = 200 };
	static struct heap_node nodes[N];
	struct rng rng = rng_seeded(3);
	struct heap h;
	struct mono last = { 0 };
	size_t n = 0;

	heap_init(&h);
	memset(nodes, 0, sizeof(nodes));
	for (int i = 0; i < N; i++)
		heap_set(&h, &nodes[i], (struct mono){ (int64_t)rng_below(&rng, 1000) });
	for (int i = 0; i < N; i += 3)
		heap_set(&h, &nodes[i], (struct mono){ (int64_t)rng_below(&rng, 1000) });
	for (int i = 1; i < N; i += 3)
		heap_remove(&h, &nodes[i]);
	heap_remove(&h, &nodes[1]);
	CHECK(!heap_pop_due(&h, (struct mono){ -1 }));
	for (struct heap_node *node; (node = heap_pop_due(&h, (struct mono){ 1000 })); n++) {
		CHECK(node->at.ns >= last.ns);
		CHECK((node - nodes) % 3 != 1 && !heap_has(node));
		last = node->at;
	}
	CHECK(n == h.n + N - N / 3 - (N % 3 > 1));
	heap_fini(&h);
}

TEST(list_keeps_order)
{
	struct item a = { .key = 1 }, b = { .key = 2 }, c = { .key = 3 };
	struct list l;
	uint32_t seen = 0;

	list_init(&l);
	CHECK(list_is_empty(&l) && !list_pop(&l));
	list_append(&l, &b.link);
	list_append(&l, &c.link);
	list_prepend(&l, &a.link);
	list_each_safe (it, &l) {
		seen = seen * 10 + list_entry(it, struct item, link)->key;
		list_remove(it);
	}
	CHECK(seen == 123 && list_is_empty(&l));
}

TEST(seeded_random_repeats)
{
	struct rng a = rng_seeded(42), b = rng_seeded(42), c = rng_seeded(43);

	CHECK(rng_u64(&a) == rng_u64(&b));
	CHECK(rng_u64(&a) != rng_u64(&c));
	for (int i = 0; i < 1000; i++)
		CHECK(rng_below(&a, 7) < 7);
}
