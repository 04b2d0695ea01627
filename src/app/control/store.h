/*
 * app/control/store.h - the model on disk. Every write stands in a transaction together with its
 * entry in the change log; several writes of one turn share one transaction (group commit), and
 * whoever must not answer before the disk has it calls store_commit() first.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "crypto/secret.h"

struct auth_key;
struct err;
struct json_out;
struct model;
struct store;
struct tailnet;
struct token;
struct tokens;
struct tn_node;
struct tn_user;

/*
 * where: path of an SQLite file, or a postgres:// URL. folder: before an older database is brought
 * to the schema of this release, a copy goes there (before-schema-N.db); NULL: no copy.
 */
struct store *store_open(const char *where, const char *folder, struct err *err);
/* Fills the empty database `where` from a backup or an SQLite database of this or an older release.
 */
int store_import(const char *where, const char *file, struct err *err);
void store_close(struct store *s);
int store_load(struct store *s, struct model *m, struct err *err);
size_t store_skipped(const struct store *s); /* rows that could not be */

/* Opens a transaction unless one is open. */
int store_begin(struct store *s, struct err *err);
int store_commit(struct store *s, struct err *err); /* no-op without one; rolls back on failure */
void store_rollback(struct store *s);
bool store_is_dirty(const struct store *s);

/* The server's Noise key: made at the first start, permanent. */
int store_secret(struct store *s, const char *name, struct secret32 *out, struct err *err);

/* put: inserts when the id is 0 and sets it, replaces otherwise. */
int store_put_tailnet(struct store *s, struct tailnet *t, struct err *err);
int store_put_user(struct store *s, struct tn_user *u, struct err *err);
int store_delete_user(struct store *s, const struct tn_user *u, struct err *err);
int store_put_node(struct store *s, struct tn_node *n, struct err *err);
int store_delete_node(struct store *s, const struct tn_node *n, struct err *err);
int store_put_key(struct store *s, struct auth_key *k, struct err *err);
int store_delete_key(struct store *s, const struct auth_key *k, struct err *err);
/* Marks a single-use key as used; ERR_REFUSED when somebody was faster. */
int store_consume_key(struct store *s, const struct auth_key *k, struct err *err);
int store_put_policy(struct store *s, const struct tailnet *t, struct bytes text,
		     const char *author, struct err *err);
/* The id-th policy of the history, 0: the newest. out is initialised here. */
int store_get_policy(struct store *s, const struct tailnet *t, int64_t id, struct buf *out,
		     struct err *err);
/* The newest one older than *id, whose id then stands there. ERR_USAGE when there is none. */
int store_policy_before(struct store *s, const struct tailnet *t, int64_t *id, struct buf *out,
			struct err *err);
int store_list_policies(struct store *s, const struct tailnet *t, struct json_out *o,
			struct err *err);
int store_audit(struct store *s, int64_t tailnet, const char *actor, const char *action,
		const char *target, const char *detail, struct err *err);
/* The same as the API shows it, from one second to another. */
int store_list_audit_between(struct store *s, const struct tailnet *t, int64_t from, int64_t to,
			     struct json_out *o, struct err *err);
int store_list_audit(struct store *s, const struct tailnet *t, struct json_out *o, struct err *err);
/*
 * Forgets the oldest entries of the change log beyond the newest `keep`, some thousand per call. A
 * reader that fell behind further than that loads everything again.
 */
int store_prune_changes(struct store *s, int64_t keep, struct err *err);
/* u->identity; and the names of groups that the provider gave to somebody. */
int store_put_identity(struct store *s, const struct tn_user *u, struct err *err);
int store_put_group(struct store *s, const struct tailnet *t, const char *name, struct err *err);
int store_delete_group(struct store *s, const struct tailnet *t, const char *name, struct err *err);
int store_put_attributes(struct store *s, const struct tn_node *n, struct err *err);
int store_put_token(struct store *s, struct token *k, struct err *err);
int store_delete_token(struct store *s, const struct token *k, struct err *err);
int store_load_tokens(struct store *s, const struct model *m, struct tokens *out, struct err *err);
/* To an SQLite file, from either kind of database, while it is in use. */
int store_backup(struct store *s, const char *path, struct err *err);

/*
 * The change log for those who follow it: entries behind `after`, oldest first, at most `max`.
 * Returns how many, or -1. *gap: some behind `after` are forgotten, so load everything.
 */
struct store_change {
	int64_t seq, tailnet, object;
	char kind[16];
};
int store_changes(struct store *s, int64_t after, struct store_change *out, int max, bool *gap,
		  struct err *err);
