/*
 * io/db.h - one face of SQLite (a path) and PostgreSQL (a URL). The same SQL runs on both: values
 * are `?`, ids that shall be made are NULL, rows are replaced with ON CONFLICT. What each promises
 * stands in io/sqlite.h and io/postgres.h; all calls block.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

struct db;
struct db_stmt;
struct err;

struct db *db_open(const char *path_or_url, struct err *err);
void db_close(struct db *db); /* NULL is a no-op */
bool db_is_postgres(const struct db *db);
/* No other process that calls this with the same key works on it. Nothing to do for SQLite. */
int db_lock(struct db *db, int64_t key, struct err *err);
int db_exec(struct db *db, const char *sql, struct err *err); /* several statements */
int db_begin(struct db *db, struct err *err);
int db_begin_snapshot(struct db *db, struct err *err); /* to read one moment's rows */
int db_commit(struct db *db, struct err *err);
void db_rollback(struct db *db); /* no-op outside a transaction */
/* SQLite only: the file as it is, by pages, while in use; path is replaced when complete. */
int db_copy_file(struct db *db, const char *path, struct err *err);
int64_t db_last_id(struct db *db); /* that the last INSERT with a NULL id made; 0: an error */
int64_t db_changes(struct db *db);

/* Cached by their text; the statement stays the database's. */
struct db_stmt *db_prepare(struct db *db, const char *sql, struct err *err);
void db_bind_i64(struct db_stmt *s, int at, int64_t v); /* at from 1 */
void db_bind_text(struct db_stmt *s, int at, struct bytes v);
void db_bind_cstr(struct db_stmt *s, int at, const char *v); /* NULL becomes NULL */
void db_bind_blob(struct db_stmt *s, int at, struct bytes v);
void db_bind_null(struct db_stmt *s, int at);
int db_step(struct db_stmt *s, struct err *err);     /* 1: a row, 0: done, -1: error */
int64_t db_i64(struct db_stmt *s, int column);       /* from 0 */
struct bytes db_text(struct db_stmt *s, int column); /* borrowed until the next step */
struct bytes db_blob(struct db_stmt *s, int column);
bool db_is_null(struct db_stmt *s, int column);
bool db_is_integer(struct db_stmt *s, int column);
bool db_is_blob(struct db_stmt *s, int column);
int db_columns(struct db_stmt *s); /* after a step that gave a row */
const char *db_column_name(struct db_stmt *s, int column);
void db_reset(struct db_stmt *s); /* after leaving a row loop early */
