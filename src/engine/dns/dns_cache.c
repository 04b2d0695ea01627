/* Answers of resolvers, least recently used out first (RFC 2308, 8767). */
#include "engine/dns/dns_impl.h"

#include "base/mem.h"

enum {
	TTL_MIN_S = 1,
	TTL_MAX_S = 86400,
	NEGATIVE_TTL_MAX_S = 900,
	STALE_MAX_S = 86400, /* after expiry */
};

struct dns_cache {
	struct map entries;
	struct list used; /* oldest first */
	size_t bytes;
};

static struct bytes cached_key(const void *item)
{
	const struct cached *e = item;

	return bytes_of(e->key.b, e->key.n);
}

struct dns_cache *cache_create(struct rng *rng)
{
	struct dns_cache *c = mem_alloc(sizeof(*c));
	uint8_t seed[16];

	rng->fill(rng, seed, sizeof(seed));
	map_init(&c->entries, cached_key, seed);
	list_init(&c->used);
	return c;
}

static void drop(struct dns_cache *c, struct cached *e)
{
	map_remove(&c->entries, cached_key(e));
	list_remove(&e->link);
	c->bytes -= sizeof(*e) + e->n;
	mem_free(e);
}

void cache_clear(struct dns_cache *c)
{
	while (!list_is_empty(&c->used))
		drop(c, list_entry(list_first(&c->used), struct cached, link));
}

void cache_destroy(struct dns_cache *c)
{
	if (!c)
		return;
	cache_clear(c);
	map_fini(&c->entries);
	mem_free(c);
}

bool cached_is_fresh(const struct cached *e, struct mono now)
{
	return !mono_reached(now, mono_add_s(e->stored, e->ttl_s));
}

const struct cached *cache_get(struct dns_cache *c, struct mono now, const struct question_key *key)
{
	struct cached *e = map_get(&c->entries, bytes_of(key->b, key->n));

	if (!e)
		return NULL;
	if (mono_reached(now, mono_add_s(e->stored, (int64_t)e->ttl_s + STALE_MAX_S))) {
		drop(c, e);
		return NULL;
	}
	list_remove(&e->link);
	list_append(&c->used, &e->link);
	return e;
}

/* Seconds the message may be kept; 0: not at all. A negative answer needs an SOA. */
static uint32_t ttl_of(struct bytes message)
{
	uint32_t ttl = TTL_MAX_S, negative = 0, minimum;
	struct dnsmsg_question q;
	struct dnsmsg_record r;
	bool answer = false;
	struct dnsmsg m;

	if (!dnsmsg_open(&m, message) || !dnsmsg_question(&m, &q))
		return 0;
	while (dnsmsg_next(&m, &r) == DNSMSG_RECORD) {
		if (r.type == DNSMSG_OPT)
			continue;
		ttl = r.ttl < ttl ? r.ttl : ttl;
		if (r.section == DNSMSG_ANSWER)
			answer |= r.type == q.type || q.type == DNSMSG_ANY;
		if (r.section == DNSMSG_AUTHORITY && dnsmsg_soa_minimum(&r, &minimum))
			negative = minimum < NEGATIVE_TTL_MAX_S ? minimum : NEGATIVE_TTL_MAX_S;
	}
	if ((m.header.flags & DNSMSG_RCODE) == DNSMSG_NXDOMAIN || !answer)
		return negative < ttl ? negative : ttl;
	return ttl < TTL_MIN_S ? TTL_MIN_S : ttl;
}

void cache_put(struct dns_cache *c, struct mono now, const struct question_key *key,
	       struct bytes message)
{
	struct cached *e = map_get(&c->entries, bytes_of(key->b, key->n));
	uint32_t ttl = message.n <= DNS_CACHE_ENTRY_MAX ? ttl_of(message) : 0;

	if (e)
		drop(c, e);
	if (ttl == 0)
		return;
	while (c->entries.n >= DNS_CACHE_ENTRIES_MAX ||
	       c->bytes + sizeof(*e) + message.n > DNS_CACHE_BYTES_MAX)
		drop(c, list_entry(list_first(&c->used), struct cached, link));
	e = mem_try_alloc(sizeof(*e) + message.n);
	if (!e)
		return;
	e->key = *key;
	e->stored = now;
	e->ttl_s = ttl;
	e->n = message.n;
	memcpy(e->message, message.p, message.n);
	c->bytes += sizeof(*e) + e->n;
	list_append(&c->used, &e->link);
	map_put(&c->entries, e);
}
