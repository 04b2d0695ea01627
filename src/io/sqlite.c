#include "io/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <unistd.h>

#include "base/err.h"
#include "base/map.h"
#include "base/mem.h"
#include "io/file.h"

enum { BUSY_MS = 5000 };

struct sqlite_stmt {
	sqlite3_stmt *stmt;
	struct sqlite *db;
	char *sql; /* the key in the cache */
	int bind_rc;
};

struct sqlite {
	sqlite3 *db;
	char *path;
	struct map statements;
};

/* ---- errors ---- */

static enum err_code code_of(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_CONSTRAINT:
		return ERR_REFUSED;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return ERR_TIMEOUT;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return ERR_MALFORMED;
	case SQLITE_TOOBIG:
		return ERR_LIMIT;
	case SQLITE_FULL:
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_NOMEM:
		return ERR_SYSTEM;
	default:
		return ERR_INTERNAL;
	}
}

static int fail(const struct sqlite *db, int rc, struct err *err)
{
	int sys = db->db ? sqlite3_system_errno(db->db) : 0;

	err_set(err, code_of(rc), "database %s: %s", db->path,
		db->db ? sqlite3_errmsg(db->db) : sqlite3_errstr(rc));
	if (err && err->code == ERR_SYSTEM)
		err->sys = (rc & 0xff) == SQLITE_FULL ? ENOSPC : sys;
	return -1;
}

/* ---- open and close ---- */

static struct bytes key_of(const void *item)
{
	return bytes_str(((const struct sqlite_stmt *)item)->sql);
}

/* SQLite would make the file readable for all; its WAL takes over the mode of the file. */
static void make_private(const char *path)
{
	int fd;

	if (strcmp(path, ":memory:") == 0)
		return;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0)
		(void)close(fd); /* an error shows again, with words, in sqlite3_open_v2() */
}

struct sqlite *sqlite_open(const char *path, struct err *err)
{
	struct sqlite *db = mem_alloc(sizeof(*db));
	int rc;

	db->path = mem_strdup(path);
	map_init(&db->statements, key_of, NULL); /* keys are our own literals */
	make_private(path);
	rc = sqlite3_open_v2(path, &db->db,
			     SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
				 SQLITE_OPEN_EXRESCODE,
			     NULL);
	if (rc != SQLITE_OK) {
		fail(db, rc, err);
		sqlite_close(db);
		return NULL;
	}
	sqlite3_busy_timeout(db->db, BUSY_MS);
	if (sqlite_exec(db,
			"PRAGMA journal_mode = WAL;"
			"PRAGMA synchronous = FULL;"
			"PRAGMA foreign_keys = ON;"
			"PRAGMA trusted_schema = OFF;",
			err) < 0) {
		sqlite_close(db);
		return NULL;
	}
	return db;
}

static void statement_free(struct sqlite_stmt *s)
{
	sqlite3_finalize(s->stmt);
	mem_free(s->sql);
	mem_free(s);
}

void sqlite_close(struct sqlite *db)
{
	size_t it = 0;

	if (!db)
		return;
	for (struct sqlite_stmt *s; (s = map_next(&db->statements, &it));)
		statement_free(s);
	map_fini(&db->statements);
	sqlite3_close(db->db);
	mem_free(db->path);
	mem_free(db);
}

/* ---- whole commands ---- */

int sqlite_exec(struct sqlite *db, const char *sql, struct err *err)
{
	int rc = sqlite3_exec(db->db, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : fail(db, rc, err);
}

int sqlite_begin(struct sqlite *db, struct err *err)
{
	return sqlite_exec(db, "BEGIN IMMEDIATE", err);
}

int sqlite_commit(struct sqlite *db, struct err *err)
{
	return sqlite_exec(db, "COMMIT", err);
}

void sqlite_rollback(struct sqlite *db)
{
	/* After some errors (a full disk) SQLite has rolled back by itself. */
	if (!sqlite3_get_autocommit(db->db))
		(void)sqlite_exec(db, "ROLLBACK", NULL);
}

int64_t sqlite_last_id(struct sqlite *db)
{
	return sqlite3_last_insert_rowid(db->db);
}

int64_t sqlite_changes(struct sqlite *db)
{
	return sqlite3_changes64(db->db);
}

/* ---- backup ---- */

static int copy_into(struct sqlite *db, struct sqlite *to, struct err *err)
{
	sqlite3_backup *backup = sqlite3_backup_init(to->db, "main", db->db, "main");
	int rc;

	if (!backup)
		return fail(to, sqlite3_errcode(to->db), err);
	(void)sqlite3_backup_step(backup, -1);
	rc = sqlite3_backup_finish(backup);
	if (rc != SQLITE_OK)
		return fail(to, rc, err);
	/* One file without a WAL beside it can be copied and renamed. */
	return sqlite_exec(to, "PRAGMA journal_mode = DELETE", err);
}

int sqlite_backup(struct sqlite *db, const char *path, struct err *err)
{
	size_t size = strlen(path) + sizeof(".partial");
	char *partial = mem_alloc(size);
	struct sqlite *to;
	int ret = -1;

	(void)snprintf(partial, size, "%s.partial", path);
	(void)unlink(partial);
	to = sqlite_open(partial, err);
	if (to)
		ret = copy_into(db, to, err);
	sqlite_close(to);
	if (ret == 0 && rename(partial, path) < 0)
		ret = err_sys(err, "rename %s", partial);
	if (ret < 0)
		(void)unlink(partial);
	else
		ret = file_sync_folder_of(path, err);
	mem_free(partial);
	return ret < 0 ? err_wrap(err, "back up to %s", path) : 0;
}

/* ---- statements ---- */

struct sqlite_stmt *sqlite_prepare(struct sqlite *db, const char *sql, struct err *err)
{
	struct sqlite_stmt *s = map_get(&db->statements, bytes_str(sql));
	sqlite3_stmt *stmt;
	int rc;

	if (s && sqlite3_stmt_busy(s->stmt)) {
		err_set(err, ERR_INTERNAL, "database %s: statement in use: %.100s", db->path, sql);
		return NULL;
	}
	if (s) {
		sqlite_reset(s);
		return s;
	}
	rc = sqlite3_prepare_v3(db->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL);
	if (rc != SQLITE_OK || !stmt) {
		fail(db, rc, err);
		return NULL;
	}
	s = mem_alloc(sizeof(*s));
	*s = (struct sqlite_stmt){ .stmt = stmt, .db = db, .sql = mem_strdup(sql) };
	(void)map_put(&db->statements, s);
	return s;
}

static void note_bind(struct sqlite_stmt *s, int rc)
{
	if (s->bind_rc == SQLITE_OK)
		s->bind_rc = rc;
}

void sqlite_bind_i64(struct sqlite_stmt *s, int at, int64_t v)
{
	note_bind(s, sqlite3_bind_int64(s->stmt, at, v));
}

void sqlite_bind_text(struct sqlite_stmt *s, int at, struct bytes v)
{
	const char *p = v.n ? (const char *)v.p : ""; /* NULL would bind NULL */

	note_bind(s, sqlite3_bind_text64(s->stmt, at, p, v.n, SQLITE_TRANSIENT, SQLITE_UTF8));
}

void sqlite_bind_cstr(struct sqlite_stmt *s, int at, const char *v)
{
	if (v)
		sqlite_bind_text(s, at, bytes_str(v));
	else
		sqlite_bind_null(s, at);
}

void sqlite_bind_blob(struct sqlite_stmt *s, int at, struct bytes v)
{
	const void *p = v.n ? (const void *)v.p : "";

	note_bind(s, sqlite3_bind_blob64(s->stmt, at, p, v.n, SQLITE_TRANSIENT));
}

void sqlite_bind_null(struct sqlite_stmt *s, int at)
{
	note_bind(s, sqlite3_bind_null(s->stmt, at));
}

int sqlite_step(struct sqlite_stmt *s, struct err *err)
{
	int rc = s->bind_rc, ret = 0;

	if (rc == SQLITE_OK)
		rc = sqlite3_step(s->stmt);
	if (rc == SQLITE_ROW)
		return 1;
	if (rc != SQLITE_DONE)
		ret = fail(s->db, rc, err);
	sqlite_reset(s);
	return ret;
}

int64_t sqlite_i64(struct sqlite_stmt *s, int column)
{
	return sqlite3_column_int64(s->stmt, column);
}

struct bytes sqlite_text(struct sqlite_stmt *s, int column)
{
	const unsigned char *p = sqlite3_column_text(s->stmt, column);

	return bytes_of(p, (size_t)sqlite3_column_bytes(s->stmt, column));
}

struct bytes sqlite_blob(struct sqlite_stmt *s, int column)
{
	const void *p = sqlite3_column_blob(s->stmt, column);

	return bytes_of(p, (size_t)sqlite3_column_bytes(s->stmt, column));
}

bool sqlite_is_null(struct sqlite_stmt *s, int column)
{
	return sqlite3_column_type(s->stmt, column) == SQLITE_NULL;
}

bool sqlite_is_integer(struct sqlite_stmt *s, int column)
{
	return sqlite3_column_type(s->stmt, column) == SQLITE_INTEGER;
}

bool sqlite_is_blob(struct sqlite_stmt *s, int column)
{
	return sqlite3_column_type(s->stmt, column) == SQLITE_BLOB;
}

int sqlite_columns(struct sqlite_stmt *s)
{
	return sqlite3_column_count(s->stmt);
}

const char *sqlite_column_name(struct sqlite_stmt *s, int column)
{
	return sqlite3_column_name(s->stmt, column);
}

void sqlite_reset(struct sqlite_stmt *s)
{
	(void)sqlite3_reset(s->stmt);
	(void)sqlite3_clear_bindings(s->stmt);
	s->bind_rc = SQLITE_OK;
}
