#include "app/control/store.h"

#include <stdio.h>

#include "app/control/model.h"
#include "app/control/schema_sql.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/rand.h"
#include "io/db.h"

#include "app/control/store_priv.h"

enum { PRUNE_STEP = 5000 };

struct store *store_open(const char *where, const char *folder, struct err *err)
{
	struct store *s = mem_alloc(sizeof(*s));

	s->db = db_open(where, err);
	if (s->db && db_lock(s->db, STORE_LOCK, err) == 0 &&
	    store_schema_migrate(s->db, folder, err) == 0)
		return s;
	(void)err_wrap(err, "open the database");
	store_close(s);
	return NULL;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	store_rollback(s);
	db_close(s->db);
	mem_free(s);
}

int store_begin(struct store *s, struct err *err)
{
	if (s->open)
		return 0;
	if (db_begin(s->db, err) < 0)
		return -1;
	s->open = true;
	return 0;
}

int store_commit(struct store *s, struct err *err)
{
	if (!s->open)
		return 0;
	s->open = false;
	if (db_commit(s->db, err) == 0)
		return 0;
	db_rollback(s->db);
	return err_wrap(err, "write the database");
}

void store_rollback(struct store *s)
{
	if (s->open)
		db_rollback(s->db);
	s->open = false;
}

bool store_is_dirty(const struct store *s)
{
	return s->open;
}

int store_run(struct db_stmt *q, struct err *err)
{
	return q && db_step(q, err) >= 0 ? 0 : -1;
}

int store_log_change(struct store *s, int64_t tailnet, const char *kind, int64_t object,
		     struct err *err)
{
	struct db_stmt *q =
	    db_prepare(s->db, "INSERT INTO change (tailnet, kind, object) VALUES (?, ?, ?)", err);

	if (!q)
		return -1;
	db_bind_i64(q, 1, tailnet);
	db_bind_cstr(q, 2, kind);
	db_bind_i64(q, 3, object);
	return store_run(q, err);
}

int store_prune_changes(struct store *s, int64_t keep, struct err *err)
{
	struct db_stmt *q;

	if (store_begin(s, err) < 0)
		return -1;
	q = db_prepare(s->db,
		       "DELETE FROM change WHERE seq <= (SELECT max(seq) FROM change) - ?"
		       " AND seq < (SELECT min(seq) FROM change) + ?",
		       err);
	if (!q)
		return -1;
	db_bind_i64(q, 1, keep);
	db_bind_i64(q, 2, PRUNE_STEP);
	return store_run(q, err);
}

int store_secret(struct store *s, const char *name, struct secret32 *out, struct err *err)
{
	struct db_stmt *q = db_prepare(s->db, "SELECT value FROM meta WHERE name = ?", err);
	struct rng rng = rng_system();
	int step;

	if (!q)
		return -1;
	db_bind_cstr(q, 1, name);
	step = db_step(q, err);
	if (step == 1) {
		struct bytes value = db_blob(q, 0);
		bool good = value.n == sizeof(out->b);

		if (good)
			memcpy(out->b, value.p, sizeof(out->b));
		db_reset(q);
		return good ? 0 : err_set(err, ERR_INTERNAL, "the stored %s is damaged", name);
	}
	secret32_random(out, &rng);
	q = step < 0 ? NULL : db_prepare(s->db, "INSERT INTO meta VALUES (?, ?)", err);
	if (!q)
		return -1;
	db_bind_cstr(q, 1, name);
	db_bind_blob(q, 2, bytes_of(out->b, sizeof(out->b)));
	return store_run(q, err);
}

/* 0 becomes NULL, so that an autoincrementing key is made. */
void store_bind_id(struct db_stmt *q, int at, int64_t id)
{
	if (id)
		db_bind_i64(q, at, id);
	else
		db_bind_null(q, at);
}

int store_put_tailnet(struct store *s, struct tailnet *t, struct err *err)
{
	struct db_stmt *q;

	if (store_begin(s, err) < 0)
		return -1;
	q = db_prepare(s->db,
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
	db_bind_cstr(q, 2, t->name);
	db_bind_cstr(q, 3, t->domain);
	db_bind_cstr(q, 4, t->dns);
	db_bind_i64(q, 5, t->device_approval);
	db_bind_i64(q, 6, t->key_expiry_s);
	db_bind_i64(q, 7, t->ip_cursor);
	if (store_run(q, err) < 0)
		return -1;
	if (!t->id)
		t->id = db_last_id(s->db);
	return store_log_change(s, t->id, "tailnet", t->id, err);
}

int store_put_user(struct store *s, struct tn_user *u, struct err *err)
{
	struct db_stmt *q;

	if (store_begin(s, err) < 0)
		return -1;
	q = db_prepare(s->db,
		       "INSERT INTO member (id, tailnet, login, name, password, role, created)"
		       " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
		       " login = excluded.login, name = excluded.name,"
		       " password = excluded.password, role = excluded.role",
		       err);
	if (!q)
		return -1;
	store_bind_id(q, 1, u->id);
	db_bind_i64(q, 2, u->tailnet->id);
	db_bind_cstr(q, 3, u->login);
	db_bind_cstr(q, 4, u->name);
	db_bind_cstr(q, 5, u->password_hash);
	db_bind_cstr(q, 6, model_role_name(u->role));
	db_bind_i64(q, 7, wall_s(u->created));
	if (store_run(q, err) < 0)
		return -1;
	if (!u->id)
		u->id = db_last_id(s->db);
	return store_log_change(s, u->tailnet->id, "user", u->id, err);
}

static int delete_row(struct store *s, const char *sql, int64_t tailnet, int64_t id,
		      const char *kind, struct err *err)
{
	struct db_stmt *q;

	if (store_begin(s, err) < 0)
		return -1;
	q = db_prepare(s->db, sql, err);
	if (!q)
		return -1;
	db_bind_i64(q, 1, tailnet);
	db_bind_i64(q, 2, id);
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
	struct db_stmt *q;

	if (store_begin(s, err) < 0)
		return -1;
	q = db_prepare(s->db,
		       "UPDATE auth_key SET used = 1 WHERE tailnet = ? AND id = ?"
		       " AND revoked = 0 AND (reusable = 1 OR used = 0)",
		       err);
	if (!q)
		return -1;
	db_bind_i64(q, 1, k->tailnet->id);
	db_bind_i64(q, 2, k->id);
	if (store_run(q, err) < 0)
		return -1;
	return db_changes(s->db) == 1 ? 0
				      : err_set(err, ERR_REFUSED, "the auth key was used before");
}

int store_backup(struct store *s, const char *path, struct err *err)
{
	if (store_commit(s, err) < 0)
		return -1;
	return store_copy_to_file(s->db, SCHEMA_VERSION, path, err);
}

static bool is_gap(struct store *s, int64_t after)
{
	struct db_stmt *q = db_prepare(s->db, "SELECT min(seq), max(seq) FROM change", NULL);
	bool gap = true;

	if (q && db_step(q, NULL) == 1) {
		gap =
		    db_is_null(q, 0) ? after > 0 : db_i64(q, 0) > after + 1 || db_i64(q, 1) < after;
		db_reset(q);
	}
	return gap;
}

int store_changes(struct store *s, int64_t after, struct store_change *out, int max, bool *gap,
		  struct err *err)
{
	struct db_stmt *q = db_prepare(s->db,
				       "SELECT seq, tailnet, kind, object FROM change"
				       " WHERE seq > ? ORDER BY seq LIMIT ?",
				       err);
	int n = 0, step;

	if (!q)
		return -1;
	db_bind_i64(q, 1, after);
	db_bind_i64(q, 2, max);
	while ((step = db_step(q, err)) == 1) {
		out[n].seq = db_i64(q, 0);
		out[n].tailnet = db_i64(q, 1);
		out[n].object = db_i64(q, 3);
		if (!bytes_to_cstr(db_text(q, 2), out[n].kind, sizeof(out[n].kind)))
			out[n].kind[0] = '\0'; /* of a newer release */
		n++;
	}
	*gap = step == 0 && is_gap(s, after);
	return step < 0 ? -1 : n;
}
