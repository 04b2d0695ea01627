/* app/control/store_priv.h - what the files of the store share. */
#pragma once

#include "app/control/store.h"

struct model;
struct sqlite;
struct sqlite_stmt;

struct store {
	struct sqlite *db;
	bool open;      /* a transaction */
	size_t skipped; /* rows that could not be loaded */
};

int store_run(struct sqlite_stmt *q, struct err *err); /* q NULL: preparing failed */
int store_log_change(struct store *s, int64_t tailnet, const char *kind, int64_t object,
		     struct err *err);
int store_load_identities(struct store *s, struct model *m, struct err *err);
void store_bind_id(struct sqlite_stmt *q, int at, int64_t id);
