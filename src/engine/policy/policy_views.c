/*
 * What a viewer sees of a peer: addresses, and of its routes those some rule between the two needs.
 * state_load() has put the viewer's classes where every question here finds them.
 */
#include "engine/policy/state.h"

#include <stdlib.h>

#include "base/err.h"

static const struct src_hit *viewer_hit(const struct policy_state *s, uint32_t cls)
{
	return s->cls_stamp[cls] == s->vstamp ? &s->cls_hit[cls] : NULL;
}

/* The viewer, or a subnet behind it, is a source of the class. */
static bool viewer_sends(const struct policy_state *s, uint32_t cls)
{
	const struct src_hit *h = viewer_hit(s, cls);

	return h && (src_hit_addr(h) || h->route);
}

static bool viewer_receives(const struct policy_state *s, const struct grant *g)
{
	for (uint32_t i = 0; i < g->n_dsts; i++)
		if (s->p->sels[g->dsts[i]]->kind == SEL_ANY ||
		    node_has_sel(s->viewer, g->dsts[i],
				 HOW_ADDR | HOW_ROUTE | HOW_EXIT | HOW_SERVICE))
			return true;
	return false;
}

/* Rows a and c: from the viewer to the route. */
static bool leads_to(const struct policy_state *s, const struct subnet *r)
{
	for (uint32_t i = 0; i < r->n_sels; i++) {
		const struct sel *d = s->p->sels[r->sels[i]];

		for (uint32_t j = 0; j < d->n_dst_uses; j++)
			if (viewer_sends(s, s->p->grants[d->dst_uses[j].grant].src))
				return true;
	}
	return false;
}

static bool class_leads_here(const struct policy_state *s, const struct cls *k)
{
	for (uint32_t i = 0; i < k->grants.n; i++)
		if (viewer_receives(s, &s->p->grants[k->grants.v[i]]))
			return true;
	for (uint32_t i = 0; i < k->via_grants.n; i++) {
		const struct grant *g = &s->p->grants[k->via_grants.v[i]];
		bool internet;
		size_t n = 0;

		if (node_has_via_tag(g, s->viewer))
			mem_free(state_via_ranges(s, g, s->viewer, &n, &internet));
		if (n)
			return true;
	}
	return false;
}

/* Rows b, d and e: from the route to the viewer, its subnets, or the internet behind it. */
static bool comes_from(const struct policy_state *s, const struct subnet *r)
{
	for (uint32_t i = 0; i < r->n_sels; i++) {
		const struct sel *src = s->p->sels[r->sels[i]];

		for (uint32_t j = 0; j < src->classes.n; j++)
			if (class_leads_here(s, s->p->classes[src->classes.v[j]]))
				return true;
	}
	for (uint32_t i = 0; i < s->p->danger.n; i++)
		if (class_leads_here(s, s->p->classes[s->p->danger.v[i]]))
			return true;
	return false;
}

/* A subnet that holds nodes' addresses meets identities too; rare, so every grant is asked. */
static bool wide_meets(const struct policy_state *s, const struct subnet *r, const struct sel *d)
{
	const struct members *m = &s->members[d->id];
	struct ip_range q = prefix_range(r->prefix);

	for (uint32_t i = 0; i < m->n && sel_is_identity(d); i++)
		if (node_has_addr(s->nodes[m->v[i].node], q))
			return true;
	return false;
}

static bool wide_shown(const struct policy_state *s, const struct subnet *r)
{
	for (uint32_t i = 0; i < s->p->n_grants && r->wide; i++) {
		const struct grant *g = &s->p->grants[i];
		const struct cls *k = s->p->classes[g->src];

		if (g->n_via)
			continue;
		for (uint32_t j = 0; j < g->n_dsts && viewer_sends(s, g->src); j++)
			if (wide_meets(s, r, s->p->sels[g->dsts[j]]))
				return true;
		for (uint32_t j = 0; j < k->sels.n && viewer_receives(s, g); j++)
			if (wide_meets(s, r, s->p->sels[k->sels.v[j]]))
				return true;
	}
	return false;
}

static bool route_shown(const struct policy_state *s, const struct subnet *r)
{
	return leads_to(s, r) || comes_from(s, r) || wide_shown(s, r);
}

static bool has_subnet(const struct node *n, struct prefix p)
{
	for (uint32_t i = 0; i < n->n_subnets; i++)
		if (prefix_equal(n->subnets[i], p))
			return true;
	return false;
}

/* ---- via grants steer a viewer to one router, away from the others ---- */

enum steer { STEER_NONE, STEER_IN = 1, STEER_OUT = 2, STEER_PRIMARY = 4 };

static bool dsts_meet(const struct policy_state *s, const struct grant *g, struct prefix route)
{
	bool internet;
	size_t n;
	struct node one = { .subnets = &route, .n_subnets = 1 };

	if (route.len == 0) {
		for (uint32_t i = 0; i < g->n_dsts; i++)
			if (s->p->sels[g->dsts[i]]->is_internet)
				return true;
		return false;
	}
	mem_free(state_via_ranges(s, g, &one, &n, &internet));
	return n > 0;
}

static bool opened_by_others(const struct policy_state *s, struct prefix route)
{
	for (uint32_t i = 0; i < s->viewer_classes.n; i++) {
		const struct cls *k = s->p->classes[s->viewer_classes.v[i]];

		if (!src_hit_addr(&s->cls_hit[k->id]))
			continue;
		for (uint32_t j = 0; j < k->grants.n; j++) {
			const struct grant *g = &s->p->grants[k->grants.v[j]];

			for (uint32_t d = 0; d < g->n_dsts; d++)
				if (s->p->sels[g->dsts[d]]->kind == SEL_ANY)
					return true;
			if (dsts_meet(s, g, route))
				return true;
		}
	}
	return false;
}

/* How the via grants of the viewer treat one route of one peer. */
static unsigned steer_of(const struct policy_state *s, const struct node *peer, struct prefix route)
{
	const struct subnet *net = route.len ? state_subnet(s, route) : NULL;
	unsigned out = STEER_NONE;
	bool covered = false;

	for (uint32_t i = 0; i < s->viewer_classes.n; i++) {
		const struct cls *k = s->p->classes[s->viewer_classes.v[i]];

		if (!src_hit_addr(&s->cls_hit[k->id]))
			continue;
		for (uint32_t j = 0; j < k->via_grants.n; j++) {
			const struct grant *g = &s->p->grants[k->via_grants.v[j]];

			if (!dsts_meet(s, g, route))
				continue;
			covered = true;
			if (!node_has_via_tag(g, peer))
				out |= STEER_OUT;
			else if (net && state_via_primary(s, g, net) != peer->slot)
				out |= STEER_OUT | 8;
			else
				out |= STEER_IN;
		}
	}
	if (out & 8) /* another router with the tag comes first */
		out &= ~(unsigned)STEER_IN;
	if (covered && opened_by_others(s, route))
		out = (out & STEER_IN ? STEER_IN | STEER_PRIMARY : 0);
	return out;
}

/* Is a route of peer in the viewer's netmap? primary: peer serves it for the whole network. */
static bool sees_route(const struct policy_state *s, const struct node *peer, struct prefix route,
		       const struct subnet *net)
{
	bool primary = !net || net->primary == peer->slot;
	unsigned steer = s->p->grants_via.n ? steer_of(s, peer, route) : STEER_NONE;
	bool shown = net ? route_shown(s, net) : s->viewer_internet;

	if (primary && !(steer & STEER_OUT) && shown)
		return true;
	if (steer & STEER_IN && (primary || !(steer & STEER_PRIMARY)))
		return true;
	return net && primary && has_subnet(s->viewer, route);
}

/* Service addresses of a host are routes to the viewer that may use the service. */
static bool sees_service(const struct policy_state *s, const struct sel *service)
{
	for (uint32_t i = 0; i < service->n_dst_uses; i++)
		if (viewer_sends(s, s->p->grants[service->dst_uses[i].grant].src))
			return true;
	return false;
}

struct view {
	struct prefix *addresses, *routes, *primary;
	size_t n_addresses, n_routes, n_primary, cap_routes, cap_primary;
	struct prefix addr_room[2];
	bool exit_node;
};

static void add_route(struct view *v, struct prefix p, bool primary)
{
	mem_reserve(v->routes, v->n_routes, v->cap_routes);
	v->routes[v->n_routes++] = p;
	if (!primary)
		return;
	mem_reserve(v->primary, v->n_primary, v->cap_primary);
	v->primary[v->n_primary++] = p;
}

static void view_fini(struct view *v)
{
	mem_free(v->routes);
	mem_free(v->primary);
}

static void add_addresses(struct view *v, const struct node *n, bool no_ipv4)
{
	v->addresses = v->addr_room;
	if (n->n.v4.family && !no_ipv4)
		v->addr_room[v->n_addresses++] = prefix_of(n->n.v4);
	if (n->n.v6.family)
		v->addr_room[v->n_addresses++] = prefix_of(n->n.v6);
}

static struct prefix default_route(uint8_t family)
{
	return (struct prefix){ { .family = family }, 0 };
}

static void look(const struct policy_state *s, const struct node *peer, struct view *v)
{
	*v = (struct view){ 0 };
	add_addresses(v, peer, peer->no_ipv4 || s->viewer->no_ipv4);
	for (uint32_t i = 0; i < peer->n_sels && peer->n.n_services; i++) {
		const struct sel *d = s->p->sels[peer->sels[i].sel];

		if (d->kind == SEL_SERVICE && peer->sels[i].how & HOW_SERVICE && sees_service(s, d))
			for (uint32_t j = 0; j < d->n_ranges; j++)
				add_route(v, prefix_of(d->range[j].first), false);
	}
	for (uint32_t i = 0; i < peer->n_subnets; i++) {
		const struct subnet *net = state_subnet(s, peer->subnets[i]);

		if (sees_route(s, peer, peer->subnets[i], net))
			add_route(v, peer->subnets[i], true);
	}
	for (int i = 0; i < 2; i++) {
		struct prefix all = default_route(i ? 6 : 4);

		if ((i ? peer->exit6 : peer->exit4) && sees_route(s, peer, all, NULL)) {
			add_route(v, all, false);
			v->exit_node = true;
		}
	}
}

static void look_at_self(const struct policy_state *s, const struct node *n, struct view *v)
{
	*v = (struct view){ 0 };
	add_addresses(v, n, n->no_ipv4);
	for (uint32_t i = 0; i < n->n_subnets; i++) {
		const struct subnet *net = state_subnet(s, n->subnets[i]);

		add_route(v, n->subnets[i], net->primary == n->slot);
	}
	for (int i = 0; i < 2; i++)
		if (i ? n->exit6 : n->exit4)
			add_route(v, default_route(i ? 6 : 4), false);
	v->exit_node = node_exits(n);
}

static void sum_view(const struct view *v, uint64_t id, uint64_t out[2])
{
	uint64_t sum[5] = { id, v->exit_node };

	for (size_t i = 0; i < v->n_addresses; i++)
		content_add_range(sum + 2, prefix_range(v->addresses[i]));
	for (size_t i = 0; i < v->n_routes; i++)
		content_add_range(sum + 3, prefix_range(v->routes[i]));
	for (size_t i = 0; i < v->n_primary; i++)
		content_add_range(sum + 1, prefix_range(v->primary[i]));
	content_add(out, sum, sizeof(sum));
}

void state_view_sum(struct policy_state *s, const struct node *peer, uint64_t out[2])
{
	struct view v;

	if (!node_routes(peer)) {
		const uint64_t *plain = peer->plain[peer->no_ipv4 || s->viewer->no_ipv4];

		out[0] += plain[0];
		out[1] += plain[1];
		return;
	}
	look(s, peer, &v);
	sum_view(&v, peer->n.id, out);
	view_fini(&v);
}

void state_plain_sums(struct node *n)
{
	for (int i = 0; i < 2; i++) {
		struct view v = { 0 };

		add_addresses(&v, n, i == 1);
		sum_view(&v, n->n.id, n->plain[i]);
	}
}

void state_self_sum(struct policy_state *s, const struct node *n, uint64_t out[2])
{
	struct view v;

	look_at_self(s, n, &v);
	sum_view(&v, n->n.id, out);
	view_fini(&v);
}

static struct prefix *keep(struct arena *a, const struct prefix *p, size_t n)
{
	struct prefix *out = arena_array(a, n, sizeof(*out));

	if (out && n)
		memcpy(out, p, n * sizeof(*out));
	return out;
}

static void publish(struct arena *a, struct view *v, uint64_t id, struct policy_peer *out)
{
	*out = (struct policy_peer){ .id = id, .exit_node = v->exit_node };
	out->addresses = keep(a, v->addresses, v->n_addresses);
	out->n_addresses = v->n_addresses;
	out->routes = keep(a, v->routes, v->n_routes);
	out->n_routes = v->n_routes;
	out->primary = keep(a, v->primary, v->n_primary);
	out->n_primary = v->n_primary;
	view_fini(v);
}

static int by_id(const void *a, const void *b)
{
	uint64_t x = ((const struct policy_peer *)a)->id, y = ((const struct policy_peer *)b)->id;

	return x < y ? -1 : x > y;
}

int policy_state_peers(struct policy_state *s, uint64_t id, struct policy_peers *out,
		       struct err *err)
{
	struct node *n = state_node(s, id);
	const struct ids *row;
	struct view v;

	if (!n)
		return err_set(err, ERR_USAGE, "no node %llu", (unsigned long long)id);
	*out = (struct policy_peers){ 0 };
	arena_init(&out->arena, (size_t)1 << 30);
	row = state_peers(s, n);
	state_load(s, n);
	out->v = arena_array(&out->arena, row->n, sizeof(*out->v));
	for (uint32_t i = 0; i < row->n && out->v; i++) {
		look(s, s->nodes[row->v[i]], &v);
		publish(&out->arena, &v, s->nodes[row->v[i]]->n.id, &out->v[out->n++]);
	}
	if (out->v && out->n)
		qsort(out->v, out->n, sizeof(*out->v), by_id);
	look_at_self(s, n, &v);
	publish(&out->arena, &v, id, &out->self);
	return 0;
}

void policy_peers_fini(struct policy_peers *p)
{
	arena_fini(&p->arena);
	*p = (struct policy_peers){ 0 };
}
