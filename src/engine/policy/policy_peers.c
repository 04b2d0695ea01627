/*
 * Who sees whom. Two nodes are peers when some rule joins them, in whichever direction. A node's
 * selectors give the grants it is a source or a destination of; the other side's selectors have
 * their members listed, so a row costs what it is long.
 */
#include "engine/policy/state.h"

#include <stdlib.h>

#include "base/err.h"

struct row {
	struct policy_state *s;
	struct node *n;
	struct ids out;
	uint32_t stamp, sel_stamp;
};

static void mark(struct row *r, uint32_t slot)
{
	if (r->s->node_stamp[slot] == r->stamp)
		return;
	r->s->node_stamp[slot] = r->stamp;
	ids_add(&r->out, slot);
}

static void mark_all(struct row *r)
{
	for (uint32_t i = 0; i < r->s->n_slots; i++)
		if (r->s->nodes[i])
			mark(r, i);
}

static void mark_members(struct row *r, uint32_t sel, uint8_t how)
{
	const struct members *m = &r->s->members[sel];

	for (uint32_t i = 0; i < m->n; i++) {
		const struct node *n = r->s->nodes[m->v[i].node];

		if (n->sels[m->v[i].back].how & how)
			mark(r, n->slot);
	}
}

/* Everybody a grant of this class leads to; each selector is looked at once per row. */
static void mark_dsts(struct row *r, const struct grant *g)
{
	for (uint32_t i = 0; i < g->n_dsts; i++) {
		if (r->s->sel_stamp[g->dsts[i]] == r->sel_stamp)
			continue;
		r->s->sel_stamp[g->dsts[i]] = r->sel_stamp;
		if (r->s->p->sels[g->dsts[i]]->kind == SEL_ANY)
			mark_all(r);
		else
			mark_members(r, g->dsts[i], HOW_SEEN);
	}
}

static void mark_sources(struct row *r, const struct cls *k)
{
	if (k->danger || k->any) {
		mark_all(r);
		return;
	}
	for (uint32_t i = 0; i < k->sels.n; i++) {
		const struct members *m = &r->s->members[k->sels.v[i]];

		for (uint32_t j = 0; j < m->n; j++) {
			const struct node *n = r->s->nodes[m->v[j].node];
			struct src_hit h;

			if (r->s->node_stamp[n->slot] == r->stamp)
				continue;
			if (!k->postures.n) {
				if (n->sels[m->v[j].back].how & (HOW_ADDR | HOW_ROUTE))
					mark(r, n->slot);
				continue;
			}
			h = state_src_hit(r->s, n, k->id);
			if (src_hit_addr(&h) || h.route)
				mark(r, n->slot);
		}
	}
}

/* A router that opens something for a via grant. */
static bool via_opens(const struct policy_state *s, const struct grant *g, const struct node *n)
{
	size_t count;
	bool internet;

	mem_free(state_via_ranges(s, g, n, &count, &internet));
	return count > 0;
}

static void as_source(struct row *r, const struct src_hit *h)
{
	const struct cls *k = r->s->p->classes[h->cls];

	for (uint32_t i = 0; i < k->grants.n; i++)
		mark_dsts(r, &r->s->p->grants[k->grants.v[i]]);
	for (uint32_t i = 0; i < k->via_grants.n; i++) {
		const struct grant *g = &r->s->p->grants[k->via_grants.v[i]];

		for (uint32_t j = 0; j < g->n_via; j++) {
			const struct members *m = &r->s->members[g->via[j]];

			for (uint32_t l = 0; l < m->n; l++)
				if (via_opens(r->s, g, r->s->nodes[m->v[l].node]))
					mark(r, m->v[l].node);
		}
	}
}

static void as_destination(struct row *r)
{
	struct policy_state *s = r->s;
	uint32_t stamp = state_next_stamp(s);

	for (uint32_t i = 0; i < r->n->n_sels; i++) {
		const struct sel *sel = s->p->sels[r->n->sels[i].sel];

		for (uint32_t j = 0; j < sel->n_dst_uses && r->n->sels[i].how & HOW_SEEN; j++) {
			uint32_t cls = s->p->grants[sel->dst_uses[j].grant].src;

			if (s->cls_at[cls] == stamp)
				continue;
			s->cls_at[cls] = stamp;
			mark_sources(r, s->p->classes[cls]);
		}
		for (uint32_t j = 0; j < sel->via.n && r->n->sels[i].how & HOW_ADDR; j++) {
			const struct grant *g = &s->p->grants[sel->via.v[j]];

			if (via_opens(s, g, r->n))
				mark_sources(r, s->p->classes[g->src]);
		}
	}
}

/* Does a via grant, as this router enforces it, lead to the other node? */
static bool router_leads_to(const struct policy_state *s, const struct grant *g,
			    const struct node *router, const struct node *other)
{
	struct src_hit h = state_src_hit(s, router, g->src);
	struct ip_range *open;
	bool internet, meets = false;
	size_t n;

	if (!src_hit_addr(&h) && !h.route)
		return false;
	open = state_via_ranges(s, g, router, &n, &internet);
	for (size_t i = 0; i < n && !meets; i++)
		meets = node_overlaps(other, open[i]) || node_has_addr(other, open[i]);
	mem_free(open);
	return meets;
}

/* A router with a via grant that is itself a source meets whoever has a part of those subnets. */
static void among_routers(struct row *r)
{
	struct policy_state *s = r->s;

	for (uint32_t i = 0; i < s->p->grants_via.n; i++) {
		const struct grant *g = &s->p->grants[s->p->grants_via.v[i]];
		bool tagged = node_has_via_tag(g, r->n);

		for (uint32_t j = 0; j < g->n_via; j++) {
			const struct members *m = &s->members[g->via[j]];

			for (uint32_t k = 0; k < m->n; k++)
				if (router_leads_to(s, g, s->nodes[m->v[k].node], r->n))
					mark(r, m->v[k].node);
		}
		for (uint32_t d = 0; d < g->n_dsts && tagged; d++) {
			const struct members *m = &s->members[g->dsts[d]];

			for (uint32_t k = 0; k < m->n && sel_is_literal(s->p->sels[g->dsts[d]]);
			     k++)
				if (router_leads_to(s, g, r->n, s->nodes[m->v[k].node]))
					mark(r, m->v[k].node);
		}
	}
}

static void own_nodes(struct row *r)
{
	struct policy_state *s = r->s;
	const struct ids *mine;

	if (r->n->user == NO_USER)
		return;
	mine = &s->user_nodes[r->n->user];
	for (uint32_t i = 0; i < s->p->grants_self.n; i++) {
		uint32_t cls = s->p->grants[s->p->grants_self.v[i]].src;
		struct src_hit me = state_src_hit(s, r->n, cls);

		for (uint32_t j = 0; j < mine->n; j++) {
			struct src_hit it = { 0 };

			if (!src_hit_addr(&me))
				it = state_src_hit(s, s->nodes[mine->v[j]], cls);
			if (src_hit_addr(&me) || src_hit_addr(&it))
				mark(r, mine->v[j]);
		}
	}
}

/* ---- routers whose subnets hold nodes' addresses: any rule about those addresses is theirs ----
 */

static bool class_meets(const struct policy_state *s, const struct cls *k, const struct node *n)
{
	struct src_hit h = state_src_hit(s, n, k->id);

	if (src_hit_addr(&h) || h.route)
		return true;
	for (uint32_t i = 0; i < k->sels.n && n->wide; i++) {
		const struct members *m = &s->members[k->sels.v[i]];

		for (uint32_t j = 0; j < m->n; j++) {
			const struct node *o = s->nodes[m->v[j].node];
			struct ip_range a = { o->n.v4, o->n.v4 }, b = { o->n.v6, o->n.v6 };
			struct src_hit oh = state_src_hit(s, o, k->id);

			if ((oh.adds & HOW_V4 && o->n.v4.family && node_overlaps(n, a)) ||
			    (oh.adds & HOW_V6 && o->n.v6.family && node_overlaps(n, b)))
				return true;
		}
	}
	return false;
}

static bool grant_reaches(const struct policy_state *s, const struct grant *g, const struct node *n)
{
	for (uint32_t i = 0; i < g->n_dsts; i++) {
		const struct sel *d = s->p->sels[g->dsts[i]];
		const struct members *m = &s->members[d->id];

		if (d->kind == SEL_ANY || node_has_sel(n, d->id, HOW_SEEN))
			return true;
		for (uint32_t j = 0; j < m->n && n->wide && sel_is_identity(d); j++) {
			const struct node *o = s->nodes[m->v[j].node];
			struct ip_range a = { o->n.v4, o->n.v4 }, b = { o->n.v6, o->n.v6 };

			if ((o->n.v4.family && node_overlaps(n, a)) ||
			    (o->n.v6.family && node_overlaps(n, b)))
				return true;
		}
	}
	return false;
}

static void wide_pair(struct row *r, const struct node *a, const struct node *b, uint32_t other)
{
	const struct policy *p = r->s->p;

	if (r->s->node_stamp[other] == r->stamp)
		return;
	for (uint32_t i = 0; i < p->n_grants; i++) {
		const struct grant *g = &p->grants[i];

		if (g->n_via)
			continue;
		if ((class_meets(r->s, p->classes[g->src], a) && grant_reaches(r->s, g, b)) ||
		    (class_meets(r->s, p->classes[g->src], b) && grant_reaches(r->s, g, a))) {
			mark(r, other);
			return;
		}
	}
}

static void wide_rows(struct row *r)
{
	struct policy_state *s = r->s;

	if (r->n->wide)
		for (uint32_t i = 0; i < s->n_slots; i++)
			if (s->nodes[i] && s->nodes[i] != r->n)
				wide_pair(r, r->n, s->nodes[i], i);
	for (uint32_t i = 0; i < s->wide.n && !r->n->wide; i++)
		wide_pair(r, r->n, s->nodes[s->wide.v[i]], s->wide.v[i]);
}

const struct ids *state_peers(struct policy_state *s, struct node *n)
{
	struct row r = { .s = s, .n = n, .out = s->row };
	struct src_hit *hits;
	uint32_t count;

	r.out.n = 0;
	count = state_src_hits(s, n, &hits);
	r.stamp = state_next_stamp(s);
	s->node_stamp[n->slot] = r.stamp;
	r.sel_stamp = state_next_stamp(s);
	for (uint32_t i = 0; i < count; i++)
		as_source(&r, &hits[i]);
	mem_free(hits);
	as_destination(&r);
	own_nodes(&r);
	among_routers(&r);
	wide_rows(&r);
	s->row = r.out;
	return &s->row;
}

bool policy_state_visible(struct policy_state *s, uint64_t a, uint64_t b)
{
	struct node *x = state_node(s, a), *y = state_node(s, b);
	const struct ids *row;

	if (!x || !y || x == y)
		return false;
	row = state_peers(s, x);
	for (uint32_t i = 0; i < row->n; i++)
		if (row->v[i] == y->slot)
			return true;
	return false;
}
