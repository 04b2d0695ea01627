/* autoApprovers, tag ownership, address pools: answers about one node or user and no others. */
#include "engine/policy/policy_parse.h"

#include <stdlib.h>

#include "base/text.h"

static const char *const approver_keys[] = { "routes", "exitNode", "services" };

static bool parse_sels(struct compiler *c, const struct json *list, const char *what,
		       uint32_t **out, uint32_t *n)
{
	struct ids ids = { 0 };
	bool ok;

	if (list->kind != JSON_ARRAY)
		return policy_complain(c, list, "write a list: [...]",
				       "%s must be an array, not %s", what,
				       json_kind_name(list->kind));
	ok = policy_select_list(c, list, CTX_APPROVER, &ids);
	*out = policy_alloc(c->p, ids.n, sizeof(**out));
	if (ids.n)
		memcpy(*out, ids.v, ids.n * sizeof(**out));
	*n = ids.n;
	mem_free(ids.v);
	return ok;
}

static bool parse_routes(struct compiler *c, const struct json *routes)
{
	struct policy *p = c->p;

	p->route_approvers =
	    policy_alloc(p, routes ? routes->count : 0, sizeof(*p->route_approvers));
	json_each (it, routes) {
		struct approver *a = &p->route_approvers[p->n_route_approvers++];

		if (!policy_address(it->key, &a->prefix))
			return policy_complain_key(c, it, "for instance \"10.0.0.0/8\"",
						   "autoApprovers: invalid prefix %s",
						   policy_quote(c, it->key));
		if (it->kind != JSON_NULL && !parse_sels(c, it, "approvers", &a->sels, &a->n_sels))
			return false;
	}
	return true;
}

static bool parse_services(struct compiler *c, const struct json *services)
{
	struct policy *p = c->p;

	p->service_approvers =
	    policy_alloc(p, services ? services->count : 0, sizeof(*p->service_approvers));
	json_each (it, services) {
		struct approver *a = &p->service_approvers[p->n_service_approvers++];

		if (!bytes_has_prefix(it->key, "svc:") && !bytes_has_prefix(it->key, "tag:"))
			return policy_complain_key(c, it, "svc:NAME or tag:NAME",
						   "autoApprovers: invalid service %s",
						   policy_quote(c, it->key));
		a->service = it->key;
		if (it->kind != JSON_NULL && !parse_sels(c, it, "approvers", &a->sels, &a->n_sels))
			return false;
	}
	return true;
}

bool policy_compile_approvers(struct compiler *c)
{
	const struct json *v, *routes, *exits, *services;

	if (!policy_member(c, c->p->root, "autoApprovers", JSON_OBJECT, &v))
		return false;
	if (!v)
		return true;
	if (!policy_check_keys(c, v, approver_keys, array_len(approver_keys), 0) ||
	    !policy_member(c, v, "routes", JSON_OBJECT, &routes) ||
	    !policy_member(c, v, "exitNode", JSON_ARRAY, &exits) ||
	    !policy_member(c, v, "services", JSON_OBJECT, &services))
		return false;
	return parse_routes(c, routes) &&
	       (!exits ||
		parse_sels(c, exits, "exitNode", &c->p->exit_approvers, &c->p->n_exit_approvers)) &&
	       parse_services(c, services);
}

static const struct user *user_of(const struct policy *p, uint64_t id)
{
	uint32_t lo = 0, hi = p->n_users;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (p->users[mid].id < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < p->n_users && p->users[lo].id == id ? &p->users[lo] : NULL;
}

static bool user_in(const struct user *u, uint32_t sel)
{
	for (uint32_t i = 0; u && i < u->sels.n; i++)
		if (u->sels.v[i] == sel)
			return true;
	return false;
}

/* By identity: tags where there are tags, else the user; by address for literals. */
static bool node_in(const struct policy *p, const struct policy_node *n, uint32_t id)
{
	const struct sel *s = p->sels[id];
	struct ipset view = { s->range, s->n_ranges, s->n_ranges };

	if (s->kind == SEL_ANY)
		return true;
	if (sel_is_literal(s))
		return (n->v4.family && ipset_contains(&view, n->v4)) ||
		       (n->v6.family && ipset_contains(&view, n->v6));
	if (!n->n_tags)
		return user_in(user_of(p, n->user), id);
	if (s->kind == SEL_TAGGED)
		return true;
	for (size_t i = 0; i < n->n_tags && s->kind == SEL_TAG; i++)
		if (bytes_equal(n->tags[i], s->name))
			return true;
	return false;
}

static bool node_in_any(const struct policy *p, const struct policy_node *n, const uint32_t *sels,
			uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (node_in(p, n, sels[i]))
			return true;
	return false;
}

bool policy_approves_route(const struct policy *p, const struct policy_node *n, struct prefix route)
{
	route = prefix_masked(route);
	if (route.len == 0)
		return node_in_any(p, n, p->exit_approvers, p->n_exit_approvers);
	for (uint32_t i = 0; i < p->n_route_approvers; i++) {
		const struct approver *a = &p->route_approvers[i];

		if (prefix_covers(a->prefix, route) && node_in_any(p, n, a->sels, a->n_sels))
			return true;
	}
	return false;
}

bool policy_approves_service(const struct policy *p, const struct policy_node *n,
			     struct bytes service)
{
	const struct policy_service *v = NULL;

	for (size_t i = 0; i < p->dir.n_services; i++)
		if (bytes_equal(p->dir.services[i].name, service))
			v = &p->dir.services[i];
	if (!n->n_tags) /* hosts of services must be tagged */
		return false;
	for (uint32_t i = 0; i < p->n_service_approvers; i++) {
		const struct approver *a = &p->service_approvers[i];
		bool named = bytes_equal(a->service, service);

		for (size_t t = 0; v && t < v->n_tags; t++)
			named |= bytes_equal(a->service, v->tags[t]);
		if (named && node_in_any(p, n, a->sels, a->n_sels))
			return true;
	}
	return false;
}

/* ---- who may put a tag on a node ---- */

static bool is_tag_admin(const struct user *u)
{
	return u->role == POLICY_OWNER || u->role == POLICY_ADMIN ||
	       u->role == POLICY_NETWORK_ADMIN;
}

/* Walks the owners of the owners; a tag seen once is not looked at again, so cycles add nothing. */
static bool chain_has(const struct policy *p, const struct named *tag, const struct user *u,
		      const struct bytes *held, size_t n_held)
{
	struct ids todo = { 0 };
	uint8_t *seen = mem_alloc(p->n_names ? p->n_names : 1);
	bool found = false;

	ids_add(&todo, (uint32_t)(tag - p->names));
	seen[tag - p->names] = 1;
	while (todo.n && !found) {
		const struct named *t = &p->names[todo.v[--todo.n]];

		for (uint32_t i = 0; u && i < t->owner_sels.n; i++)
			found |= user_in(u, t->owner_sels.v[i]);
		for (uint32_t i = 0; i < t->owner_tags.n; i++) {
			uint32_t o = t->owner_tags.v[i];

			for (size_t k = 0; k < n_held; k++)
				found |= bytes_equal(p->names[o].name, held[k]);
			if (!seen[o]) {
				seen[o] = 1;
				ids_add(&todo, o);
			}
		}
	}
	mem_free(todo.v);
	mem_free(seen);
	return found;
}

bool policy_user_may_tag(const struct policy *p, uint64_t user, const struct bytes *tags, size_t n,
			 struct bytes *bad)
{
	const struct user *u = user_of(p, user);

	for (size_t i = 0; i < n; i++) {
		const struct named *t = policy_name(p, tags[i]);

		if (u && t && t->kind == SEL_TAG &&
		    (is_tag_admin(u) || chain_has(p, t, u, NULL, 0)))
			continue;
		*bad = tags[i];
		return false;
	}
	return true;
}

bool policy_tags_may_tag(const struct policy *p, const struct bytes *held, size_t n_held,
			 const struct bytes *tags, size_t n, struct bytes *bad)
{
	for (size_t i = 0; i < n; i++) {
		const struct named *t = policy_name(p, tags[i]);
		bool same = false;

		for (size_t k = 0; k < n_held; k++)
			same |= bytes_equal(held[k], tags[i]);
		if (t && t->kind == SEL_TAG && (same || chain_has(p, t, NULL, held, n_held)))
			continue;
		*bad = tags[i];
		return false;
	}
	return true;
}

size_t policy_ip_pools(const struct policy *p, const struct policy_node *n,
		       const struct prefix **pools, size_t max)
{
	size_t found = 0;

	for (uint32_t s = 0; s < p->n_sels; s++) {
		if (!p->sels[s]->attrs.n || !node_in(p, n, s))
			continue;
		for (uint32_t i = 0; i < p->sels[s]->attrs.n; i++) {
			const struct attr_entry *e = &p->attrs[p->sels[s]->attrs.v[i]];

			for (uint32_t k = 0; k < e->n_pools && found < max; k++)
				pools[found++] = &e->pools[k];
		}
	}
	return found;
}

struct bytes policy_derp_map(const struct policy *p)
{
	return p->derp_map;
}

bool policy_randomizes_port(const struct policy *p)
{
	return p->randomize;
}

bool policy_disables_ipv4(const struct policy *p)
{
	return p->disable_ipv4;
}

struct bytes policy_one_cgnat(const struct policy *p)
{
	return p->one_cgnat;
}
