/*
 * One node's packet filter. The node's selectors lead to the grants that name it; a grant yields
 * pieces (one per protocol, one for app capabilities, one per companion), pieces with the same
 * sources and protocol become one rule where the first of them stands in the whole policy.
 *
 * The same walk adds up a sum instead of building, so that "did it change" needs no text.
 */
#include "engine/policy/state.h"

#include <stdlib.h>

#include "base/err.h"

enum part { PART_PROTO = 0, PART_APP = 300, PART_DRIVE, PART_RELAY, PART_SELF = 400 };

enum via_kind { HIT_DST, HIT_COMPANION, HIT_SELF, HIT_VIA };

struct hit {
	uint32_t grant, pos;
	uint32_t sel;
	uint8_t how, kind;
};

struct hits {
	struct hit *v;
	size_t n, cap;
};

/* A rule before merging; dsts or dst prefixes lie in the walk's arrays. */
struct piece {
	uint64_t content[2];
	uint64_t at; /* place in the policy */
	int proto;
	uint32_t cls; /* or NO_SEL: of the owner's nodes */
	bool via, self;
	uint32_t entry; /* self: place in the owner's list, NO_SEL for all of the owner's nodes */
	size_t first_dst, n_dsts;
	const struct filter_cap *caps; /* a capability piece */
	size_t n_caps, first_elem, n_elems;
};

struct elem {
	size_t first, n; /* in prefixes */
};

struct walk {
	struct policy_state *s;
	struct node *n;
	struct hits hits;
	struct piece *pieces;
	size_t n_pieces, cap_pieces;
	struct filter_dst *dsts;
	size_t n_dsts, cap_dsts;
	struct prefix *prefixes;
	size_t n_prefixes, cap_prefixes;
	struct elem *elems;
	size_t n_elems, cap_elems;
};

static const struct filter_cap companion_caps[2] = {
	{ { (const uint8_t *)"tailscale.com/cap/drive-sharer", 30 }, { 0 } },
	{ { (const uint8_t *)"tailscale.com/cap/relay-target", 30 }, { 0 } },
};

static void walk_fini(struct walk *w)
{
	mem_free(w->hits.v);
	mem_free(w->pieces);
	mem_free(w->dsts);
	mem_free(w->prefixes);
	mem_free(w->elems);
}

/* ---- which grants speak of this node ---- */

static void add_hit(struct walk *w, uint32_t grant, uint32_t pos, uint32_t sel, uint8_t how,
		    enum via_kind kind)
{
	mem_reserve(w->hits.v, w->hits.n, w->hits.cap);
	w->hits.v[w->hits.n++] = (struct hit){ grant, pos, sel, how, (uint8_t)kind };
}

/* A router whose subnets hold nodes' addresses may be met by any selector. */
static void wide_hits(struct walk *w)
{
	const struct policy *p = w->s->p;

	for (uint32_t i = 0; i < p->n_sels && w->n->wide; i++)
		for (uint32_t j = 0; j < p->sels[i]->n_dst_uses; j++)
			if (sel_is_identity(p->sels[i]))
				add_hit(w, p->sels[i]->dst_uses[j].grant,
					p->sels[i]->dst_uses[j].pos, i, HOW_WIDE, HIT_DST);
}

static void companion_hits(struct walk *w)
{
	struct src_hit *hits;
	uint32_t n = state_src_hits(w->s, w->n, &hits);

	for (uint32_t i = 0; i < n; i++) {
		const struct cls *k = w->s->p->classes[hits[i].cls];

		for (uint32_t j = 0; j < k->grants.n; j++) {
			const struct grant *g = &w->s->p->grants[k->grants.v[j]];

			if ((g->drive || g->relay) && g->n_dsts)
				add_hit(w, g->id, 0, NO_SEL,
					src_hit_addr(&hits[i]) ? HOW_ADDR : HOW_ROUTE,
					HIT_COMPANION);
		}
	}
	mem_free(hits);
}

static void self_hits(struct walk *w)
{
	const struct self_list *l = state_selves(w->s, w->n->user);

	for (uint32_t i = 0; i < l->n; i++) {
		const struct cls *k = w->s->p->classes[l->v[i].cls];

		for (uint32_t j = 0; j < k->self_grants.n; j++)
			add_hit(w, k->self_grants.v[j], i, NO_SEL, 0, HIT_SELF);
	}
}

static void collect(struct walk *w)
{
	const struct policy *p = w->s->p;
	const struct node *n = w->n;

	for (uint32_t i = 0; i < n->n_sels; i++) {
		const struct sel *s = p->sels[n->sels[i].sel];

		for (uint32_t j = 0; j < s->n_dst_uses; j++)
			add_hit(w, s->dst_uses[j].grant, s->dst_uses[j].pos, s->id, n->sels[i].how,
				HIT_DST);
		for (uint32_t j = 0; j < s->via.n && n->sels[i].how & HOW_ADDR; j++)
			add_hit(w, s->via.v[j], 0, s->id, 0, HIT_VIA);
	}
	if (n->user != NO_USER && p->grants_self.n)
		self_hits(w);
	wide_hits(w);
	if (p->has_companions)
		companion_hits(w);
}

static int by_place(const void *a, const void *b)
{
	const struct hit *x = a, *y = b;

	if (x->grant != y->grant)
		return x->grant < y->grant ? -1 : 1;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->pos != y->pos)
		return x->pos < y->pos ? -1 : 1;
	return x->how < y->how ? -1 : x->how > y->how;
}

/* ---- what of a destination a node keeps ---- */

static void add_dst(struct walk *w, enum filter_dst_kind kind, struct ip_range r,
		    const struct proto_group *ports)
{
	for (uint32_t i = 0; i < ports->n_ports; i++) {
		mem_reserve(w->dsts, w->n_dsts, w->cap_dsts);
		w->dsts[w->n_dsts++] =
		    (struct filter_dst){ kind, r, ports->ports[i].first, ports->ports[i].last };
	}
}

static void add_addrs(struct walk *w, const struct node *n, const struct node *inside,
		      const struct proto_group *ports)
{
	struct ip ips[2] = { n->n.v4, n->n.v6 };

	for (int i = 0; i < 2; i++) {
		struct ip_range r = { ips[i], ips[i] };

		if (ips[i].family && (!inside || node_overlaps(inside, r)))
			add_dst(w, FILTER_DST_RANGE, r, ports);
	}
}

static bool keeps_range(const struct walk *w, const struct hit *h, struct ip_range r)
{
	if (h->how & HOW_SERVICE || node_has_addr(w->n, r) || node_overlaps(w->n, r))
		return true;
	return node_exits(w->n) && ipset_covers(&w->s->p->internet, r);
}

static enum filter_dst_kind kind_of(const struct sel *s)
{
	return s->kind == SEL_INTERNET || s->kind == SEL_IPSET ? FILTER_DST_SPAN : FILTER_DST_RANGE;
}

/* A single address stays an address whatever set it comes from. */
static void add_range(struct walk *w, const struct sel *s, struct ip_range r,
		      const struct proto_group *ports)
{
	add_dst(w, ip_equal(r.first, r.last) ? FILTER_DST_RANGE : kind_of(s), r, ports);
}

static void entries(struct walk *w, const struct hit *h, const struct proto_group *ports)
{
	const struct sel *s = w->s->p->sels[h->sel];
	struct ip_range none = { 0 };

	if (s->kind == SEL_ANY) {
		add_dst(w, FILTER_DST_ANY, none, ports);
	} else if (h->how == HOW_WIDE) {
		const struct members *m = &w->s->members[h->sel];

		for (uint32_t i = 0; i < m->n; i++)
			if (m->v[i].node != w->n->slot)
				add_addrs(w, w->s->nodes[m->v[i].node], w->n, ports);
	} else if (sel_is_literal(s)) {
		for (uint32_t i = 0; i < s->n_ranges; i++)
			if (keeps_range(w, h, s->range[i]))
				add_range(w, s, s->range[i], ports);
	} else {
		add_addrs(w, w->n, NULL, ports);
	}
}

static void add_prefix(struct walk *w, struct prefix p)
{
	mem_reserve(w->prefixes, w->n_prefixes, w->cap_prefixes);
	w->prefixes[w->n_prefixes++] = p;
}

static void own_prefixes(struct walk *w, const struct ip_range *inside)
{
	struct ip ips[2] = { w->n->n.v4, w->n->n.v6 };

	for (int i = 0; i < 2; i++)
		if (ips[i].family && (!inside || range_contains(*inside, ips[i])))
			add_prefix(w, prefix_of(ips[i]));
}

/* Capabilities narrow to the node's own addresses; what overlaps a subnet of it stays whole. */
static void range_prefixes(struct walk *w, struct ip_range r, bool whole)
{
	struct prefix p;
	bool done = false;

	own_prefixes(w, &r);
	while (range_next_prefix(&r, &p, &done))
		if (whole || node_overlaps(w->n, prefix_range(p)))
			add_prefix(w, p);
}

static int by_prefix(const void *a, const void *b)
{
	return prefix_compare(*(const struct prefix *)a, *(const struct prefix *)b);
}

static void close_elem(struct walk *w, size_t first)
{
	size_t kept = first;

	if (w->n_prefixes == first)
		return;
	qsort(w->prefixes + first, w->n_prefixes - first, sizeof(*w->prefixes), by_prefix);
	for (size_t i = first + 1; i < w->n_prefixes; i++)
		if (!prefix_equal(w->prefixes[i], w->prefixes[kept]))
			w->prefixes[++kept] = w->prefixes[i];
	w->n_prefixes = kept + 1;
	mem_reserve(w->elems, w->n_elems, w->cap_elems);
	w->elems[w->n_elems++] = (struct elem){ first, w->n_prefixes - first };
}

static void app_elem(struct walk *w, const struct hit *h)
{
	const struct sel *s = w->s->p->sels[h->sel];
	size_t first = w->n_prefixes;

	if (h->how == HOW_WIDE) {
		const struct members *m = &w->s->members[h->sel];

		for (uint32_t i = 0; i < m->n; i++) {
			const struct node *o = w->s->nodes[m->v[i].node];
			struct ip ips[2] = { o->n.v4, o->n.v6 };

			for (int k = 0; k < 2; k++)
				if (ips[k].family &&
				    node_overlaps(w->n, (struct ip_range){ ips[k], ips[k] }))
					add_prefix(w, prefix_of(ips[k]));
		}
	} else if (sel_is_literal(s)) {
		for (uint32_t i = 0; i < s->n_ranges; i++)
			range_prefixes(w, s->range[i], h->how & HOW_SERVICE);
	} else {
		own_prefixes(w, NULL);
	}
	close_elem(w, first);
}

/* ---- pieces ---- */

static struct piece *add_piece(struct walk *w, const struct grant *g, unsigned part)
{
	struct piece *p;

	mem_reserve(w->pieces, w->n_pieces, w->cap_pieces);
	p = &w->pieces[w->n_pieces++];
	*p = (struct piece){ .at = (uint64_t)g->id << 10 | part, .proto = -1, .cls = NO_SEL };
	p->first_dst = w->n_dsts;
	p->first_elem = w->n_elems;
	return p;
}

static void class_srcs(struct walk *w, struct piece *p, uint32_t cls, bool via)
{
	p->cls = cls;
	p->via = via;
	state_content(w->s, cls, via, p->content);
}

/* Takes back the piece when nothing came of it. */
static void close_piece(struct walk *w, struct piece *p)
{
	p->n_dsts = w->n_dsts - p->first_dst;
	p->n_elems = w->n_elems - p->first_elem;
	if (!p->n_dsts && !p->n_elems)
		w->n_pieces--;
}

static void dst_pieces(struct walk *w, const struct grant *g, const struct hit *h, size_t n)
{
	struct piece *p;

	for (uint32_t i = 0; i < g->n_protos && !state_class_empty(w->s, g->src); i++) {
		p = add_piece(w, g, PART_PROTO + i);
		p->proto = g->protos[i].proto;
		class_srcs(w, p, g->src, false);
		for (size_t j = 0; j < n; j++)
			entries(w, &h[j], &g->protos[i]);
		close_piece(w, p);
	}
	if (!g->n_caps)
		return;
	p = add_piece(w, g, PART_APP);
	class_srcs(w, p, g->src, false);
	p->caps = g->caps;
	p->n_caps = g->n_caps;
	for (size_t j = 0; j < n; j++)
		app_elem(w, &h[j]);
	close_piece(w, p);
}

/* What of the sources' CIDRs this source node keeps. */
static void source_elem(struct walk *w, const struct grant *g)
{
	const struct cls *k = w->s->p->classes[g->src];
	struct src_hit h = state_src_hit(w->s, w->n, g->src);
	size_t first = w->n_prefixes;

	if (h.any || h.adds == HOW_ADDR)
		own_prefixes(w, NULL);
	else if (h.adds)
		add_prefix(w, prefix_of(h.adds & HOW_V4 ? w->n->n.v4 : w->n->n.v6));
	for (size_t i = 0; i < k->lits.n; i++)
		range_prefixes(w, k->lits.r[i], false);
	close_elem(w, first);
}

static void companion_pieces(struct walk *w, const struct grant *g)
{
	const bool on[2] = { g->drive, g->relay };

	for (unsigned i = 0; i < 2; i++) {
		struct piece *p;

		if (!on[i] || state_class_empty(w->s, g->dst_class))
			continue;
		p = add_piece(w, g, PART_DRIVE + i);
		class_srcs(w, p, g->dst_class, false);
		p->caps = &companion_caps[i];
		p->n_caps = 1;
		source_elem(w, g);
		close_piece(w, p);
	}
}

static void self_srcs(struct walk *w, struct piece *p, uint32_t entry)
{
	const struct self_list *l = state_selves(w->s, w->n->user);
	const uint64_t *sum = entry == NO_SEL ? l->sum : l->v[entry].sum;

	p->self = true;
	p->entry = entry;
	p->content[0] = sum[0];
	p->content[1] = sum[1];
}

static void self_elem(struct walk *w, struct piece *p)
{
	size_t first = w->n_prefixes;

	own_prefixes(w, NULL);
	close_elem(w, first);
	close_piece(w, p);
}

static void self_app(struct walk *w, const struct grant *g, uint32_t entry)
{
	const bool on[2] = { g->drive, g->relay };
	struct src_hit me = state_src_hit(w->s, w->n, g->src);
	struct piece *p = add_piece(w, g, PART_SELF + PART_APP);

	self_srcs(w, p, entry);
	p->caps = g->caps;
	p->n_caps = g->n_caps;
	self_elem(w, p);
	for (unsigned i = 0; i < 2; i++) {
		if (!on[i] || !src_hit_addr(&me))
			continue;
		p = add_piece(w, g, PART_SELF + PART_DRIVE + i);
		self_srcs(w, p, NO_SEL);
		p->caps = &companion_caps[i];
		p->n_caps = 1;
		self_elem(w, p);
	}
}

/* autogroup:self: from those of the owner's nodes that are sources, to this one. */
static void self_pieces(struct walk *w, const struct grant *g, uint32_t entry)
{
	for (uint32_t i = 0; i < g->n_protos; i++) {
		struct piece *p = add_piece(w, g, PART_SELF + i);

		p->proto = g->protos[i].proto;
		self_srcs(w, p, entry);
		add_addrs(w, w->n, NULL, &g->protos[i]);
		close_piece(w, p);
	}
	if (g->n_caps)
		self_app(w, g, entry);
}

struct ip_range *state_via_ranges(const struct policy_state *s, const struct grant *g,
				  const struct node *n, size_t *count, bool *internet)
{
	struct ip_range *out = NULL;
	size_t cap = 0;

	*count = 0;
	*internet = false;
	for (uint32_t i = 0; i < g->n_dsts; i++) {
		const struct sel *d = s->p->sels[g->dsts[i]];

		if (d->kind == SEL_INTERNET)
			*internet |= node_exits(n);
		for (uint32_t j = 0; j < d->n_ranges; j++) {
			if (d->kind == SEL_INTERNET ? !node_exits(n)
						    : !node_overlaps(n, d->range[j]))
				continue;
			mem_reserve(out, *count, cap);
			out[(*count)++] = d->range[j];
		}
	}
	return out;
}

static void via_pieces(struct walk *w, const struct grant *g)
{
	bool internet;

	for (uint32_t i = 0; i < g->n_protos && !state_class_empty(w->s, g->src); i++) {
		struct piece *p = add_piece(w, g, PART_PROTO + i);

		p->proto = g->protos[i].proto;
		class_srcs(w, p, g->src, true);
		for (uint32_t j = 0; j < g->n_dsts; j++) {
			struct grant one = { .dsts = &g->dsts[j], .n_dsts = 1 };
			size_t n;
			struct ip_range *r = state_via_ranges(w->s, &one, w->n, &n, &internet);

			for (size_t k = 0; k < n; k++)
				add_range(w, w->s->p->sels[g->dsts[j]], r[k], &g->protos[i]);
			mem_free(r);
		}
		close_piece(w, p);
	}
}

static void walk_node(struct walk *w)
{
	struct hit *h;

	collect(w);
	if (w->hits.n)
		qsort(w->hits.v, w->hits.n, sizeof(*w->hits.v), by_place);
	h = w->hits.v;
	for (size_t i = 0, n; i < w->hits.n; i += n) {
		const struct grant *g = &w->s->p->grants[h[i].grant];

		n = 1;
		while (i + n < w->hits.n && h[i + n].grant == h[i].grant &&
		       h[i + n].kind == h[i].kind)
			n++;
		if (h[i].kind == HIT_DST)
			dst_pieces(w, g, &h[i], n);
		else if (h[i].kind == HIT_COMPANION)
			companion_pieces(w, g);
		else if (h[i].kind == HIT_SELF)
			self_pieces(w, g, h[i].pos);
		else
			via_pieces(w, g);
	}
}

/* ---- the sum ---- */

static void sum_piece(const struct walk *w, const struct piece *p, uint64_t out[2])
{
	struct {
		uint64_t content[2], ports;
		struct ip_range r;
		int proto, kind;
	} entry;

	for (size_t i = 0; i < p->n_dsts; i++) {
		const struct filter_dst *d = &w->dsts[p->first_dst + i];

		memset(&entry, 0, sizeof(entry));
		entry.content[0] = p->content[0];
		entry.content[1] = p->content[1];
		entry.proto = p->proto;
		entry.kind = (int)d->kind;
		entry.r = d->range;
		entry.ports = (uint64_t)d->first_port << 16 | d->last_port;
		content_add(out, &entry, sizeof(entry));
	}
	for (size_t i = 0; i < p->n_elems; i++) {
		const struct elem *e = &w->elems[p->first_elem + i];
		uint64_t sum[4] = { p->content[0], p->content[1] };

		for (size_t k = 0; k < p->n_caps; k++) {
			content_add(sum + 2, p->caps[k].name.p, p->caps[k].name.n);
			content_add(sum, p->caps[k].values.p, p->caps[k].values.n);
		}
		for (size_t k = 0; k < e->n; k++)
			content_add_range(sum + 2, prefix_range(w->prefixes[e->first + k]));
		content_add(out, sum, sizeof(sum));
	}
}

void state_filter_sum(struct policy_state *s, struct node *n, uint64_t out[2])
{
	struct walk w = { .s = s, .n = n };

	if (!n->filter_known) {
		n->filter_sum[0] = n->filter_sum[1] = 0;
		walk_node(&w);
		for (size_t i = 0; i < w.n_pieces; i++)
			sum_piece(&w, &w.pieces[i], n->filter_sum);
		walk_fini(&w);
		n->filter_known = true;
	}
	out[0] = n->filter_sum[0];
	out[1] = n->filter_sum[1];
}

/* ---- the place of a rule: where its sources and protocol first occur in the policy ---- */

static struct order_slot *order_at(const struct policy_state *s, const uint64_t content[2],
				   int proto)
{
	uint32_t i = (uint32_t)(content[0] ^ (uint64_t)(proto + 2) * 0x9e3779b97f4a7c15ULL);

	for (;; i++) {
		struct order_slot *o = &s->order[i & (s->order_cap - 1)];

		if (!o->at || (o->proto == proto && o->content[0] == content[0] &&
			       o->content[1] == content[1]))
			return o;
	}
}

static bool has_entries(const struct policy_state *s, const struct grant *g)
{
	for (uint32_t i = 0; i < g->n_dsts; i++) {
		const struct sel *d = s->p->sels[g->dsts[i]];

		if (d->kind == SEL_ANY || d->n_ranges ||
		    (!sel_is_literal(d) && s->members[d->id].n))
			return true;
	}
	return false;
}

static void build_order(struct policy_state *s)
{
	uint32_t need = 16;

	if (s->order_known)
		return;
	for (uint32_t i = 0; i < s->p->n_grants; i++)
		need += 2 * s->p->grants[i].n_protos;
	if (s->order_cap < need) {
		s->order_cap = 16;
		while (s->order_cap < need)
			s->order_cap *= 2;
		mem_free(s->order);
		s->order = mem_alloc(s->order_cap * sizeof(*s->order));
	} else {
		memset(s->order, 0, s->order_cap * sizeof(*s->order));
	}
	for (uint32_t i = 0; i < s->p->n_grants; i++) {
		const struct grant *g = &s->p->grants[i];
		uint64_t content[2];

		if (g->n_via || !g->n_protos || state_class_empty(s, g->src) || !has_entries(s, g))
			continue;
		state_content(s, g->src, false, content);
		for (uint32_t j = 0; j < g->n_protos; j++) {
			struct order_slot *o = order_at(s, content, g->protos[j].proto);

			if (o->at)
				continue;
			*o = (struct order_slot){ { content[0], content[1] },
						  g->protos[j].proto,
						  (i << 10 | j) + 1 };
		}
	}
	s->order_known = true;
}

static int by_sources(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;

	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	return 0;
}

/* ---- building ---- */

static void hold(struct policy_filter *out, struct policy_srcs *srcs)
{
	srcs->refs++;
	out->held[out->n_held++] = srcs;
}

/*
 * Rules with a first place in the policy lie next to each other after sorting. Self and via rules
 * may have none, so a node that has such rules is searched in full.
 */
static size_t find_rule(const struct piece **of, size_t n, const struct piece *p, bool all)
{
	for (size_t i = n; i > 0 && !p->n_elems && (all || i == n); i--)
		if (!of[i - 1]->n_elems && of[i - 1]->proto == p->proto &&
		    of[i - 1]->content[0] == p->content[0] &&
		    of[i - 1]->content[1] == p->content[1])
			return i - 1;
	return n;
}

static void grants_of(const struct walk *w, const struct piece *p, struct policy_filter *out,
		      struct filter_rule *r)
{
	struct filter_cap_grant *g = arena_array(&out->arena, p->n_elems, sizeof(*g));

	for (size_t i = 0; g && i < p->n_elems; i++) {
		const struct elem *e = &w->elems[p->first_elem + i];
		struct prefix *dsts = arena_array(&out->arena, e->n, sizeof(*dsts));

		if (!dsts)
			return;
		memcpy(dsts, w->prefixes + e->first, e->n * sizeof(*dsts));
		g[i] = (struct filter_cap_grant){ dsts, e->n, p->caps, p->n_caps };
	}
	r->grants = g;
	r->n_grants = p->n_elems;
}

/* Pieces in the order of the whole policy, so that doubles meet their first. */
static void place_pieces(struct walk *w)
{
	build_order(w->s);
	for (size_t i = 0; i < w->n_pieces && w->s->order_cap; i++) {
		struct piece *p = &w->pieces[i];
		const struct order_slot *o;

		if (p->n_elems)
			continue;
		o = order_at(w->s, p->content, p->proto);
		p->at <<= 20; /* behind the first, in the order of their own places */
		if (o->at && (uint64_t)(o->at - 1) < p->at >> 20)
			p->at = (uint64_t)(o->at - 1) << 20 | (i + 1);
	}
	for (size_t i = 0; i < w->n_pieces; i++)
		if (w->pieces[i].n_elems)
			w->pieces[i].at <<= 20;
	if (w->n_pieces)
		qsort(w->pieces, w->n_pieces, sizeof(*w->pieces), by_sources);
}

/* Which rule each piece goes into; first pieces in *of. The number of rules. */
static size_t join_pieces(const struct walk *w, const struct piece **of, size_t *rule_of,
			  size_t *room)
{
	bool all = false;
	size_t n = 0;

	for (size_t i = 0; i < w->n_pieces; i++)
		all |= w->pieces[i].self || w->pieces[i].via;
	for (size_t i = 0; i < w->n_pieces; i++) {
		rule_of[i] = find_rule(of, n, &w->pieces[i], all);
		if (rule_of[i] == n)
			of[n++] = &w->pieces[i];
		room[rule_of[i]] += w->pieces[i].n_dsts;
	}
	return n;
}

static void open_rule(const struct walk *w, const struct piece *p, size_t room,
		      struct policy_filter *out, struct filter_rule *r)
{
	struct policy_srcs *srcs = p->self ? state_self_print(w->s, w->n->user, p->entry)
					   : state_srcs(w->s, p->cls, p->via);

	*r = (struct filter_rule){ .srcs = srcs->v, .n_srcs = srcs->n };
	r->proto = p->n_elems ? -1 : p->proto;
	r->dsts = arena_array(&out->arena, room, sizeof(*r->dsts));
	hold(out, srcs);
}

int policy_state_filter(struct policy_state *s, uint64_t id, struct policy_filter *out,
			struct err *err)
{
	struct walk w = { .s = s, .n = state_node(s, id) };
	const struct piece **of;
	struct filter_rule *rules;
	size_t *rule_of, *room;

	if (!w.n)
		return err_set(err, ERR_USAGE, "no node %llu", (unsigned long long)id);
	*out = (struct policy_filter){ 0 };
	arena_init(&out->arena, (size_t)1 << 30);
	out->policy = policy_ref(s->p);
	walk_node(&w);
	place_pieces(&w);
	of = mem_alloc((w.n_pieces + 1) * sizeof(*of));
	rule_of = mem_alloc((w.n_pieces + 1) * 2 * sizeof(*rule_of));
	room = rule_of + w.n_pieces + 1;
	out->held = mem_alloc((w.n_pieces + 1) * sizeof(struct policy_srcs *));
	out->n = join_pieces(&w, of, rule_of, room);
	out->rules = rules = arena_array(&out->arena, out->n + 1, sizeof(*rules));
	for (size_t i = 0; i < w.n_pieces && rules; i++) {
		const struct piece *p = &w.pieces[i];
		struct filter_rule *r = &rules[rule_of[i]];

		if (of[rule_of[i]] == p)
			open_rule(&w, p, room[rule_of[i]], out, r);
		if (p->n_elems)
			grants_of(&w, p, out, r);
		else if (r->dsts) {
			memcpy((struct filter_dst *)r->dsts + r->n_dsts, w.dsts + p->first_dst,
			       p->n_dsts * sizeof(*w.dsts));
			r->n_dsts += p->n_dsts;
		}
	}
	mem_free(of);
	mem_free(rule_of);
	walk_fini(&w);
	return 0;
}

void policy_filter_fini(struct policy_filter *f)
{
	for (size_t i = 0; i < f->n_held; i++)
		srcs_unref(f->held[i]);
	mem_free(f->held);
	policy_unref(f->policy);
	arena_fini(&f->arena);
	*f = (struct policy_filter){ 0 };
}
