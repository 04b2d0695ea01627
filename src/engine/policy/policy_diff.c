/*
 * Two states side by side: whose answers differ? Most edits leave most rules alone, so rules are
 * compared by meaning first, and only nodes that a differing rule names have their filters and
 * pairings compared. Where more than rules differs, everything is compared.
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

/* ---- what a rule means, whatever its place and spelling ---- */

static void add_text(uint64_t sum[2], struct bytes b)
{
	content_add(sum, b.p, b.n);
}

static void sel_meaning(const struct policy *p, const struct sel *s, uint64_t out[2])
{
	uint64_t sum[7] = { s->kind, s->role };
	const struct named *group = s->kind == SEL_GROUP ? policy_name(p, s->name) : NULL;

	add_text(sum + 2, s->name);
	for (uint32_t i = 0; i < s->n_ranges; i++)
		content_add_range(sum + 4, s->range[i]);
	for (uint32_t i = 0; group && i < group->users.n; i++)
		content_add(sum + 4, &p->users[group->users.v[i]].id, sizeof(uint64_t));
	sum[6] = s->user == NO_USER ? 0 : p->users[s->user].id;
	content_add(out, sum, sizeof(sum));
}

static void class_meaning(const struct policy *p, const struct cls *k, uint64_t out[2])
{
	for (uint32_t i = 0; i < k->sels.n; i++)
		sel_meaning(p, p->sels[k->sels.v[i]], out);
	for (uint32_t i = 0; i < k->postures.n; i++) {
		struct where w = p->postures[k->postures.v[i]].where;

		add_text(out, bytes_of(p->text.p + w.start, w.end - w.start));
	}
}

static struct sum_pair grant_meaning(const struct policy *p, const struct grant *g)
{
	uint64_t sum[10] = { g->self };
	struct sum_pair out = { { 0, 0 } };

	class_meaning(p, p->classes[g->src], sum + 1);
	for (uint32_t i = 0; i < g->n_dsts; i++)
		sel_meaning(p, p->sels[g->dsts[i]], sum + 3);
	for (uint32_t i = 0; i < g->n_via; i++)
		sel_meaning(p, p->sels[g->via[i]], sum + 5);
	for (uint32_t i = 0; i < g->n_protos; i++)
		for (uint32_t k = 0; k < g->protos[i].n_ports; k++) {
			const struct port_range *r = &g->protos[i].ports[k];
			int64_t port[3] = { g->protos[i].proto, r->first, r->last };

			content_add(sum + 7, port, sizeof(port));
		}
	for (uint32_t i = 0; i < g->n_caps; i++) {
		uint64_t cap[4] = { 0 };

		add_text(cap, g->caps[i].name);
		add_text(cap + 2, g->caps[i].values);
		content_add(sum + 7, cap, sizeof(cap));
	}
	content_add(out.v, sum, sizeof(sum));
	return out;
}

static struct sum_pair users_meaning(const struct policy *p)
{
	struct sum_pair out = { { 0, 0 } };

	for (uint32_t i = 0; i < p->n_users; i++) {
		uint64_t one[4] = { p->users[i].id, p->users[i].role };

		add_text(one + 2, p->users[i].login);
		content_add(out.v, one, sizeof(one));
	}
	return out;
}

struct meaning {
	struct sum_pair sum;
	uint32_t grant;
};

static int by_meaning(const void *a, const void *b)
{
	return memcmp(((const struct meaning *)a)->sum.v, ((const struct meaning *)b)->sum.v,
		      sizeof(uint64_t[2]));
}

static struct meaning *meanings(const struct policy *p)
{
	struct meaning *out = mem_alloc((p->n_grants + 1) * sizeof(*out));

	for (uint32_t i = 0; i < p->n_grants; i++)
		out[i] = (struct meaning){ grant_meaning(p, &p->grants[i]), i };
	qsort(out, p->n_grants, sizeof(*out), by_meaning);
	return out;
}

/* ---- nodes that a rule names ---- */

static void hit(const struct policy_state *next, const struct node *n, bool *hits)
{
	const struct node *there = n ? state_node(next, n->n.id) : NULL;

	if (there)
		hits[there->slot] = true;
}

static void hit_sel(const struct policy_state *s, const struct policy_state *next, uint32_t sel,
		    bool *hits)
{
	enum sel_kind kind = s->p->sels[sel]->kind;
	const struct members *m = &s->members[sel];

	for (uint32_t i = 0; i < s->n_slots && kind == SEL_DANGER_ALL; i++)
		hit(next, s->nodes[i], hits);
	for (uint32_t i = 0; i < m->n; i++)
		hit(next, s->nodes[m->v[i].node], hits);
}

static void hit_grant(const struct policy_state *s, const struct policy_state *next, uint32_t id,
		      bool *hits)
{
	const struct grant *g = &s->p->grants[id];
	const struct cls *k = s->p->classes[g->src];

	for (uint32_t i = 0; i < k->sels.n; i++)
		hit_sel(s, next, k->sels.v[i], hits);
	for (uint32_t i = 0; i < g->n_dsts; i++)
		hit_sel(s, next, g->dsts[i], hits);
	for (uint32_t i = 0; i < g->n_via; i++)
		hit_sel(s, next, g->via[i], hits);
}

static void hit_differing(const struct policy_state *old, const struct policy_state *next,
			  bool *hits)
{
	struct meaning *a = meanings(old->p), *b = meanings(next->p);
	uint32_t i = 0, j = 0;

	while (i < old->p->n_grants || j < next->p->n_grants) {
		int d = i == old->p->n_grants    ? 1
			: j == next->p->n_grants ? -1
						 : by_meaning(&a[i], &b[j]);

		if (d < 0)
			hit_grant(old, next, a[i].grant, hits);
		else if (d > 0)
			hit_grant(next, next, b[j].grant, hits);
		i += d <= 0;
		j += d >= 0;
	}
	mem_free(a);
	mem_free(b);
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
	    a->no_ipv4 != b->no_ipv4 || a->wide || b->wide || a->n.n_routes != b->n.n_routes ||
	    a->n.created != b->n.created || a->n.n_attrs != b->n.n_attrs ||
	    a->n.offline != b->n.offline ||
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

	if (sums_differ(users_meaning(old->p), users_meaning(next->p)) || old->count != next->count)
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

/* The bytes of the section as they stand; a blank that differs costs time and nothing else. */
static struct bytes section(const struct policy *p, const char *key)
{
	const struct json *v = json_get_nocase(p->root, key);

	return v ? bytes_of(p->text.p + v->start, v->end - v->start) : (struct bytes){ 0 };
}

static bool same_ssh_rules(const struct policy *a, const struct policy *b)
{
	static const char *const parts[] = { "ssh", "groups", "postures", "defaultSrcPosture" };

	for (size_t i = 0; i < array_len(parts); i++)
		if (!bytes_equal(section(a, parts[i]), section(b, parts[i])))
			return false;
	for (uint32_t i = 0; i < a->n_names; i++) /* groups of the identity provider may move too */
		if (a->names[i].synced)
			return false;
	return true;
}

static void compare_nodes(struct policy_state *old, struct policy_state *next, const bool *hits,
			  bool ssh, struct policy_ids *affected)
{
	for (uint32_t i = 0; i < next->n_slots; i++) {
		struct node *n = next->nodes[i], *was = n ? state_node(old, n->n.id) : NULL;
		bool same = was != NULL;

		if (!n)
			continue;
		/* the cheap answers first: most differing nodes differ there */
		if (same && (!hits || hits[i]))
			same = same_sums(state_filter_sum, old, was, next, n);
		same = same && same_sums(sum_caps, old, was, next, n);
		if (same && (!hits || hits[i]))
			same = same_sums(sum_row, old, was, next, n);
		if (same && ssh)
			same = same_sums(sum_ssh, old, was, next, n);
		if (!same)
			policy_ids_push(affected, n->n.id);
	}
}

static int by_id(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

void policy_state_diff(struct policy_state *old, struct policy_state *next,
		       struct policy_ids *affected)
{
	bool narrow = only_rules_differ(old, next);
	bool *hits = narrow ? mem_alloc(next->n_slots + 1) : NULL;

	affected->n = 0;
	if (old->filters_stale)
		state_forget_filters(old);
	if (next->filters_stale)
		state_forget_filters(next);
	for (uint32_t i = 0; i < old->n_slots; i++)
		if (old->nodes[i] && !state_node(next, old->nodes[i]->n.id))
			policy_ids_push(affected, old->nodes[i]->n.id);
	if (narrow)
		hit_differing(old, next, hits);
	compare_nodes(old, next, hits, !narrow || !same_ssh_rules(old->p, next->p), affected);
	mem_free(hits);
	if (affected->n)
		qsort(affected->v, affected->n, sizeof(*affected->v), by_id);
}
