/* app/control/store_priv.h - what the files of the store share. */
#pragma once

#include "app/control/store.h"

struct db;
struct db_stmt;
struct model;

/* Of all servers on one PostgreSQL database, one works: "weft" as a number. */
enum { STORE_LOCK = 0x77656674 };

struct store {
	struct db *db;
	bool open;      /* a transaction */
	size_t skipped; /* rows that could not be loaded */
};

int store_run(struct db_stmt *q, struct err *err); /* q NULL: preparing failed */
int store_log_change(struct store *s, int64_t tailnet, const char *kind, int64_t object,
		     struct err *err);
int store_load_identities(struct store *s, struct model *m, struct err *err);
void store_bind_id(struct db_stmt *q, int at, int64_t id);

/* Schema: 0 is an empty database. folder: where a copy goes before something is changed. */
int store_schema_version(struct db *db, int *version, struct err *err);
int store_schema_reach(struct db *db, int version, struct err *err);
int store_schema_migrate(struct db *db, const char *folder, struct err *err);
/* An SQLite file with everything, replaced when it is complete. */
int store_copy_to_file(struct db *db, int version, const char *path, struct err *err);
