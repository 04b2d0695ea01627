/*
 * io/postgres.h - PostgreSQL with the shape of io/sqlite.h: prepared statements with `?`, errors as
 * struct err, calls that block. io/db.h chooses between the two.
 *
 * Like SQLite and unlike PostgreSQL by itself, a statement that fails inside a transaction undoes
 * itself alone: each write stands behind a savepoint. A connection that is lost fails what was
 * open; the next statement outside a transaction dials again, at most once per few seconds.
 *
 * Codes: ERR_REFUSED a constraint, or another server holds the lock; ERR_TIMEOUT a lock or the
 * server was too slow; ERR_AUTH the login; ERR_SYSTEM the connection or the server's disk (sys is
 * ENOSPC when it is full); ERR_USAGE the URL; ERR_INTERNAL wrong SQL.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

struct err;
struct postgres;
struct postgres_stmt;

enum { POSTGRES_NAME_MAX = 512 };

bool postgres_is_url(const char *text); /* postgres:// or postgresql:// */
/* The URL without password and options: what a person may read. */
void postgres_name(const char *url, char out[POSTGRES_NAME_MAX]);

/* Files that the URL names (certificates, keys, password file), for a sandbox. */
void postgres_each_file(const char *url, void (*on_file)(void *arg, const char *path), void *arg);

struct postgres *postgres_open(const char *url, struct err *err);
void postgres_close(struct postgres *db); /* NULL is a no-op */
/* One process at a time: held until close, taken again when the connection was lost. */
int postgres_lock(struct postgres *db, int64_t key, struct err *err);
int postgres_exec(struct postgres *db, const char *sql, struct err *err); /* several statements */
int postgres_begin(struct postgres *db, struct err *err);
int postgres_begin_snapshot(struct postgres *db, struct err *err); /* reads one moment's rows */
int postgres_commit(struct postgres *db, struct err *err);
void postgres_rollback(struct postgres *db); /* no-op outside a transaction */

/* Cached by their text, as in io/sqlite.h. */
struct postgres_stmt *postgres_prepare(struct postgres *db, const char *sql, struct err *err);
void postgres_bind_i64(struct postgres_stmt *s, int at, int64_t v); /* at from 1 */
/* UTF-8. What the server cannot hold (NUL, broken UTF-8) becomes '?'. */
void postgres_bind_text(struct postgres_stmt *s, int at, struct bytes v);
void postgres_bind_blob(struct postgres_stmt *s, int at, struct bytes v);
void postgres_bind_null(struct postgres_stmt *s, int at);
int postgres_step(struct postgres_stmt *s, struct err *err);     /* 1: a row, 0: done, -1: error */
int64_t postgres_changes(const struct postgres *db);             /* rows of the last statement */
int64_t postgres_i64(const struct postgres_stmt *s, int column); /* from 0; 0 if not an integer */
struct bytes postgres_bytes(const struct postgres_stmt *s, int column); /* borrowed until step */
bool postgres_is_null(const struct postgres_stmt *s, int column);
bool postgres_is_integer(const struct postgres_stmt *s, int column);
bool postgres_is_blob(const struct postgres_stmt *s, int column);
int postgres_columns(const struct postgres_stmt *s);
const char *postgres_column_name(const struct postgres_stmt *s, int column);
void postgres_reset(struct postgres_stmt *s);
