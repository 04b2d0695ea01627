/*
 * io/sqlite.h - SQLite with prepared statements and errors as struct err.
 *
 * A handle belongs to one thread at a time. Codes: ERR_REFUSED a constraint, ERR_TIMEOUT somebody
 * else kept the lock, ERR_MALFORMED the file is damaged or no database, ERR_SYSTEM the disk (sys is
 * ENOSPC when it is full), ERR_INTERNAL wrong SQL.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

struct err;
struct sqlite;
struct sqlite_stmt;

/* WAL, foreign keys on, synchronous=FULL, 5 s busy timeout, file mode 0600. ":memory:" for tests.
 */
struct sqlite *sqlite_open(const char *path, struct err *err);
void sqlite_close(struct sqlite *db);
int sqlite_exec(struct sqlite *db, const char *sql, struct err *err); /* several statements */
int sqlite_begin(struct sqlite *db, struct err *err); /* IMMEDIATE: the writer's lock at once */
int sqlite_commit(struct sqlite *db, struct err *err);
void sqlite_rollback(struct sqlite *db); /* no-op outside a transaction */
int64_t sqlite_last_id(struct sqlite *db);
int64_t sqlite_changes(struct sqlite *db);
/* A consistent copy while the database is in use; path is replaced when it is complete. */
int sqlite_backup(struct sqlite *db, const char *path, struct err *err);

/*
 * Statements are cached by their text (a string literal): prepare once, use often. The statement
 * stays the database's. ERR_INTERNAL when the same one is in the middle of its rows.
 */
struct sqlite_stmt *sqlite_prepare(struct sqlite *db, const char *sql, struct err *err);
void sqlite_bind_i64(struct sqlite_stmt *s, int at, int64_t v); /* at from 1 */
void sqlite_bind_text(struct sqlite_stmt *s, int at, struct bytes v);
void sqlite_bind_cstr(struct sqlite_stmt *s, int at, const char *v); /* NULL becomes NULL */
void sqlite_bind_blob(struct sqlite_stmt *s, int at, struct bytes v);
void sqlite_bind_null(struct sqlite_stmt *s, int at);
/* Binding copies. What goes wrong in binding is reported by the next step. */
/* 1: a row, 0: done, -1: error. After 0 or -1 the statement is reset and ready for new values. */
int sqlite_step(struct sqlite_stmt *s, struct err *err);
int64_t sqlite_i64(struct sqlite_stmt *s, int column);       /* from 0 */
struct bytes sqlite_text(struct sqlite_stmt *s, int column); /* borrowed until the next step */
struct bytes sqlite_blob(struct sqlite_stmt *s, int column);
bool sqlite_is_null(struct sqlite_stmt *s, int column);
bool sqlite_is_integer(struct sqlite_stmt *s, int column); /* as stored in this row */
bool sqlite_is_blob(struct sqlite_stmt *s, int column);
int sqlite_columns(struct sqlite_stmt *s);
const char *sqlite_column_name(struct sqlite_stmt *s, int column);
void sqlite_reset(struct sqlite_stmt *s); /* after leaving a row loop early */
