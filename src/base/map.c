#include "base/map.h"

#include "base/mem.h"

static uint64_t rotl(uint64_t x, int k)
{
	return x << k | x >> (64 - k);
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

uint64_t map_hash(const uint64_t seed[2], struct bytes key)
{
	uint64_t v[4] = { seed[0] ^ 0x736f6d6570736575, seed[1] ^ 0x646f72616e646f6d,
			  seed[0] ^ 0x6c7967656e657261, seed[1] ^ 0x7465646279746573 };
	struct reader r = reader_of(key);
	uint64_t last = (uint64_t)key.n << 56;

	while (reader_left(&r) >= 8) {
		uint64_t word = read_le64(&r);

		v[3] ^= word;
		sip_round(v);
		v[0] ^= word;
	}
	for (int shift = 0; reader_left(&r); shift += 8)
		last |= (uint64_t)read_u8(&r) << shift;
	v[3] ^= last;
	sip_round(v);
	v[0] ^= last;
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void map_init(struct map *m, struct bytes (*key_of)(const void *item), const void *seed)
{
	*m = (struct map){ .key_of = key_of };
	if (seed)
		memcpy(m->seed, seed, sizeof(m->seed));
}

void map_fini(struct map *m)
{
	mem_free(m->slots);
	m->slots = NULL;
	m->n = m->cap = 0;
}

/* The slot that holds key, or the free slot where it belongs. cap > n always, so this ends. */
static struct map_slot *find(const struct map *m, struct bytes key, uint64_t hash)
{
	size_t i = hash & (m->cap - 1);

	for (;; i = (i + 1) & (m->cap - 1)) {
		struct map_slot *s = &m->slots[i];

		if (!s->item || (s->hash == hash && bytes_equal(m->key_of(s->item), key)))
			return s;
	}
}

static void grow(struct map *m)
{
	struct map_slot *old = m->slots;
	size_t old_cap = m->cap;

	m->cap = old_cap ? old_cap * 2 : 8;
	m->slots = mem_alloc(m->cap * sizeof(*m->slots));
	for (size_t i = 0; i < old_cap; i++)
		if (old[i].item)
			*find(m, m->key_of(old[i].item), old[i].hash) = old[i];
	mem_free(old);
}

void *map_get(const struct map *m, struct bytes key)
{
	return m->n ? find(m, key, map_hash(m->seed, key))->item : NULL;
}

void *map_put(struct map *m, void *item)
{
	struct bytes key = m->key_of(item);
	uint64_t hash = map_hash(m->seed, key);
	struct map_slot *s;
	void *old;

	if (m->n * 4 >= m->cap * 3)
		grow(m);
	s = find(m, key, hash);
	old = s->item;
	*s = (struct map_slot){ item, hash };
	if (!old)
		m->n++;
	return old;
}

void *map_remove(struct map *m, struct bytes key)
{
	struct map_slot *s = m->n ? find(m, key, map_hash(m->seed, key)) : NULL;
	size_t hole, i;
	void *item;

	if (!s || !s->item)
		return NULL;
	item = s->item;
	hole = (size_t)(s - m->slots);
	/* Close the hole: move back whatever was pushed past it by linear probing. */
	for (i = (hole + 1) & (m->cap - 1); m->slots[i].item; i = (i + 1) & (m->cap - 1)) {
		size_t home = m->slots[i].hash & (m->cap - 1);

		if (((i - home) & (m->cap - 1)) >= ((i - hole) & (m->cap - 1))) {
			m->slots[hole] = m->slots[i];
			hole = i;
		}
	}
	m->slots[hole] = (struct map_slot){ 0 };
	m->n--;
	return item;
}

void *map_next(const struct map *m, size_t *it)
{
	while (*it < m->cap) {
		void *item = m->slots[(*it)++].item;

		if (item)
			return item;
	}
	return NULL;
}
