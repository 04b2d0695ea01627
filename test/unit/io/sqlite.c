#include "io/sqlite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "kit/kit.h"

static struct sqlite *open_memory(void)
{
	struct err err = { 0 };
	struct sqlite *db = sqlite_open(":memory:", &err);

	CHECK_STR(err.text, "");
	CHECK(sqlite_exec(db,
			  "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, "
			  "data BLOB); CREATE TABLE u (t INTEGER REFERENCES t(id));",
			  &err) == 0);
	return db;
}

static int insert(struct sqlite *db, const char *name, struct bytes data, struct err *err)
{
	struct sqlite_stmt *s = sqlite_prepare(db, "INSERT INTO t (name, data) VALUES (?, ?)", err);

	if (!s)
		return -1;
	sqlite_bind_cstr(s, 1, name);
	sqlite_bind_blob(s, 2, data);
	return sqlite_step(s, err);
}

static int64_t count(struct sqlite *db)
{
	struct sqlite_stmt *s = sqlite_prepare(db, "SELECT COUNT(*) FROM t", NULL);
	int64_t n;

	CHECK(s && sqlite_step(s, NULL) == 1);
	n = sqlite_i64(s, 0);
	CHECK_INT(sqlite_step(s, NULL), 0);
	return n;
}

TEST(sqlite_roundtrip_of_every_type)
{
	struct sqlite *db = open_memory();
	struct sqlite_stmt *s;
	struct err err = { 0 };

	CHECK(insert(db,
		     "gr\xc3\xb6\xc3\x9f"
		     "e",
		     bytes_of("\0\1\2", 3), &err) == 0);
	CHECK_INT(sqlite_last_id(db), 1);
	CHECK_INT(sqlite_changes(db), 1);
	s = sqlite_prepare(db, "SELECT id, name, data, NULL, ?, ?, ?, ? FROM t", &err);
	sqlite_bind_i64(s, 1, INT64_MIN);
	sqlite_bind_text(s, 2, (struct bytes){ 0 });
	sqlite_bind_cstr(s, 3, NULL);
	sqlite_bind_blob(s, 4, (struct bytes){ 0 });
	CHECK_INT(sqlite_step(s, &err), 1);
	CHECK_INT(sqlite_i64(s, 0), 1);
	CHECK(bytes_equal_str(sqlite_text(s, 1), "gr\xc3\xb6\xc3\x9f"
						 "e"));
	CHECK(bytes_equal(sqlite_blob(s, 2), bytes_of("\0\1\2", 3)));
	CHECK(sqlite_is_null(s, 3));
	CHECK(sqlite_i64(s, 4) == INT64_MIN);
	CHECK(!sqlite_is_null(s, 5) && sqlite_text(s, 5).n == 0);
	CHECK(sqlite_is_null(s, 6));
	CHECK(!sqlite_is_null(s, 7) && sqlite_blob(s, 7).n == 0);
	CHECK_INT(sqlite_step(s, &err), 0);
	sqlite_close(db);
}

TEST(sqlite_statements_are_cached_and_not_shared_in_use)
{
	struct sqlite *db = open_memory();
	struct sqlite_stmt *a, *b;
	struct err err = { 0 };

	CHECK(insert(db, "a", bytes_str(""), &err) == 0);
	CHECK(insert(db, "b", bytes_str(""), &err) == 0);
	a = sqlite_prepare(db, "SELECT name FROM t", &err);
	CHECK_INT(sqlite_step(a, &err), 1);
	CHECK(sqlite_prepare(db, "SELECT name FROM t", &err) == NULL);
	CHECK_INT(err.code, ERR_INTERNAL);
	sqlite_reset(a);
	b = sqlite_prepare(db, "SELECT name FROM t", &err);
	CHECK(a == b);
	sqlite_close(db);
}

TEST(sqlite_bindings_do_not_leak_into_the_next_use)
{
	struct sqlite *db = open_memory();
	struct sqlite_stmt *s = sqlite_prepare(db, "SELECT ?", NULL);

	sqlite_bind_i64(s, 1, 7);
	CHECK_INT(sqlite_step(s, NULL), 1);
	CHECK_INT(sqlite_step(s, NULL), 0);
	CHECK_INT(sqlite_step(s, NULL), 1);
	CHECK(sqlite_is_null(s, 0));
	sqlite_close(db);
}

TEST(sqlite_errors_have_codes)
{
	struct sqlite *db = open_memory();
	struct sqlite_stmt *s;
	struct err err = { 0 };

	CHECK(insert(db, "a", bytes_str(""), &err) == 0);
	CHECK(insert(db, "a", bytes_str(""), &err) == -1);
	CHECK_INT(err.code, ERR_REFUSED);
	CHECK_STR(err.text, "database :memory:: UNIQUE constraint failed: t.name");
	CHECK(insert(db, NULL, bytes_str(""), &err) == -1);
	CHECK_INT(err.code, ERR_REFUSED);
	CHECK(sqlite_exec(db, "INSERT INTO u VALUES (99)", &err) == -1); /* foreign keys are on */
	CHECK_INT(err.code, ERR_REFUSED);
	CHECK(insert(db, "c", bytes_str(""), &err) == 0); /* ready again after an error */
	CHECK(sqlite_prepare(db, "SELEKT", &err) == NULL);
	CHECK_INT(err.code, ERR_INTERNAL);
	s = sqlite_prepare(db, "SELECT ?", &err);
	sqlite_bind_i64(s, 2, 1);
	CHECK_INT(sqlite_step(s, &err), -1);
	CHECK_INT(sqlite_step(s, &err), 1);
	sqlite_close(db);
}

TEST(sqlite_rollback_takes_everything_back)
{
	struct sqlite *db = open_memory();
	struct err err = { 0 };

	sqlite_rollback(db); /* no-op */
	CHECK(sqlite_begin(db, &err) == 0);
	CHECK(insert(db, "a", bytes_str(""), &err) == 0);
	CHECK_INT(count(db), 1);
	sqlite_rollback(db);
	CHECK_INT(count(db), 0);
	CHECK(sqlite_begin(db, &err) == 0);
	CHECK(insert(db, "a", bytes_str(""), &err) == 0);
	CHECK(sqlite_commit(db, &err) == 0);
	sqlite_rollback(db);
	CHECK_INT(count(db), 1);
	sqlite_close(db);
}

struct place {
	char folder[64], file[96], copy[96];
};

static void place_init(struct place *p)
{
	(void)snprintf(p->folder, sizeof(p->folder), "/tmp/weft-unit-XXXXXX");
	CHECK(mkdtemp(p->folder) != NULL);
	(void)snprintf(p->file, sizeof(p->file), "%s/db", p->folder);
	(void)snprintf(p->copy, sizeof(p->copy), "%s/copy", p->folder);
}

static void place_fini(struct place *p)
{
	(void)unlink(p->file);
	(void)unlink(p->copy);
	CHECK(rmdir(p->folder) == 0); /* nothing else was left: no WAL, no partial copy */
}

TEST(sqlite_file_is_private_and_survives)
{
	struct place p;
	struct err err = { 0 };
	struct sqlite *db, *copy;
	struct stat st;
	char wal[104];

	place_init(&p);
	db = sqlite_open(p.file, &err);
	CHECK(sqlite_exec(db, "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, data BLOB)",
			  &err) == 0);
	CHECK(insert(db, "kept", bytes_str("x"), &err) == 0);
	(void)snprintf(wal, sizeof(wal), "%s-wal", p.file);
	CHECK(stat(p.file, &st) == 0 && (st.st_mode & 0777) == 0600);
	CHECK(stat(wal, &st) == 0 && (st.st_mode & 0777) == 0600);
	CHECK(sqlite_begin(db, &err) == 0);
	sqlite_rollback(db);
	CHECK(sqlite_backup(db, p.copy, &err) == 0);
	CHECK_STR(err.text, "");
	CHECK(insert(db, "after the copy", bytes_str("x"), &err) == 0);
	sqlite_close(db);
	db = sqlite_open(p.file, &err);
	CHECK_INT(count(db), 2);
	sqlite_close(db);
	copy = sqlite_open(p.copy, &err);
	CHECK_INT(count(copy), 1);
	sqlite_close(copy);
	place_fini(&p);
}

TEST(sqlite_other_writer_is_refused_after_its_patience)
{
	struct place p;
	struct err err = { 0 };
	struct sqlite *a, *b;

	place_init(&p);
	a = sqlite_open(p.file, &err);
	b = sqlite_open(p.file, &err);
	CHECK(sqlite_exec(b, "PRAGMA busy_timeout = 10", &err) == 0);
	CHECK(sqlite_begin(a, &err) == 0);
	CHECK(sqlite_begin(b, &err) == -1);
	CHECK_INT(err.code, ERR_TIMEOUT);
	CHECK(sqlite_commit(a, &err) == 0);
	CHECK(sqlite_begin(b, &err) == 0);
	sqlite_rollback(b);
	sqlite_close(a);
	sqlite_close(b);
	place_fini(&p);
}

TEST(sqlite_no_database_and_no_folder_say_so)
{
	struct place p;
	struct err err = { 0 };
	FILE *f;

	place_init(&p);
	f = fopen(p.file, "w");
	for (int i = 0; i < 2000; i++)
		(void)fputs("this is text\n", f);
	(void)fclose(f);
	CHECK(sqlite_open(p.file, &err) == NULL);
	CHECK_INT(err.code, ERR_MALFORMED);
	CHECK(strstr(err.text, "file is not a database") != NULL);
	CHECK(sqlite_open("/nonexistent/db", &err) == NULL);
	CHECK_INT(err.code, ERR_SYSTEM);
	CHECK_INT(err.sys, ENOENT);
	place_fini(&p);
}

TEST(sqlite_full_disk_says_so_and_takes_back)
{
	struct place p;
	struct err err = { 0 };
	struct sqlite *db;
	uint8_t *data = mem_alloc(100000);
	int ret = 0;

	place_init(&p);
	if (mount("tmpfs", p.folder, "tmpfs", 0, "size=1m") < 0) {
		mem_free(data);
		(void)rmdir(p.folder);
		kit_skip("mounting a small tmpfs needs root");
	}
	db = sqlite_open(p.file, &err);
	CHECK(sqlite_exec(db, "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, data BLOB)",
			  &err) == 0);
	CHECK(insert(db, "first", bytes_of(data, 1000), &err) == 0);
	CHECK(sqlite_begin(db, &err) == 0);
	for (int i = 0; i < 50 && ret == 0; i++)
		ret = insert(db, "more", bytes_of(data, 100000), &err);
	if (ret == 0)
		ret = sqlite_commit(db, &err);
	CHECK_INT(ret, -1);
	CHECK_INT(err.code, ERR_SYSTEM);
	CHECK_INT(err.sys, ENOSPC);
	CHECK(strstr(err.text, "database or disk is full") != NULL);
	sqlite_rollback(db);
	CHECK_INT(count(db), 1);
	sqlite_close(db);
	CHECK(umount(p.folder) == 0);
	mem_free(data);
	place_fini(&p);
}
