/* One node's SSH rules, and whether two nodes are joined by a check. */
#include "engine/policy/state.h"

#include <stdlib.h>

#include "base/err.h"

/* A rule before it is published: principals in ips[first, first + n). */
struct draft {
	const struct ssh_entry *e;
	size_t first, n;
	struct bytes local; /* the second rule of a user: its local part alone */
};

struct desk {
	struct policy_state *s;
	const struct node *n;
	struct ip *ips;
	size_t n_ips, cap_ips;
	struct draft *drafts;
	size_t n_drafts, cap_drafts;
};

/* A source node and whom it stands for; tagged nodes come last. */
struct source {
	uint32_t slot;
	uint32_t user;
};

struct sources {
	struct source *v;
	size_t n, cap;
};

static bool is_source(const struct policy_state *s, const struct ssh_entry *e, const struct node *n)
{
	struct src_hit h = state_src_hit(s, n, e->src);

	return src_hit_addr(&h);
}

bool state_ssh_dst(const struct policy_state *s, const struct ssh_entry *e, const struct node *n)
{
	(void)s;
	for (uint32_t i = 0; i < e->n_dsts; i++)
		if (node_has_sel(n, e->dsts[i], HOW_ADDR))
			return true;
	return false;
}

static void put_node(struct desk *d, const struct node *n)
{
	size_t times = n->n.n_tags ? n->n.n_tags : 1; /* a node is listed once per tag */
	struct ip ips[2] = { n->n.v4, n->n.v6 };

	for (size_t t = 0; t < times; t++)
		for (int i = 0; i < 2; i++) {
			if (!ips[i].family)
				continue;
			mem_reserve(d->ips, d->n_ips, d->cap_ips);
			d->ips[d->n_ips++] = ips[i];
		}
}

static void put_rule(struct desk *d, const struct ssh_entry *e, size_t first, struct bytes local)
{
	if (d->n_ips == first)
		return;
	mem_reserve(d->drafts, d->n_drafts, d->cap_drafts);
	d->drafts[d->n_drafts++] = (struct draft){ e, first, d->n_ips - first, local };
}

static int by_user(const void *a, const void *b)
{
	const struct source *x = a, *y = b;

	if (x->user != y->user)
		return x->user < y->user ? -1 : 1;
	return x->slot < y->slot ? -1 : x->slot > y->slot;
}

static void gather(struct policy_state *s, const struct ssh_entry *e, struct sources *out)
{
	const struct cls *k = s->p->classes[e->src];
	uint32_t stamp = state_next_stamp(s);

	for (uint32_t i = 0; i < k->sels.n; i++) {
		const struct members *m = &s->members[k->sels.v[i]];

		for (uint32_t j = 0; j < m->n; j++) {
			const struct node *n = s->nodes[m->v[j].node];

			if (s->node_stamp[n->slot] == stamp || !is_source(s, e, n))
				continue;
			s->node_stamp[n->slot] = stamp;
			mem_reserve(out->v, out->n, out->cap);
			out->v[out->n++] = (struct source){ n->slot, n->user };
		}
	}
	if (out->n)
		qsort(out->v, out->n, sizeof(*out->v), by_user);
}

/* The local part a user logs in with, where its domain is one the rule names. */
static struct bytes local_of(const struct policy_state *s, const struct ssh_entry *e, uint32_t user)
{
	for (uint32_t i = 0; i < e->n_domains && user != NO_USER; i++)
		if (bytes_equal(s->p->users[user].domain, e->domains[i]))
			return s->p->users[user].local;
	return (struct bytes){ 0 };
}

static void put_user_rules(struct desk *d, const struct ssh_entry *e, size_t first, uint32_t user)
{
	struct bytes local = local_of(d->s, e, user);

	put_rule(d, e, first, (struct bytes){ 0 });
	if (local.n)
		put_rule(d, e, first, local);
}

/* Rules for the addresses of one user that are sources: autogroup:self, and step 7 below. */
static void own_rules(struct desk *d, const struct ssh_entry *e)
{
	const struct ids *mine;
	size_t first = d->n_ips;

	if (d->n->user == NO_USER)
		return;
	mine = &d->s->user_nodes[d->n->user];
	for (uint32_t i = 0; i < mine->n; i++)
		if (is_source(d->s, e, d->s->nodes[mine->v[i]]))
			put_node(d, d->s->nodes[mine->v[i]]);
	put_user_rules(d, e, first, d->n->user);
}

static void all_rules(struct desk *d, const struct ssh_entry *e)
{
	struct sources src = { 0 };
	size_t first = d->n_ips;

	gather(d->s, e, &src);
	for (size_t i = 0; i < src.n; i++) {
		put_node(d, d->s->nodes[src.v[i].slot]);
		if (!e->has_localpart || (i + 1 < src.n && src.v[i + 1].user == src.v[i].user))
			continue;
		put_user_rules(d, e, first, src.v[i].user);
		first = d->n_ips;
	}
	if (!e->has_localpart)
		put_rule(d, e, first, (struct bytes){ 0 });
	mem_free(src.v);
}

/*
 * A source that is no destination still gets the rules of a localpart entry, for its own identity
 * alone; the service does so, and a node without an SSH server to reach does not mind.
 */
static void source_rules(struct desk *d, const struct ssh_entry *e)
{
	size_t first = d->n_ips;

	if (!is_source(d->s, e, d->n))
		return;
	if (!d->n->n.n_tags) {
		own_rules(d, e);
		return;
	}
	put_node(d, d->n);
	put_rule(d, e, first, (struct bytes){ 0 });
}

static void draft_all(struct desk *d)
{
	const struct policy *p = d->s->p;

	for (int check = 1; check >= 0; check--)
		for (uint32_t i = 0; i < p->n_ssh; i++) {
			const struct ssh_entry *e = &p->ssh[i];

			if (e->check != (check == 1) || !e->has_src || (!e->n_dsts && !e->self))
				continue;
			if (e->self && !d->n->n.n_tags)
				own_rules(d, e);
			if (state_ssh_dst(d->s, e, d->n))
				all_rules(d, e);
			else if (e->has_localpart && !(e->self && !d->n->n.n_tags))
				source_rules(d, e);
		}
}

static void desk_fini(struct desk *d)
{
	mem_free(d->ips);
	mem_free(d->drafts);
}

static void put_recorders(struct desk *d, const struct ssh_entry *e, struct arena *a,
			  struct ssh_rule *r)
{
	const struct members *m;
	struct addrport *out;

	if (e->recorder == NO_SEL)
		return;
	m = &d->s->members[e->recorder];
	out = arena_array(a, 2 * (size_t)m->n, sizeof(*out));
	for (uint32_t i = 0; i < m->n && out; i++) {
		const struct node *n = d->s->nodes[m->v[i].node];

		if (n->n.v4.family)
			out[r->n_recorders++] = (struct addrport){ n->n.v4, 80 };
		if (n->n.v6.family)
			out[r->n_recorders++] = (struct addrport){ n->n.v6, 80 };
	}
	r->recorders = out;
	r->enforce_recorder = e->enforce_recorder;
}

static void publish(struct desk *d, const struct draft *f, struct arena *a, struct ssh_rule *r)
{
	struct ip *ips = arena_array(a, f->n, sizeof(*ips));
	struct ssh_user *one = arena_array(a, 1, sizeof(*one));

	*r = (struct ssh_rule){ .check = f->e->check };
	if (!ips || !one)
		return;
	memcpy(ips, d->ips + f->first, f->n * sizeof(*ips));
	r->principals = ips;
	r->n_principals = f->n;
	r->users = f->e->base;
	r->n_users = f->e->n_base;
	if (f->local.n) {
		one->login = one->local = f->local;
		r->users = one;
		r->n_users = 1;
	}
	r->accept_env = f->e->accept_env;
	r->n_accept_env = f->e->n_accept_env;
	put_recorders(d, f->e, a, r);
}

int policy_state_ssh(struct policy_state *s, uint64_t id, struct policy_ssh *out, struct err *err)
{
	struct desk d = { .s = s, .n = state_node(s, id) };
	struct ssh_rule *rules;

	if (!d.n)
		return err_set(err, ERR_USAGE, "no node %llu", (unsigned long long)id);
	*out = (struct policy_ssh){ 0 };
	arena_init(&out->arena, (size_t)1 << 30);
	out->policy = policy_ref(s->p);
	draft_all(&d);
	rules = arena_array(&out->arena, d.n_drafts, sizeof(*rules));
	for (size_t i = 0; i < d.n_drafts && rules; i++)
		publish(&d, &d.drafts[i], &out->arena, &rules[out->n++]);
	out->rules = rules;
	desk_fini(&d);
	return 0;
}

void policy_ssh_fini(struct policy_ssh *f)
{
	policy_unref(f->policy);
	arena_fini(&f->arena);
	*f = (struct policy_ssh){ 0 };
}

/* Rules in order, principals in none. */
void state_ssh_sum(struct policy_state *s, const struct node *n, uint64_t out[2])
{
	struct policy_ssh ssh = { 0 };

	if (!s->p->n_ssh || policy_state_ssh(s, n->n.id, &ssh, NULL) < 0)
		return;
	for (size_t i = 0; i < ssh.n; i++) {
		const struct ssh_rule *r = &ssh.rules[i];
		uint64_t sum[8] = { out[0], out[1], r->check, r->enforce_recorder };

		for (size_t k = 0; k < r->n_principals; k++)
			content_add_range(sum + 4,
					  (struct ip_range){ r->principals[k], r->principals[k] });
		for (size_t k = 0; k < r->n_users; k++) {
			uint64_t one[4] = { 0 };

			content_add(one, r->users[k].login.p, r->users[k].login.n);
			content_add(one + 2, r->users[k].local.p, r->users[k].local.n);
			content_add(sum + 6, one, sizeof(one));
		}
		for (size_t k = 0; k < r->n_accept_env; k++) {
			sum[6] *= 31;
			content_add(sum + 6, r->accept_env[k].p, r->accept_env[k].n);
		}
		for (size_t k = 0; k < r->n_recorders; k++)
			content_add_range(
			    sum + 2, (struct ip_range){ r->recorders[k].ip, r->recorders[k].ip });
		out[0] = out[1] = 0;
		content_add(out, sum, sizeof(sum));
	}
	policy_ssh_fini(&ssh);
}

bool policy_state_ssh_check(struct policy_state *s, uint64_t src, uint64_t dst, int64_t *period_ns)
{
	const struct node *from = state_node(s, src), *to = state_node(s, dst);

	if (!from || !to)
		return false;
	for (uint32_t i = 0; i < s->p->n_ssh; i++) {
		const struct ssh_entry *e = &s->p->ssh[i];
		bool same = from->user != NO_USER && from->user == to->user;

		if (!e->check || !is_source(s, e, from) ||
		    !(state_ssh_dst(s, e, to) || (e->self && same)))
			continue;
		*period_ns = e->period_ns;
		return true;
	}
	return false;
}
