/* Who serves a subnet: for the whole network, and for the users of one via grant. */
#include "engine/policy/state.h"

static bool earlier(const struct node *a, const struct node *b)
{
	if (a->n.created != b->n.created)
		return a->n.created < b->n.created;
	return a->n.id < b->n.id;
}

/*
 * The one that serves keeps serving while it is online; else the earliest online node takes over;
 * when all are offline nobody is moved.
 */
void state_elect(struct policy_state *s, struct subnet *n)
{
	const struct node *best = NULL;

	if (n->primary != NO_NODE && !s->nodes[n->primary]->n.offline)
		return;
	for (uint32_t i = 0; i < n->nodes.n; i++) {
		const struct node *c = s->nodes[n->nodes.v[i]];

		if (!c->n.offline && (!best || earlier(c, best)))
			best = c;
	}
	if (best)
		n->primary = best->slot;
}

bool node_has_via_tag(const struct grant *g, const struct node *n)
{
	for (uint32_t i = 0; i < g->n_via; i++)
		if (node_has_sel(n, g->via[i], HOW_ADDR))
			return true;
	return false;
}

/* The earliest node with one of the grant's tags that has the route; online ones first. */
uint32_t state_via_primary(const struct policy_state *s, const struct grant *g,
			   const struct subnet *n)
{
	const struct node *best = NULL;

	for (uint32_t i = 0; i < n->nodes.n; i++) {
		const struct node *c = s->nodes[n->nodes.v[i]];

		if (!node_has_via_tag(g, c))
			continue;
		if (!best || (best->n.offline && !c->n.offline) ||
		    (best->n.offline == c->n.offline && earlier(c, best)))
			best = c;
	}
	return best ? best->slot : NO_NODE;
}

uint64_t policy_state_primary(const struct policy_state *s, struct prefix route)
{
	const struct subnet *n = state_subnet(s, route);

	return n && n->primary != NO_NODE ? s->nodes[n->primary]->n.id : 0;
}
