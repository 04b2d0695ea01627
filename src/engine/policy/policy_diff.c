/*
 * Two states side by side: whose answers differ? Rules are compared by meaning first: by the nodes
 * their selectors take in, not by names. Only nodes of a differing rule have their filters summed;
 * only pairs with one end at the smaller side of a rule that joins others than before are looked
 * at; SSH is compared where an entry differs that is neither at the common beginning nor at the
 * common end. Where nodes differ in more than what the policy makes of them, everything is
 * compared.
 */
#include "engine/policy/state.h"

#include <stdlib.h>

typedef void sum_fn(struct policy_state *s, struct node *n, uint64_t out[2]);

static void sum_row(struct policy_state *s, struct node *n, uint64_t out[2])
{
	const struct ids *peers = state_peers(s, n);

	state_load(s, n);
	for (uint32_t i = 0; i < peers->n; i++)
		state_view_sum(s, s->nodes[peers->v[i]], out);
	state_self_sum(s, n, out);
}

static void sum_ssh(struct policy_state *s, struct node *n, uint64_t out[2])
{
	state_ssh_sum(s, n, out);
}

static void sum_caps(struct policy_state *s, struct node *n, uint64_t out[2])
{
	state_caps_sum(s, n, out);
}

static bool same_sums(sum_fn *fn, struct policy_state *old, struct node *was,
		      struct policy_state *next, struct node *is)
{
	struct sum_pair a = { { 0, 0 } }, b = { { 0, 0 } };

	fn(old, was, a.v);
	fn(next, is, b.v);
	return !sums_differ(a, b);
}

/* One of the two states, with what each of its selectors stands for. */
struct side {
	struct policy_state *s;
	struct sum_pair *sels;
	struct meaning *rules;
};

/* Two slots of work for each node, by slot of the next state. */
struct contrast {
	struct side old, next;
	bool *filters, *ssh, *pivots; /* to be compared; NULL: everybody's */
	bool *differs;
};

/* ---- what a rule means, whatever its place and spelling ---- */

static void add_text(uint64_t sum[2], struct bytes b)
{
	content_add(sum, b.p, b.n);
}

static struct sum_pair sel_meaning(const struct policy_state *s, const struct sel *d)
{
	const struct members *m = &s->members[d->id];
	uint64_t sum[5] = { d->kind };
	struct sum_pair out = { { 0, 0 } };

	for (uint32_t i = 0; i < d->n_ranges; i++)
		content_add_range(sum + 1, d->range[i]);
	for (uint32_t i = 0; i < m->n; i++) {
		const struct node *n = s->nodes[m->v[i].node];
		uint64_t one[2] = { n->n.id, n->sels[m->v[i].back].how };

		content_add(sum + 3, one, sizeof(one));
	}
	content_add(out.v, sum, sizeof(sum));
	return out;
}

static struct sum_pair *sel_meanings(const struct policy_state *s)
{
	struct sum_pair *out = mem_alloc((s->p->n_sels + 1) * sizeof(*out));

	for (uint32_t i = 0; i < s->p->n_sels; i++)
		out[i] = sel_meaning(s, s->p->sels[i]);
	return out;
}

static void add_sel(const struct side *t, uint32_t sel, uint64_t out[2])
{
	content_add(out, t->sels[sel].v, sizeof(t->sels[sel].v));
}

static void class_meaning(const struct side *t, const struct cls *k, uint64_t out[2])
{
	const struct policy *p = t->s->p;

	for (uint32_t i = 0; i < k->sels.n; i++)
		add_sel(t, k->sels.v[i], out);
	for (uint32_t i = 0; i < k->postures.n; i++) {
		struct where w = p->postures[k->postures.v[i]].where;

		add_text(out, bytes_of(p->text.p + w.start, w.end - w.start));
	}
}

/* who: whom the rule joins, which is all that peers and routes depend on. */
struct meaning {
	struct sum_pair all, who;
	uint32_t grant;
};

static struct meaning grant_meaning(const struct side *t, const struct grant *g)
{
	uint64_t who[7] = { g->self }, what[2] = { 0 };
	struct meaning out = { .grant = g->id };

	class_meaning(t, t->s->p->classes[g->src], who + 1);
	for (uint32_t i = 0; i < g->n_dsts; i++)
		add_sel(t, g->dsts[i], who + 3);
	for (uint32_t i = 0; i < g->n_via; i++)
		add_sel(t, g->via[i], who + 5);
	content_add(out.who.v, who, sizeof(who));
	for (uint32_t i = 0; i < g->n_protos; i++)
		for (uint32_t k = 0; k < g->protos[i].n_ports; k++) {
			const struct port_range *r = &g->protos[i].ports[k];
			int64_t port[3] = { g->protos[i].proto, r->first, r->last };

			content_add(what, port, sizeof(port));
		}
	for (uint32_t i = 0; i < g->n_caps; i++) {
		uint64_t cap[4] = { 0 };

		add_text(cap, g->caps[i].name);
		add_text(cap + 2, g->caps[i].values);
		content_add(what, cap, sizeof(cap));
	}
	content_add(out.all.v, who, sizeof(who));
	content_add(out.all.v, what, sizeof(what));
	return out;
}

static int by_all(const void *a, const void *b)
{
	return memcmp(&((const struct meaning *)a)->all, &((const struct meaning *)b)->all,
		      sizeof(struct sum_pair));
}

static int by_who(const void *a, const void *b)
{
	return memcmp(&((const struct meaning *)a)->who, &((const struct meaning *)b)->who,
		      sizeof(struct sum_pair));
}

static void side_init(struct side *t, struct policy_state *s)
{
	*t = (struct side){ .s = s, .sels = sel_meanings(s) };
	t->rules = mem_alloc((s->p->n_grants + 1) * sizeof(*t->rules));
	for (uint32_t i = 0; i < s->p->n_grants; i++)
		t->rules[i] = grant_meaning(t, &s->p->grants[i]);
}

static void side_fini(struct side *t)
{
	mem_free(t->sels);
	mem_free(t->rules);
}

/* ---- nodes that a rule names ---- */

typedef void named_fn(struct contrast *c, const struct side *t, const struct grant *g);

static void hit(const struct contrast *c, const struct node *n, bool *hits)
{
	const struct node *there = n ? state_node(c->next.s, n->n.id) : NULL;

	if (there)
		hits[there->slot] = true;
}

static void hit_sel(const struct contrast *c, const struct side *t, uint32_t sel, bool *hits)
{
	const struct policy_state *s = t->s;
	const struct members *m = &s->members[sel];

	for (uint32_t i = 0; i < s->n_slots && s->p->sels[sel]->kind == SEL_DANGER_ALL; i++)
		hit(c, s->nodes[i], hits);
	for (uint32_t i = 0; i < m->n; i++)
		hit(c, s->nodes[m->v[i].node], hits);
}

static void hit_list(const struct contrast *c, const struct side *t, const uint32_t *sels,
		     uint32_t n, bool *hits)
{
	for (uint32_t i = 0; i < n; i++)
		hit_sel(c, t, sels[i], hits);
}

static void hit_filters(struct contrast *c, const struct side *t, const struct grant *g)
{
	const struct cls *k = t->s->p->classes[g->src];

	hit_list(c, t, k->sels.v, k->sels.n, c->filters);
	hit_list(c, t, g->dsts, g->n_dsts, c->filters);
	hit_list(c, t, g->via, g->n_via, c->filters);
}

static uint64_t weight(const struct policy_state *s, const uint32_t *sels, uint32_t n)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum +=
		    s->p->sels[sels[i]]->kind == SEL_DANGER_ALL ? s->count : s->members[sels[i]].n;
	return sum;
}

/* Every pair a rule joins has an end on either side, so the smaller one is enough. */
static void hit_pivots(struct contrast *c, const struct side *t, const struct grant *g)
{
	const struct cls *k = t->s->p->classes[g->src];
	uint64_t targets = weight(t->s, g->dsts, g->n_dsts) + weight(t->s, g->via, g->n_via);

	if (g->self || weight(t->s, k->sels.v, k->sels.n) <= targets) {
		hit_list(c, t, k->sels.v, k->sels.n, c->pivots);
		return;
	}
	hit_list(c, t, g->dsts, g->n_dsts, c->pivots);
	hit_list(c, t, g->via, g->n_via, c->pivots);
}

/*
 * Calls fn for every rule that only one of the two has. Twice the same rule prints twice, but joins
 * no more than once; callers that care about the second only are asked more often than needed.
 */
static void each_differing(struct contrast *c, int (*order)(const void *, const void *),
			   named_fn *fn)
{
	struct meaning *a = c->old.rules, *b = c->next.rules;
	uint32_t n = c->old.s->p->n_grants, m = c->next.s->p->n_grants, i = 0, j = 0;

	qsort(a, n, sizeof(*a), order);
	qsort(b, m, sizeof(*b), order);
	while (i < n || j < m) {
		int d = i == n ? 1 : j == m ? -1 : order(&a[i], &b[j]);

		if (d < 0)
			fn(c, &c->old, &c->old.s->p->grants[a[i].grant]);
		else if (d > 0)
			fn(c, &c->next, &c->next.s->p->grants[b[j].grant]);
		i += d <= 0;
		j += d >= 0;
	}
}

/* ---- SSH entries: their order counts ---- */

static struct sum_pair ssh_meaning(const struct side *t, const struct ssh_entry *e)
{
	const struct policy *p = t->s->p;
	uint64_t sum[14] = { e->check, e->self, e->enforce_recorder, e->has_src };
	struct sum_pair out = { { 0, 0 } };

	class_meaning(t, p->classes[e->src], sum + 4);
	for (uint32_t i = 0; i < e->n_dsts; i++)
		add_sel(t, e->dsts[i], sum + 6);
	for (uint32_t i = 0; i < e->n_base; i++) {
		uint64_t one[4] = { 0 };

		add_text(one, e->base[i].login);
		add_text(one + 2, e->base[i].local);
		content_add(sum + 8, one, sizeof(one));
	}
	for (uint32_t i = 0; i < e->n_accept_env; i++) {
		sum[10] *= 31;
		add_text(sum + 10, e->accept_env[i]);
	}
	if (e->recorder != NO_SEL)
		add_sel(t, e->recorder, sum + 8);
	for (uint32_t i = 0; i < e->n_domains; i++)
		for (uint32_t u = 0; u < p->n_users; u++)
			if (bytes_equal(p->users[u].domain, e->domains[i])) {
				uint64_t one[3] = { p->users[u].id };

				add_text(one + 1, p->users[u].local);
				content_add(sum + 12, one, sizeof(one));
			}
	content_add(out.v, sum, sizeof(sum));
	return out;
}

static void hit_ssh(struct contrast *c, const struct side *t, const struct ssh_entry *e)
{
	const struct cls *k = t->s->p->classes[e->src];

	hit_list(c, t, e->dsts, e->n_dsts, c->ssh);
	if (e->self || e->has_localpart)
		hit_list(c, t, k->sels.v, k->sels.n, c->ssh);
}

static void hit_differing_ssh(struct contrast *c)
{
	const struct policy *p = c->old.s->p, *q = c->next.s->p;
	uint32_t n = p->n_ssh < q->n_ssh ? p->n_ssh : q->n_ssh, head = 0, tail = 0;

	while (head < n && !sums_differ(ssh_meaning(&c->old, &p->ssh[head]),
					ssh_meaning(&c->next, &q->ssh[head])))
		head++;
	while (head + tail < n && !sums_differ(ssh_meaning(&c->old, &p->ssh[p->n_ssh - 1 - tail]),
					       ssh_meaning(&c->next, &q->ssh[q->n_ssh - 1 - tail])))
		tail++;
	for (uint32_t i = head; i < p->n_ssh - tail; i++)
		hit_ssh(c, &c->old, &p->ssh[i]);
	for (uint32_t i = head; i < q->n_ssh - tail; i++)
		hit_ssh(c, &c->next, &q->ssh[i]);
}

/* ---- is the policy all that differs? ---- */

static bool same_texts(const struct bytes *a, size_t n, const struct bytes *b, size_t m)
{
	for (size_t i = 0; i < n && n == m; i++)
		if (!bytes_equal(a[i], b[i]))
			return false;
	return n == m;
}

static bool same_node(const struct node *a, const struct node *b)
{
	if (!ip_equal(a->n.v4, b->n.v4) || !ip_equal(a->n.v6, b->n.v6) || a->n.user != b->n.user ||
	    a->wide || b->wide || a->n.n_routes != b->n.n_routes || a->n.created != b->n.created ||
	    a->n.n_attrs != b->n.n_attrs || a->n.offline != b->n.offline ||
	    !same_texts(a->n.tags, a->n.n_tags, b->n.tags, b->n.n_tags) ||
	    !same_texts(a->n.services, a->n.n_services, b->n.services, b->n.n_services))
		return false;
	for (size_t i = 0; i < a->n.n_routes; i++)
		if (!prefix_equal(a->n.routes[i], b->n.routes[i]))
			return false;
	for (size_t i = 0; i < a->n.n_attrs; i++)
		if (!bytes_equal(a->n.attrs[i].name, b->n.attrs[i].name) ||
		    !bytes_equal(a->n.attrs[i].text, b->n.attrs[i].text) ||
		    a->n.attrs[i].kind != b->n.attrs[i].kind ||
		    a->n.attrs[i].number != b->n.attrs[i].number ||
		    a->n.attrs[i].truth != b->n.attrs[i].truth)
			return false;
	return true;
}

static bool only_rules_differ(const struct policy_state *old, const struct policy_state *next)
{
	const struct subnet *net;
	size_t it = 0;

	if (old->count != next->count)
		return false;
	for (uint32_t i = 0; i < next->n_slots; i++) {
		const struct node *n = next->nodes[i], *was = n ? state_node(old, n->n.id) : NULL;

		if (n && (!was || !same_node(was, n)))
			return false;
	}
	while ((net = map_next(&next->subnets, &it)))
		if (policy_state_primary(old, net->prefix) !=
		    policy_state_primary(next, net->prefix))
			return false;
	return true;
}

/* ---- comparing ---- */

/* The old row in the slots of the next state, so that the two can be laid side by side. */
static void translate(const struct contrast *c, struct state_row *r)
{
	for (uint32_t i = 0; i < r->n; i++)
		r->v[i].slot = state_node(c->next.s, c->old.s->nodes[r->v[i].slot]->n.id)->slot;
	state_row_sort(r);
}

static void compare_pivots(struct contrast *c)
{
	struct policy_state *next = c->next.s;
	uint32_t left = 0;

	for (uint32_t i = 0; i < next->n_slots; i++)
		left += next->nodes[i] && !c->differs[i];
	for (uint32_t i = 0; i < next->n_slots && left; i++) {
		struct state_row was, is;
		struct ids changed = { 0 };

		if (!next->nodes[i] || !c->pivots[i])
			continue;
		state_row_take(c->old.s, state_node(c->old.s, next->nodes[i]->n.id)->slot, &was);
		state_row_take(next, i, &is);
		translate(c, &was);
		was.pivot = i;
		state_row_compare(&was, &is, &changed);
		for (uint32_t k = 0; k < changed.n; k++) {
			left -= !c->differs[changed.v[k]];
			c->differs[changed.v[k]] = true;
		}
		mem_free(was.v);
		mem_free(is.v);
		mem_free(changed.v);
	}
}

static bool asked(const bool *whom, uint32_t slot)
{
	return !whom || whom[slot];
}

static void compare_nodes(struct contrast *c)
{
	struct policy_state *old = c->old.s, *next = c->next.s;

	for (uint32_t i = 0; i < next->n_slots; i++) {
		struct node *n = next->nodes[i], *was = n ? state_node(old, n->n.id) : NULL;
		bool same = was != NULL;

		if (!n)
			continue;
		/* the cheap answers first: most differing nodes differ there */
		if (same && asked(c->filters, i))
			same = same_sums(state_filter_sum, old, was, next, n);
		same = same && same_sums(sum_caps, old, was, next, n);
		if (same && !c->pivots)
			same = same_sums(sum_row, old, was, next, n);
		if (same && asked(c->ssh, i))
			same = same_sums(sum_ssh, old, was, next, n);
		c->differs[i] = !same;
	}
	if (c->pivots)
		compare_pivots(c);
}

static void narrow(struct contrast *c)
{
	const struct policy_state *next = c->next.s;

	c->filters = mem_alloc(next->n_slots + 1);
	c->pivots = mem_alloc(next->n_slots + 1);
	c->ssh = mem_alloc(next->n_slots + 1);
	side_init(&c->old, c->old.s);
	side_init(&c->next, c->next.s);
	each_differing(c, by_all, hit_filters);
	each_differing(c, by_who, hit_pivots);
	hit_differing_ssh(c);
	for (uint32_t i = 0; i < next->n_slots; i++) /* what everybody sees of it differs */
		if (next->nodes[i] &&
		    next->nodes[i]->no_ipv4 != state_node(c->old.s, next->nodes[i]->n.id)->no_ipv4)
			c->pivots[i] = true;
}

static int by_id(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void report(const struct contrast *c, struct policy_ids *affected)
{
	const struct policy_state *old = c->old.s, *next = c->next.s;

	affected->n = 0;
	for (uint32_t i = 0; i < old->n_slots; i++)
		if (old->nodes[i] && !state_node(next, old->nodes[i]->n.id))
			policy_ids_push(affected, old->nodes[i]->n.id);
	for (uint32_t i = 0; i < next->n_slots; i++)
		if (next->nodes[i] && c->differs[i])
			policy_ids_push(affected, next->nodes[i]->n.id);
	if (affected->n)
		qsort(affected->v, affected->n, sizeof(*affected->v), by_id);
}

void policy_state_diff(struct policy_state *old, struct policy_state *next,
		       struct policy_ids *affected)
{
	struct contrast c = { .old = { .s = old }, .next = { .s = next } };

	if (old->filters_stale)
		state_forget_filters(old);
	if (next->filters_stale)
		state_forget_filters(next);
	c.differs = mem_alloc(next->n_slots + 1);
	if (only_rules_differ(old, next))
		narrow(&c);
	compare_nodes(&c);
	report(&c, affected);
	side_fini(&c.old);
	side_fini(&c.next);
	mem_free(c.filters);
	mem_free(c.pivots);
	mem_free(c.ssh);
	mem_free(c.differs);
}
