/* Runs the tests and sshTests of a policy against the nodes there are. */
#include "engine/policy/state.h"

#include <stdio.h>

struct prober {
	struct policy_state *s;
	struct policy_report *report;
	struct arena *arena;
	bool ok;
};

static const char *said(struct prober *b, const char *fmt, struct bytes a, struct bytes c,
			const char *rest)
{
	const char *t = arena_printf(b->arena, fmt, BYTES_FMT(a), BYTES_FMT(c), rest);

	return t ? t : "";
}

/* The service says "test(s) failed" and no more; behind the colon stands what a person needs. */
static void failed(struct prober *b, const struct json *at, const struct json *src,
		   const char *what)
{
	const char *message = arena_printf(b->arena, "test(s) failed: %s", what);
	const char *subject = src ? arena_str(b->arena, src->text) : "";
	struct where w = { at ? at->start : 0, at ? at->end : 0 };

	b->ok = false;
	policy_issue_add(b->report, POLICY_ERROR, b->s->p->text, w, NULL, subject,
			 message ? message : "test(s) failed");
}

/* ---- the addresses a selector stands for, now ---- */

struct spread {
	struct ip_range *v;
	size_t n, cap;
};

static void spread_add(struct spread *r, struct ip_range x)
{
	mem_reserve(r->v, r->n, r->cap);
	r->v[r->n++] = x;
}

static void spread_node(struct spread *r, const struct node *n)
{
	if (n->n.v4.family)
		spread_add(r, (struct ip_range){ n->n.v4, n->n.v4 });
	if (n->n.v6.family)
		spread_add(r, (struct ip_range){ n->n.v6, n->n.v6 });
}

static void spread_sel(const struct policy_state *s, uint32_t id, struct spread *r)
{
	const struct sel *d = s->p->sels[id];
	const struct members *m = &s->members[id];

	if (d->kind == SEL_ANY)
		for (size_t i = 0; i < s->p->wild.n; i++)
			spread_add(r, s->p->wild.r[i]);
	else if (sel_is_literal(d))
		for (uint32_t i = 0; i < d->n_ranges; i++)
			spread_add(r, d->range[i]);
	else
		for (uint32_t i = 0; i < m->n; i++)
			spread_node(r, s->nodes[m->v[i].node]);
}

static bool sel_meets(const struct policy_state *s, uint32_t id, struct ip_range q)
{
	struct spread r = { 0 };
	bool met = s->p->sels[id]->kind == SEL_ANY;

	if (!met)
		spread_sel(s, id, &r);
	for (size_t i = 0; i < r.n && !met; i++)
		met = ranges_overlap(r.v[i], q);
	mem_free(r.v);
	return met;
}

static bool subnets_meet(const struct policy_state *s, struct ip_range q)
{
	const struct subnet *net;
	size_t it = 0;

	while ((net = map_next(&s->subnets, &it)))
		if (ranges_overlap(prefix_range(net->prefix), q))
			return true;
	return false;
}

/* As a source: "*" prints the subnets next to the tailnet's own ranges. */
static bool sel_sends(const struct policy_state *s, uint32_t id, struct ip_range q)
{
	enum sel_kind kind = s->p->sels[id]->kind;

	if (kind != SEL_ANY)
		return kind == SEL_DANGER_ALL || sel_meets(s, id, q);
	for (size_t i = 0; i < s->p->wild.n; i++)
		if (ranges_overlap(s->p->wild.r[i], q))
			return true;
	return subnets_meet(s, q);
}

/*
 * Postures are held against what the test says its source has, never against the devices there
 * are: a test that passes today must not fail because somebody updated a laptop. Sources outside
 * the tailnet are not checked.
 */
static bool device_passes(const struct policy_state *s, const struct cls *k,
			  const struct policy_node *device)
{
	for (uint32_t i = 0; i < k->postures.n; i++)
		if (posture_holds(&s->p->postures[k->postures.v[i]], device))
			return true;
	return !k->postures.n;
}

static bool class_sends(const struct policy_state *s, const struct cls *k,
			const struct policy_node *device, struct ip_range q)
{
	if (ipset_overlaps(&k->lits, q) || (k->any_posture && subnets_meet(s, q)))
		return true;
	for (uint32_t i = 0; i < k->sels.n && device_passes(s, k, device); i++)
		if (sel_sends(s, k->sels.v[i], q))
			return true;
	return false;
}

/* No protocol in the test means TCP or UDP, no protocol in the rule means 1, 6, 17 and 58. */
static bool proto_fits(int rule, int test)
{
	static const int usual[] = { 1, 6, 17, 58 };

	for (size_t i = 0; i < array_len(usual); i++)
		if ((rule < 0 || rule == usual[i]) && (test < 0 || test == usual[i]))
			return true;
	return rule >= 0 && rule == test;
}

static bool port_fits(const struct grant *g, int proto, uint16_t port)
{
	for (uint32_t i = 0; i < g->n_protos; i++) {
		const struct proto_group *t = &g->protos[i];

		if (!proto_fits(t->proto, proto))
			continue;
		for (uint32_t j = 0; j < t->n_ports; j++)
			if (proto == 1 || proto == 58 ||
			    (t->ports[j].first <= port && port <= t->ports[j].last))
				return true;
	}
	return false;
}

static bool grant_allows(const struct policy_state *s, const struct grant *g, struct ip_range src,
			 const struct spread *dst, const struct test_dst *d,
			 const struct test_case *t)
{
	if (g->n_via || !port_fits(g, t->proto, d->port) ||
	    !class_sends(s, s->p->classes[g->src], &t->device, src))
		return false;
	for (uint32_t i = 0; i < g->n_dsts; i++)
		for (size_t j = 0; j < dst->n; j++)
			if (sel_meets(s, g->dsts[i], dst->v[j]))
				return true;
	return false;
}

/* Every source address must be let through to some address of the destination. */
static bool allowed(const struct policy_state *s, const struct spread *src,
		    const struct spread *dst, const struct test_dst *d, const struct test_case *t)
{
	for (size_t i = 0; i < src->n; i++) {
		bool through = false;

		for (uint32_t g = 0; g < s->p->n_grants && !through; g++)
			through = grant_allows(s, &s->p->grants[g], src->v[i], dst, d, t);
		if (!through)
			return false;
	}
	return true;
}

static const char *dst_trouble(const struct policy_state *s, const struct test_case *t,
			       const struct test_dst *d, const struct spread *dst)
{
	enum sel_kind kind;

	if (d->bad)
		return d->bad;
	kind = s->p->sels[d->sel]->kind;
	if (kind == SEL_INTERNET || kind == SEL_SELF || kind == SEL_ANY || kind == SEL_DANGER_ALL ||
	    kind == SEL_IPSET)
		return "not valid as a test destination";
	if (!d->port && t->proto != 1 && t->proto != 58)
		return "test destination port must be a single port";
	if (kind == SEL_HOST && (dst->n != 1 || !ip_equal(dst->v[0].first, dst->v[0].last)))
		return "the host stands for more than one address";
	return dst->n ? NULL : "the destination has no addresses";
}

static void run_dsts(struct prober *b, const struct test_case *t, const struct spread *src,
		     bool accept)
{
	const struct test_dst *list = accept ? t->accept : t->deny;
	uint32_t n = accept ? t->n_accept : t->n_deny;

	for (uint32_t i = 0; i < n; i++) {
		struct spread dst = { 0 };
		const char *why;

		if (!list[i].bad)
			spread_sel(b->s, list[i].sel, &dst);
		why = dst_trouble(b->s, t, &list[i], &dst);
		if (!why && allowed(b->s, src, &dst, &list[i], t) != accept)
			why = accept ? "expected ALLOWED, got DENIED"
				     : "expected DENIED, got ALLOWED";
		if (why)
			failed(b, list[i].at, t->src_at,
			       said(b, "%.*s -> %.*s: %s", t->src_at->text, list[i].at->text, why));
		mem_free(dst.v);
	}
}

static void run_test(struct prober *b, const struct test_case *t)
{
	struct spread src = { 0 };

	if (t->bad) {
		failed(b, t->v, t->src_at, t->bad);
		return;
	}
	spread_sel(b->s, t->src, &src);
	if (!src.n)
		failed(b, t->src_at, t->src_at, "source resolved to no IP addresses");
	else {
		run_dsts(b, t, &src, true);
		run_dsts(b, t, &src, false);
	}
	mem_free(src.v);
}

/* ---- SSH ---- */

enum admits { ADMITS_NOT, ADMITS_ACCEPT = 1, ADMITS_CHECK = 2 };

static bool maps(const struct ssh_rule *r, struct bytes login)
{
	const struct ssh_user *star = NULL;

	for (size_t i = 0; i < r->n_users; i++) {
		if (bytes_equal(r->users[i].login, login))
			return r->users[i].local.n > 0;
		if (bytes_equal_str(r->users[i].login, "*"))
			star = &r->users[i];
	}
	return star && !bytes_equal_str(login, "root");
}

static unsigned admits(const struct policy_ssh *ssh, struct ip from, struct bytes login)
{
	unsigned out = ADMITS_NOT;

	for (size_t i = 0; i < ssh->n; i++) {
		const struct ssh_rule *r = &ssh->rules[i];

		for (size_t k = 0; k < r->n_principals; k++)
			if (ip_equal(r->principals[k], from) && maps(r, login))
				out |= r->check ? ADMITS_CHECK : ADMITS_ACCEPT;
	}
	return out;
}

static void probe_login(struct prober *b, const struct ssh_case *t, const struct spread *src,
			const struct policy_ssh *ssh, const struct json *login, unsigned want)
{
	for (size_t i = 0; i < src->n; i++) {
		unsigned got = admits(ssh, src->v[i].first, login->text);
		bool fine = want == ADMITS_NOT     ? got == ADMITS_NOT
			    : want == ADMITS_CHECK ? (got & ADMITS_CHECK) != 0
						   : got != ADMITS_NOT;

		if (fine && login->text.n)
			continue;
		failed(b, login, t->src_at,
		       said(b, "%.*s/%.*s: %s", t->src_at->text, login->text,
			    want == ADMITS_NOT     ? "expected DENIED, got ALLOWED"
			    : got == ADMITS_ACCEPT ? "expected ALLOWED via check, got ALLOWED via "
						     "accept"
						   : "expected ALLOWED, got DENIED"));
		return;
	}
}

static void probe_node(struct prober *b, const struct ssh_case *t, const struct spread *src,
		       const struct node *n)
{
	struct policy_ssh ssh;

	if (policy_state_ssh(b->s, n->n.id, &ssh, NULL) < 0)
		return;
	json_each (it, t->accept)
		probe_login(b, t, src, &ssh, it, ADMITS_ACCEPT);
	json_each (it, t->check)
		probe_login(b, t, src, &ssh, it, ADMITS_CHECK);
	json_each (it, t->deny)
		probe_login(b, t, src, &ssh, it, ADMITS_NOT);
	policy_ssh_fini(&ssh);
}

/* Every node the destinations name, once. */
static void ssh_targets(const struct policy_state *s, const struct ssh_case *t, struct ids *out,
			bool *empty)
{
	for (uint32_t i = 0; i < t->n_dsts; i++) {
		const struct members *m = &s->members[t->dsts[i]];
		uint32_t before = out->n;

		for (uint32_t j = 0; j < m->n; j++)
			if (s->nodes[m->v[j].node]->sels[m->v[j].back].how & HOW_ADDR)
				ids_add(out, m->v[j].node);
		*empty |= out->n == before;
	}
	if (t->self && s->p->sels[t->src]->kind == SEL_USER) {
		const struct members *m = &s->members[t->src];

		for (uint32_t j = 0; j < m->n; j++)
			ids_add(out, m->v[j].node);
	} else if (t->self) {
		*empty = true;
	}
}

/* Every node but the sources keeps what it has; the sources have what the test says. */
static void assume(struct policy_state *s, const struct ssh_case *t)
{
	const struct members *m = &s->members[t->src];

	for (uint32_t i = 0; i < m->n; i++) {
		struct node *n = s->nodes[m->v[i].node];

		for (uint32_t p = 0; p < s->p->n_postures; p++)
			n->postures[p] = posture_holds(&s->p->postures[p], &t->device);
	}
}

static void forget_assumption(struct policy_state *s, const struct ssh_case *t)
{
	const struct members *m = &s->members[t->src];

	for (uint32_t i = 0; i < m->n; i++) {
		struct node *n = s->nodes[m->v[i].node];

		for (uint32_t p = 0; p < s->p->n_postures; p++)
			n->postures[p] = posture_holds(&s->p->postures[p], &n->n);
	}
}

static void run_ssh_test(struct prober *b, const struct ssh_case *t)
{
	struct spread src = { 0 };
	struct ids nodes = { 0 };
	bool empty = false;
	const char *why = t->bad;

	if (!why && (!t->accept || !t->accept->count) && (!t->check || !t->check->count) &&
	    (!t->deny || !t->deny->count))
		why = "no accept, deny, or check assertions specified";
	if (!why) {
		spread_sel(b->s, t->src, &src);
		ssh_targets(b->s, t, &nodes, &empty);
		why = !src.n              ? "source resolved to no IP addresses"
		      : empty || !nodes.n ? "a destination resolved to no nodes"
					  : NULL;
	}
	if (why)
		failed(b, t->v, t->src_at, why);
	if (!why) {
		assume(b->s, t);
		for (uint32_t i = 0; i < nodes.n; i++)
			probe_node(b, t, &src, b->s->nodes[nodes.v[i]]);
		forget_assumption(b->s, t);
	}
	mem_free(src.v);
	mem_free(nodes.v);
}

bool policy_run_tests(struct policy_state *s, struct policy_report *report)
{
	struct prober b = { s, report, &report->arena, true };

	for (uint32_t i = 0; i < s->p->n_tests; i++)
		run_test(&b, &s->p->tests[i]);
	for (uint32_t i = 0; i < s->p->n_ssh_tests; i++)
		run_ssh_test(&b, &s->p->ssh_tests[i]);
	return b.ok;
}
