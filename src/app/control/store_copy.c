/*
 * A whole database into another one, of either kind and at any version: backups, snapshots before
 * a migration, and the way from SQLite to PostgreSQL and back.
 */
#include <stdio.h>
#include <unistd.h>

#include "app/control/schema_sql.h"
#include "app/control/store_priv.h"
#include "base/err.h"
#include "base/mem.h"
#include "io/db.h"
#include "io/file.h"

enum { INSERT_MAX = 4096 };

/* Whom others refer to comes first. */
static const struct {
	const char *name;
	int since, until; /* versions that have it */
} tables[] = {
	{ "meta", 1, SCHEMA_VERSION },
	{ "tailnet", 1, SCHEMA_VERSION },
	{ "member", 1, SCHEMA_VERSION },
	{ "node", 1, SCHEMA_VERSION },
	{ "auth_key", 1, SCHEMA_VERSION },
	{ "policy", 1, SCHEMA_VERSION },
	{ "api_token", 1, 1 },
	{ "credential", 2, SCHEMA_VERSION },
	{ "identity", 2, SCHEMA_VERSION },
	{ "idp_group", 2, SCHEMA_VERSION },
	{ "attribute", 2, SCHEMA_VERSION },
	{ "audit", 1, SCHEMA_VERSION },
	{ "change", 1, SCHEMA_VERSION },
};

/* Numbers that PostgreSQL has given out are not given out again. */
static const char continue_counting[] =
    "DO $$ DECLARE c record; BEGIN FOR c IN SELECT table_name AS t, column_name AS n"
    " FROM information_schema.columns WHERE table_schema = current_schema()"
    " AND column_default LIKE 'nextval%' LOOP"
    " EXECUTE format('SELECT setval(pg_get_serial_sequence(%L, %L),"
    " coalesce(max(%I), 0) + 1, false) FROM %I', quote_ident(c.t), c.n, c.n, c.t);"
    " END LOOP; END $$;";

static void write_insert(const char *table, struct db_stmt *row, struct buf *out)
{
	int n = db_columns(row);

	(void)buf_printf(out, "INSERT INTO %s (", table);
	for (int i = 0; i < n; i++)
		(void)buf_printf(out, "%s%s", i ? ", " : "", db_column_name(row, i));
	(void)buf_append_str(out, ") VALUES (");
	for (int i = 0; i < n; i++)
		(void)buf_append_str(out, i ? ", ?" : "?");
	(void)buf_append_str(out, ")");
}

static int copy_row(struct db_stmt *row, struct db *to, const char *insert, struct err *err)
{
	struct db_stmt *q = db_prepare(to, insert, err);

	if (!q)
		return -1;
	for (int i = 0; i < db_columns(row); i++) {
		if (db_is_null(row, i))
			db_bind_null(q, i + 1);
		else if (db_is_integer(row, i))
			db_bind_i64(q, i + 1, db_i64(row, i));
		else if (db_is_blob(row, i))
			db_bind_blob(q, i + 1, db_blob(row, i));
		else
			db_bind_text(q, i + 1, db_text(row, i));
	}
	return db_step(q, err) < 0 ? -1 : 0;
}

/* The version is the target's own business. */
static bool is_version(struct db_stmt *row, const char *table)
{
	return strcmp(table, "meta") == 0 && bytes_equal_str(db_text(row, 0), "schema");
}

static int copy_table(struct db *from, struct db *to, const char *table, struct err *err)
{
	struct buf select, insert;
	struct db_stmt *row;
	int step = -1;

	buf_init(&select, INSERT_MAX);
	buf_init(&insert, INSERT_MAX);
	(void)buf_printf(&select, "SELECT * FROM %s", table);
	row = db_prepare(from, buf_cstr(&select), err);
	while (row && (step = db_step(row, err)) == 1) {
		if (!insert.n)
			write_insert(table, row, &insert);
		if (!is_version(row, table) && copy_row(row, to, buf_cstr(&insert), err) < 0) {
			db_reset(row);
			step = -1;
			break;
		}
	}
	buf_fini(&select);
	buf_fini(&insert);
	return step < 0 ? err_wrap(err, "copy table %s", table) : 0;
}

static int copy_tables(struct db *from, struct db *to, int version, struct err *err)
{
	for (size_t i = 0; i < array_len(tables); i++)
		if (version >= tables[i].since && version <= tables[i].until &&
		    copy_table(from, to, tables[i].name, err) < 0)
			return -1;
	return db_is_postgres(to) ? db_exec(to, continue_counting, err) : 0;
}

/* `to` is empty and at `version`, as `from` is. All of it arrives or nothing. */
static int copy(struct db *from, struct db *to, int version, struct err *err)
{
	int ret;

	if (db_begin_snapshot(from, err) < 0)
		return -1;
	ret = db_begin(to, err);
	if (ret == 0)
		ret = copy_tables(from, to, version, err);
	if (ret == 0)
		ret = db_commit(to, err);
	db_rollback(to);
	db_rollback(from);
	return ret;
}

static int fill_file(struct db *from, int version, const char *path, struct err *err)
{
	struct db *to = db_open(path, err);
	int ret = -1;

	if (to && store_schema_reach(to, version, err) == 0 && copy(from, to, version, err) == 0)
		/* One file without a WAL beside it can be copied and renamed. */
		ret = db_exec(to, "PRAGMA journal_mode = DELETE", err);
	db_close(to);
	return ret;
}

int store_copy_to_file(struct db *db, int version, const char *path, struct err *err)
{
	struct buf partial;
	int ret;

	if (!db_is_postgres(db))
		return db_copy_file(db, path, err);
	buf_init(&partial, 4096);
	if (!buf_printf(&partial, "%s.partial", path)) {
		buf_fini(&partial);
		return err_set(err, ERR_USAGE, "%.80s...: too long a path", path);
	}
	(void)unlink(buf_cstr(&partial));
	ret = fill_file(db, version, buf_cstr(&partial), err);
	if (ret == 0 && rename(buf_cstr(&partial), path) < 0)
		ret = err_sys(err, "rename %s", buf_cstr(&partial));
	if (ret < 0)
		(void)unlink(buf_cstr(&partial));
	else
		ret = file_sync_folder_of(path, err);
	buf_fini(&partial);
	return ret < 0 ? err_wrap(err, "copy to %s", path) : 0;
}

static int import(struct db *from, struct db *to, struct err *err)
{
	int had, version;

	if (store_schema_version(from, &version, err) < 0 ||
	    store_schema_version(to, &had, err) < 0)
		return -1;
	if (version < 1 || version > SCHEMA_VERSION)
		return err_set(err, ERR_USAGE,
			       "it is no database of this program, or one of a newer release");
	if (had)
		return err_set(err, ERR_USAGE,
			       "there is a network in the configured database already; an import"
			       " needs an empty one");
	if (store_schema_reach(to, version, err) < 0 || copy(from, to, version, err) < 0)
		return -1;
	return store_schema_reach(to, SCHEMA_VERSION, err);
}

int store_import(const char *where, const char *file, struct err *err)
{
	struct db *from = NULL, *to = NULL;
	int ret = -1;

	if (!file_exists(file))
		return err_set(err, ERR_USAGE, "there is no file %s", file);
	from = db_open(file, err);
	if (from)
		to = db_open(where, err);
	if (to && db_lock(to, STORE_LOCK, err) == 0)
		ret = import(from, to, err);
	db_close(to);
	db_close(from);
	return ret < 0 ? err_wrap(err, "import %s", file) : 0;
}
