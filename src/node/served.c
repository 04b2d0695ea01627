/* node/served.c - see served.h. */
#include "node/served.h"

#include "base/mem.h"
#include "node/lan.h"
#include "node/netmap.h"
#include "node/prefs.h"

struct ranges {
	struct ip_range *v;
	size_t n, cap;
};

static void add(struct ranges *r, struct ip_range one)
{
	mem_reserve(r->v, r->n, r->cap);
	r->v[r->n++] = one;
}

/* Takes the hole out of every range from `start` on. */
static void carve(struct ranges *r, size_t start, struct prefix hole)
{
	struct ip_range h = prefix_range(hole);
	size_t n = r->n;

	for (size_t i = start; i < n; i++) {
		struct ip_range *at = &r->v[i];
		struct ip_range above = { h.last, at->last };

		if (at->first.family != h.first.family || ip_compare(h.last, at->first) < 0 ||
		    ip_compare(h.first, at->last) > 0)
			continue;
		if (ip_compare(h.last, at->last) < 0 && ip_next(&above.first)) {
			if (ip_compare(h.first, at->first) <= 0) {
				at->first = above.first;
				continue;
			}
			add(r, above);
			at = &r->v[i];
		}
		if (ip_compare(h.first, at->first) > 0) {
			at->last = h.first;
			(void)ip_prev(&at->last);
		} else { /* nothing is left of it: the last one takes its place */
			*at = r->v[--r->n];
			if (r->n < n)
				n = r->n;
			i--;
		}
	}
}

// clang-format off
static const struct prefix private_nets[] = {
	{ { 4, { 10 } }, 8 },
	{ { 4, { 172, 16 } }, 12 },
	{ { 4, { 192, 168 } }, 16 },
	{ { 4, { 169, 254 } }, 16 },
	{ { 4, { 224 } }, 4 },
	{ { 4, { 255, 255, 255, 255 } }, 32 },
	{ { 4, { 100, 64 } }, 10 },
	{ { 6, { 0xfe, 0x80 } }, 10 },
	{ { 6, { 0xff } }, 8 },
	{ { 6, { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0 } }, 48 },
};
// clang-format on

static void add_internet(struct ranges *r, struct prefix everything, const struct lan *lan)
{
	size_t start = r->n;

	add(r, prefix_range(everything));
	for (size_t i = 0; i < array_len(private_nets); i++)
		carve(r, start, private_nets[i]);
	for (size_t i = 0; lan && i < lan->n; i++)
		carve(r, start, lan->v[i].net);
	for (size_t i = 0; lan && i < lan->n; i++)
		if (lan->v[i].own.family == everything.addr.family && !lan->v[i].internal)
			add(r, prefix_range(prefix_of(lan->v[i].own)));
}

struct ip_range *served_ranges(const struct netmap *map, const struct prefs *prefs,
			       const struct lan *lan, size_t *n)
{
	const struct tailcfg_node *self = netmap_self(map);
	const struct prefix_list *routes = &prefs->v.advertise_routes;
	struct ranges r = { 0 };

	for (size_t i = 0; i < self->addresses.n; i++)
		add(&r, prefix_range(self->addresses.v[i]));
	for (size_t i = 0; i < routes->n; i++)
		if (routes->v[i].len)
			add(&r, prefix_range(routes->v[i]));
		else
			add_internet(&r, routes->v[i], lan);
	*n = r.n;
	return r.v;
}
