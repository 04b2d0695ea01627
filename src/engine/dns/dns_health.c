#include "engine/dns/dns_impl.h"

#include "base/mem.h"

enum {
	ADDR_KEY = 19,
	RESOLVERS_KEPT_MAX = 256,
	FAILURES_DOWN = 3,
	DOWN_S = 30,
	PLAIN_S = 600,
	PATIENCE_MIN_MS = 80,
	PATIENCE_MAX_MS = 800,
	PATIENCE_UNKNOWN_MS = 300,
};

struct resolver {
	uint8_t key[ADDR_KEY];
	int64_t srtt_ns; /* 0: never answered */
	unsigned failures;
	struct mono down_until, plain_until;
};

struct dns_health {
	struct map resolvers;
};

static struct bytes resolver_key(const void *item)
{
	return bytes_of(((const struct resolver *)item)->key, ADDR_KEY);
}

static void key_of_addr(uint8_t key[ADDR_KEY], struct addrport a)
{
	memcpy(key, &a.ip, sizeof(a.ip));
	key[17] = (uint8_t)(a.port >> 8);
	key[18] = (uint8_t)a.port;
}

struct dns_health *health_create(void)
{
	struct dns_health *h = mem_alloc(sizeof(*h));

	map_init(&h->resolvers, resolver_key, NULL);
	return h;
}

static void forget(struct dns_health *h)
{
	struct resolver *r;
	size_t it = 0;

	while ((r = map_next(&h->resolvers, &it)))
		mem_free(r);
	map_fini(&h->resolvers);
	map_init(&h->resolvers, resolver_key, NULL);
}

void health_destroy(struct dns_health *h)
{
	if (!h)
		return;
	forget(h);
	map_fini(&h->resolvers);
	mem_free(h);
}

static struct resolver *find(const struct dns_health *h, struct addrport a)
{
	uint8_t key[ADDR_KEY];

	key_of_addr(key, a);
	return map_get(&h->resolvers, bytes_of(key, ADDR_KEY));
}

static struct resolver *find_or_add(struct dns_health *h, struct addrport a)
{
	struct resolver *r = find(h, a);

	if (r)
		return r;
	if (h->resolvers.n >= RESOLVERS_KEPT_MAX)
		forget(h);
	r = mem_alloc(sizeof(*r));
	key_of_addr(r->key, a);
	map_put(&h->resolvers, r);
	return r;
}

/* Smaller is better. Unknown ones are worth a try before slow ones. */
static int64_t score(const struct dns_health *h, struct mono now, struct addrport a)
{
	const struct resolver *r = find(h, a);

	if (!r)
		return PATIENCE_UNKNOWN_MS * INT64_C(1000000);
	if (!mono_reached(now, r->down_until))
		return INT64_MAX;
	return (r->srtt_ns ? r->srtt_ns : PATIENCE_UNKNOWN_MS * INT64_C(1000000)) +
	       r->failures * INT64_C(1000000000);
}

void health_order(const struct dns_health *h, struct mono now, const struct addrport *resolvers,
		  size_t n, uint8_t *order)
{
	int64_t scores[DNS_RESOLVERS_MAX];

	for (size_t i = 0; i < n; i++) {
		int64_t mine = score(h, now, resolvers[i]);
		size_t at = i;

		for (; at > 0 && scores[at - 1] > mine; at--) {
			scores[at] = scores[at - 1];
			order[at] = order[at - 1];
		}
		scores[at] = mine;
		order[at] = (uint8_t)i;
	}
}

void health_answered(struct dns_health *h, struct addrport resolver, int64_t ns)
{
	struct resolver *r = find_or_add(h, resolver);

	r->srtt_ns = r->srtt_ns ? (7 * r->srtt_ns + ns) / 8 : ns;
	r->failures = 0;
	r->down_until = (struct mono){ 0 };
}

void health_failed(struct dns_health *h, struct mono now, struct addrport resolver)
{
	struct resolver *r = find_or_add(h, resolver);

	if (++r->failures >= FAILURES_DOWN) {
		r->failures = FAILURES_DOWN;
		r->down_until = mono_add_s(now, DOWN_S);
	}
}

void health_slow(struct dns_health *h, struct addrport resolver, int64_t ns)
{
	struct resolver *r = find_or_add(h, resolver);

	if (ns > r->srtt_ns)
		r->srtt_ns = r->srtt_ns ? (3 * r->srtt_ns + ns) / 4 : ns;
}

bool health_is_plain(const struct dns_health *h, struct mono now, struct addrport resolver)
{
	const struct resolver *r = find(h, resolver);

	return r && !mono_reached(now, r->plain_until);
}

void health_set_plain(struct dns_health *h, struct mono now, struct addrport resolver)
{
	find_or_add(h, resolver)->plain_until = mono_add_s(now, PLAIN_S);
}

int64_t health_patience_ms(const struct dns_health *h, struct addrport resolver)
{
	const struct resolver *r = find(h, resolver);
	int64_t ms = r && r->srtt_ns ? 2 * r->srtt_ns / 1000000 : PATIENCE_UNKNOWN_MS;

	return ms < PATIENCE_MIN_MS ? PATIENCE_MIN_MS : ms > PATIENCE_MAX_MS ? PATIENCE_MAX_MS : ms;
}
