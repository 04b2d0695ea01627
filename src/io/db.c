#include "io/db.h"

#include "base/err.h"
#include "base/map.h"
#include "base/mem.h"
#include "io/postgres.h"
#include "io/sqlite.h"

struct db_stmt {
	struct sqlite_stmt *lite; /* one of the two */
	struct postgres_stmt *pg;
	char *sql;
};

struct db {
	struct sqlite *lite; /* one of the two */
	struct postgres *pg;
	struct map statements;
};

static struct bytes key_of(const void *item)
{
	return bytes_str(((const struct db_stmt *)item)->sql);
}

struct db *db_open(const char *path_or_url, struct err *err)
{
	struct db *db = mem_alloc(sizeof(*db));

	map_init(&db->statements, key_of, NULL); /* keys are our own literals */
	if (postgres_is_url(path_or_url))
		db->pg = postgres_open(path_or_url, err);
	else
		db->lite = sqlite_open(path_or_url, err);
	if (db->pg || db->lite)
		return db;
	db_close(db);
	return NULL;
}

void db_close(struct db *db)
{
	size_t it = 0;

	if (!db)
		return;
	for (struct db_stmt *s; (s = map_next(&db->statements, &it));) {
		mem_free(s->sql);
		mem_free(s);
	}
	map_fini(&db->statements);
	postgres_close(db->pg);
	sqlite_close(db->lite);
	mem_free(db);
}

bool db_is_postgres(const struct db *db)
{
	return db->pg != NULL;
}

int db_lock(struct db *db, int64_t key, struct err *err)
{
	return db->pg ? postgres_lock(db->pg, key, err) : 0;
}

int db_exec(struct db *db, const char *sql, struct err *err)
{
	return db->pg ? postgres_exec(db->pg, sql, err) : sqlite_exec(db->lite, sql, err);
}

int db_begin(struct db *db, struct err *err)
{
	return db->pg ? postgres_begin(db->pg, err) : sqlite_begin(db->lite, err);
}

int db_begin_snapshot(struct db *db, struct err *err)
{
	return db->pg ? postgres_begin_snapshot(db->pg, err) : sqlite_begin(db->lite, err);
}

int db_commit(struct db *db, struct err *err)
{
	return db->pg ? postgres_commit(db->pg, err) : sqlite_commit(db->lite, err);
}

void db_rollback(struct db *db)
{
	if (db->pg)
		postgres_rollback(db->pg);
	else
		sqlite_rollback(db->lite);
}

int db_copy_file(struct db *db, const char *path, struct err *err)
{
	if (db->pg)
		return err_set(err, ERR_INTERNAL, "PostgreSQL keeps no file to copy");
	return sqlite_backup(db->lite, path, err);
}

int64_t db_last_id(struct db *db)
{
	struct db_stmt *q;
	int64_t id = 0;

	if (!db->pg)
		return sqlite_last_id(db->lite);
	q = db_prepare(db, "SELECT lastval()", NULL);
	if (q && db_step(q, NULL) == 1) {
		id = db_i64(q, 0);
		db_reset(q);
	}
	return id;
}

int64_t db_changes(struct db *db)
{
	return db->pg ? postgres_changes(db->pg) : sqlite_changes(db->lite);
}

struct db_stmt *db_prepare(struct db *db, const char *sql, struct err *err)
{
	struct db_stmt *s = map_get(&db->statements, bytes_str(sql)), made = { 0 };

	if (db->pg)
		made.pg = postgres_prepare(db->pg, sql, err);
	else
		made.lite = sqlite_prepare(db->lite, sql, err);
	if (!made.pg && !made.lite)
		return NULL;
	if (s)
		return s;
	s = mem_alloc(sizeof(*s));
	*s = made;
	s->sql = mem_strdup(sql);
	(void)map_put(&db->statements, s);
	return s;
}

void db_bind_i64(struct db_stmt *s, int at, int64_t v)
{
	if (s->pg)
		postgres_bind_i64(s->pg, at, v);
	else
		sqlite_bind_i64(s->lite, at, v);
}

void db_bind_text(struct db_stmt *s, int at, struct bytes v)
{
	if (s->pg)
		postgres_bind_text(s->pg, at, v);
	else
		sqlite_bind_text(s->lite, at, v);
}

void db_bind_cstr(struct db_stmt *s, int at, const char *v)
{
	if (v)
		db_bind_text(s, at, bytes_str(v));
	else
		db_bind_null(s, at);
}

void db_bind_blob(struct db_stmt *s, int at, struct bytes v)
{
	if (s->pg)
		postgres_bind_blob(s->pg, at, v);
	else
		sqlite_bind_blob(s->lite, at, v);
}

void db_bind_null(struct db_stmt *s, int at)
{
	if (s->pg)
		postgres_bind_null(s->pg, at);
	else
		sqlite_bind_null(s->lite, at);
}

int db_step(struct db_stmt *s, struct err *err)
{
	return s->pg ? postgres_step(s->pg, err) : sqlite_step(s->lite, err);
}

int64_t db_i64(struct db_stmt *s, int column)
{
	return s->pg ? postgres_i64(s->pg, column) : sqlite_i64(s->lite, column);
}

struct bytes db_text(struct db_stmt *s, int column)
{
	return s->pg ? postgres_bytes(s->pg, column) : sqlite_text(s->lite, column);
}

struct bytes db_blob(struct db_stmt *s, int column)
{
	return s->pg ? postgres_bytes(s->pg, column) : sqlite_blob(s->lite, column);
}

bool db_is_null(struct db_stmt *s, int column)
{
	return s->pg ? postgres_is_null(s->pg, column) : sqlite_is_null(s->lite, column);
}

bool db_is_integer(struct db_stmt *s, int column)
{
	return s->pg ? postgres_is_integer(s->pg, column) : sqlite_is_integer(s->lite, column);
}

bool db_is_blob(struct db_stmt *s, int column)
{
	return s->pg ? postgres_is_blob(s->pg, column) : sqlite_is_blob(s->lite, column);
}

int db_columns(struct db_stmt *s)
{
	return s->pg ? postgres_columns(s->pg) : sqlite_columns(s->lite);
}

const char *db_column_name(struct db_stmt *s, int column)
{
	return s->pg ? postgres_column_name(s->pg, column) : sqlite_column_name(s->lite, column);
}

void db_reset(struct db_stmt *s)
{
	if (s->pg)
		postgres_reset(s->pg);
	else
		sqlite_reset(s->lite);
}
