#include "engine/policy/policy_explain.h"

#include <stdio.h>

#include "base/err.h"
#include "base/text.h"
#include "engine/policy/policy_say.h"

enum { ENDS_MAX = 32, PATHS_MAX = 256 };

/* One end of a path: a node, or an address that no node has. */
struct end {
	const struct node *node;
	struct ip ip;
};

struct ends {
	struct end v[ENDS_MAX];
	size_t n;
};

struct asking {
	struct policy_state *s;
	struct ends src, dst;
	uint64_t port;
	bool has_port;
	int proto; /* -1: any */
};

struct verdict {
	bool src, posture, dst, port;
	uint32_t src_sel, dst_sel;
	const char *how;
	const struct node *router;
	struct prefix route;
};

static void add_end(struct ends *e, const struct node *n, struct ip ip)
{
	if (e->n < ENDS_MAX)
		e->v[e->n++] = (struct end){ n, ip };
}

static const struct node *node_at(const struct policy_state *s, struct ip ip)
{
	return map_get(ip.family == 4 ? &s->by_v4 : &s->by_v6, bytes_of(ip.b, ip_len(ip)));
}

static bool find_ends(const struct policy_state *s, struct bytes text, struct ends *out)
{
	const struct sel *sel = policy_find_sel(s->p, text);
	const struct named *name = policy_name(s->p, text);
	struct prefix p;
	uint32_t user;

	out->n = 0;
	if (policy_address(text, &p)) {
		const struct node *n = prefix_is_single(p) ? node_at(s, p.addr) : NULL;

		add_end(out, n, p.addr);
	} else if (name && name->kind == SEL_HOST && name->set.n) {
		add_end(out, node_at(s, name->set.r[0].first), name->set.r[0].first);
	} else if (sel && !sel_is_literal(sel)) {
		for (uint32_t i = 0; i < s->members[sel->id].n; i++)
			add_end(out, s->nodes[s->members[sel->id].v[i].node], (struct ip){ 0 });
	} else if (policy_user_at(s->p, text, &user)) {
		for (uint32_t i = 0; i < s->user_nodes[user].n; i++)
			add_end(out, s->nodes[s->user_nodes[user].v[i]], (struct ip){ 0 });
	} else {
		for (uint32_t i = 0; i < s->n_slots; i++)
			for (size_t t = 0; s->nodes[i] && t < s->nodes[i]->n.n_tags; t++)
				if (bytes_equal(s->nodes[i]->n.tags[t], text))
					add_end(out, s->nodes[i], (struct ip){ 0 });
	}
	return out->n > 0;
}

/* ":port" and "/proto" at the end, when they are there. */
static struct bytes split_dst(struct bytes text, struct asking *q)
{
	const uint8_t *slash = text.p ? memrchr(text.p, '/', text.n) : NULL, *colon;
	struct prefix p;
	struct bytes tail;

	q->proto = -1;
	if (slash && !policy_address(text, &p)) {
		tail = bytes_from(text, (size_t)(slash - text.p) + 1);
		if (policy_proto_number(tail, &q->proto))
			text.n = (size_t)(slash - text.p);
	}
	colon = text.p ? memrchr(text.p, ':', text.n) : NULL;
	if (colon && !policy_address(text, &p)) {
		tail = bytes_from(text, (size_t)(colon - text.p) + 1);
		q->has_port = text_u64(tail, UINT16_MAX, &q->port);
		if (q->has_port || bytes_equal_str(tail, "*"))
			text.n = (size_t)(colon - text.p);
	}
	return text;
}

/* ---- does one grant carry one path? ---- */

/* Addresses without a node that "*" as a source takes in: the tailnet's, and those of subnets. */
static bool in_star(const struct policy_state *s, struct ip ip)
{
	const struct subnet *net;
	size_t it = 0;

	if (ipset_contains(&s->p->wild, ip))
		return true;
	while ((net = map_next(&s->subnets, &it)))
		if (prefix_contains(net->prefix, ip))
			return true;
	return false;
}

static bool holds(const struct policy_state *s, const struct sel *sel, const struct end *e,
		  uint8_t how)
{
	if (sel->kind == SEL_DANGER_ALL)
		return true;
	if (sel->kind == SEL_ANY)
		return e->node || how == 0 || in_star(s, e->ip);
	if (e->node && node_has_sel(e->node, sel->id, HOW_ADDR))
		return true;
	for (uint32_t i = 0; i < sel->n_ranges; i++)
		if (e->ip.family && range_contains(sel->range[i], e->ip))
			return true;
	return false;
}

static void find_source(const struct policy_state *s, const struct grant *g, const struct end *e,
			struct verdict *v)
{
	const struct cls *k = s->p->classes[g->src];

	for (uint32_t i = 0; i < k->sels.n && !v->src; i++) {
		v->src = holds(s, s->p->sels[k->sels.v[i]], e, 1);
		v->src_sel = k->sels.v[i];
	}
	v->posture = !e->node || state_passes(k, e->node);
}

/* An address that is no node's is reached through whoever serves a subnet around it, or an exit. */
static void find_router(const struct policy_state *s, const struct grant *g, struct ip ip,
			struct verdict *v)
{
	const struct subnet *net, *best = NULL;
	size_t it = 0;

	while ((net = map_next(&s->subnets, &it)))
		if (prefix_contains(net->prefix, ip) &&
		    (!best || net->prefix.len > best->prefix.len))
			best = net;
	if (best) {
		uint32_t slot = g->n_via ? state_via_primary(s, g, best) : best->primary;

		v->route = best->prefix;
		v->router = slot == NO_NODE ? NULL : s->nodes[slot];
	} else {
		for (uint32_t i = 0; i < s->exits.n && !v->router; i++)
			if (!g->n_via || node_has_via_tag(g, s->nodes[s->exits.v[i]]))
				v->router = s->nodes[s->exits.v[i]];
		v->route.addr.family = v->router ? ip.family : 0;
	}
	v->how = v->router ? "through a router" : "but no node serves a route to it";
}

static void find_destination(const struct policy_state *s, const struct grant *g,
			     const struct end *from, const struct end *to, struct verdict *v)
{
	if (g->self && from->node && to->node && from->node->user != NO_USER &&
	    from->node->user == to->node->user) {
		v->dst = true;
		v->dst_sel = NO_SEL;
		v->how = "same owner";
		return;
	}
	for (uint32_t i = 0; i < g->n_dsts && !v->dst; i++) {
		v->dst = holds(s, s->p->sels[g->dsts[i]], to, 0);
		v->dst_sel = g->dsts[i];
	}
	if (!v->dst)
		return;
	v->how = "its own address";
	if (to->node && g->n_via) /* the nodes themselves are not reached through a via grant */
		v->dst = false;
	else if (!to->node)
		find_router(s, g, to->ip, v);
}

static bool carries(const struct asking *q, const struct grant *g)
{
	for (uint32_t i = 0; i < g->n_protos; i++) {
		const struct proto_group *p = &g->protos[i];
		bool usual = q->proto < 0 || q->proto == 1 || q->proto == 6 || q->proto == 17 ||
			     q->proto == 58;

		if (p->proto < 0 ? !usual : q->proto >= 0 && q->proto != p->proto)
			continue;
		for (uint32_t k = 0; k < p->n_ports; k++)
			if (!q->has_port ||
			    (p->ports[k].first <= q->port && q->port <= p->ports[k].last))
				return true;
	}
	return false;
}

static struct verdict judge(const struct asking *q, const struct grant *g, const struct end *from,
			    const struct end *to)
{
	struct verdict v = { .how = "" };

	find_source(q->s, g, from, &v);
	find_destination(q->s, g, from, to, &v);
	v.port = carries(q, g);
	return v;
}

static bool passes(const struct verdict *v, const struct end *to)
{
	return v->src && v->posture && v->dst && v->port && (to->node || v->router);
}

/* ---- saying it ---- */

static void say_grant(struct json_out *o, const struct asking *q, const struct grant *g,
		      const struct verdict *v, const struct end *from, const char *missing)
{
	const struct policy *p = q->s->p;
	char text[PREFIX_TEXT_MAX];

	json_open_object(o);
	policy_say_rule(o, p, g);
	if (v->src) {
		json_key(o, "source");
		json_put_string(o, p->sels[v->src_sel]->name);
	}
	if (v->src && p->sels[v->src_sel]->kind == SEL_GROUP && from->node &&
	    from->node->user != NO_USER) {
		json_key(o, "member");
		json_put_string(o, p->users[from->node->user].login);
	}
	if (v->dst) {
		json_key(o, "destination");
		json_put_string(o, v->dst_sel == NO_SEL ? bytes_str("autogroup:self")
							: p->sels[v->dst_sel]->name);
		json_key(o, "how");
		json_put_cstr(o, v->how);
	}
	for (uint32_t i = 0; i < p->classes[g->src]->postures.n; i++) {
		const struct posture *ps = &p->postures[p->classes[g->src]->postures.v[i]];

		if (!from->node || !from->node->postures[ps - p->postures])
			continue;
		json_key(o, "posture");
		json_put_string(o, ps->name);
		break;
	}
	if (v->router) {
		json_key(o, "router");
		json_put_u64(o, v->router->n.id);
		json_key(o, "route");
		json_put_cstr(o, prefix_format(v->route, text));
	}
	if (missing) {
		json_key(o, "missing");
		json_put_cstr(o, missing);
	}
	json_close_object(o);
}

static const char *what_lacks(const struct verdict *v, const struct end *to)
{
	if (!v->src || !v->dst)
		return NULL;
	if (!v->posture)
		return "the source has none of the postures this rule asks for";
	if (!v->port)
		return "the rule is about other ports or another protocol";
	return !to->node && !v->router ? "no node serves a route to that address" : NULL;
}

static void say_end(struct json_out *o, const struct policy_state *s, const struct end *e)
{
	char text[IP_TEXT_MAX];

	if (!e->node) {
		json_put_cstr(o, ip_format(e->ip, text));
		return;
	}
	json_open_object(o);
	json_key(o, "node");
	json_put_u64(o, e->node->n.id);
	json_key(o, "address");
	json_put_cstr(o, ip_format(e->node->n.v4.family ? e->node->n.v4 : e->node->n.v6, text));
	if (e->node->user != NO_USER) {
		json_key(o, "user");
		json_put_string(o, s->p->users[e->node->user].login);
	}
	json_key(o, "tags");
	json_open_array(o);
	for (size_t i = 0; i < e->node->n.n_tags; i++)
		json_put_string(o, e->node->n.tags[i]);
	json_close_array(o);
	json_close_object(o);
}

static bool say_path(struct json_out *o, const struct asking *q, const struct end *from,
		     const struct end *to)
{
	bool allowed = false;

	json_open_object(o);
	json_key(o, "src");
	say_end(o, q->s, from);
	json_key(o, "dst");
	say_end(o, q->s, to);
	json_key(o, "because");
	json_open_array(o);
	for (uint32_t i = 0; i < q->s->p->n_grants; i++) {
		const struct grant *g = &q->s->p->grants[i];
		struct verdict v = judge(q, g, from, to);

		if (passes(&v, to)) {
			allowed = true;
			say_grant(o, q, g, &v, from, NULL);
		}
	}
	json_close_array(o);
	json_key(o, "nearly");
	json_open_array(o);
	for (uint32_t i = 0; i < q->s->p->n_grants && !allowed; i++) {
		const struct grant *g = &q->s->p->grants[i];
		struct verdict v = judge(q, g, from, to);
		const char *missing = what_lacks(&v, to);

		if (missing)
			say_grant(o, q, g, &v, from, missing);
	}
	json_close_array(o);
	json_key(o, "allowed");
	json_put_bool(o, allowed);
	json_close_object(o);
	return allowed;
}

int policy_explain(struct policy_state *s, struct bytes src, struct bytes dst, struct buf *out,
		   struct err *err)
{
	struct asking q = { .s = s };
	struct json_out o;
	size_t paths = 0;
	bool all = true;

	if (!find_ends(s, src, &q.src))
		return err_set(err, ERR_USAGE, "%.*s stands for no node and no address",
			       BYTES_FMT(src));
	if (!find_ends(s, split_dst(dst, &q), &q.dst))
		return err_set(err, ERR_USAGE, "%.*s stands for no node and no address",
			       BYTES_FMT(dst));
	json_out_init(&o, out);
	json_open_object(&o);
	json_key(&o, "paths");
	json_open_array(&o);
	for (size_t i = 0; i < q.src.n; i++)
		for (size_t j = 0; j < q.dst.n; j++)
			if (q.src.v[i].node != q.dst.v[j].node || !q.src.v[i].node)
				if (paths++ < PATHS_MAX)
					all &= say_path(&o, &q, &q.src.v[i], &q.dst.v[j]);
	json_close_array(&o);
	json_key(&o, "allowed");
	json_put_bool(&o, all && paths > 0);
	json_close_object(&o);
	return 0;
}
