/*
 * The tables come and change here, step by step, each in a transaction of its own with the new
 * version. Before the first step of an old database a copy of it is put aside.
 */
#include <stdio.h>

#include "app/control/schema_sql.h"
#include "app/control/store_priv.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/text.h"
#include "io/db.h"
#include "io/file.h"

#define LITE "INTEGER PRIMARY KEY AUTOINCREMENT", "INTEGER", "BLOB"
#define POSTGRES "BIGSERIAL PRIMARY KEY", "BIGINT", "BYTEA"
#define EXPAND(step, ...) step(__VA_ARGS__)
#define BOTH(step)                                                                                 \
	{                                                                                          \
		EXPAND(step, LITE), EXPAND(step, POSTGRES)                                         \
	}

/* steps[n] leads from version n to n + 1. */
static const char *const steps[SCHEMA_VERSION][2] = { BOTH(SCHEMA_1), BOTH(SCHEMA_2) };
static const char *const meta[2] = BOTH(SCHEMA_META);

/* SQLite makes an id for NULL by itself; PostgreSQL is told to. */
static const char next_id[] =
    "CREATE OR REPLACE FUNCTION weft_next_id() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
    " IF NEW.id IS NULL THEN NEW.id := nextval(pg_get_serial_sequence("
    "quote_ident(TG_TABLE_SCHEMA) || '.' || quote_ident(TG_TABLE_NAME), 'id')); END IF;"
    " RETURN NEW; END $$;"
    "DO $$ DECLARE t text; BEGIN FOR t IN SELECT table_name FROM information_schema.columns"
    " WHERE table_schema = current_schema() AND column_name = 'id'"
    " AND column_default LIKE 'nextval%' LOOP"
    " EXECUTE format('DROP TRIGGER IF EXISTS next_id ON %I', t);"
    " EXECUTE format('CREATE TRIGGER next_id BEFORE INSERT ON %I FOR EACH ROW"
    " EXECUTE FUNCTION weft_next_id()', t); END LOOP; END $$;";

int store_schema_version(struct db *db, int *version, struct err *err)
{
	struct db_stmt *q;
	uint64_t n = 0;
	int step;

	if (db_exec(db, meta[db_is_postgres(db)], err) < 0)
		return -1;
	q = db_prepare(db, "SELECT value FROM meta WHERE name = 'schema'", err);
	step = q ? db_step(q, err) : -1;
	if (step < 0)
		return -1;
	if (step == 1) {
		if (!text_u64(db_text(q, 0), INT32_MAX, &n) || n == 0)
			step = err_set(err, ERR_MALFORMED, "its schema version is damaged");
		db_reset(q);
	}
	*version = (int)n;
	return step < 0 ? -1 : 0;
}

static int write_version(struct db *db, int version, struct err *err)
{
	struct db_stmt *q = db_prepare(db,
				       "INSERT INTO meta (name, value) VALUES ('schema', ?)"
				       " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
				       err);
	char text[16];

	if (!q)
		return -1;
	(void)snprintf(text, sizeof(text), "%d", version);
	db_bind_blob(q, 1, bytes_str(text));
	return db_step(q, err) < 0 ? -1 : 0;
}

static int take_step(struct db *db, int from, struct err *err)
{
	bool postgres = db_is_postgres(db);

	if (db_begin(db, err) < 0)
		return -1;
	if (db_exec(db, steps[from][postgres], err) < 0 ||
	    (postgres && db_exec(db, next_id, err) < 0) || write_version(db, from + 1, err) < 0 ||
	    db_commit(db, err) < 0) {
		db_rollback(db);
		return err_wrap(err, "from schema %d to %d", from, from + 1);
	}
	return 0;
}

int store_schema_reach(struct db *db, int version, struct err *err)
{
	int now;

	if (store_schema_version(db, &now, err) < 0)
		return -1;
	for (; now < version; now++)
		if (take_step(db, now, err) < 0)
			return -1;
	return 0;
}

/* An older snapshot of the same version stays: it may be from before an attempt that went wrong. */
static int put_aside(struct db *db, int version, const char *folder, struct err *err)
{
	struct buf path;
	int ret = 0;

	buf_init(&path, 4096);
	if (!buf_printf(&path, "%s/before-schema-%d.db", folder, SCHEMA_VERSION))
		ret = err_set(err, ERR_USAGE, "the path of the state folder is too long");
	else if (!file_exists(buf_cstr(&path)))
		ret = store_copy_to_file(db, version, buf_cstr(&path), err);
	buf_fini(&path);
	return ret < 0 ? err_wrap(err, "copy the database before it is changed") : 0;
}

int store_schema_migrate(struct db *db, const char *folder, struct err *err)
{
	int version;

	if (store_schema_version(db, &version, err) < 0)
		return -1;
	if (version > SCHEMA_VERSION)
		return err_set(
		    err, ERR_USAGE,
		    "the database is from a newer release (schema %d, this one knows %d)", version,
		    SCHEMA_VERSION);
	if (version && version < SCHEMA_VERSION && folder &&
	    put_aside(db, version, folder, err) < 0)
		return -1;
	return store_schema_reach(db, SCHEMA_VERSION, err);
}
