/*
 * Whose answers does a change alter?
 *
 * What a node gets depends on others in three ways only: the content of the source lists in its
 * filter, the principals in its SSH rules, and its pairings. So for a change of node X
 *   - the classes whose content X alters lead to the filters that print them,
 *   - the SSH rules whose sources X joins or leaves lead to their destinations,
 *   - the pairs that can alter have X in them, or a router that shares a subnet with X (elections),
 *     or a router whose subnets hold nodes' addresses ("wide").
 * A node that comes or goes adds or takes away, so what prints it has changed for certain. For any
 * other change the candidates are summed before and after. Both ways the answer is exact.
 */
#include "engine/policy/state.h"

#include <stdlib.h>

#include "base/err.h"

struct change {
	struct policy_state *s;
	struct node *old, *new;
	uint32_t slot; /* of X; NO_NODE for one that comes */
	struct src_hit *old_hits, *new_hits;
	uint32_t n_old, n_new;
	struct ids pivots;
	struct ids filters, ssh; /* to be summed before and after */
	struct sum_pair *filter_before, *ssh_before;
	struct state_row *rows;
	struct ids sure; /* slots whose answers have changed */
	bool one_way;    /* X comes or goes */
};

/* ---- candidates ---- */

static void candidate(struct change *c, struct ids *list, uint32_t slot, bool sure)
{
	ids_add(sure && c->one_way ? &c->sure : list, slot);
}

static void receivers(struct change *c, const struct grant *g, bool sure)
{
	const struct policy_state *s = c->s;

	for (uint32_t i = 0; i < g->n_dsts; i++) {
		const struct sel *d = s->p->sels[g->dsts[i]];
		const struct members *m = &s->members[d->id];

		for (uint32_t j = 0; j < m->n; j++) {
			uint8_t how = s->nodes[m->v[j].node]->sels[m->v[j].back].how;

			candidate(c, &c->filters, m->v[j].node,
				  sure && how & (HOW_ADDR | HOW_ROUTE | HOW_SERVICE));
		}
	}
}

static void senders(struct change *c, const struct grant *g)
{
	const struct cls *k = c->s->p->classes[g->src];

	for (uint32_t i = 0; i < k->sels.n; i++) {
		const struct members *m = &c->s->members[k->sels.v[i]];

		for (uint32_t j = 0; j < m->n; j++)
			candidate(c, &c->filters, m->v[j].node, false);
	}
	for (uint32_t i = 0; i < c->s->n_slots && (k->any || k->danger); i++)
		if (c->s->nodes[i])
			candidate(c, &c->filters, i, false);
}

static void class_changed(struct change *c, uint32_t cls)
{
	const struct policy *p = c->s->p;
	const struct cls *k = p->classes[cls];

	for (uint32_t i = 0; i < k->grants.n; i++)
		receivers(c, &p->grants[k->grants.v[i]], true);
	for (uint32_t i = 0; i < k->companions.n; i++)
		senders(c, &p->grants[k->companions.v[i]]);
	for (uint32_t i = 0; i < k->via_grants.n; i++) {
		const struct grant *g = &p->grants[k->via_grants.v[i]];

		for (uint32_t j = 0; j < g->n_via; j++) {
			const struct members *m = &c->s->members[g->via[j]];

			for (uint32_t l = 0; l < m->n; l++)
				candidate(c, &c->filters, m->v[l].node, false);
		}
	}
}

static bool same_addrs(const struct node *a, const struct node *b)
{
	return ip_equal(a->n.v4, b->n.v4) && ip_equal(a->n.v6, b->n.v6);
}

/* The same person or the same number of tags, as SSH lists them. */
static bool same_principal(const struct node *a, const struct node *b)
{
	return same_addrs(a, b) && a->n.n_tags == b->n.n_tags &&
	       (a->n.n_tags || a->n.user == b->n.user);
}

static void same_owner(struct change *c, const struct node *n, struct ids *list, bool sure)
{
	const struct ids *mine;

	if (!n || n->user == NO_USER)
		return;
	mine = &c->s->user_nodes[n->user];
	for (uint32_t i = 0; i < mine->n; i++)
		candidate(c, list, mine->v[i], sure);
}

static void ssh_changed(struct change *c, uint32_t cls)
{
	const struct policy *p = c->s->p;
	const struct cls *k = p->classes[cls];

	for (uint32_t i = 0; i < k->ssh.n; i++) {
		const struct ssh_entry *e = &p->ssh[k->ssh.v[i]];

		for (uint32_t j = 0; j < e->n_dsts; j++) {
			const struct members *m = &c->s->members[e->dsts[j]];

			for (uint32_t l = 0; l < m->n; l++)
				candidate(c, &c->ssh, m->v[l].node, true);
		}
	}
}

/* A source of autogroup:self that comes or goes is in the rules of all its owner's nodes. */
static bool self_source(const struct change *c, const struct node *n, bool ssh)
{
	const struct policy *p = c->s->p;
	const struct src_hit *hits = n == c->old ? c->old_hits : c->new_hits;
	uint32_t count = !n ? 0 : n == c->old ? c->n_old : c->n_new;

	for (uint32_t i = 0; i < count; i++) {
		const struct cls *k = p->classes[hits[i].cls];

		if (!src_hit_addr(&hits[i]))
			continue;
		if (!ssh && k->self_grants.n)
			return true;
		for (uint32_t j = 0; j < k->ssh.n && ssh; j++)
			if (p->ssh[k->ssh.v[j]].self)
				return true;
	}
	return false;
}

static void ssh_neighbours(struct change *c)
{
	const struct policy *p = c->s->p;

	same_owner(c, c->old, &c->ssh, self_source(c, c->old, true));
	same_owner(c, c->new, &c->ssh, self_source(c, c->new, true));
	for (uint32_t i = 0; i < p->n_ssh; i++) {
		const struct ssh_entry *e = &p->ssh[i];
		bool was, is;

		if (e->recorder == NO_SEL)
			continue;
		was = c->old && node_has_sel(c->old, e->recorder, HOW_ADDR);
		is = c->new &&node_has_sel(c->new, e->recorder, HOW_ADDR);
		if (!was && !is)
			continue;
		for (uint32_t slot = 0; slot < c->s->n_slots; slot++)
			if (c->s->nodes[slot])
				candidate(c, &c->ssh, slot, false);
	}
}

static uint8_t effective(const struct src_hit *h)
{
	return h ? h->adds & (uint8_t)~h->lit : 0;
}

static int by_class(const void *a, const void *b)
{
	uint32_t x = ((const struct src_hit *)a)->cls, y = ((const struct src_hit *)b)->cls;

	return x < y ? -1 : x > y;
}

/* Walks both lists of classes side by side and tells which contents X alters. */
static void compare_classes(struct change *c)
{
	bool moved = !c->old || !c->new || !same_addrs(c->old, c->new);
	bool changed_who = !c->old || !c->new || !same_principal(c->old, c->new);
	uint32_t i = 0, j = 0;

	if (c->n_old)
		qsort(c->old_hits, c->n_old, sizeof(*c->old_hits), by_class);
	if (c->n_new)
		qsort(c->new_hits, c->n_new, sizeof(*c->new_hits), by_class);
	while (i < c->n_old || j < c->n_new) {
		uint32_t a = i < c->n_old ? c->old_hits[i].cls : NO_SEL;
		uint32_t b = j < c->n_new ? c->new_hits[j].cls : NO_SEL, cls = a < b ? a : b;
		const struct src_hit *was = a == cls ? &c->old_hits[i++] : NULL;
		const struct src_hit *is = b == cls ? &c->new_hits[j++] : NULL;

		if (effective(was) != effective(is) || (moved && effective(was)))
			class_changed(c, cls);
		if ((was && was->adds) != (is && is->adds) ||
		    (changed_who && ((was && was->adds) || (is && is->adds))))
			ssh_changed(c, cls);
	}
}

/* Does the set of distinct subnets alter? Then every list with "*" in it does. */
static bool subnets_alter(const struct change *c)
{
	const struct subnet *net;

	for (uint32_t i = 0; c->old && i < c->old->n_subnets; i++) {
		bool kept = false;

		for (uint32_t j = 0; c->new &&j < c->new->n_subnets; j++)
			kept |= prefix_equal(c->old->subnets[i], c->new->subnets[j]);
		net = state_subnet(c->s, c->old->subnets[i]);
		if (!kept && net->nodes.n == 1)
			return true;
	}
	for (uint32_t j = 0; c->new &&j < c->new->n_subnets; j++)
		if (!state_subnet(c->s, c->new->subnets[j]))
			return true;
	return false;
}

static void compare_subnets(struct change *c)
{
	bool one_way = c->one_way;

	if (!subnets_alter(c))
		return;
	c->one_way = false; /* the text of a list may hold that subnet already */
	for (uint32_t i = 0; i < c->s->p->n_classes; i++)
		if (c->s->p->classes[i]->any || c->s->p->classes[i]->any_posture)
			class_changed(c, i);
	c->one_way = one_way;
}

/* ---- pivots ---- */

static void siblings(struct change *c, const struct node *n)
{
	for (uint32_t i = 0; n && i < n->n_subnets; i++) {
		const struct subnet *net = state_subnet(c->s, n->subnets[i]);

		for (uint32_t j = 0; net && j < net->nodes.n; j++)
			ids_add(&c->pivots, net->nodes.v[j]);
	}
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void sort_unique(struct ids *l)
{
	uint32_t kept = 0;

	if (!l->n)
		return;
	qsort(l->v, l->n, sizeof(*l->v), by_value);
	for (uint32_t i = 1; i < l->n; i++)
		if (l->v[i] != l->v[kept])
			l->v[++kept] = l->v[i];
	l->n = kept + 1;
}

static void find_pivots(struct change *c)
{
	siblings(c, c->old);
	siblings(c, c->new);
	for (uint32_t i = 0; i < c->s->wide.n; i++)
		ids_add(&c->pivots, c->s->wide.v[i]);
	if (c->slot != NO_NODE)
		ids_add(&c->pivots, c->slot);
	sort_unique(&c->pivots);
}

/* As viewer sees peer; loads the viewer only where routes depend on it. */
static struct sum_pair glance(struct policy_state *s, struct node *viewer, const struct node *peer)
{
	struct sum_pair out = { { 0, 0 } };

	if (node_routes(peer))
		state_load(s, viewer);
	s->viewer = viewer;
	state_view_sum(s, peer, out.v);
	return out;
}

static int by_entry(const void *a, const void *b)
{
	uint32_t x = ((const struct row_entry *)a)->slot, y = ((const struct row_entry *)b)->slot;

	return x < y ? -1 : x > y;
}

void state_row_sort(struct state_row *r)
{
	if (r->n)
		qsort(r->v, r->n, sizeof(*r->v), by_entry);
}

void state_row_take(struct policy_state *s, uint32_t slot, struct state_row *r)
{
	struct node *n = s->nodes[slot];
	const struct ids *peers;

	*r = (struct state_row){ .pivot = slot };
	if (!n)
		return;
	peers = state_peers(s, n);
	r->v = mem_resize(NULL, peers->n + 1, sizeof(*r->v));
	r->n = peers->n;
	for (uint32_t i = 0; i < r->n; i++)
		r->v[i] = (struct row_entry){ .slot = peers->v[i] };
	for (uint32_t i = 0; i < r->n; i++)
		r->v[i].of_pivot = glance(s, s->nodes[r->v[i].slot], n);
	state_load(s, n);
	for (uint32_t i = 0; i < r->n; i++)
		state_view_sum(s, s->nodes[r->v[i].slot], r->v[i].of_other.v);
	state_self_sum(s, n, r->self.v);
	state_row_sort(r);
}

void state_row_compare(const struct state_row *was, const struct state_row *is, struct ids *changed)
{
	uint32_t i = 0, j = 0;

	if (sums_differ(was->self, is->self))
		ids_add(changed, is->pivot);
	while (i < was->n || j < is->n) {
		uint32_t x = i < was->n ? was->v[i].slot : NO_NODE;
		uint32_t y = j < is->n ? is->v[j].slot : NO_NODE, slot = x < y ? x : y;
		const struct row_entry *a = x == slot ? &was->v[i++] : NULL;
		const struct row_entry *b = y == slot ? &is->v[j++] : NULL;

		if (!a || !b || sums_differ(a->of_pivot, b->of_pivot))
			ids_add(changed, slot);
		if (!a || !b || sums_differ(a->of_other, b->of_other))
			ids_add(changed, is->pivot);
	}
}

/* ---- before and after ---- */

static struct sum_pair filter_of(struct policy_state *s, uint32_t slot)
{
	struct sum_pair out = { { 0, 0 } };

	if (s->nodes[slot])
		state_filter_sum(s, s->nodes[slot], out.v);
	return out;
}

/* SSH rules and capabilities together. */
static struct sum_pair ssh_of(struct policy_state *s, uint32_t slot)
{
	struct sum_pair out = { { 0, 0 } };

	if (s->nodes[slot])
		state_ssh_sum(s, s->nodes[slot], out.v);
	return out;
}

static struct sum_pair caps_of(struct policy_state *s, uint32_t slot)
{
	struct sum_pair out = { { 0, 0 } };

	if (slot != NO_NODE && s->nodes[slot])
		state_caps_sum(s, s->nodes[slot], out.v);
	return out;
}

static void measure(struct change *c)
{
	struct policy_state *s = c->s;

	compare_classes(c);
	compare_subnets(c);
	ssh_neighbours(c);
	if (s->p->grants_self.n) {
		same_owner(c, c->old, &c->filters, self_source(c, c->old, false));
		same_owner(c, c->new, &c->filters, self_source(c, c->new, false));
	}
	for (uint32_t i = 0; i < s->wide.n; i++)
		ids_add(&c->filters, s->wide.v[i]);
	if (c->slot != NO_NODE) {
		ids_add(&c->filters, c->slot);
		ids_add(&c->ssh, c->slot);
	}
	sort_unique(&c->filters);
	sort_unique(&c->ssh);
	sort_unique(&c->sure);
	find_pivots(c);
	c->filter_before = mem_alloc((c->filters.n + 1) * sizeof(*c->filter_before));
	c->ssh_before = mem_alloc((c->ssh.n + 1) * sizeof(*c->ssh_before));
	for (uint32_t i = 0; i < c->filters.n; i++)
		c->filter_before[i] = filter_of(s, c->filters.v[i]);
	for (uint32_t i = 0; i < c->ssh.n && s->p->n_ssh; i++)
		c->ssh_before[i] = ssh_of(s, c->ssh.v[i]);
	c->rows = mem_alloc((c->pivots.n + 1) * sizeof(*c->rows));
	for (uint32_t i = 0; i < c->pivots.n; i++)
		if (c->pivots.v[i] != c->slot || !c->one_way)
			state_row_take(s, c->pivots.v[i], &c->rows[i]);
}

/* Who saw it, when it goes; who sees it, when it has come. */
static void everybody_near(struct change *c, struct node *n)
{
	const struct ids *peers = state_peers(c->s, n);

	for (uint32_t i = 0; i < peers->n; i++)
		ids_add(&c->sure, peers->v[i]);
}

static void conclude(struct change *c)
{
	struct policy_state *s = c->s;
	struct state_row now;

	for (uint32_t i = 0; i < c->sure.n; i++)
		if (s->nodes[c->sure.v[i]])
			s->nodes[c->sure.v[i]]->filter_known = false;
	for (uint32_t i = 0; i < c->filters.n; i++)
		if (s->nodes[c->filters.v[i]])
			s->nodes[c->filters.v[i]]->filter_known = false;
	for (uint32_t i = 0; i < c->filters.n; i++)
		if (sums_differ(c->filter_before[i], filter_of(s, c->filters.v[i])))
			ids_add(&c->sure, c->filters.v[i]);
	for (uint32_t i = 0; i < c->ssh.n && s->p->n_ssh; i++)
		if (sums_differ(c->ssh_before[i], ssh_of(s, c->ssh.v[i])))
			ids_add(&c->sure, c->ssh.v[i]);
	for (uint32_t i = 0; i < c->pivots.n; i++) {
		if (c->pivots.v[i] == c->slot && c->one_way)
			continue;
		state_row_take(s, c->pivots.v[i], &now);
		state_row_compare(&c->rows[i], &now, &c->sure);
		mem_free(now.v);
	}
}

static void change_fini(struct change *c)
{
	for (uint32_t i = 0; i < c->pivots.n && c->rows; i++)
		mem_free(c->rows[i].v);
	mem_free(c->rows);
	mem_free(c->filter_before);
	mem_free(c->ssh_before);
	mem_free(c->old_hits);
	mem_free(c->new_hits);
	mem_free(c->pivots.v);
	mem_free(c->filters.v);
	mem_free(c->ssh.v);
	mem_free(c->sure.v);
}

void policy_ids_init(struct policy_ids *ids)
{
	*ids = (struct policy_ids){ 0 };
}

void policy_ids_fini(struct policy_ids *ids)
{
	mem_free(ids->v);
	*ids = (struct policy_ids){ 0 };
}

void policy_ids_push(struct policy_ids *ids, uint64_t id)
{
	mem_reserve(ids->v, ids->n, ids->cap);
	ids->v[ids->n++] = id;
}

static int by_id(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void report(struct change *c, struct policy_ids *affected)
{
	affected->n = 0;
	sort_unique(&c->sure);
	for (uint32_t i = 0; i < c->sure.n; i++)
		if (c->s->nodes[c->sure.v[i]])
			policy_ids_push(affected, c->s->nodes[c->sure.v[i]]->n.id);
	if (affected->n)
		qsort(affected->v, affected->n, sizeof(*affected->v), by_id);
}

/* ---- applying ---- */

static void elect_all(struct policy_state *s, const struct node *n)
{
	for (uint32_t i = 0; n && i < n->n_subnets; i++) {
		struct subnet *net = state_subnet(s, n->subnets[i]);

		if (net)
			state_elect(s, net);
	}
}

/* A node that serves a subnet goes on serving it through a change that leaves it the subnet. */
static void swap(struct policy_state *s, struct node *old, struct node *new)
{
	bool *served = old ? mem_alloc(old->n_subnets + 1) : NULL;
	uint32_t slot = old ? old->slot : NO_NODE;

	for (uint32_t i = 0; old && i < old->n_subnets; i++)
		served[i] = state_subnet(s, old->subnets[i])->primary == slot;
	if (old)
		state_unlink(s, old);
	if (new)
		state_link(s, new, slot);
	else if (old)
		state_free_slot(s, slot);
	for (uint32_t i = 0; new &&old &&i < old->n_subnets; i++) {
		struct subnet *net = state_subnet(s, old->subnets[i]);

		if (!served[i] || !net)
			continue;
		for (uint32_t j = 0; j < net->nodes.n; j++)
			if (net->nodes.v[j] == new->slot)
				net->primary = new->slot;
	}
	elect_all(s, old);
	elect_all(s, new);
	mem_free(served);
}

void state_forget_filters(struct policy_state *s)
{
	for (uint32_t i = 0; i < s->n_slots; i++)
		if (s->nodes[i])
			s->nodes[i]->filter_known = false;
	s->filters_stale = false;
}

static void apply(struct policy_state *s, struct node *old, struct node *new,
		  struct policy_ids *affected)
{
	struct change c = { .s = s, .old = old, .new = new, .slot = old ? old->slot : NO_NODE };
	struct sum_pair caps;

	if (!affected) {
		s->filters_stale = true;
		swap(s, old, new);
		state_drop_node(old);
		return;
	}
	if (s->filters_stale)
		state_forget_filters(s);
	c.one_way = !old || !new;
	if (old)
		c.n_old = state_src_hits(s, old, &c.old_hits);
	if (new)
		c.n_new = state_src_hits(s, new, &c.new_hits);
	measure(&c);
	caps = caps_of(s, c.slot);
	if (old && !new)
		everybody_near(&c, old);
	swap(s, old, new);
	conclude(&c);
	if (new && !old) {
		everybody_near(&c, new);
		ids_add(&c.sure, new->slot);
	} else if (new &&sums_differ(caps, caps_of(s, c.slot))) {
		ids_add(&c.sure, c.slot);
	}
	report(&c, affected);
	change_fini(&c);
	state_drop_node(old);
}

int policy_state_upsert(struct policy_state *s, const struct policy_node *n,
			struct policy_ids *affected, struct err *err)
{
	if (state_check_node(s, n, err) < 0)
		return -1;
	apply(s, state_node(s, n->id), state_make_node(s, n), affected);
	return 0;
}

void policy_state_remove(struct policy_state *s, uint64_t id, struct policy_ids *affected)
{
	struct node *old = state_node(s, id);

	if (affected)
		affected->n = 0;
	if (old)
		apply(s, old, NULL, affected);
}

void policy_state_set_online(struct policy_state *s, uint64_t id, bool online,
			     struct policy_ids *affected)
{
	struct node *old = state_node(s, id);
	struct policy_node n;

	if (affected)
		affected->n = 0;
	if (!old || old->n.offline == !online)
		return;
	if (!old->n_subnets) { /* nobody's answer speaks of it */
		old->n.offline = !online;
		return;
	}
	n = old->n;
	n.offline = !online;
	apply(s, old, state_make_node(s, &n), affected);
}
