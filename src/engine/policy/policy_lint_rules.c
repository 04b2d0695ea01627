/* Rules that do nothing: nobody can use them, or another rule says the same and more. */
#include "engine/policy/policy_lint.h"

#include <stdio.h>

/* Where thousands of rules share sources and destinations, the search ends here. */
enum { SHADOW_STEPS_MAX = 20000000 };

/* ---- rules nobody can use ---- */

static bool has_sources(const struct policy_state *s, const struct grant *g)
{
	return !state_class_empty(s, g->src);
}

static bool has_destinations(const struct policy_state *s, const struct grant *g)
{
	if (g->self)
		return true;
	for (uint32_t i = 0; i < g->n_dsts; i++) {
		const struct sel *d = s->p->sels[g->dsts[i]];

		if (d->kind == SEL_ANY || s->members[d->id].n)
			return true;
	}
	return false;
}

/* A rule is as many grants as it has destinations; it is dead when all of them are. */
static void lint_unused(struct linter *l)
{
	const struct policy *p = l->s->p;

	for (uint32_t i = 0, n; i < p->n_grants && !p->allow_all; i += n) {
		const struct grant *g = &p->grants[i];
		bool reached = false;

		for (n = 0; i + n < p->n_grants && p->grants[i + n].acl == g->acl &&
			    p->grants[i + n].rule == g->rule;
		     n++)
			reached |= has_destinations(l->s, &p->grants[i + n]);
		if (!has_sources(l->s, g))
			lint_finding(l, "unused", g->where, (struct bytes){ 0 },
				     "no node is a source of this rule", LINT_NO_FIX, NULL);
		else if (!reached)
			lint_finding(l, "unused", g->where, (struct bytes){ 0 },
				     "no node is or serves a destination of this rule", LINT_NO_FIX,
				     NULL);
	}
}

/* ---- rules another covers ---- */

static bool sel_covers(const struct policy *p, uint32_t wide, uint32_t narrow)
{
	const struct sel *w = p->sels[wide], *n = p->sels[narrow];
	struct ipset a = { w->range, w->n_ranges, w->n_ranges };
	struct ipset b = { n->range, n->n_ranges, n->n_ranges };

	return wide == narrow ||
	       (sel_is_literal(w) && sel_is_literal(n) && n->n_ranges && ipset_covers_set(&a, &b));
}

static bool source_covers(const struct policy *p, const struct cls *w, const struct cls *n)
{
	for (uint32_t i = 0; i < w->postures.n; i++)
		if (w->postures.n &&
		    (!n->postures.n || !lint_has_id(&n->postures, w->postures.v[i])))
			return false;
	for (uint32_t i = 0; i < n->postures.n && w->postures.n; i++)
		if (!lint_has_id(&w->postures, n->postures.v[i]))
			return false;
	for (uint32_t i = 0; i < n->sels.n; i++) {
		const struct sel *s = p->sels[n->sels.v[i]];
		bool covered =
		    w->danger || (w->any && !sel_is_literal(s) && s->kind != SEL_DANGER_ALL);

		for (uint32_t k = 0; k < w->sels.n && !covered; k++)
			covered = sel_covers(p, w->sels.v[k], s->id);
		if (!covered)
			return false;
	}
	return true;
}

static bool ports_cover(const struct grant *w, const struct grant *n)
{
	for (uint32_t i = 0; i < n->n_protos; i++)
		for (uint32_t k = 0; k < n->protos[i].n_ports; k++) {
			const struct port_range *r = &n->protos[i].ports[k];
			int proto = n->protos[i].proto;
			bool usual = proto == 1 || proto == 6 || proto == 17 || proto == 58;
			bool covered = false;

			for (uint32_t a = 0; a < w->n_protos; a++)
				for (uint32_t b = 0; b < w->protos[a].n_ports; b++)
					covered |= (w->protos[a].proto == proto ||
						    (w->protos[a].proto < 0 && usual)) &&
						   w->protos[a].ports[b].first <= r->first &&
						   r->last <= w->protos[a].ports[b].last;
			if (!covered)
				return false;
		}
	return true;
}

static bool covers(const struct policy *p, const struct grant *w, const struct grant *n)
{
	if (w->n_via || n->n_via || n->n_caps || (n->self && !w->self) || !ports_cover(w, n) ||
	    !source_covers(p, p->classes[w->src], p->classes[n->src]))
		return false;
	for (uint32_t i = 0; i < n->n_dsts; i++) {
		bool covered = false;

		for (uint32_t k = 0; k < w->n_dsts && !covered; k++)
			covered = p->sels[w->dsts[k]]->kind == SEL_ANY ||
				  sel_covers(p, w->dsts[k], n->dsts[i]);
		if (!covered)
			return false;
	}
	return true;
}

/*
 * Grants that may cover one: those whose sources take in its first source, or whose destinations
 * take in its first destination, whichever are fewer.
 */
struct search {
	struct linter *l;
	const struct grant *n;
	struct ids from_src, from_dst;
	bool dst;
	uint64_t steps;
};

static void note_grants(struct search *q, const struct sel *d)
{
	const struct policy *p = q->l->s->p;

	for (uint32_t i = 0; i < d->n_dst_uses && q->dst; i++)
		ids_add(&q->from_dst, d->dst_uses[i].grant);
	for (uint32_t i = 0; i < d->classes.n && !q->dst; i++) {
		const struct cls *k = p->classes[d->classes.v[i]];

		for (uint32_t j = 0; j < k->grants.n; j++)
			ids_add(&q->from_src, k->grants.v[j]);
	}
}

static void note_span(void *arg, uint32_t sel)
{
	struct search *q = arg;

	note_grants(q, q->l->s->p->sels[sel]);
}

static void note_covering(struct search *q, uint32_t narrow)
{
	const struct policy *p = q->l->s->p;
	const struct sel *d = p->sels[narrow];
	const struct sel *wide[] = { policy_find_sel(p, bytes_str("*")),
				     policy_find_sel(p, bytes_str("autogroup:danger-all")) };

	if (sel_is_literal(d) && d->n_ranges)
		policy_spans_at(p, d->range[0].first, note_span, q);
	else
		note_grants(q, d);
	for (size_t i = 0; i < array_len(wide); i++)
		if (wide[i] && wide[i] != d)
			note_grants(q, wide[i]);
}

static const struct ids *find_candidates(struct search *q, const struct grant *n)
{
	const struct cls *k = q->l->s->p->classes[n->src];

	q->n = n;
	q->from_src.n = q->from_dst.n = 0;
	q->dst = false;
	if (k->sels.n)
		note_covering(q, k->sels.v[0]);
	q->dst = true;
	if (!n->n_dsts)
		return &q->from_src;
	note_covering(q, n->dsts[0]);
	return q->from_src.n < q->from_dst.n ? &q->from_src : &q->from_dst;
}

/* The first grant of another rule that says what this one does; NULL: none. */
static const struct grant *shadow_of(struct search *q, const struct grant *n)
{
	const struct policy *p = q->l->s->p;
	const struct ids *list = find_candidates(q, n);
	const struct grant *found = NULL;

	for (uint32_t i = 0; i < list->n && q->steps < SHADOW_STEPS_MAX; i++, q->steps++) {
		const struct grant *w = &p->grants[list->v[i]];

		if ((n->acl == w->acl && n->rule == w->rule) || (found && found->id <= w->id))
			continue;
		if (covers(p, w, n) && !(w->id > n->id && covers(p, n, w)))
			found = w;
	}
	return found;
}

static void say_shadowed(struct linter *l, const struct grant *n, const struct grant *w,
			 bool removable)
{
	const struct policy *p = l->s->p;
	unsigned line, column;
	char text[256];

	json_where(p->text, w->where.start, &line, &column);
	(void)snprintf(text, sizeof(text), "is allowed by the rule at line %u already", line);
	lint_finding(l, "shadowed", n->where,
		     n->n_dsts == 1 ? p->sels[n->dsts[0]]->name : bytes_str("this"), text,
		     removable ? LINT_REMOVE_SAFE : LINT_NO_FIX, NULL);
}

/* A rule whose every part is covered by rules that stay may go as a whole. */
static void lint_shadowed(struct linter *l)
{
	const struct policy *p = l->s->p;
	struct search q = { .l = l };

	for (uint32_t i = 0, n; i < p->n_grants && !p->allow_all; i += n) {
		const struct grant *g = &p->grants[i];
		const struct grant **by;
		bool all = true;

		for (n = 0; i + n < p->n_grants && p->grants[i + n].acl == g->acl &&
			    p->grants[i + n].rule == g->rule;)
			n++;
		by = mem_alloc(n * sizeof(*by));
		for (uint32_t k = 0; k < n; k++) {
			by[k] = shadow_of(&q, &g[k]);
			all &= by[k] != NULL;
		}
		for (uint32_t k = 0; k < n; k++)
			if (by[k])
				say_shadowed(l, &g[k], by[k], all);
		mem_free(by);
	}
	mem_free(q.from_src.v);
	mem_free(q.from_dst.v);
}

void lint_rules(struct linter *l)
{
	lint_unused(l);
	lint_shadowed(l);
}
