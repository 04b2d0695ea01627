/* What one node or user gets, and what changes between two states. */
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "engine/policy/policy_explain.h"
#include "engine/policy/policy_parse.h"
#include "engine/policy/policy_say.h"

struct bytes policy_excerpt(const struct policy *p, struct where w)
{
	struct bytes out = bytes_of(p->text.p + w.start, w.end - w.start);
	const uint8_t *nl;

	if (w.end > p->text.n || w.start >= w.end)
		return (struct bytes){ 0 };
	nl = memchr(out.p, '\n', out.n);
	if (nl)
		out.n = (size_t)(nl - out.p);
	while (out.n > 160 || (out.n && (out.p[out.n - 1] & 0xc0) == 0x80))
		out.n--;
	if (out.n && out.p[out.n - 1] >= 0xc0)
		out.n--;
	return out;
}

void policy_say_rule(struct json_out *o, const struct policy *p, const struct grant *g)
{
	unsigned line = 0, column = 0;

	json_key(o, "section");
	json_put_cstr(o, p->allow_all ? "(none: everything is open)" : g->acl ? "acls" : "grants");
	if (p->allow_all)
		return;
	json_where(p->text, g->where.start, &line, &column);
	json_key(o, "rule");
	json_put_u64(o, g->rule + 1);
	json_key(o, "line");
	json_put_u64(o, line);
	json_key(o, "column");
	json_put_u64(o, column);
	json_key(o, "text");
	json_put_string(o, policy_excerpt(p, g->where));
}

bool policy_user_at(const struct policy *p, struct bytes login, uint32_t *user)
{
	return policy_find_user(p, login, user) > 0;
}

bool policy_proto_number(struct bytes text, int *proto)
{
	const char *why;
	char buf[160];

	return text.n && policy_proto(text, false, proto, &why, buf);
}

static void say_peers(struct json_out *o, struct policy_state *s, uint64_t id)
{
	struct policy_peers peers;
	char text[PREFIX_TEXT_MAX];

	json_key(o, "peers");
	json_open_array(o);
	if (policy_state_peers(s, id, &peers, NULL) == 0) {
		for (size_t i = 0; i < peers.n; i++) {
			json_open_object(o);
			json_key(o, "node");
			json_put_u64(o, peers.v[i].id);
			json_key(o, "routes");
			json_open_array(o);
			for (size_t k = 0; k < peers.v[i].n_routes; k++)
				json_put_cstr(o, prefix_format(peers.v[i].routes[k], text));
			json_close_array(o);
			json_close_object(o);
		}
		policy_peers_fini(&peers);
	}
	json_close_array(o);
}

static void say_caps(struct json_out *o, struct policy_state *s, uint64_t id)
{
	struct policy_caps caps;

	json_key(o, "capabilities");
	json_open_object(o);
	if (policy_state_caps(s, id, &caps, NULL) == 0) {
		for (size_t i = 0; i < caps.n; i++) {
			json_key_bytes(o, caps.v[i].name);
			json_put_raw(o, caps.v[i].values.n ? caps.v[i].values : bytes_str("null"));
		}
		policy_caps_fini(&caps);
	}
	json_close_object(o);
}

static bool leads_to(const struct grant *g, const struct node *n)
{
	for (uint32_t i = 0; i < g->n_dsts && !g->n_via; i++)
		if (node_has_sel(n, g->dsts[i], HOW_SEEN))
			return true;
	return (g->self && n->user != NO_USER) || (g->n_via && node_has_via_tag(g, n));
}

static void say_rules(struct json_out *o, const struct policy_state *s, const struct node *n,
		      bool source)
{
	json_key(o, source ? "sourceOf" : "destinationOf");
	json_open_array(o);
	for (uint32_t i = 0; i < s->p->n_grants; i++) {
		const struct grant *g = &s->p->grants[i];
		struct src_hit h = state_src_hit(s, n, g->src);

		if (source ? !src_hit_addr(&h) && !h.route : !leads_to(g, n))
			continue;
		json_open_object(o);
		policy_say_rule(o, s->p, g);
		json_close_object(o);
	}
	json_close_array(o);
}

int policy_preview_node(struct policy_state *s, uint64_t id, struct buf *out, struct err *err)
{
	const struct node *n = state_node(s, id);
	struct policy_filter filter;
	struct policy_ssh ssh;
	struct json_out o;

	if (!n)
		return err_set(err, ERR_USAGE, "no node %llu", (unsigned long long)id);
	json_out_init(&o, out);
	json_open_object(&o);
	json_key(&o, "node");
	json_put_u64(&o, id);
	if (policy_state_filter(s, id, &filter, err) == 0) {
		json_key(&o, "filter");
		filter_rules_encode(&o, filter.rules, filter.n);
		policy_filter_fini(&filter);
	}
	say_peers(&o, s, id);
	if (policy_state_ssh(s, id, &ssh, err) == 0) {
		json_key(&o, "ssh");
		ssh_rules_encode(&o, ssh.rules, ssh.n, "https://unused");
		policy_ssh_fini(&ssh);
	}
	say_caps(&o, s, id);
	say_rules(&o, s, n, true);
	say_rules(&o, s, n, false);
	json_close_object(&o);
	return 0;
}

static void say_ports(struct json_out *o, const struct policy *p, const struct grant *g,
		      struct bytes dst)
{
	char text[512];

	for (uint32_t i = 0; i < g->n_protos; i++)
		for (uint32_t k = 0; k < g->protos[i].n_ports; k++) {
			const struct port_range *r = &g->protos[i].ports[k];

			if (r->first == 0 && r->last == UINT16_MAX)
				(void)snprintf(text, sizeof(text), "%.*s:*", BYTES_FMT(dst));
			else if (r->first == r->last)
				(void)snprintf(text, sizeof(text), "%.*s:%u", BYTES_FMT(dst),
					       r->first);
			else
				(void)snprintf(text, sizeof(text), "%.*s:%u-%u", BYTES_FMT(dst),
					       r->first, r->last);
			json_put_cstr(o, text);
		}
	(void)p;
}

static void say_match(struct json_out *o, const struct policy *p, const struct grant *g,
		      struct bytes through)
{
	unsigned line = 0, column = 0;

	json_where(p->text, g->where.start, &line, &column);
	json_open_object(o);
	json_key(o, "users");
	json_open_array(o);
	json_put_string(o, through);
	json_close_array(o);
	json_key(o, "ports");
	json_open_array(o);
	for (uint32_t i = 0; i < g->n_dsts; i++)
		say_ports(o, p, g, p->sels[g->dsts[i]]->name);
	if (g->self)
		say_ports(o, p, g, bytes_str("autogroup:self"));
	json_close_array(o);
	json_key(o, "lineNumber");
	json_put_u64(o, p->allow_all ? 0 : line);
	json_close_object(o);
}

/* The selector through which a user is a source of this class, or NULL. */
static const struct sel *source_of(const struct policy *p, const struct cls *k, uint32_t user)
{
	for (uint32_t i = 0; i < k->sels.n; i++) {
		const struct sel *s = p->sels[k->sels.v[i]];

		if (s->kind == SEL_ANY || s->kind == SEL_DANGER_ALL)
			return s;
		for (uint32_t j = 0; j < p->users[user].sels.n; j++)
			if (p->users[user].sels.v[j] == s->id)
				return s;
	}
	return NULL;
}

int policy_preview_user(struct policy_state *s, struct bytes login, struct buf *out,
			struct err *err)
{
	const struct policy *p = s->p;
	struct json_out o;
	uint32_t user;

	if (!policy_user_at(p, login, &user))
		return err_set(err, ERR_USAGE, "no user %.*s", BYTES_FMT(login));
	json_out_init(&o, out);
	json_open_object(&o);
	json_key(&o, "matches");
	json_open_array(&o);
	for (uint32_t i = 0; i < p->n_grants; i++) {
		const struct grant *g = &p->grants[i];
		const struct sel *through = source_of(p, p->classes[g->src], user);

		if (through)
			say_match(&o, p, g, through->name);
	}
	json_close_array(&o);
	json_close_object(&o);
	return 0;
}

/* ---- two states ---- */

struct sayings {
	struct arena arena;
	const char **v;
	size_t n, cap;
};

static void say(struct sayings *l, const char *text)
{
	mem_reserve(l->v, l->n, l->cap);
	l->v[l->n++] = text ? text : "";
}

static void filter_sayings(struct policy_state *s, uint64_t id, struct sayings *l)
{
	char text[FILTER_TEXT_MAX];
	struct policy_filter f;

	if (policy_state_filter(s, id, &f, NULL) < 0)
		return;
	for (size_t i = 0; i < f.n; i++) {
		const struct filter_rule *r = &f.rules[i];

		for (size_t a = 0; a < r->n_srcs; a++) {
			for (size_t b = 0; b < r->n_dsts; b++)
				say(l,
				    arena_printf(&l->arena, "%s may reach %s ports %u-%u%s%.0d",
						 r->srcs[a], filter_dst_format(&r->dsts[b], text),
						 r->dsts[b].first_port, r->dsts[b].last_port,
						 r->proto < 0 ? "" : " protocol ",
						 r->proto < 0 ? 0 : r->proto));
			for (size_t b = 0; b < r->n_grants; b++)
				for (size_t k = 0; k < r->grants[b].n_caps; k++)
					say(l,
					    arena_printf(&l->arena, "%s has %.*s %.*s", r->srcs[a],
							 BYTES_FMT(r->grants[b].caps[k].name),
							 BYTES_FMT(r->grants[b].caps[k].values)));
		}
	}
	policy_filter_fini(&f);
}

static void peer_sayings(struct policy_state *s, uint64_t id, struct sayings *l)
{
	char text[PREFIX_TEXT_MAX];
	struct policy_peers p;

	if (policy_state_peers(s, id, &p, NULL) < 0)
		return;
	for (size_t i = 0; i < p.n; i++) {
		say(l, arena_printf(&l->arena, "sees node %llu", (unsigned long long)p.v[i].id));
		for (size_t k = 0; k < p.v[i].n_routes; k++)
			say(l, arena_printf(&l->arena, "routes %s through node %llu",
					    prefix_format(p.v[i].routes[k], text),
					    (unsigned long long)p.v[i].id));
	}
	policy_peers_fini(&p);
}

static void other_sayings(struct policy_state *s, uint64_t id, struct sayings *l)
{
	char text[IP_TEXT_MAX];
	struct policy_caps caps;
	struct policy_ssh ssh;

	if (policy_state_caps(s, id, &caps, NULL) == 0) {
		for (size_t i = 0; i < caps.n; i++)
			say(l,
			    arena_printf(&l->arena, "has the attribute %.*s %.*s",
					 BYTES_FMT(caps.v[i].name), BYTES_FMT(caps.v[i].values)));
		policy_caps_fini(&caps);
	}
	if (policy_state_ssh(s, id, &ssh, NULL) < 0)
		return;
	for (size_t i = 0; i < ssh.n; i++)
		for (size_t k = 0; k < ssh.rules[i].n_principals; k++)
			for (size_t u = 0; u < ssh.rules[i].n_users; u++)
				if (ssh.rules[i].users[u].local.n)
					say(l, arena_printf(
						   &l->arena, "%s may open SSH sessions as %.*s%s",
						   ip_format(ssh.rules[i].principals[k], text),
						   BYTES_FMT(ssh.rules[i].users[u].login),
						   ssh.rules[i].check ? " after a check" : ""));
	policy_ssh_fini(&ssh);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void sayings_of(struct policy_state *s, uint64_t id, struct sayings *l)
{
	*l = (struct sayings){ 0 };
	arena_init(&l->arena, (size_t)1 << 30);
	if (!state_node(s, id))
		return;
	filter_sayings(s, id, l);
	peer_sayings(s, id, l);
	other_sayings(s, id, l);
	if (l->n)
		qsort(l->v, l->n, sizeof(*l->v), by_text);
}

static void say_missing(struct json_out *o, const char *key, const struct sayings *from,
			const struct sayings *in)
{
	size_t j = 0;

	json_key(o, key);
	json_open_array(o);
	for (size_t i = 0; i < from->n; i++) {
		while (j < in->n && strcmp(in->v[j], from->v[i]) < 0)
			j++;
		if ((j == in->n || strcmp(in->v[j], from->v[i]) != 0) &&
		    (i == 0 || strcmp(from->v[i], from->v[i - 1]) != 0))
			json_put_cstr(o, from->v[i]);
	}
	json_close_array(o);
}

void policy_compare(struct policy_state *old, struct policy_state *next, struct buf *out)
{
	struct policy_ids ids;
	struct json_out o;

	policy_ids_init(&ids);
	policy_state_diff(old, next, &ids);
	json_out_init(&o, out);
	json_open_array(&o);
	for (size_t i = 0; i < ids.n; i++) {
		struct sayings was, is;

		sayings_of(old, ids.v[i], &was);
		sayings_of(next, ids.v[i], &is);
		json_open_object(&o);
		json_key(&o, "node");
		json_put_u64(&o, ids.v[i]);
		say_missing(&o, "gains", &is, &was);
		say_missing(&o, "loses", &was, &is);
		json_close_object(&o);
		mem_free(was.v);
		mem_free(is.v);
		arena_fini(&was.arena);
		arena_fini(&is.arena);
	}
	json_close_array(&o);
	policy_ids_fini(&ids);
}
