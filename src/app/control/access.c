#include "app/control/access.h"

#include <stdio.h>
#include <stdlib.h>

#include "app/control/model.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"

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

/* ---- the default: a user's own nodes ---- */

static bool is_reachable(const struct tn_node *n)
{
	return n->user && !model_node_is_tagged(n) && n->authorized;
}

static void affect_user(const struct tn_user *u, struct access_ids *affected)
{
	list_each (it, (struct list *)&u->nodes)
		access_ids_add(affected, list_entry(it, struct tn_node, user_link)->id);
}

int access_check(struct tailnet *t, struct bytes policy, struct err *err)
{
	(void)t;
	(void)policy;
	return err_set(err, ERR_USAGE, "this build has no policy engine");
}

int access_load(struct tailnet *t, struct bytes policy, struct access_ids *affected,
		struct err *err)
{
	(void)affected;
	return policy.n ? access_check(t, policy, err) : 0;
}

void access_free(struct tailnet *t)
{
	(void)t;
}

void access_node_changed(struct tn_node *n, struct access_ids *affected)
{
	access_ids_add(affected, n->id);
	if (n->user)
		affect_user(n->user, affected);
}

void access_node_gone(struct tn_node *n, struct access_ids *affected)
{
	if (n->user)
		affect_user(n->user, affected);
}

void access_node_online(struct tn_node *n, struct access_ids *affected)
{
	if (n->approved.n && n->user)
		affect_user(n->user, affected);
}

void access_users_changed(struct tailnet *t, struct access_ids *affected)
{
	(void)t;
	(void)affected;
}

static bool is_default_route(struct prefix p)
{
	return p.len == 0;
}

/* The online node with the lowest id that has the route approved serves it. */
static bool serves(const struct tn_node *n, struct prefix route)
{
	if (!n->online)
		return false;
	list_each (it, &n->user->nodes) {
		const struct tn_node *other = list_entry(it, struct tn_node, user_link);

		if (other->id < n->id && other->online && prefix_set_has(&other->approved, route))
			return false;
	}
	return true;
}

static struct access_routes *routes_of(const struct tn_node *n)
{
	struct access_routes *r;

	if (!n->approved.n)
		return NULL;
	r = mem_alloc(sizeof(*r) + n->approved.n * sizeof(r->v[0]));
	r->refs = 1;
	r->hash = 1469598103934665603ULL;
	for (int exits = 0; exits < 2; exits++) {
		for (size_t i = 0; i < n->approved.n; i++) {
			struct prefix p = n->approved.v[i];

			if (is_default_route(p) == exits && (exits || serves(n, p)))
				r->v[r->n++] = p;
		}
		if (!exits)
			r->n_primary = r->n;
	}
	for (size_t i = 0; i < r->n * sizeof(r->v[0]); i++)
		r->hash = (r->hash ^ ((const uint8_t *)r->v)[i]) * 1099511628211ULL;
	return r;
}

static int by_id(const void *a, const void *b)
{
	int64_t x = ((const struct access_peer *)a)->node->id,
		y = ((const struct access_peer *)b)->node->id;

	return x < y ? -1 : x > y;
}

void access_peers(struct tn_node *n, struct access_peers *out)
{
	*out = (struct access_peers){ 0 };
	if (!is_reachable(n))
		return;
	out->self = routes_of(n);
	list_each (it, &n->user->nodes) {
		struct tn_node *other = list_entry(it, struct tn_node, user_link);

		if (other == n || !is_reachable(other))
			continue;
		mem_reserve(out->v, out->n, out->cap);
		out->v[out->n++] = (struct access_peer){ other, routes_of(other) };
	}
	if (out->n)
		qsort(out->v, out->n, sizeof(*out->v), by_id);
}

/*
 * Any source: the peers a node gets are its user's other nodes and nobody else has a session with
 * it, so this names the same nodes as a list of all their addresses would.
 */
void access_filter(struct tn_node *n, struct buf *out)
{
	if (is_reachable(n))
		(void)buf_append_str(out,
				     "[{\"SrcIPs\":[\"*\"],\"DstPorts\":[{\"IP\":\"*\",\"Ports\":"
				     "{\"First\":0,\"Last\":65535}}]}]");
	else
		(void)buf_append_str(out, "[]");
}

void access_ssh(struct tn_node *n, struct buf *out)
{
	(void)n;
	(void)out;
}

void access_caps(struct tn_node *n, struct buf *out)
{
	bool admin = n->user && !model_node_is_tagged(n) &&
		     (n->user->role == ROLE_OWNER || n->user->role == ROLE_ADMIN);

	(void)buf_append_str(out, "{\"https://tailscale.com/cap/file-sharing\":null,"
				  "\"https://tailscale.com/cap/ssh\":null,"
				  "\"magicdns-aaaa\":null");
	if (admin)
		(void)buf_append_str(out, ",\"https://tailscale.com/cap/is-admin\":null");
	(void)buf_append_str(out, "}");
}

bool access_approves_route(struct tn_node *n, struct prefix route)
{
	(void)n;
	(void)route;
	return false;
}

bool access_user_may_tag(struct tailnet *t, int64_t user, const struct bytes *tags, size_t n,
			 struct bytes *bad)
{
	(void)t;
	(void)user;
	*bad = n ? tags[0] : (struct bytes){ 0 };
	return n == 0;
}
