/* Reading everything at the start. A row that cannot be is skipped and counted, not fatal. */
#include <stdio.h>

#include "app/control/hostinfo.h"
#include "app/control/ipam.h"
#include "app/control/model.h"
#include "app/control/store_priv.h"
#include "app/control/store_text.h"
#include "base/err.h"
#include "base/mem.h"
#include "io/db.h"

static char *owned_text(struct db_stmt *q, int column)
{
	return db_is_null(q, column) ? NULL : bytes_strdup(db_text(q, column));
}

static struct wall read_time(struct db_stmt *q, int column)
{
	return wall_from_s(db_i64(q, column));
}

static bool read_key(struct db_stmt *q, int column, struct key *k)
{
	struct bytes b = db_blob(q, column);

	if (b.n != sizeof(k->b))
		return false;
	memcpy(k->b, b.p, sizeof(k->b));
	return true;
}

static int load_tailnets(struct store *s, struct model *m, struct err *err)
{
	struct db_stmt *q =
	    db_prepare(s->db,
		       "SELECT id, name, domain, dns, device_approval, key_expiry_s, ip_cursor"
		       " FROM tailnet ORDER BY id",
		       err);
	int step;

	if (!q)
		return -1;
	while ((step = db_step(q, err)) == 1) {
		char *name = owned_text(q, 1), *domain = owned_text(q, 2);
		struct tailnet *t = model_add_tailnet(m, db_i64(q, 0), name, domain);

		t->dns = owned_text(q, 3);
		t->device_approval = db_i64(q, 4);
		t->key_expiry_s = db_i64(q, 5);
		t->ip_cursor = (uint32_t)db_i64(q, 6);
		mem_free(name);
		mem_free(domain);
	}
	return step;
}

static int load_users(struct store *s, struct model *m, struct err *err)
{
	struct db_stmt *q = db_prepare(
	    s->db,
	    "SELECT id, tailnet, login, name, password, role, created FROM member ORDER BY id",
	    err);
	int step;

	if (!q)
		return -1;
	while ((step = db_step(q, err)) == 1) {
		struct tailnet *t = model_tailnet_by_id(m, db_i64(q, 1));
		char *login = owned_text(q, 2);
		struct tn_user *u = t ? model_add_user(m, t, db_i64(q, 0), login) : NULL;

		mem_free(login);
		if (!u)
			continue;
		mem_free(u->name);
		u->name = owned_text(q, 3);
		u->password_hash = owned_text(q, 4);
		(void)model_role_parse(&u->role, db_text(q, 5));
		u->created = read_time(q, 6);
	}
	return step;
}

static int load_keys(struct store *s, struct model *m, struct err *err)
{
	struct db_stmt *q =
	    db_prepare(s->db,
		       "SELECT id, tailnet, member, hash, reusable, ephemeral, preauthorized,"
		       " used, revoked, tags, created, expiry, description FROM auth_key"
		       " ORDER BY id",
		       err);
	int step;

	if (!q)
		return -1;
	while ((step = db_step(q, err)) == 1) {
		struct tailnet *t = model_tailnet_by_id(m, db_i64(q, 1));
		struct bytes hash = db_blob(q, 3);
		struct auth_key *k;

		if (!t || hash.n != sizeof(k->hash))
			continue;
		k = model_add_key(t, db_i64(q, 0));
		memcpy(k->hash, hash.p, hash.n);
		k->user = model_user_by_id(t, db_i64(q, 2));
		k->reusable = db_i64(q, 4);
		k->ephemeral = db_i64(q, 5);
		k->preauthorized = db_i64(q, 6);
		k->used = db_i64(q, 7);
		k->revoked = db_i64(q, 8);
		store_read_tags(&k->tags, db_text(q, 9));
		k->created = read_time(q, 10);
		k->expiry = read_time(q, 11);
		k->description = owned_text(q, 12);
	}
	return step;
}

static bool read_node(struct db_stmt *q, struct tn_node *n)
{
	struct bytes host = db_text(q, 18);

	n->id = db_i64(q, 0);
	n->user = model_user_by_id(n->tailnet, db_i64(q, 2));
	if (!bytes_to_cstr(db_text(q, 3), n->stable_id, sizeof(n->stable_id)) ||
	    !read_key(q, 4, &n->machine) || !read_key(q, 5, &n->key) ||
	    !read_key(q, 6, &n->disco) || !ip_parse(&n->v4, db_text(q, 7)) || n->v4.family != 4 ||
	    !bytes_to_cstr(db_text(q, 8), n->name, sizeof(n->name)))
		return false;
	n->v6 = ipam_v6_of(n->v4);
	n->name_fixed = db_i64(q, 9);
	n->ephemeral = db_i64(q, 10);
	n->authorized = db_i64(q, 11);
	store_read_tags(&n->tags, db_text(q, 12));
	store_read_prefixes(&n->advertised, db_text(q, 13));
	store_read_prefixes(&n->approved, db_text(q, 14));
	store_read_endpoints(n, db_text(q, 15));
	n->cap = db_i64(q, 16);
	n->home_derp = db_i64(q, 17);
	n->hostinfo = bytes_of(bytes_strdup(host), host.n);
	n->created = read_time(q, 19);
	n->expiry = read_time(q, 20);
	n->last_seen = read_time(q, 21);
	return n->user || model_node_is_tagged(n);
}

static int load_nodes(struct store *s, struct model *m, struct err *err)
{
	struct db_stmt *q =
	    db_prepare(s->db,
		       "SELECT id, tailnet, member, stable_id, machine, node_key, disco, ipv4,"
		       " name, name_fixed, ephemeral, authorized, tags, advertised, approved,"
		       " endpoints, cap, home_derp, hostinfo, created, expiry, last_seen"
		       " FROM node ORDER BY id",
		       err);
	int step;

	if (!q)
		return -1;
	while ((step = db_step(q, err)) == 1) {
		struct tailnet *t = model_tailnet_by_id(m, db_i64(q, 1));
		struct tn_node *n = t ? model_node_new(t) : NULL;

		if (n && read_node(q, n)) {
			hostinfo_restore(n);
			model_add_node(m, n);
		} else {
			if (n)
				model_node_free(n);
			s->skipped++;
		}
	}
	return step;
}

static int load_policies(struct store *s, struct model *m, struct err *err)
{
	list_each (it, &m->tailnets) {
		struct tailnet *t = list_entry(it, struct tailnet, link);
		struct buf text;

		if (store_get_policy(s, t, 0, &text, err) < 0) {
			buf_fini(&text);
			return -1;
		}
		if (text.n)
			t->policy = bytes_strdup(buf_bytes(&text));
		buf_fini(&text);
	}
	return 0;
}

int store_load(struct store *s, struct model *m, struct err *err)
{
	if (load_tailnets(s, m, err) < 0 || load_users(s, m, err) < 0 || load_keys(s, m, err) < 0 ||
	    load_nodes(s, m, err) < 0 || store_load_identities(s, m, err) < 0 ||
	    load_policies(s, m, err) < 0)
		return err_wrap(err, "load the database");
	return 0;
}

size_t store_skipped(const struct store *s)
{
	return s->skipped;
}
