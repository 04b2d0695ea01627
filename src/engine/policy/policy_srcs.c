/* Source lists: their content as a sum, their text as the wire wants it. */
#include "engine/policy/state.h"

#include <stdio.h>
#include <stdlib.h>

static bool prints_subnets(const struct cls *k)
{
	return k->any || k->any_posture;
}

void state_content(const struct policy_state *s, uint32_t cls, bool via, uint64_t out[2])
{
	const struct cls *k = s->p->classes[cls];
	const struct class_state *st = &s->classes[cls];

	out[0] = out[1] = 0;
	if (k->danger) {
		content_add(out, "danger", 6);
		return;
	}
	if (via && k->any) {
		content_add(out, "*", 1);
	} else {
		out[0] = k->base[0] + st->sum[0];
		out[1] = k->base[1] + st->sum[1];
	}
	if (!prints_subnets(k))
		return;
	out[0] += s->subnets_sum[0];
	out[1] += s->subnets_sum[1];
	for (size_t i = 0; i < k->n_printed && !(via && k->any); i++) {
		struct prefix p; /* printed once, though it is a literal and a subnet */

		if (range_is_prefix(k->printed[i], &p) && state_subnet(s, p))
			content_sub_range(out, k->printed[i]);
	}
}

bool state_class_empty(const struct policy_state *s, uint32_t cls)
{
	const struct cls *k = s->p->classes[cls];

	return !k->any && !k->danger && !k->lits.n && !s->classes[cls].adds &&
	       !(k->any_posture && s->subnets.n);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorts as plain strings, which is how the service sends them, and drops doubles. */
struct policy_srcs *srcs_of_ranges(const struct ip_range *r, size_t n)
{
	struct policy_srcs *out = mem_alloc(sizeof(*out));
	char text[FILTER_TEXT_MAX];
	size_t at = 0, cap = 0, kept = 0;
	size_t *offsets = mem_resize(NULL, n + 1, sizeof(*offsets));

	out->refs = 1;
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(filter_range_format(r[i], text)) + 1;

		while (at + len > cap) {
			cap = cap ? cap * 2 : 256;
			out->text = mem_resize(out->text, cap, 1);
		}
		memcpy(out->text + at, text, len);
		offsets[i] = at;
		at += len;
	}
	out->v = mem_resize(NULL, n + 1, sizeof(*out->v));
	for (size_t i = 0; i < n; i++)
		out->v[i] = out->text + offsets[i];
	mem_free(offsets);
	if (n)
		qsort(out->v, n, sizeof(*out->v), by_text);
	for (size_t i = 1; i < n; i++)
		if (strcmp(out->v[i], out->v[kept]) != 0)
			out->v[++kept] = out->v[i];
	out->n = n ? kept + 1 : 0;
	return out;
}

struct ranges {
	struct ip_range *v;
	size_t n, cap;
};

static void push(struct ranges *r, struct ip_range range)
{
	mem_reserve(r->v, r->n, r->cap);
	r->v[r->n++] = range;
}

static void push_node(struct ranges *r, const struct node *n, uint8_t which)
{
	if (which & HOW_V4 && n->n.v4.family)
		push(r, (struct ip_range){ n->n.v4, n->n.v4 });
	if (which & HOW_V6 && n->n.v6.family)
		push(r, (struct ip_range){ n->n.v6, n->n.v6 });
}

/* The nodes' addresses one by one, each node once. */
static void push_members(struct policy_state *s, const struct cls *k, struct ranges *r)
{
	uint32_t stamp = state_next_stamp(s);

	for (uint32_t i = 0; i < k->sels.n; i++) {
		const struct sel *sel = s->p->sels[k->sels.v[i]];
		const struct members *m = &s->members[sel->id];

		if (k->postures.n ? false : sel_is_literal(sel) || sel->kind == SEL_ANY)
			continue;
		for (uint32_t j = 0; j < m->n; j++) {
			const struct node *n = s->nodes[m->v[j].node];
			struct src_hit h;

			if (s->node_stamp[n->slot] == stamp)
				continue;
			s->node_stamp[n->slot] = stamp;
			h = state_src_hit(s, n, k->id);
			push_node(r, n, h.adds & (uint8_t)~h.lit);
		}
	}
}

static void push_subnets(const struct policy_state *s, struct ranges *r)
{
	const struct subnet *net;
	size_t it = 0;

	while ((net = map_next(&s->subnets, &it)))
		push(r, prefix_range(net->prefix));
}

static struct policy_srcs *star(void)
{
	struct policy_srcs *out = mem_alloc(sizeof(*out));

	out->refs = 1;
	out->v = mem_alloc(sizeof(*out->v));
	out->v[0] = "*";
	out->n = 1;
	return out;
}

static struct policy_srcs *render(struct policy_state *s, const struct cls *k, bool via)
{
	struct policy_srcs *out;
	struct ranges r = { 0 };

	if (k->danger)
		return star();
	for (size_t i = 0; i < s->p->wild.n && k->any; i++)
		push(&r, s->p->wild.r[i]);
	if (!(via && k->any)) {
		for (size_t i = 0; i < k->n_printed; i++)
			push(&r, k->printed[i]);
		push_members(s, k, &r);
	}
	if (prints_subnets(k))
		push_subnets(s, &r);
	out = srcs_of_ranges(r.v, r.n);
	mem_free(r.v);
	return out;
}

/* Borrowed: the class keeps it until its content changes. */
struct policy_srcs *state_srcs(struct policy_state *s, uint32_t cls, bool via)
{
	struct class_state *k = &s->classes[cls];
	struct policy_srcs **at = via && s->p->classes[cls]->any ? &k->via_srcs : &k->srcs;

	if (!*at)
		*at = render(s, s->p->classes[cls], via);
	return *at;
}
