#include "engine/wg/wg_limit.h"

#include "base/map.h"
#include "base/rand.h"

enum { LOAD_STAYS_MS = 1000, SOURCE_PER_S = 20, SOURCE_BURST = 5, HARD_FACTOR = 4 };
#define NS_PER_S INT64_C(1000000000)

void wg_limit_init(struct wg_limit *l, uint32_t per_s, struct rng *rng)
{
	*l = (struct wg_limit){ .cost_ns = NS_PER_S / per_s };
	rng->fill(rng, l->seed, sizeof(l->seed));
}

/* A bucket of `burst` tokens that refills one token per cost_ns. */
static bool take(struct wg_bucket *b, struct mono now, int64_t cost_ns, int64_t burst)
{
	struct mono from = b->full_at.ns > now.ns ? b->full_at : now;

	if (from.ns - now.ns > (burst - 1) * cost_ns)
		return false;
	b->full_at = mono_add_ns(from, cost_ns);
	return true;
}

/* An eighth of a second's worth at once. */
static int64_t burst_of(const struct wg_limit *l)
{
	int64_t burst = NS_PER_S / l->cost_ns / 8;

	return burst > 1 ? burst : 1;
}

bool wg_limit_is_loaded(struct wg_limit *l, struct mono now)
{
	if (!take(&l->easy, now, l->cost_ns, burst_of(l)))
		l->load_until = mono_add_ms(now, LOAD_STAYS_MS);
	return l->forced || l->load_until.ns > now.ns;
}

bool wg_limit_admit(struct wg_limit *l, struct mono now, const struct wg_source *from)
{
	const struct ip *ip = &from->addr.ip;
	size_t n = ip->family == 4 ? 4 : ip->family == 6 ? 8 : 0;
	struct bytes key = n ? bytes_of(ip->b, n) : bytes_of(&from->via, sizeof(from->via));
	struct wg_bucket *b = &l->sources[map_hash(l->seed, key) % WG_SOURCE_BUCKETS];

	return take(b, now, NS_PER_S / SOURCE_PER_S, SOURCE_BURST) &&
	       take(&l->hard, now, l->cost_ns / HARD_FACTOR, burst_of(l) * HARD_FACTOR);
}
