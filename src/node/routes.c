/* node/routes.c - see routes.h. */
#include "node/routes.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "node/netmap.h"
#include "node/prefs.h"
#include "node/privops.h"

struct prefixes {
	struct prefix *v;
	size_t n, cap;
};

struct routes {
	struct privops *priv;
	struct log log;
	struct prefixes addresses, routes;
	bool rules;
};

static void add(struct prefixes *p, struct prefix one)
{
	mem_reserve(p->v, p->n, p->cap);
	p->v[p->n++] = one;
}

static int compare(const void *a, const void *b)
{
	return prefix_compare(*(const struct prefix *)a, *(const struct prefix *)b);
}

static void sort(struct prefixes *p)
{
	size_t kept = 0;

	if (!p->n)
		return;
	qsort(p->v, p->n, sizeof(*p->v), compare);
	for (size_t i = 0; i < p->n; i++)
		if (!kept || !prefix_equal(p->v[kept - 1], p->v[i]))
			p->v[kept++] = p->v[i];
	p->n = kept;
}

/* ---- what is wanted ---- */

bool routes_has_exit_node(const struct prefs *prefs)
{
	return prefs->v.exit_node_id.n || ip_is_valid(prefs->v.exit_node_ip);
}

const struct tailcfg_node *routes_exit_node(const struct netmap *map, const struct prefs *prefs)
{
	for (size_t i = 0; i < netmap_peer_count(map); i++)
		if (prefs->v.exit_node_id.n &&
		    bytes_equal(netmap_peer(map, i)->stable_id, prefs->v.exit_node_id))
			return netmap_peer(map, i);
	if (ip_is_valid(prefs->v.exit_node_ip))
		return netmap_node_by_ip(map, prefs->v.exit_node_ip);
	return NULL;
}

static bool is_chosen_exit(const struct tailcfg_node *peer, const struct prefs *prefs)
{
	if (prefs->v.exit_node_id.n)
		return bytes_equal(peer->stable_id, prefs->v.exit_node_id);
	for (size_t i = 0; i < peer->addresses.n; i++)
		if (ip_is_valid(prefs->v.exit_node_ip) &&
		    ip_equal(peer->addresses.v[i].addr, prefs->v.exit_node_ip))
			return true;
	return false;
}

bool routes_wants(const struct tailcfg_node *peer, struct prefix p, const struct prefs *prefs)
{
	for (size_t i = 0; i < peer->addresses.n; i++)
		if (prefix_equal(peer->addresses.v[i], p))
			return true;
	if (p.len == 0)
		return is_chosen_exit(peer, prefs);
	return prefs->v.route_all;
}

static void wanted(const struct netmap *map, const struct prefs *prefs, struct prefixes *addresses,
		   struct prefixes *routes)
{
	const struct tailcfg_node *self = netmap_self(map);
	static const struct prefix ula = { { 6, { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0 } }, 48 };
	bool has_six = false;

	for (size_t i = 0; i < self->addresses.n; i++) {
		add(addresses, self->addresses.v[i]);
		/* Our own services: 100.100.100.100; fd7a:115c:a1e0::53 lies in the ULA. */
		if (self->addresses.v[i].addr.family == 4)
			add(routes, prefix_of(ip_v4(100, 100, 100, 100)));
		else
			has_six = true;
	}
	for (size_t i = 0; i < netmap_peer_count(map); i++) {
		const struct tailcfg_node *peer = netmap_peer(map, i);

		for (size_t j = 0; j < peer->allowed_ips.n; j++) {
			struct prefix p = prefix_masked(peer->allowed_ips.v[j]);

			if (!routes_wants(peer, peer->allowed_ips.v[j], prefs))
				continue;
			if (p.len == 128 && prefix_covers(ula, p))
				has_six = true;
			else
				add(routes, p);
		}
	}
	if (has_six)
		add(routes, ula);
	/* Chosen but gone: nothing may leave beside the tunnel. */
	if (routes_has_exit_node(prefs)) {
		add(routes, (struct prefix){ ip_v4(0, 0, 0, 0), 0 });
		add(routes, (struct prefix){ { .family = 6 }, 0 });
	}
}

/* ---- doing it ---- */

static int change_address(struct routes *r, struct prefix p, bool on, struct err *err)
{
	struct privops_address a = { p, on };

	return r->priv->ops->address(r->priv, &a, err);
}

static int change_route(struct routes *r, struct prefix p, bool on, struct err *err)
{
	struct privops_route route = { p, PRIVOPS_ROUTE_TUNNEL, on };

	return r->priv->ops->route(r->priv, &route, err);
}

typedef int change_fn(struct routes *r, struct prefix p, bool on, struct err *err);

static int try_change(struct routes *r, change_fn *change, struct prefix p, bool on,
		      struct err *err)
{
	char text[PREFIX_TEXT_MAX];

	if (change(r, p, on, err) == 0)
		return 0;
	log_warn(&r->log, "%s %s failed: %s", on ? "adding" : "removing", prefix_format(p, text),
		 err->text);
	return -1;
}

/* Both sorted. What cannot be added is left out of `have`, so that the next time tries again. */
static int switch_to(struct routes *r, change_fn *change, struct prefixes *have,
		     struct prefixes *want, struct err *err)
{
	struct prefixes done = { 0 };
	size_t i = 0;
	int ret = 0;

	for (size_t j = 0; j <= want->n; j++) {
		while (i < have->n && (j == want->n || prefix_compare(have->v[i], want->v[j]) < 0))
			(void)try_change(r, change, have->v[i++], false, err);
		if (j == want->n)
			break;
		if (i < have->n && prefix_equal(have->v[i], want->v[j]))
			i++;
		else if (try_change(r, change, want->v[j], true, err) < 0) {
			ret = -1;
			continue;
		}
		add(&done, want->v[j]);
	}
	mem_free(have->v);
	mem_free(want->v);
	*have = done;
	return ret;
}

int routes_apply(struct routes *r, const struct netmap *map, const struct prefs *prefs,
		 struct err *err)
{
	struct prefixes addresses = { 0 }, routes = { 0 };
	int ret = 0;

	if (map)
		wanted(map, prefs, &addresses, &routes);
	sort(&addresses);
	sort(&routes);
	if (map && !r->rules) {
		if (r->priv->ops->rules(r->priv, true, err) < 0) {
			log_warn(&r->log, "policy rules failed: %s", err->text);
			ret = -1;
		}
		r->rules = true;
	}
	if (switch_to(r, change_address, &r->addresses, &addresses, err) < 0)
		ret = -1;
	if (switch_to(r, change_route, &r->routes, &routes, err) < 0)
		ret = -1;
	if (!map && r->rules) {
		(void)r->priv->ops->rules(r->priv, false, err);
		r->rules = false;
	}
	return ret;
}

void routes_clear(struct routes *r)
{
	struct err ignored;

	(void)routes_apply(r, NULL, NULL, &ignored);
}

struct routes *routes_create(struct privops *priv, const struct log *log)
{
	struct routes *r = mem_alloc(sizeof(*r));

	r->priv = priv;
	r->log = *log;
	return r;
}

void routes_destroy(struct routes *r)
{
	if (!r)
		return;
	mem_free(r->addresses.v);
	mem_free(r->routes.v);
	mem_free(r);
}
