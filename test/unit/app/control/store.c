/* The store by itself. With WEFT_TEST_DATABASE all of this runs on PostgreSQL. */
#include "app/control/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/control/model.h"
#include "app/control/schema_sql.h"
#include "app/control/store_priv.h"
#include "base/err.h"
#include "io/db.h"
#include "kit/kit.h"
#include "unit/app/control/control_bench.h"

struct place {
	char dir[64], where[CONFIG_DATABASE_MAX];
	bool postgres;
};

static void place_open(struct place *p)
{
	(void)snprintf(p->dir, sizeof(p->dir), "/tmp/weft-store-test-XXXXXX");
	if (!mkdtemp(p->dir))
		abort();
	bench_database(p->where);
	p->postgres = p->where[0];
	if (!p->postgres)
		(void)snprintf(p->where, sizeof(p->where), "%s/control.db", p->dir);
}

static void place_close(struct place *p)
{
	bench_remove(p->dir);
}

static struct store *open_or_say(const struct place *p)
{
	struct err err = { 0 };
	struct store *s = store_open(p->where, p->dir, &err);

	CHECK_STR(err.text, "");
	if (!s)
		abort();
	return s;
}

static struct tn_node *a_node(struct model *m, struct tailnet *t, struct tn_user *u, uint8_t seed)
{
	struct tn_node *n = model_node_new(t);

	memset(n->machine.b, seed, sizeof(n->machine.b));
	memset(n->key.b, seed, sizeof(n->key.b));
	n->user = u;
	n->v4 = ip_v4(100, 64, 0, seed);
	(void)snprintf(n->name, sizeof(n->name), "node%u", seed);
	(void)snprintf(n->stable_id, sizeof(n->stable_id), "stable%u", seed);
	model_add_node(m, n);
	return n;
}

struct world {
	struct model m;
	struct tailnet *t;
	struct tn_user *u;
};

static void fill(struct world *w, struct store *s)
{
	struct err err = { 0 };

	model_init(&w->m);
	w->t = model_add_tailnet(&w->m, 0, "default", "weft.internal");
	CHECK_INT(store_put_tailnet(s, w->t, &err), 0);
	w->u = model_add_user(&w->m, w->t, 0, "gr\xc3\xb6\xc3\x9f@example.com");
	CHECK_INT(store_put_user(s, w->u, &err), 0);
	CHECK_STR(err.text, "");
}

static size_t nodes_of(struct store *s)
{
	struct model m;
	struct err err = { 0 };
	size_t n = 0;

	model_init(&m);
	CHECK_INT(store_load(s, &m, &err), 0);
	list_each (it, &m.tailnets)
		list_each (node, &list_entry(it, struct tailnet, link)->nodes)
			n++;
	model_fini(&m);
	return n;
}

TEST(store_a_write_that_fails_takes_only_itself_back)
{
	struct place p = { 0 };
	struct world w;
	struct store *s;
	struct tn_node *a, *b, *twin;
	struct err err = { 0 };

	place_open(&p);
	s = open_or_say(&p);
	fill(&w, s);
	a = a_node(&w.m, w.t, w.u, 1);
	b = a_node(&w.m, w.t, w.u, 2);
	twin = a_node(&w.m, w.t, w.u, 3);
	(void)snprintf(twin->name, sizeof(twin->name), "node1");
	CHECK_INT(store_put_node(s, a, &err), 0);
	CHECK_INT(store_put_node(s, twin, &err), -1); /* the name is taken */
	CHECK_INT(err.code, ERR_REFUSED);
	CHECK_INT(store_put_node(s, b, &err), 0);
	CHECK_INT(store_commit(s, &err), 0);
	CHECK(a->id && b->id && a->id != b->id && !twin->id);
	CHECK_INT(nodes_of(s), 2);
	CHECK_INT(store_delete_node(s, a, &err), 0);
	store_rollback(s);
	CHECK_INT(nodes_of(s), 2);
	model_fini(&w.m);
	store_close(s);
	place_close(&p);
}

TEST(store_a_key_is_used_once)
{
	struct place p = { 0 };
	struct world w;
	struct store *s;
	struct auth_key *k;
	struct err err = { 0 };

	place_open(&p);
	s = open_or_say(&p);
	fill(&w, s);
	k = model_add_key(w.t, 0);
	k->user = w.u;
	CHECK_INT(store_put_key(s, k, &err), 0);
	CHECK_INT(store_consume_key(s, k, &err), 0);
	CHECK_INT(store_consume_key(s, k, &err), -1);
	CHECK_INT(err.code, ERR_REFUSED);
	CHECK_INT(store_commit(s, &err), 0);
	CHECK_INT(store_consume_key(s, k, &err), -1);
	store_rollback(s);
	model_fini(&w.m);
	store_close(s);
	place_close(&p);
}

TEST(store_text_that_a_database_cannot_hold_stops_nothing)
{
	struct place p = { 0 };
	struct world w;
	struct store *s;
	struct tn_node *n;
	struct err err = { 0 };

	place_open(&p);
	s = open_or_say(&p);
	fill(&w, s);
	n = a_node(&w.m, w.t, w.u, 1);
	n->hostinfo = bytes_of(bytes_strdup(bytes_of("{}\0\xff", 4)), 4);
	CHECK_INT(store_put_node(s, n, &err), 0);
	CHECK_STR(err.text, "");
	CHECK_INT(store_commit(s, &err), 0);
	CHECK_INT(nodes_of(s), 1);
	model_fini(&w.m);
	store_close(s);
	place_close(&p);
}

TEST(store_change_log_is_followed_by_sequence)
{
	struct store_change got[8];
	struct place p = { 0 };
	struct world w;
	struct store *s;
	struct err err = { 0 };
	bool gap = true;

	place_open(&p);
	s = open_or_say(&p);
	CHECK_INT(store_changes(s, 0, got, 8, &gap, &err), 0);
	CHECK(!gap);
	fill(&w, s);
	CHECK_INT(store_commit(s, &err), 0);
	CHECK_INT(store_changes(s, 0, got, 8, &gap, &err), 2);
	CHECK(!gap && got[0].seq < got[1].seq);
	CHECK_STR(got[0].kind, "tailnet");
	CHECK_STR(got[1].kind, "user");
	CHECK_INT(got[1].object, w.u->id);
	CHECK_INT(store_changes(s, got[0].seq, got, 8, &gap, &err), 1);
	CHECK_INT(store_changes(s, got[0].seq, got, 8, &gap, &err), 0);
	CHECK_INT(store_prune_changes(s, 0, &err), 0);
	CHECK_INT(store_commit(s, &err), 0);
	CHECK_INT(store_changes(s, 1, got, 8, &gap, &err), 0);
	CHECK(gap);
	model_fini(&w.m);
	store_close(s);
	place_close(&p);
}

/* ---- migrations ---- */

static void old_database(const struct place *p, int version)
{
	struct err err = { 0 };
	struct db *db = db_open(p->where, &err);

	CHECK(db && store_schema_reach(db, version, &err) == 0);
	CHECK_INT(
	    db_exec(db,
		    "INSERT INTO tailnet (id, name, domain) VALUES (1, 'default', 'x.internal');"
		    "INSERT INTO member (id, tailnet, login, name, role, created)"
		    " VALUES (7, 1, 'alice', 'Alice', 'owner', 5);"
		    "INSERT INTO policy (tailnet, text, author, at) VALUES (1, '{}', 'alice', 6)",
		    &err),
	    0);
	CHECK_STR(err.text, "");
	db_close(db);
}

static bool has_alice(struct store *s)
{
	struct model m;
	struct tailnet *t;
	struct tn_user *u;
	bool good;

	model_init(&m);
	t = store_load(s, &m, NULL) == 0 ? model_tailnet_by_id(&m, 1) : NULL;
	u = t ? model_user_by_id(t, 7) : NULL;
	good = u && strcmp(u->login, "alice") == 0 && t->policy && strcmp(t->policy, "{}") == 0;
	model_fini(&m);
	return good;
}

TEST(store_every_older_schema_is_brought_here_with_a_copy_before)
{
	for (int version = 1; version < SCHEMA_VERSION; version++) {
		struct place p = { 0 };
		char path[128];
		struct err err = { 0 };
		struct store *s;
		struct db *copy;
		int found = 0;

		place_open(&p);
		old_database(&p, version);
		s = open_or_say(&p);
		CHECK(has_alice(s));
		store_close(s);
		(void)snprintf(path, sizeof(path), "%s/before-schema-%d.db", p.dir, SCHEMA_VERSION);
		copy = db_open(path, &err);
		CHECK(copy && store_schema_version(copy, &found, &err) == 0);
		CHECK_INT(found, version);
		db_close(copy);
		s = store_open(path, NULL, &err); /* the way back */
		CHECK(s && has_alice(s));
		store_close(s);
		place_close(&p);
	}
}

TEST(store_a_newer_schema_is_left_alone)
{
	struct place p = { 0 };
	struct err err = { 0 };
	struct db *db;

	place_open(&p);
	db = db_open(p.where, &err);
	CHECK(db && store_schema_reach(db, SCHEMA_VERSION, &err) == 0);
	CHECK_INT(db_exec(db, "UPDATE meta SET value = '99' WHERE name = 'schema'", &err), 0);
	db_close(db);
	CHECK(store_open(p.where, p.dir, &err) == NULL);
	CHECK_INT(err.code, ERR_USAGE);
	CHECK(strstr(err.text, "newer release") != NULL);
	place_close(&p);
}

TEST(store_backup_is_imported_into_an_empty_database)
{
	struct place p = { 0 }, q = { 0 };
	struct secret32 before, after;
	struct world w;
	struct store *s;
	struct tn_node *n;
	struct err err = { 0 };
	char path[128];

	place_open(&p);
	s = open_or_say(&p);
	fill(&w, s);
	CHECK_INT(store_put_node(s, a_node(&w.m, w.t, w.u, 1), &err), 0);
	CHECK_INT(store_secret(s, "noise key", &before, &err), 0);
	(void)snprintf(path, sizeof(path), "%s/backup.db", p.dir);
	CHECK_INT(store_backup(s, path, &err), 0);
	CHECK_STR(err.text, "");
	store_close(s);
	CHECK_INT(store_import(p.where, path, &err), -1); /* holds a network */
	CHECK_INT(err.code, ERR_USAGE);

	place_open(&q); /* empties PostgreSQL */
	err = (struct err){ 0 };
	CHECK_INT(store_import(q.where, path, &err), 0);
	CHECK_STR(err.text, "");
	s = open_or_say(&q);
	CHECK_INT(nodes_of(s), 1);
	CHECK_INT(store_secret(s, "noise key", &after, &err), 0);
	CHECK(secret_equal(before.b, after.b, sizeof(before.b)));
	n = a_node(&w.m, w.t, w.u, 2); /* ids go on */
	CHECK_INT(store_put_node(s, n, &err), 0);
	CHECK_INT(n->id, 2);
	CHECK_INT(store_commit(s, &err), 0);
	model_fini(&w.m);
	store_close(s);
	place_close(&q);
	place_close(&p);
}

/* ---- what only PostgreSQL has ---- */

TEST(store_on_postgres_has_one_server)
{
	struct place p = { 0 };
	struct err err = { 0 };
	struct store *s;

	place_open(&p);
	if (!p.postgres) {
		place_close(&p);
		kit_skip("SQLite");
	}
	s = open_or_say(&p);
	CHECK(store_open(p.where, NULL, &err) == NULL);
	CHECK_INT(err.code, ERR_REFUSED);
	CHECK(strstr(err.text, "another weft-control") != NULL);
	store_close(s);
	s = open_or_say(&p);
	store_close(s);
	place_close(&p);
}

static void cut_connections(const struct place *p)
{
	struct db *db = db_open(p->where, NULL);

	CHECK(db && db_exec(db,
			    "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
			    " WHERE pid <> pg_backend_pid() AND application_name = 'weft-control'",
			    NULL) == 0);
	db_close(db);
}

TEST(store_on_postgres_survives_a_lost_connection)
{
	struct place p = { 0 };
	struct world w;
	struct err err = { 0 };
	struct store *s;

	place_open(&p);
	if (!p.postgres) {
		place_close(&p);
		kit_skip("SQLite");
	}
	s = open_or_say(&p);
	fill(&w, s);
	CHECK_INT(store_commit(s, &err), 0);
	CHECK_INT(store_put_node(s, a_node(&w.m, w.t, w.u, 1), &err), 0);
	cut_connections(&p); /* in the middle of a transaction: it is lost, and that is said */
	CHECK_INT(store_commit(s, &err), -1);
	CHECK_INT(err.code, ERR_SYSTEM);
	CHECK_INT(store_put_node(s, a_node(&w.m, w.t, w.u, 2), &err), 0);
	CHECK_INT(store_commit(s, &err), 0);
	CHECK_INT(nodes_of(s), 1);
	cut_connections(&p); /* between two */
	CHECK_INT(store_put_node(s, a_node(&w.m, w.t, w.u, 3), &err), 0);
	CHECK_INT(store_commit(s, &err), 0);
	CHECK_INT(nodes_of(s), 2);
	model_fini(&w.m);
	store_close(s);
	place_close(&p);
}
