/*
 * What autogroup:self means to the nodes of one user: which of them are sources, per class of
 * sources. All nodes of the user share the answer, so it is found once and kept until one of them
 * changes; a node's filter then costs no more under self than under any other rule.
 */
#include "engine/policy/state.h"

static struct self_srcs *entry_of(struct self_list *l, uint32_t cls)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (l->v[i].cls == cls)
			return &l->v[i];
	mem_reserve(l->v, l->n, l->cap);
	l->v[l->n] = (struct self_srcs){ .cls = cls };
	return &l->v[l->n++];
}

static void add_node(uint64_t sum[2], const struct node *n)
{
	if (n->n.v4.family)
		content_add_range(sum, (struct ip_range){ n->n.v4, n->n.v4 });
	if (n->n.v6.family)
		content_add_range(sum, (struct ip_range){ n->n.v6, n->n.v6 });
}

static void gather(struct policy_state *s, const struct ids *mine, struct self_list *l)
{
	for (uint32_t i = 0; i < mine->n; i++) {
		const struct node *n = s->nodes[mine->v[i]];
		struct src_hit *hits;
		uint32_t count = state_src_hits(s, n, &hits);

		add_node(l->sum, n);
		for (uint32_t j = 0; j < count; j++)
			if (s->p->classes[hits[j].cls]->self_grants.n && src_hit_addr(&hits[j]))
				add_node(entry_of(l, hits[j].cls)->sum, n);
		mem_free(hits);
	}
}

const struct self_list *state_selves(struct policy_state *s, uint32_t user)
{
	struct self_list *l = &s->selves[user];

	if (!l->known) {
		gather(s, &s->user_nodes[user], l);
		l->known = true;
	}
	return l;
}

void state_forget_selves(struct policy_state *s, uint32_t user)
{
	struct self_list *l = &s->selves[user];

	for (uint32_t i = 0; i < l->n; i++)
		srcs_unref(l->v[i].srcs);
	srcs_unref(l->srcs);
	mem_free(l->v);
	*l = (struct self_list){ 0 };
}

static struct policy_srcs *print(const struct policy_state *s, const struct ids *mine,
				 const struct self_srcs *only)
{
	struct ip_range *r = mem_resize(NULL, 2 * (size_t)mine->n, sizeof(*r));
	struct policy_srcs *out;
	size_t n = 0;

	for (uint32_t i = 0; i < mine->n; i++) {
		const struct node *o = s->nodes[mine->v[i]];
		struct src_hit h = { .any = true };

		if (only)
			h = state_src_hit(s, o, only->cls);
		if (o->n.v4.family && src_hit_addr(&h))
			r[n++] = (struct ip_range){ o->n.v4, o->n.v4 };
		if (o->n.v6.family && src_hit_addr(&h))
			r[n++] = (struct ip_range){ o->n.v6, o->n.v6 };
	}
	out = srcs_of_ranges(r, n);
	mem_free(r);
	return out;
}

/* entry: place in the list, or NO_SEL for all nodes of the user. Borrowed until a node changes. */
struct policy_srcs *state_self_print(struct policy_state *s, uint32_t user, uint32_t entry)
{
	struct self_list *l = &s->selves[user];
	struct self_srcs *only = entry == NO_SEL ? NULL : &l->v[entry];
	struct policy_srcs **at = only ? &only->srcs : &l->srcs;

	if (!*at)
		*at = print(s, &s->user_nodes[user], only);
	return *at;
}
