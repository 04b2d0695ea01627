/*
 * A trie node has 256 entries, one per value of the next address byte. An entry holds the owner of
 * the longest prefix that ends in this byte and covers the value, and the node for longer ones.
 * Outer prefixes are put in before inner ones, so within a node the longer one overwrites the
 * shorter.
 */
#include "engine/wg/wg_allowed.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"

struct node_entry {
	uint32_t child; /* index of a node; 0: none (the root is nobody's child) */
	uint32_t owner;
};

struct node {
	struct node_entry at[256];
};

struct trie {
	struct node *nodes;
	size_t n, cap;
	uint32_t fallback; /* owner of the /0 */
};

struct host4 {
	uint32_t addr, owner;
};

struct host6 {
	uint64_t high, low; /* as loaded, not as numbers */
	uint32_t owner;
};

struct wg_allowed {
	_Atomic uint32_t refs;
	unsigned shift4, shift6; /* 64 - log2 of the table size */
	size_t cap4, cap6;       /* 0: no such address */
	struct host4 *hosts4;    /* owner WG_OWNER_NONE: free */
	struct host6 *hosts6;
	struct trie trie4, trie6;
};

/* --- hosts --- */

static inline size_t slot4(const struct wg_allowed *a, uint32_t addr)
{
	return (size_t)(addr * UINT64_C(0x9e3779b97f4a7c15) >> a->shift4);
}

static inline size_t slot6(const struct wg_allowed *a, uint64_t high, uint64_t low)
{
	uint64_t h = (high ^ (low >> 29 | low << 35)) * UINT64_C(0x9e3779b97f4a7c15) ^ low;

	return (size_t)((h ^ h >> 32) * UINT64_C(0xd6e8feb86659fd93) >> a->shift6);
}

static void put4(struct wg_allowed *a, uint32_t addr, uint32_t owner)
{
	size_t i = slot4(a, addr);

	while (a->hosts4[i].owner != WG_OWNER_NONE)
		i = (i + 1) & (a->cap4 - 1);
	a->hosts4[i] = (struct host4){ addr, owner };
}

static void load6(const uint8_t addr[16], uint64_t *high, uint64_t *low)
{
	memcpy(high, addr, sizeof(*high));
	memcpy(low, addr + sizeof(*high), sizeof(*low));
}

static void put6(struct wg_allowed *a, const uint8_t addr[16], uint32_t owner)
{
	uint64_t high, low;
	size_t i;

	load6(addr, &high, &low);
	i = slot6(a, high, low);
	while (a->hosts6[i].owner != WG_OWNER_NONE)
		i = (i + 1) & (a->cap6 - 1);
	a->hosts6[i] = (struct host6){ high, low, owner };
}

/* A power of two that n entries fill by half at most; 64 - log2 in *shift. */
static size_t capacity(size_t n, unsigned *shift)
{
	size_t cap = 2;

	*shift = 63;
	while (cap < 2 * n) {
		cap *= 2;
		(*shift)--;
	}
	return cap;
}

static void make_hosts(struct wg_allowed *a, size_t n4, size_t n6)
{
	if (n4) {
		a->cap4 = capacity(n4, &a->shift4);
		a->hosts4 = mem_alloc(a->cap4 * sizeof(*a->hosts4));
		for (size_t i = 0; i < a->cap4; i++)
			a->hosts4[i].owner = WG_OWNER_NONE;
	}
	if (n6) {
		a->cap6 = capacity(n6, &a->shift6);
		a->hosts6 = mem_alloc(a->cap6 * sizeof(*a->hosts6));
		for (size_t i = 0; i < a->cap6; i++)
			a->hosts6[i].owner = WG_OWNER_NONE;
	}
}

/* --- shorter prefixes --- */

static uint32_t add_node(struct trie *t)
{
	mem_reserve(t->nodes, t->n, t->cap);
	for (size_t i = 0; i < array_len(t->nodes->at); i++)
		t->nodes[t->n].at[i] = (struct node_entry){ 0, WG_OWNER_NONE };
	return (uint32_t)t->n++;
}

static void trie_put(struct trie *t, const uint8_t *addr, unsigned len, uint32_t owner)
{
	uint32_t node = 0;
	unsigned depth, first, count;

	if (len == 0) {
		t->fallback = owner;
		return;
	}
	if (!t->n)
		(void)add_node(t);
	for (depth = 0; depth < (len - 1) / 8; depth++) {
		uint32_t child = t->nodes[node].at[addr[depth]].child;

		if (!child) {
			child = add_node(t); /* may move the nodes */
			t->nodes[node].at[addr[depth]].child = child;
		}
		node = child;
	}
	count = 1U << (8 * (depth + 1) - len);
	first = addr[depth] & ~(count - 1);
	for (unsigned i = 0; i < count; i++)
		t->nodes[node].at[first + i].owner = owner;
}

static inline uint32_t trie_get(const struct trie *t, const uint8_t *addr, unsigned bytes)
{
	uint32_t best = t->fallback;
	const struct node *node = t->nodes;

	for (unsigned i = 0; node && i < bytes; i++) {
		const struct node_entry *e = &node->at[addr[i]];

		if (e->owner != WG_OWNER_NONE)
			best = e->owner;
		node = e->child ? &t->nodes[e->child] : NULL;
	}
	return best;
}

/* --- snapshots --- */

struct ranked {
	struct prefix prefix;
	uint32_t owner;
	size_t rank; /* position in the caller's list */
};

/* A prefix sorts before all that lie in it. */
static int outer_first(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;
	int order = prefix_compare(x->prefix, y->prefix);

	return order ? order : x->rank < y->rank ? -1 : 1;
}

static struct ranked *sorted(const struct wg_allowed_entry *entries, size_t n, size_t *kept)
{
	struct ranked *list = mem_resize(NULL, n, sizeof(*list));
	size_t valid = 0;

	*kept = 0;
	for (size_t i = 0; i < n; i++)
		if (ip_is_valid(entries[i].prefix.addr) && entries[i].owner != WG_OWNER_NONE)
			list[valid++] = (struct ranked){ prefix_masked(entries[i].prefix),
							 entries[i].owner, i };
	if (valid)
		qsort(list, valid, sizeof(*list), outer_first);
	for (size_t i = 0; i < valid; i++) { /* the last of equals counts */
		if (i + 1 < valid && prefix_equal(list[i].prefix, list[i + 1].prefix))
			continue;
		list[(*kept)++] = list[i];
	}
	return list;
}

static void put(struct wg_allowed *a, const struct ranked *r)
{
	const struct ip *ip = &r->prefix.addr;

	if (!prefix_is_single(r->prefix))
		trie_put(ip->family == 4 ? &a->trie4 : &a->trie6, ip->b, r->prefix.len, r->owner);
	else if (ip->family == 4)
		put4(a, ip_v4_u32(*ip), r->owner);
	else
		put6(a, ip->b, r->owner);
}

struct wg_allowed *wg_allowed_create(const struct wg_allowed_entry *entries, size_t n)
{
	struct wg_allowed *a = mem_alloc(sizeof(*a));
	size_t kept, hosts[2] = { 0 };
	struct ranked *list = sorted(entries, n, &kept);

	atomic_init(&a->refs, 1);
	a->trie4.fallback = a->trie6.fallback = WG_OWNER_NONE;
	for (size_t i = 0; i < kept; i++)
		if (prefix_is_single(list[i].prefix))
			hosts[list[i].prefix.addr.family == 6]++;
	make_hosts(a, hosts[0], hosts[1]);
	for (size_t i = 0; i < kept; i++)
		put(a, &list[i]);
	mem_free(list);
	return a;
}

struct wg_allowed *wg_allowed_ref(struct wg_allowed *a)
{
	(void)atomic_fetch_add_explicit(&a->refs, 1, memory_order_relaxed);
	return a;
}

void wg_allowed_unref(struct wg_allowed *a)
{
	if (!a || atomic_fetch_sub_explicit(&a->refs, 1, memory_order_acq_rel) != 1)
		return;
	mem_free(a->hosts4);
	mem_free(a->hosts6);
	mem_free(a->trie4.nodes);
	mem_free(a->trie6.nodes);
	mem_free(a);
}

uint32_t wg_allowed_lookup4(const struct wg_allowed *a, uint32_t host_order)
{
	uint8_t b[4] = { (uint8_t)(host_order >> 24), (uint8_t)(host_order >> 16),
			 (uint8_t)(host_order >> 8), (uint8_t)host_order };

	if (a->cap4) {
		const struct host4 *h;

		for (size_t i = slot4(a, host_order);; i = (i + 1) & (a->cap4 - 1)) {
			h = &a->hosts4[i];
			if (h->owner == WG_OWNER_NONE)
				break;
			if (h->addr == host_order)
				return h->owner;
		}
	}
	return trie_get(&a->trie4, b, sizeof(b));
}

uint32_t wg_allowed_lookup6(const struct wg_allowed *a, const uint8_t addr[16])
{
	if (a->cap6) {
		uint64_t high, low;

		load6(addr, &high, &low);
		for (size_t i = slot6(a, high, low);; i = (i + 1) & (a->cap6 - 1)) {
			const struct host6 *h = &a->hosts6[i];

			if (h->owner == WG_OWNER_NONE)
				break;
			if (h->high == high && h->low == low)
				return h->owner;
		}
	}
	return trie_get(&a->trie6, addr, 16);
}

uint32_t wg_allowed_lookup(const struct wg_allowed *a, const struct ip *ip)
{
	switch (ip->family) {
	case 4:
		return wg_allowed_lookup4(a, ip_v4_u32(*ip));
	case 6:
		return wg_allowed_lookup6(a, ip->b);
	default:
		return WG_OWNER_NONE;
	}
}

size_t wg_allowed_bytes(const struct wg_allowed *a)
{
	return sizeof(*a) + a->cap4 * sizeof(*a->hosts4) + a->cap6 * sizeof(*a->hosts6) +
	       (a->trie4.cap + a->trie6.cap) * sizeof(struct node);
}

/* --- the set --- */

struct route {
	uint8_t key[18]; /* family, length, address */
	struct wg_allowed_entry entry;
};

struct wg_allowed_set {
	struct map routes;
};

static struct bytes key_of_route(const void *item)
{
	const struct route *r = item;

	return bytes_of(r->key, sizeof(r->key));
}

static void route_key(uint8_t key[18], struct prefix masked)
{
	struct writer w = writer_of(key, 18);

	write_u8(&w, masked.addr.family);
	write_u8(&w, masked.len);
	write_copy(&w, masked.addr.b, sizeof(masked.addr.b));
}

struct wg_allowed_set *wg_allowed_set_create(void)
{
	struct wg_allowed_set *s = mem_alloc(sizeof(*s));

	map_init(&s->routes, key_of_route, NULL);
	return s;
}

void wg_allowed_set_destroy(struct wg_allowed_set *s)
{
	struct route *r;
	size_t it = 0;

	if (!s)
		return;
	while ((r = map_next(&s->routes, &it)))
		mem_free(r);
	map_fini(&s->routes);
	mem_free(s);
}

void wg_allowed_set_put(struct wg_allowed_set *s, struct prefix prefix, uint32_t owner)
{
	struct route *r = mem_alloc(sizeof(*r));

	r->entry = (struct wg_allowed_entry){ prefix_masked(prefix), owner };
	route_key(r->key, r->entry.prefix);
	mem_free(map_put(&s->routes, r));
}

bool wg_allowed_set_remove(struct wg_allowed_set *s, struct prefix prefix)
{
	uint8_t key[18];
	struct route *r;

	route_key(key, prefix_masked(prefix));
	r = map_remove(&s->routes, bytes_of(key, sizeof(key)));
	mem_free(r);
	return r != NULL;
}

static struct wg_allowed_entry *entries_of(const struct wg_allowed_set *s)
{
	struct wg_allowed_entry *list = mem_resize(NULL, s->routes.n, sizeof(*list));
	const struct route *r;
	size_t it = 0, n = 0;

	while ((r = map_next(&s->routes, &it)))
		list[n++] = r->entry;
	return list;
}

size_t wg_allowed_set_remove_owner(struct wg_allowed_set *s, uint32_t owner)
{
	size_t n = s->routes.n, removed = 0;
	struct wg_allowed_entry *list = entries_of(s);

	for (size_t i = 0; i < n; i++)
		if (list[i].owner == owner)
			removed += wg_allowed_set_remove(s, list[i].prefix);
	mem_free(list);
	return removed;
}

struct wg_allowed *wg_allowed_set_snapshot(const struct wg_allowed_set *s)
{
	struct wg_allowed_entry *list = entries_of(s);
	struct wg_allowed *a = wg_allowed_create(list, s->routes.n);

	mem_free(list);
	return a;
}
