#include "app/control/access.h"

#include <stdio.h>
#include <stdlib.h>

#include "app/control/attributes.h"
#include "app/control/filterparts.h"
#include "app/control/model.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/hash.h"
#include "engine/policy/policy.h"
#include "engine/policy/policy_explain.h"
#include "wire/filterrule.h"
#include "wire/sshrule.h"
#include "wire/tailcfg_hostinfo.h"

enum {
	USERS_STEP = 64,
	ATTRS_MAX = 4 + ATTRIBUTES_MAX,
	HOST_ARENA = 1 << 20,
	GROUPS_ARENA = 16 << 20
};

/* No policy: a user's own nodes reach each other, nobody else reaches anything. */
static const char default_policy[] =
    "{\"grants\":[{\"src\":[\"autogroup:member\"],\"dst\":[\"autogroup:self\"],\"ip\":[\"*\"]}]}";

struct access {
	struct policy_state *state;
	struct policy *policy;
	struct filterlists *lists;
};

/* ---- small things ---- */

void access_ids_add(struct access_ids *ids, int64_t id)
{
	if (!ids)
		return;
	mem_reserve(ids->v, ids->n, ids->cap);
	ids->v[ids->n++] = id;
}

void access_ids_fini(struct access_ids *ids)
{
	mem_free(ids->v);
	*ids = (struct access_ids){ 0 };
}

static void take_ids(struct policy_ids *from, struct access_ids *to)
{
	for (size_t i = 0; i < from->n; i++)
		access_ids_add(to, (int64_t)from->v[i]);
	policy_ids_fini(from);
}

struct access_routes *access_routes_ref(struct access_routes *r)
{
	if (r)
		r->refs++;
	return r;
}

void access_routes_unref(struct access_routes *r)
{
	if (r && !--r->refs)
		mem_free(r);
}

void access_peers_fini(struct access_peers *p)
{
	for (size_t i = 0; i < p->n; i++)
		access_routes_unref(p->v[i].routes);
	access_routes_unref(p->self);
	mem_free(p->v);
	*p = (struct access_peers){ 0 };
}

/* ---- compiling ---- */

static enum policy_role role_of(enum tn_role role)
{
	static const enum policy_role roles[ROLES] = {
		[ROLE_MEMBER] = POLICY_MEMBER,     [ROLE_OWNER] = POLICY_OWNER,
		[ROLE_ADMIN] = POLICY_ADMIN,       [ROLE_NETWORK_ADMIN] = POLICY_NETWORK_ADMIN,
		[ROLE_IT_ADMIN] = POLICY_IT_ADMIN, [ROLE_AUDITOR] = POLICY_AUDITOR,
	};

	return roles[role];
}

static struct bytes short_name(const char *login)
{
	const char *at = strchr(login, '@');

	return bytes_of(login, at ? (size_t)(at - login) : strlen(login));
}

static void say_why(const struct policy_report *report, struct err *err)
{
	for (size_t i = 0; i < report->n; i++) {
		const struct policy_issue *is = &report->issues[i];

		if (is->severity != POLICY_ERROR)
			continue;
		if (strncmp(is->message, "hujson: line ", 13) == 0) /* says where by itself */
			(void)err_set(err, ERR_USAGE, "%s", is->message);
		else
			(void)err_set(err, ERR_USAGE, "line %u, column %u: %s%s%s", is->line,
				      is->column, is->message, is->suggestion[0] ? "; " : "",
				      is->suggestion);
		return;
	}
	(void)err_set(err, ERR_USAGE, "%s", policy_report_message(report));
}

/* What stands behind the "@" of this login, unless anybody can have a login there. */
static bool own_domain(const char *login, struct bytes *out)
{
	static const char *const shared[] = { "gmail.com",   "googlemail.com", "outlook.com",
					      "hotmail.com", "live.com",       "yahoo.com",
					      "icloud.com",  "me.com",         "proton.me",
					      "github",      "passkey",        "protonmail.com" };
	const char *at = strrchr(login, '@');

	if (!at || !at[1])
		return false;
	*out = bytes_str(at + 1);
	for (size_t i = 0; i < array_len(shared); i++)
		if (bytes_equal_str(*out, shared[i]))
			return false;
	return true;
}

/* The domains of a tailnet are those its people have logins in; the caller frees. */
static struct bytes *domains_of(struct tailnet *t, size_t *n)
{
	struct bytes *out = NULL, domain;
	size_t cap = 0;

	*n = 0;
	list_each (it, &t->users) {
		const struct tn_user *u = list_entry(it, struct tn_user, link);
		bool known = !own_domain(u->login, &domain);

		for (size_t i = 0; i < *n && !known; i++)
			known = bytes_equal(out[i], domain);
		if (known)
			continue;
		mem_reserve(out, *n, cap);
		out[(*n)++] = domain;
	}
	return out;
}

static struct bytes subject_of(const struct tn_user *u)
{
	return u->identity ? bytes_str(u->identity->subject) : (struct bytes){ 0 };
}

/* Every group the provider ever named, with those who are in it now; a group may be empty. */
static struct policy_group *groups_of(struct tailnet *t, struct arena *arena, size_t *n)
{
	struct policy_group *out = mem_alloc((t->groups.n + 1) * sizeof(*out));

	for (size_t i = 0; i < t->groups.n; i++) {
		const char *name = arena_printf(arena, "group:%s", t->groups.v[i]);
		struct bytes *members = NULL;
		size_t count = 0, room = 0;

		list_each (it, &t->users) {
			const struct tn_user *u = list_entry(it, struct tn_user, link);

			if (!u->identity ||
			    !text_set_has(&u->identity->groups, bytes_str(t->groups.v[i])))
				continue;
			mem_reserve(members, count, room);
			members[count++] = bytes_str(u->login);
		}
		out[i] = (struct policy_group){ bytes_str(name), NULL, count };
		out[i].members = members; /* freed by groups_free() */
	}
	*n = t->groups.n;
	return out;
}

static void groups_free(struct policy_group *groups, size_t n)
{
	for (size_t i = 0; i < n; i++)
		mem_free((void *)groups[i].members);
	mem_free(groups);
}

static struct policy *compile_into(struct tailnet *t, struct bytes text,
				   struct policy_report *report)
{
	struct policy_directory dir = { .display_name = bytes_str(t->name) };
	struct policy_group *groups;
	struct policy_user *users = NULL;
	struct bytes *domains = domains_of(t, &dir.n_domains);
	struct arena arena;
	struct policy *p;
	size_t cap = 0;

	list_each (it, &t->users) {
		const struct tn_user *u = list_entry(it, struct tn_user, link);

		mem_reserve(users, dir.n_users, cap);
		users[dir.n_users++] = (struct policy_user){ .id = (uint64_t)u->id,
							     .login = bytes_str(u->login),
							     .name = short_name(u->login),
							     .subject = subject_of(u),
							     .role = role_of(u->role) };
	}
	arena_init(&arena, GROUPS_ARENA);
	groups = groups_of(t, &arena, &dir.n_groups);
	dir.groups = groups;
	dir.users = users;
	dir.domains = domains;
	p = policy_compile(text.n ? text : bytes_str(default_policy), &dir, report);
	groups_free(groups, dir.n_groups);
	arena_fini(&arena);
	mem_free(domains);
	mem_free(users);
	return p;
}

static struct policy *compile(struct tailnet *t, struct bytes text, struct err *err)
{
	struct policy_report report;
	struct policy *p;

	policy_report_init(&report);
	p = compile_into(t, text, &report);
	if (!p)
		say_why(&report, err);
	policy_report_fini(&report);
	return p;
}

/* The next state with the same nodes; NULL when the policy's own tests fail. */
static struct policy_state *next_state(struct tailnet *t, struct policy *p, struct err *err)
{
	struct policy_state *next =
	    t->access ? policy_state_with(t->access->state, p) : policy_state_create(p);
	struct policy_report report;

	policy_report_init(&report);
	if (!policy_run_tests(next, &report)) {
		say_why(&report, err);
		policy_state_destroy(next);
		next = NULL;
	}
	policy_report_fini(&report);
	return next;
}

int access_check(struct tailnet *t, struct bytes policy, struct err *err)
{
	struct policy *p = compile(t, policy, err);
	struct policy_state *next = p ? next_state(t, p, err) : NULL;
	int ret = next ? 0 : -1;

	policy_state_destroy(next);
	policy_unref(p);
	return ret;
}

int access_report(struct tailnet *t, struct bytes policy, struct json_out *out)
{
	struct policy_report report;
	struct policy *p;
	struct policy_state *next;
	bool good = false;

	policy_report_init(&report);
	p = compile_into(t, policy, &report);
	if (p) {
		next = policy_state_with(t->access->state, p);
		good = policy_run_tests(next, &report);
		policy_state_destroy(next);
	}
	policy_report_encode(&report, out);
	policy_unref(p);
	policy_report_fini(&report);
	return good ? 0 : -1;
}

struct bytes access_text(const struct tailnet *t)
{
	return bytes_str(t->policy && t->policy[0] ? t->policy : default_policy);
}

void access_etag(struct bytes text, char out[65])
{
	uint8_t hash[32];

	hash_sha256(hash, text);
	text_hex(bytes_of(hash, sizeof(hash)), out);
}

bool access_tags_may_tag(struct tailnet *t, const struct text_set *held, const struct bytes *tags,
			 size_t n, struct bytes *bad)
{
	struct bytes *own = mem_alloc((held->n + 1) * sizeof(*own));
	bool good = true;

	for (size_t i = 0; i < held->n; i++)
		own[i] = bytes_str(held->v[i]);
	for (size_t i = 0; i < n && good; i++) {
		*bad = tags[i];
		good = text_set_has(held, tags[i]) ||
		       policy_tags_may_tag(t->access->policy, own, held->n, &tags[i], 1, bad);
	}
	mem_free(own);
	return good;
}

int access_preview_user_in(struct tailnet *t, struct bytes policy, struct bytes login,
			   struct buf *out, struct err *err)
{
	struct policy *p = compile(t, policy, err);
	struct policy_state *next = p ? policy_state_with(t->access->state, p) : NULL;
	int ret = next ? policy_preview_user(next, login, out, err) : -1;

	policy_state_destroy(next);
	policy_unref(p);
	return ret;
}

static void swap(struct tailnet *t, struct policy *p, struct policy_state *next,
		 struct access_ids *affected)
{
	struct policy_ids ids;

	if (!t->access) {
		t->access = mem_alloc(sizeof(*t->access));
		t->access->lists = filterlists_create();
	} else {
		policy_ids_init(&ids);
		policy_state_diff(t->access->state, next, &ids);
		take_ids(&ids, affected);
		policy_state_destroy(t->access->state);
		policy_unref(t->access->policy);
	}
	t->access->state = next;
	t->access->policy = p;
}

int access_load(struct tailnet *t, struct bytes policy, struct access_ids *affected,
		struct err *err)
{
	struct policy *p = compile(t, policy, err);

	if (!p)
		return -1;
	/* Its tests ran when it was written: a server that starts has no nodes to run them on. */
	swap(t, p, t->access ? policy_state_with(t->access->state, p) : policy_state_create(p),
	     affected);
	return 0;
}

void access_free(struct tailnet *t)
{
	if (!t->access)
		return;
	filterlists_destroy(t->access->lists);
	policy_state_destroy(t->access->state);
	policy_unref(t->access->policy);
	mem_free(t->access);
	t->access = NULL;
}

void access_users_changed(struct tailnet *t, struct access_ids *affected)
{
	struct policy *p = compile(t, bytes_str(t->policy ? t->policy : ""), NULL);

	/* A policy that names a user who is gone no longer compiles: the old one stays in force. */
	if (p)
		swap(t, p, policy_state_with(t->access->state, p), affected);
}

/* ---- nodes ---- */

struct node_parts { /* memory behind one policy_node */
	struct arena arena;
	struct bytes *tags;
	struct prefix *routes;
	struct policy_posture_attr attrs[ATTRS_MAX];
	size_t n_routes, n_attrs;
};

static void parts_fini(struct node_parts *p)
{
	arena_fini(&p->arena);
	mem_free(p->tags);
	mem_free(p->routes);
}

static void add_attr(struct node_parts *p, const char *name, struct bytes text)
{
	if (text.n && p->n_attrs < ATTRS_MAX)
		p->attrs[p->n_attrs++] =
		    (struct policy_posture_attr){ bytes_str(name), POLICY_ATTR_STRING, text, 0,
						  false };
}

static struct bytes lower(struct bytes text, struct arena *arena)
{
	char *out = arena_str(arena, text);

	for (size_t i = 0; out && i < text.n; i++)
		if (out[i] >= 'A' && out[i] <= 'Z')
			out[i] |= 0x20;
	return out ? bytes_of(out, text.n) : (struct bytes){ 0 };
}

static void read_host(const struct tn_node *n, struct node_parts *p)
{
	struct tailcfg_hostinfo h;

	if (!n->host_public.n ||
	    schema_decode(&h, &tailcfg_hostinfo_schema, &p->arena, n->host_public, NULL) < 0)
		return;
	add_attr(p, "node:os", lower(h.os, &p->arena)); /* macOS there, macos in postures */
	add_attr(p, "node:osVersion", h.os_version);
	add_attr(p, "node:tsVersion", h.ipn_version);
}

static void read_attributes(const struct tn_node *n, struct node_parts *p)
{
	const struct json *all;

	if (!n->attributes)
		return;
	all = json_parse(&p->arena, bytes_str(n->attributes), 0, NULL);
	json_each (it, all) {
		const struct json *value = json_get(it, "value");
		struct policy_posture_attr a = { .name = it->key };

		if (!value || p->n_attrs == ATTRS_MAX)
			continue;
		if (json_string(value, &a.text))
			a.kind = POLICY_ATTR_STRING;
		else if (json_bool(value, &a.truth))
			a.kind = POLICY_ATTR_BOOL;
		else if (json_real(value, &a.number))
			a.kind = POLICY_ATTR_NUMBER;
		else
			continue;
		p->attrs[p->n_attrs++] = a;
	}
}

static struct policy_node describe(const struct tn_node *n, struct node_parts *p)
{
	*p = (struct node_parts){ 0 };
	arena_init(&p->arena, HOST_ARENA);
	p->tags = mem_alloc((n->tags.n + 1) * sizeof(*p->tags));
	p->routes = mem_alloc((n->approved.n + 1) * sizeof(*p->routes));
	for (size_t i = 0; i < n->tags.n; i++)
		p->tags[i] = bytes_str(n->tags.v[i]);
	for (size_t i = 0; i < n->approved.n; i++)
		if (prefix_set_has(&n->advertised, n->approved.v[i]))
			p->routes[p->n_routes++] = n->approved.v[i];
	read_host(n, p);
	read_attributes(n, p);
	return (struct policy_node){
		.id = (uint64_t)n->id,
		.user = n->user ? (uint64_t)n->user->id : 0,
		.tags = p->tags,
		.n_tags = n->tags.n,
		.v4 = n->v4,
		.v6 = n->v6,
		.routes = p->routes,
		.n_routes = p->n_routes,
		.attrs = p->attrs,
		.n_attrs = p->n_attrs,
		.created = wall_s(n->created),
		.offline = !n->online,
	};
}

/*
 * Of a pair of nodes without routes, the policy looks at the two alone. Routes bring in third
 * parties: elections, and subnets that hold addresses of nodes.
 */
static void note_routes(struct tn_node *n, const struct policy_node *now)
{
	static const struct prefix tailnet[] = {
		{ { 4, { 100, 64 } }, 10 },
		{ { 6, { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0 } }, 48 },
	};
	bool holds = false;

	for (size_t i = 0; now && i < now->n_routes; i++)
		for (size_t j = 0; j < array_len(tailnet); j++)
			holds |= now->routes[i].len && prefix_overlaps(now->routes[i], tailnet[j]);
	n->tailnet->n_route_holders += (size_t)holds - (size_t)n->holds_nodes;
	n->holds_nodes = holds;
	n->had_routes = n->has_routes;
	n->has_routes = now && now->n_routes;
}

bool access_only_own_pairs(const struct tn_node *n)
{
	return !n->had_routes && !n->has_routes && !n->tailnet->n_route_holders;
}

void access_node_changed(struct tn_node *n, struct access_ids *affected)
{
	struct policy_ids ids;
	struct policy_node node;
	struct node_parts parts;

	policy_ids_init(&ids);
	if (n->authorized) {
		node = describe(n, &parts);
		(void)policy_state_upsert(n->tailnet->access->state, &node, &ids, NULL);
		note_routes(n, &node);
		parts_fini(&parts);
	} else {
		policy_state_remove(n->tailnet->access->state, (uint64_t)n->id, &ids);
		note_routes(n, NULL);
	}
	take_ids(&ids, affected);
}

void access_node_gone(struct tn_node *n, struct access_ids *affected)
{
	struct policy_ids ids;

	policy_ids_init(&ids);
	policy_state_remove(n->tailnet->access->state, (uint64_t)n->id, &ids);
	note_routes(n, NULL);
	take_ids(&ids, affected);
}

void access_node_online(struct tn_node *n, struct access_ids *affected)
{
	struct policy_ids ids;

	policy_ids_init(&ids);
	policy_state_set_online(n->tailnet->access->state, (uint64_t)n->id, n->online, &ids);
	take_ids(&ids, affected);
}

/* ---- answers ---- */

static bool is_among(const struct prefix *v, size_t n, struct prefix p)
{
	for (size_t i = 0; i < n; i++)
		if (prefix_equal(v[i], p))
			return true;
	return false;
}

static struct access_routes *routes_of(const struct policy_peer *p)
{
	struct access_routes *r;

	if (!p->n_routes)
		return NULL;
	r = mem_alloc(sizeof(*r) + p->n_routes * sizeof(r->v[0]));
	r->refs = 1;
	r->exit_node = p->exit_node;
	r->hash = 1469598103934665603ULL ^ p->n_primary;
	for (int rest = 0; rest < 2; rest++) {
		for (size_t i = 0; i < p->n_routes; i++)
			if (is_among(p->primary, p->n_primary, p->routes[i]) != rest)
				r->v[r->n++] = p->routes[i];
		if (!rest)
			r->n_primary = r->n;
	}
	for (size_t i = 0; i < r->n * sizeof(r->v[0]); i++)
		r->hash = (r->hash ^ ((const uint8_t *)r->v)[i]) * 1099511628211ULL;
	return r;
}

void access_peers(struct tn_node *n, struct access_peers *out)
{
	struct policy_peers peers;

	*out = (struct access_peers){ 0 };
	if (policy_state_peers(n->tailnet->access->state, (uint64_t)n->id, &peers, NULL) < 0)
		return;
	out->self = routes_of(&peers.self);
	for (size_t i = 0; i < peers.n; i++) {
		struct tn_node *other = model_node_by_id(n->tailnet, (int64_t)peers.v[i].id);

		if (!other)
			continue;
		mem_reserve(out->v, out->n, out->cap);
		out->v[out->n++] = (struct access_peer){ other, routes_of(&peers.v[i]) };
	}
	policy_peers_fini(&peers);
}

/* The filter whose lists are remembered, until the last of them is forgotten. */
struct held_filter {
	struct policy_filter f;
	unsigned refs;
};

static void hold_filter(void *arg)
{
	((struct held_filter *)arg)->refs++;
}

static void drop_filter(void *arg)
{
	struct held_filter *h = arg;

	if (--h->refs)
		return;
	policy_filter_fini(&h->f);
	mem_free(h);
}

void access_filter(struct tn_node *n, struct filterparts *told, struct buf *out)
{
	struct access *a = n->tailnet->access;
	struct held_filter *h = mem_alloc(sizeof(*h));
	const struct filterlists_owner owner = { h, hold_filter, drop_filter };

	h->refs = 1;
	/* A node that the policy does not know admits nothing. */
	if (policy_state_filter(a->state, (uint64_t)n->id, &h->f, NULL) < 0)
		filterparts_delta(told, a->lists, NULL, 0, &owner, out);
	else
		filterparts_delta(told, a->lists, h->f.rules, h->f.n, &owner, out);
	drop_filter(h);
}

void access_ssh(struct tn_node *n, const char *base_url, struct buf *out)
{
	struct policy_ssh ssh;
	struct json_out o;

	if (policy_state_ssh(n->tailnet->access->state, (uint64_t)n->id, &ssh, NULL) < 0)
		return;
	if (ssh.n) {
		json_out_init(&o, out);
		json_open_object(&o);
		json_key(&o, "rules");
		ssh_rules_encode(&o, ssh.rules, ssh.n, base_url);
		json_close_object(&o);
	}
	policy_ssh_fini(&ssh);
}

void access_caps(struct tn_node *n, struct buf *out)
{
	struct policy_caps caps;
	struct json_out o;

	json_out_init(&o, out);
	json_open_object(&o);
	if (policy_state_caps(n->tailnet->access->state, (uint64_t)n->id, &caps, NULL) == 0) {
		for (size_t i = 0; i < caps.n; i++) {
			json_key_bytes(&o, caps.v[i].name);
			json_put_raw(&o, caps.v[i].values.n ? caps.v[i].values : bytes_str("null"));
		}
		policy_caps_fini(&caps);
	}
	json_close_object(&o);
}

bool access_approves_route(struct tn_node *n, struct prefix route)
{
	struct policy_node node;
	struct node_parts parts;
	bool ok;

	node = describe(n, &parts);
	ok = policy_approves_route(n->tailnet->access->policy, &node, route);
	parts_fini(&parts);
	return ok;
}

bool access_user_may_tag(struct tailnet *t, int64_t user, const struct bytes *tags, size_t n,
			 struct bytes *bad)
{
	return policy_user_may_tag(t->access->policy, (uint64_t)user, tags, n, bad);
}

/* ---- for people ---- */

int access_explain(struct tailnet *t, struct bytes src, struct bytes dst, struct buf *out,
		   struct err *err)
{
	return policy_explain(t->access->state, src, dst, out, err);
}

int access_preview_node(struct tn_node *n, struct buf *out, struct err *err)
{
	return policy_preview_node(n->tailnet->access->state, (uint64_t)n->id, out, err);
}

int access_preview_user(struct tailnet *t, struct bytes login, struct buf *out, struct err *err)
{
	return policy_preview_user(t->access->state, login, out, err);
}

int access_compare(struct tailnet *t, struct bytes policy, struct buf *out, struct err *err)
{
	struct policy *p = compile(t, policy, err);
	struct policy_state *next = p ? next_state(t, p, err) : NULL;
	int ret = next ? 0 : -1;

	if (next)
		policy_compare(t->access->state, next, out);
	policy_state_destroy(next);
	policy_unref(p);
	return ret;
}

void access_lint(struct tailnet *t, struct buf *out)
{
	policy_lint(t->access->state, out);
}

void access_fix(struct tailnet *t, struct buf *out)
{
	policy_lint_fix(t->access->state, out);
}
