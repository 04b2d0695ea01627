#include "app/control/store.h"

#include <stdio.h>

#include "app/control/model.h"
#include "app/control/schema_sql.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/rand.h"
#include "io/sqlite.h"

#include "app/control/store_priv.h"

static int migrate(struct store *s, struct err *err)
{
	struct sqlite_stmt *q;
	int64_t version = 0;

	if (sqlite_exec(s->db, SCHEMA_SQL, err) < 0)
		return -1;
	q = sqlite_prepare(s->db, "SELECT value FROM meta WHERE name = 'schema'", err);
	if (!q)
		return -1;
	if (sqlite_step(q, err) == 1)
		version = sqlite_i64(q, 0);
	sqlite_reset(q);
	if (version > SCHEMA_VERSION)
		return err_set(
		    err, ERR_USAGE,
		    "the database is from a newer release (schema %lld, this one knows %d)",
		    (long long)version, SCHEMA_VERSION);
	q = sqlite_prepare(s->db, "INSERT OR REPLACE INTO meta VALUES ('schema', ?)", err);
	if (!q)
		return -1;
	sqlite_bind_i64(q, 1, SCHEMA_VERSION);
	return sqlite_step(q, err) < 0 ? -1 : 0;
}

enum { PRUNE_STEP = 5000 };

struct store *store_open(const char *path, struct err *err)
{
	struct store *s = mem_alloc(sizeof(*s));

	s->db = sqlite_open(path, err);
	if (s->db && migrate(s, err) == 0)
		return s;
	(void)err_wrap(err, "open %s", path);
	store_close(s);
	return NULL;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	store_rollback(s);
	if (s->db)
		sqlite_close(s->db);
	mem_free(s);
}

int store_begin(struct store *s, struct err *err)
{
	if (s->open)
		return 0;
	if (sqlite_begin(s->db, err) < 0)
		return -1;
	s->open = true;
	return 0;
}

int store_commit(struct store *s, struct err *err)
{
	if (!s->open)
		return 0;
	s->open = false;
	if (sqlite_commit(s->db, err) == 0)
		return 0;
	sqlite_rollback(s->db);
	return err_wrap(err, "write the database");
}

void store_rollback(struct store *s)
{
	if (s->open)
		sqlite_rollback(s->db);
	s->open = false;
}

bool store_is_dirty(const struct store *s)
{
	return s->open;
}

int store_run(struct sqlite_stmt *q, struct err *err)
{
	return q && sqlite_step(q, err) >= 0 ? 0 : -1;
}

int store_log_change(struct store *s, int64_t tailnet, const char *kind, int64_t object,
		     struct err *err)
{
	struct sqlite_stmt *q = sqlite_prepare(
	    s->db, "INSERT INTO change (tailnet, kind, object) VALUES (?, ?, ?)", err);

	if (!q)
		return -1;
	sqlite_bind_i64(q, 1, tailnet);
	sqlite_bind_cstr(q, 2, kind);
	sqlite_bind_i64(q, 3, object);
	return store_run(q, err);
}

int store_prune_changes(struct store *s, int64_t keep, struct err *err)
{
	struct sqlite_stmt *q;

	if (store_begin(s, err) < 0)
		return -1;
	q = sqlite_prepare(s->db,
			   "DELETE FROM change WHERE seq <= (SELECT max(seq) FROM change) - ?"
			   " AND seq < (SELECT min(seq) FROM change) + ?",
			   err);
	if (!q)
		return -1;
	sqlite_bind_i64(q, 1, keep);
	sqlite_bind_i64(q, 2, PRUNE_STEP);
	return store_run(q, err);
}

int store_secret(struct store *s, const char *name, struct secret32 *out, struct err *err)
{
	struct sqlite_stmt *q = sqlite_prepare(s->db, "SELECT value FROM meta WHERE name = ?", err);
	struct rng rng = rng_system();
	int step;

	if (!q)
		return -1;
	sqlite_bind_cstr(q, 1, name);
	step = sqlite_step(q, err);
	if (step == 1) {
		struct bytes value = sqlite_blob(q, 0);
		bool good = value.n == sizeof(out->b);

		if (good)
			memcpy(out->b, value.p, sizeof(out->b));
		sqlite_reset(q);
		return good ? 0 : err_set(err, ERR_INTERNAL, "the stored %s is damaged", name);
	}
	secret32_random(out, &rng);
	q = step < 0 ? NULL : sqlite_prepare(s->db, "INSERT INTO meta VALUES (?, ?)", err);
	if (!q)
		return -1;
	sqlite_bind_cstr(q, 1, name);
	sqlite_bind_blob(q, 2, bytes_of(out->b, sizeof(out->b)));
	return store_run(q, err);
}

/* 0 becomes NULL, so that an autoincrementing key is made. */
void store_bind_id(struct sqlite_stmt *q, int at, int64_t id)
{
	if (id)
		sqlite_bind_i64(q, at, id);
	else
		sqlite_bind_null(q, at);
}

int store_put_tailnet(struct store *s, struct tailnet *t, struct err *err)
{
	struct sqlite_stmt *q;

	if (store_begin(s, err) < 0)
		return -1;
	q = sqlite_prepare(s->db,
			   "INSERT INTO tailnet (id, name, domain, dns, device_approval,"
			   " key_expiry_s, ip_cursor) VALUES (?, ?, ?, ?, ?, ?, ?)"
			   " ON CONFLICT (id) DO UPDATE SET name = excluded.name,"
			   " domain = excluded.domain, dns = excluded.dns,"
			   " device_approval = excluded.device_approval,"
			   " key_expiry_s = excluded.key_expiry_s, ip_cursor = excluded.ip_cursor",
			   err);
	if (!q)
		return -1;
	store_bind_id(q, 1, t->id);
	sqlite_bind_cstr(q, 2, t->name);
	sqlite_bind_cstr(q, 3, t->domain);
	sqlite_bind_cstr(q, 4, t->dns);
	sqlite_bind_i64(q, 5, t->device_approval);
	sqlite_bind_i64(q, 6, t->key_expiry_s);
	sqlite_bind_i64(q, 7, t->ip_cursor);
	if (store_run(q, err) < 0)
		return -1;
	if (!t->id)
		t->id = sqlite_last_id(s->db);
	return store_log_change(s, t->id, "tailnet", t->id, err);
}

int store_put_user(struct store *s, struct tn_user *u, struct err *err)
{
	struct sqlite_stmt *q;

	if (store_begin(s, err) < 0)
		return -1;
	q = sqlite_prepare(s->db,
			   "INSERT INTO member (id, tailnet, login, name, password, role, created)"
			   " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
			   " login = excluded.login, name = excluded.name,"
			   " password = excluded.password, role = excluded.role",
			   err);
	if (!q)
		return -1;
	store_bind_id(q, 1, u->id);
	sqlite_bind_i64(q, 2, u->tailnet->id);
	sqlite_bind_cstr(q, 3, u->login);
	sqlite_bind_cstr(q, 4, u->name);
	sqlite_bind_cstr(q, 5, u->password_hash);
	sqlite_bind_cstr(q, 6, model_role_name(u->role));
	sqlite_bind_i64(q, 7, wall_s(u->created));
	if (store_run(q, err) < 0)
		return -1;
	if (!u->id)
		u->id = sqlite_last_id(s->db);
	return store_log_change(s, u->tailnet->id, "user", u->id, err);
}

static int delete_row(struct store *s, const char *sql, int64_t tailnet, int64_t id,
		      const char *kind, struct err *err)
{
	struct sqlite_stmt *q;

	if (store_begin(s, err) < 0)
		return -1;
	q = sqlite_prepare(s->db, sql, err);
	if (!q)
		return -1;
	sqlite_bind_i64(q, 1, tailnet);
	sqlite_bind_i64(q, 2, id);
	if (store_run(q, err) < 0)
		return -1;
	return store_log_change(s, tailnet, kind, id, err);
}

int store_delete_user(struct store *s, const struct tn_user *u, struct err *err)
{
	return delete_row(s, "DELETE FROM member WHERE tailnet = ? AND id = ?", u->tailnet->id,
			  u->id, "user-gone", err);
}

int store_delete_node(struct store *s, const struct tn_node *n, struct err *err)
{
	return delete_row(s, "DELETE FROM node WHERE tailnet = ? AND id = ?", n->tailnet->id, n->id,
			  "node-gone", err);
}

int store_delete_key(struct store *s, const struct auth_key *k, struct err *err)
{
	return delete_row(s, "DELETE FROM auth_key WHERE tailnet = ? AND id = ?", k->tailnet->id,
			  k->id, "key-gone", err);
}

int store_consume_key(struct store *s, const struct auth_key *k, struct err *err)
{
	struct sqlite_stmt *q;

	if (store_begin(s, err) < 0)
		return -1;
	q = sqlite_prepare(s->db,
			   "UPDATE auth_key SET used = 1 WHERE tailnet = ? AND id = ?"
			   " AND revoked = 0 AND (reusable = 1 OR used = 0)",
			   err);
	if (!q)
		return -1;
	sqlite_bind_i64(q, 1, k->tailnet->id);
	sqlite_bind_i64(q, 2, k->id);
	if (store_run(q, err) < 0)
		return -1;
	return sqlite_changes(s->db) == 1
		   ? 0
		   : err_set(err, ERR_REFUSED, "the auth key was used before");
}

int store_backup(struct store *s, const char *path, struct err *err)
{
	return store_commit(s, err) < 0 ? -1 : sqlite_backup(s->db, path, err);
}
