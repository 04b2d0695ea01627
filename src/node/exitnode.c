/* node/exitnode.c - see exitnode.h. */
#include "node/exitnode.h"

#include <math.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/rand.h"
#include "node/netmap.h"
#include "node/routes_plan.h"
#include "part/netcheck.h"

enum { NEAR_KM = 100 };

struct candidates {
	const struct tailcfg_node **v;
	size_t n;
};

static bool is_candidate(const struct tailcfg_node *peer)
{
	return peer->online == OPT_TRUE && routes_is_exit_option(peer) &&
	       netmap_node_has_cap(peer, "suggest-exit-node");
}

static void keep(struct candidates *c, bool (*wanted)(const struct tailcfg_node *n, int64_t arg),
		 int64_t arg)
{
	size_t kept = 0;

	for (size_t i = 0; i < c->n; i++)
		if (wanted(c->v[i], arg))
			c->v[kept++] = c->v[i];
	c->n = kept;
}

static int64_t priority(const struct tailcfg_node *n)
{
	return n->hostinfo && n->hostinfo->location ? n->hostinfo->location->priority : 0;
}

static bool has_priority(const struct tailcfg_node *n, int64_t wanted)
{
	return priority(n) == wanted;
}

static bool is_at_home(const struct tailcfg_node *n, int64_t region)
{
	return n->home_derp == region;
}

static void keep_highest(struct candidates *c)
{
	int64_t highest = INT64_MIN;

	for (size_t i = 0; i < c->n; i++)
		if (priority(c->v[i]) > highest)
			highest = priority(c->v[i]);
	keep(c, has_priority, highest);
}

/* ---- traffic steering: the same nodes choose the same exit, spread evenly ---- */

static uint64_t rendezvous(int64_t self, int64_t peer)
{
	uint64_t x = 0xcbf29ce484222325, ids[2] = { (uint64_t)self, (uint64_t)peer };

	for (unsigned i = 0; i < 16; i++) {
		x ^= ids[i / 8] >> (56 - 8 * (i % 8)) & 0xff;
		x *= 0x100000001b3;
	}
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9;
	x ^= x >> 27;
	x *= 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static const struct tailcfg_node *by_steering(struct candidates *c, int64_t self)
{
	const struct tailcfg_node *best;

	keep_highest(c);
	best = c->v[0];
	for (size_t i = 1; i < c->n; i++)
		if (rendezvous(self, c->v[i]->id) > rendezvous(self, best->id))
			best = c->v[i];
	return best;
}

/* ---- by the way there ---- */

static int64_t latency_of(const struct netcheck_report *report, int64_t region)
{
	for (size_t i = 0; i < report->region_count; i++) {
		const struct netcheck_region *r = &report->regions[i];

		if (r->id == region)
			return r->v4_ns && (!r->v6_ns || r->v4_ns < r->v6_ns) ? r->v4_ns : r->v6_ns;
	}
	return 0;
}

/* The region with the least latency among those of candidates; any when none is known. */
static int64_t nearest_region(const struct candidates *c, const struct netcheck_report *report)
{
	int64_t best = 0, best_ns = 0;

	for (size_t i = 0; i < c->n; i++) {
		int64_t region = c->v[i]->home_derp, ns = latency_of(report, region);

		if (!region || (best && !ns) || (best_ns && ns >= best_ns))
			continue;
		best = region;
		best_ns = ns;
	}
	return best;
}

/* Haversine, in kilometres. */
static double distance(double lat1, double lon1, double lat2, double lon2)
{
	const double degree = 3.14159265358979323846 / 180;
	double a = sin((lat2 - lat1) * degree / 2), b = sin((lon2 - lon1) * degree / 2);

	a = a * a + cos(lat1 * degree) * cos(lat2 * degree) * b * b;
	return 2 * 6371 * asin(sqrt(a < 1 ? a : 1));
}

static double distance_to(const struct tailcfg_derp_region *home, const struct tailcfg_node *n)
{
	const struct tailcfg_location *l = n->hostinfo ? n->hostinfo->location : NULL;

	return l ? distance(home->latitude, home->longitude, l->latitude, l->longitude) : HUGE_VAL;
}

static void keep_near(struct candidates *c, const struct tailcfg_derp_region *home)
{
	double nearest = HUGE_VAL;
	size_t kept = 0;

	for (size_t i = 0; i < c->n; i++)
		if (distance_to(home, c->v[i]) < nearest)
			nearest = distance_to(home, c->v[i]);
	if (!isfinite(nearest))
		return;
	for (size_t i = 0; i < c->n; i++)
		if (distance_to(home, c->v[i]) <= nearest + NEAR_KM)
			c->v[kept++] = c->v[i];
	c->n = kept;
}

static const struct tailcfg_node *one_of(const struct candidates *c, struct bytes previous,
					 struct rng *rng)
{
	for (size_t i = 0; i < c->n; i++)
		if (previous.n && bytes_equal(c->v[i]->stable_id, previous))
			return c->v[i];
	return c->v[rng_below(rng, (uint32_t)c->n)];
}

static const struct tailcfg_node *by_region(struct candidates *c, const struct netmap *map,
					    const struct netcheck_report *report,
					    struct bytes previous, struct rng *rng)
{
	int64_t region = nearest_region(c, report);
	const struct tailcfg_derp_region *home;

	if (region) {
		keep(c, is_at_home, region);
		return one_of(c, previous, rng);
	}
	home = netmap_region(map, report->preferred);
	if (home)
		keep_near(c, home);
	keep_highest(c);
	return one_of(c, previous, rng);
}

const struct tailcfg_node *exitnode_suggest(const struct netmap *map,
					    const struct netcheck_report *report,
					    struct bytes previous, struct rng *rng, struct err *err)
{
	const struct tailcfg_node *found = NULL;
	struct candidates c = { 0 };

	*err = (struct err){ 0 };
	if (!map) {
		err_set(err, ERR_REFUSED, "no network map, try again later");
		return NULL;
	}
	c.v = mem_alloc((netmap_peer_count(map) + 1) * sizeof(*c.v));
	for (size_t i = 0; i < netmap_peer_count(map); i++)
		if (is_candidate(netmap_peer(map, i)))
			c.v[c.n++] = netmap_peer(map, i);
	if (c.n == 1)
		found = c.v[0];
	else if (c.n && netmap_node_has_cap(netmap_self(map), "traffic-steering"))
		found = by_steering(&c, netmap_self(map)->id);
	else if (c.n && (!report || !report->preferred))
		err_set(err, ERR_REFUSED, "no preferred DERP, try again later");
	else if (c.n)
		found = by_region(&c, map, report, previous, rng);
	mem_free(c.v);
	return found;
}
