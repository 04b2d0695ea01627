/* node/routes_plan.c - see routes_plan.h. */
#include "node/routes_plan.h"

#include <stdlib.h>

#include "base/mem.h"
#include "node/lan.h"
#include "node/netmap.h"
#include "node/prefs.h"
#include "node/privops.h"

static const struct prefix ula = { { 6, { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0 } }, 48 };
static const struct prefix cgnat = { { 4, { 100, 64 } }, 10 };

/* ---- who gets what ---- */

bool routes_has_exit_node(const struct prefs *prefs)
{
	return prefs->v.exit_node_id.n || ip_is_valid(prefs->v.exit_node_ip) ||
	       prefs->v.auto_exit_node.n;
}

const struct tailcfg_node *routes_exit_node(const struct netmap *map, const struct prefs *prefs)
{
	for (size_t i = 0; i < netmap_peer_count(map); i++)
		if (prefs->v.exit_node_id.n &&
		    bytes_equal(netmap_peer(map, i)->stable_id, prefs->v.exit_node_id))
			return netmap_peer(map, i);
	if (!prefs->v.exit_node_id.n && ip_is_valid(prefs->v.exit_node_ip))
		return netmap_node_by_ip(map, prefs->v.exit_node_ip);
	return NULL;
}

bool routes_is_exit_option(const struct tailcfg_node *peer)
{
	bool four = false, six = false;

	for (size_t i = 0; i < peer->allowed_ips.n; i++)
		if (peer->allowed_ips.v[i].len == 0)
			*(peer->allowed_ips.v[i].addr.family == 4 ? &four : &six) = true;
	return four && six;
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
	if (!prefix_is_masked(p))
		return false;
	for (size_t i = 0; i < peer->addresses.n; i++)
		if (prefix_equal(peer->addresses.v[i], p))
			return true;
	if (prefix_is_single(p) && lan_is_tailnet(p.addr))
		return true;
	if (p.len == 0)
		return is_chosen_exit(peer, prefs);
	return prefs->v.route_all;
}

static bool contributes(const struct routes_plan_in *in, const struct tailcfg_node *peer)
{
	if (netmap_node_is_expired(in->map, peer, in->now))
		return false;
	return peer->is_wireguard_only || peer->home_derp || !key_is_zero(&peer->disco_key);
}

/* ---- the plan ---- */

static void add_address(struct routes_plan *p, struct prefix address)
{
	mem_reserve(p->addresses, p->address_count, p->address_cap);
	p->addresses[p->address_count++] = address;
}

static void add_route(struct routes_plan *p, struct prefix to, uint8_t kind)
{
	mem_reserve(p->routes, p->route_count, p->route_cap);
	p->routes[p->route_count++] = (struct planned_route){ to, kind };
}

static void plan_self(struct routes_plan *p, const struct routes_plan_in *in)
{
	const struct tailcfg_node *self = netmap_self(in->map);
	static const struct ip service6 = {
		6, { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x53 }
	};
	bool four = false, six = false;

	for (size_t i = 0; i < self->addresses.n; i++) {
		struct prefix a = self->addresses.v[i];

		if (a.addr.family == 6 && !in->ipv6)
			continue;
		add_address(p, a);
		*(a.addr.family == 4 ? &four : &six) = true;
	}
	if (four)
		add_route(p, prefix_of(ip_v4(100, 100, 100, 100)), PRIVOPS_ROUTE_TUNNEL);
	if (six)
		add_route(p, prefix_of(service6), PRIVOPS_ROUTE_TUNNEL);
}

static void plan_peers(struct routes_plan *p, const struct routes_plan_in *in)
{
	const struct netmap *map = in->map;
	size_t start = p->route_count, single = 0, kept;
	bool six = false;

	for (size_t i = 0; i < netmap_peer_count(map); i++) {
		const struct tailcfg_node *peer = netmap_peer(map, i);

		for (size_t j = 0; contributes(in, peer) && j < peer->allowed_ips.n; j++) {
			struct prefix to = peer->allowed_ips.v[j];

			if (!routes_wants(peer, to, in->prefs) ||
			    (to.addr.family == 6 && !in->ipv6))
				continue;
			if (to.len == 128 && prefix_covers(ula, to)) {
				six = true;
				continue;
			}
			single += to.len == 32 && prefix_covers(cgnat, to);
			add_route(p, to, PRIVOPS_ROUTE_TUNNEL);
		}
	}
	if (six)
		add_route(p, ula, PRIVOPS_ROUTE_TUNNEL);
	if (single <= ROUTES_ONE_CGNAT_ABOVE &&
	    (single < 2 || !netmap_node_has_cap(netmap_self(map), "one-cgnat?v=true")))
		return;
	kept = start;
	for (size_t i = start; i < p->route_count; i++)
		if (p->routes[i].to.len != 32 || !prefix_covers(cgnat, p->routes[i].to))
			p->routes[kept++] = p->routes[i];
	p->route_count = kept;
	add_route(p, cgnat, PRIVOPS_ROUTE_TUNNEL);
}

static void plan_exit(struct routes_plan *p, const struct routes_plan_in *in)
{
	if (!routes_has_exit_node(in->prefs))
		return;
	add_route(p, (struct prefix){ { .family = 4 }, 0 }, PRIVOPS_ROUTE_TUNNEL);
	if (in->ipv6)
		add_route(p, (struct prefix){ { .family = 6 }, 0 }, PRIVOPS_ROUTE_TUNNEL);
}

static bool is_covered(const struct routes_plan *p, size_t n, struct prefix net)
{
	for (size_t i = 0; i < n; i++)
		if (prefix_covers(p->routes[i].to, net))
			return true;
	return false;
}

static void drop_route(struct routes_plan *p, struct prefix to)
{
	size_t kept = 0;

	for (size_t i = 0; i < p->route_count; i++)
		if (!prefix_equal(p->routes[i].to, to))
			p->routes[kept++] = p->routes[i];
	p->route_count = kept;
}

static void plan_lan(struct routes_plan *p, const struct routes_plan_in *in)
{
	bool exit = routes_has_exit_node(in->prefs);
	bool open = !exit || in->prefs->v.exit_node_allow_lan;
	size_t n = in->lan ? in->lan->n : 0;

	for (size_t i = 0; i < n; i++) {
		const struct lan_net *l = &in->lan->v[i];

		if (l->net.addr.family == 6 && !in->ipv6)
			continue;
		if (!open && !l->internal) {
			/* Otherwise the more specific network in the main table would still be
			 * reached by programs that bind to its interface. */
			drop_route(p, l->net);
			add_route(p, l->net, PRIVOPS_ROUTE_TUNNEL);
		} else if (is_covered(p, p->route_count, l->net)) {
			drop_route(p, l->net);
			add_route(p, l->net, PRIVOPS_ROUTE_THROW);
		}
	}
}

/* ---- ---- */

int routes_plan_compare(const void *a, const void *b)
{
	const struct planned_route *x = a, *y = b;
	int c = prefix_compare(x->to, y->to);

	return c ? c : (int)x->kind - (int)y->kind;
}

static int compare_address(const void *a, const void *b)
{
	return prefix_compare(*(const struct prefix *)a, *(const struct prefix *)b);
}

void routes_plan_make(struct routes_plan *p, const struct routes_plan_in *in)
{
	size_t kept = 0;

	*p = (struct routes_plan){ 0 };
	plan_self(p, in);
	plan_peers(p, in);
	plan_exit(p, in);
	plan_lan(p, in);
	if (p->address_count)
		qsort(p->addresses, p->address_count, sizeof(*p->addresses), compare_address);
	if (p->route_count)
		qsort(p->routes, p->route_count, sizeof(*p->routes), routes_plan_compare);
	for (size_t i = 0; i < p->route_count; i++)
		if (!kept || !prefix_equal(p->routes[kept - 1].to, p->routes[i].to))
			p->routes[kept++] = p->routes[i];
	p->route_count = kept;
}

void routes_plan_fini(struct routes_plan *p)
{
	mem_free(p->addresses);
	mem_free(p->routes);
	*p = (struct routes_plan){ 0 };
}
