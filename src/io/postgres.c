#include "io/postgres.h"

#include <errno.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/mono.h"
#include "base/text.h"
#include "crypto/secret.h"

enum {
	REDIAL_MS = 2000, /* after an attempt that failed */
	PARAMS_MAX = 64,
	/* pg_type.h */
	OID_BYTEA = 17,
	OID_INT8 = 20,
	OID_INT2 = 21,
	OID_INT4 = 23,
};

struct param {
	char *p; /* owned; NULL: NULL */
	int n;
	bool binary;
};

struct postgres_stmt {
	struct postgres *db;
	char *sql;  /* the key in the cache */
	char *text; /* with $1 for ? */
	char name[24];
	uint64_t dialed; /* the connection that has it prepared */
	int n_params;
	struct param params[PARAMS_MAX];
	bool writes;
	PGresult *result;
	int row;
};

struct postgres {
	PGconn *conn;
	char *url;
	char name[POSTGRES_NAME_MAX];
	struct map statements;
	uint64_t dialed; /* connections so far */
	uint64_t named;  /* statements so far */
	struct mono failed;
	int64_t changes, lock;
	bool locked, open, marked; /* a transaction; a savepoint in it */
};

/* ---- errors ---- */

static const struct {
	char state[6]; /* SQLSTATE or its beginning */
	enum err_code code;
} codes[] = {
	{ "23", ERR_REFUSED },    { "40", ERR_TIMEOUT }, { "55P03", ERR_TIMEOUT },
	{ "57014", ERR_TIMEOUT }, { "28", ERR_AUTH },    { "54", ERR_LIMIT },
	{ "22", ERR_MALFORMED },  { "08", ERR_SYSTEM },  { "53", ERR_SYSTEM },
	{ "57", ERR_SYSTEM },     { "58", ERR_SYSTEM },  { "25006", ERR_SYSTEM },
};

static enum err_code code_of(const char *state)
{
	for (size_t i = 0; state && i < array_len(codes); i++)
		if (strncmp(state, codes[i].state, strlen(codes[i].state)) == 0)
			return codes[i].code;
	return ERR_INTERNAL;
}

static int fail_conn(const struct postgres *db, struct err *err)
{
	struct bytes text = text_trim(bytes_str(db->conn ? PQerrorMessage(db->conn) : "no memory"));

	return err_set(err, ERR_SYSTEM, "database %s: %.*s", db->name, BYTES_FMT(text));
}

/* The primary message only: the detail repeats values of the row. Frees r. */
static int fail(struct postgres *db, PGresult *r, struct err *err)
{
	const char *state = r ? PQresultErrorField(r, PG_DIAG_SQLSTATE) : NULL;
	const char *says = r ? PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY) : NULL;

	if (!says || PQstatus(db->conn) != CONNECTION_OK) {
		(void)fail_conn(db, err);
	} else {
		(void)err_set(err, code_of(state), "database %s: %s", db->name, says);
		if (err && state && strcmp(state, "53100") == 0)
			err->sys = ENOSPC;
	}
	PQclear(r);
	return -1;
}

/* ---- names ---- */

bool postgres_is_url(const char *text)
{
	struct bytes b = bytes_str(text);

	return bytes_has_prefix(b, "postgres://") || bytes_has_prefix(b, "postgresql://");
}

void postgres_name(const char *url, char out[POSTGRES_NAME_MAX])
{
	PQconninfoOption *options = PQconninfoParse(url, NULL);
	const char *host = "", *port = "", *user = "", *name = "";

	for (PQconninfoOption *o = options; o && o->keyword; o++) {
		const char *v = o->val ? o->val : "";

		if (strcmp(o->keyword, "host") == 0)
			host = v;
		else if (strcmp(o->keyword, "port") == 0)
			port = v;
		else if (strcmp(o->keyword, "user") == 0)
			user = v;
		else if (strcmp(o->keyword, "dbname") == 0)
			name = v;
	}
	if (options)
		(void)snprintf(out, POSTGRES_NAME_MAX, "postgres://%s%s%s%s%s/%s", user,
			       *user ? "@" : "", host, *port ? ":" : "", port, name);
	else
		(void)snprintf(out, POSTGRES_NAME_MAX, "postgres:// (a URL that does not parse)");
	PQconninfoFree(options);
}

void postgres_each_file(const char *url, void (*on_file)(void *arg, const char *path), void *arg)
{
	static const char *const keys[] = { "sslrootcert", "sslcert", "sslkey", "sslcrl",
					    "passfile" };
	PQconninfoOption *options = PQconninfoParse(url, NULL);

	for (PQconninfoOption *o = options; o && o->keyword; o++)
		for (size_t i = 0; i < array_len(keys); i++)
			if (strcmp(o->keyword, keys[i]) == 0 && o->val && o->val[0] == '/')
				on_file(arg, o->val);
	PQconninfoFree(options);
}

/* ---- the connection ---- */

static void on_notice(void *arg, const PGresult *r)
{
	(void)arg;
	(void)r; /* "relation exists, skipping" and the like: for people at a terminal */
}

static int command(struct postgres *db, const char *sql, struct err *err)
{
	PGresult *r = PQexec(db->conn, sql);
	ExecStatusType status = PQresultStatus(r);

	if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
		return fail(db, r, err);
	PQclear(r);
	return 0;
}

static int take_lock(struct postgres *db, struct err *err)
{
	char sql[80];
	struct err why;

	(void)snprintf(sql, sizeof(sql), "SELECT pg_advisory_lock(%lld)", (long long)db->lock);
	if (command(db, sql, &why) == 0)
		return 0;
	if (why.code == ERR_TIMEOUT)
		return err_set(err, ERR_REFUSED,
			       "database %s: another weft-control works on it; stop that first",
			       db->name);
	if (err)
		*err = why;
	return -1;
}

/* What must hold for every connection, the first and later ones. */
static int settle(struct postgres *db, struct err *err)
{
	db->dialed++;
	db->open = db->marked = false;
	(void)PQsetNoticeReceiver(db->conn, on_notice, NULL);
	if (command(db,
		    "SET statement_timeout = '20s'; SET lock_timeout = '5s';"
		    "SET synchronous_commit = on; SET default_transaction_isolation = "
		    "'read committed'",
		    err) < 0)
		return -1;
	return db->locked ? take_lock(db, err) : 0;
}

static struct bytes key_of(const void *item)
{
	return bytes_str(((const struct postgres_stmt *)item)->sql);
}

struct postgres *postgres_open(const char *url, struct err *err)
{
	/* What stands before dbname is a default that the URL may replace. */
	const char *const keys[] = { "connect_timeout", "tcp_user_timeout", "application_name",
				     "dbname",          "client_encoding",  NULL };
	const char *const values[] = { "5", "10000", "weft-control", url, "UTF8", NULL };
	PQconninfoOption *options = PQconninfoParse(url, NULL);
	struct postgres *db;

	if (!options) { /* libpq's own sentence may repeat the password */
		(void)err_set(err, ERR_USAGE,
			      "the database URL is not postgres://USER:PASSWORD@HOST:PORT/NAME");
		return NULL;
	}
	PQconninfoFree(options);
	db = mem_alloc(sizeof(*db));
	db->url = mem_strdup(url);
	postgres_name(url, db->name);
	map_init(&db->statements, key_of, NULL); /* keys are our own literals */
	db->conn = PQconnectdbParams(keys, values, 1);
	if (PQstatus(db->conn) == CONNECTION_OK && settle(db, err) == 0)
		return db;
	if (PQstatus(db->conn) != CONNECTION_OK)
		(void)fail_conn(db, err);
	postgres_close(db);
	return NULL;
}

static void clear_params(struct postgres_stmt *s)
{
	for (int i = 0; i < s->n_params; i++) {
		if (s->params[i].p)
			secret_wipe(s->params[i].p, (size_t)s->params[i].n);
		mem_free(s->params[i].p);
		s->params[i] = (struct param){ 0 };
	}
}

void postgres_reset(struct postgres_stmt *s)
{
	PQclear(s->result);
	s->result = NULL;
	s->row = 0;
	clear_params(s);
}

void postgres_close(struct postgres *db)
{
	size_t it = 0;

	if (!db)
		return;
	for (struct postgres_stmt *s; (s = map_next(&db->statements, &it));) {
		postgres_reset(s);
		mem_free(s->sql);
		mem_free(s->text);
		mem_free(s);
	}
	map_fini(&db->statements);
	PQfinish(db->conn);
	secret_wipe(db->url, strlen(db->url));
	mem_free(db->url);
	mem_free(db);
}

/* Outside a transaction a lost connection is dialed again; inside one the transaction is lost. */
static int be_connected(struct postgres *db, struct err *err)
{
	if (PQstatus(db->conn) == CONNECTION_OK)
		return 0;
	if (db->open || (db->failed.ns && mono_since_ms(mono_now(), db->failed) < REDIAL_MS))
		return fail_conn(db, err);
	PQreset(db->conn);
	if (PQstatus(db->conn) == CONNECTION_OK && settle(db, err) == 0) {
		db->failed = (struct mono){ 0 };
		return 0;
	}
	db->failed = mono_now();
	if (PQstatus(db->conn) != CONNECTION_OK)
		return fail_conn(db, err);
	/* Connected, but the lock is somebody else's: not ours to write. */
	(void)shutdown(PQsocket(db->conn), SHUT_RDWR);
	return -1;
}

int postgres_lock(struct postgres *db, int64_t key, struct err *err)
{
	db->lock = key;
	if (take_lock(db, err) < 0)
		return -1;
	db->locked = true;
	return 0;
}

/* ---- whole commands ---- */

int postgres_exec(struct postgres *db, const char *sql, struct err *err)
{
	return be_connected(db, err) < 0 ? -1 : command(db, sql, err);
}

static int begin(struct postgres *db, const char *sql, struct err *err)
{
	if (postgres_exec(db, sql, err) < 0) {
		/* The server had hung up since the last time: that is seen only now. */
		if (PQstatus(db->conn) == CONNECTION_OK || postgres_exec(db, sql, err) < 0)
			return -1;
	}
	db->open = true;
	db->marked = false;
	return 0;
}

int postgres_begin(struct postgres *db, struct err *err)
{
	return begin(db, "BEGIN", err);
}

int postgres_begin_snapshot(struct postgres *db, struct err *err)
{
	return begin(db, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", err);
}

int postgres_commit(struct postgres *db, struct err *err)
{
	PGresult *r;
	bool written;

	db->open = false;
	r = PQexec(db->conn, "COMMIT");
	if (PQresultStatus(r) != PGRES_COMMAND_OK)
		return fail(db, r, err);
	/* COMMIT of a transaction that failed on the way succeeds, as a ROLLBACK. */
	written = strcmp(PQcmdStatus(r), "COMMIT") == 0;
	PQclear(r);
	return written
		   ? 0
		   : err_set(err, ERR_SYSTEM, "database %s: the transaction was undone", db->name);
}

void postgres_rollback(struct postgres *db)
{
	if (PQtransactionStatus(db->conn) != PQTRANS_IDLE && PQstatus(db->conn) == CONNECTION_OK)
		(void)command(db, "ROLLBACK", NULL);
	db->open = false;
}

/* ---- statements ---- */

/* `?` becomes $1, $2 and so on; our texts have no `?` in literals. */
static char *with_numbers(const char *sql, int *n_params)
{
	struct buf out;
	char *text;

	buf_init(&out, 1 << 16);
	*n_params = 0;
	for (; *sql; sql++) {
		if (*sql == '?')
			(void)buf_printf(&out, "$%d", ++*n_params);
		else
			(void)buf_append_u8(&out, (uint8_t)*sql);
	}
	text = mem_strdup(buf_cstr(&out));
	buf_fini(&out);
	return text;
}

struct postgres_stmt *postgres_prepare(struct postgres *db, const char *sql, struct err *err)
{
	struct postgres_stmt *s = map_get(&db->statements, bytes_str(sql));

	if (s && s->result) {
		(void)err_set(err, ERR_INTERNAL, "database %s: statement in use: %.100s", db->name,
			      sql);
		return NULL;
	}
	if (s) {
		postgres_reset(s);
		return s;
	}
	s = mem_alloc(sizeof(*s));
	s->db = db;
	s->sql = mem_strdup(sql);
	s->text = with_numbers(sql, &s->n_params);
	s->writes = !bytes_has_prefix(bytes_str(sql), "SELECT");
	(void)snprintf(s->name, sizeof(s->name), "s%llu", (unsigned long long)++db->named);
	(void)map_put(&db->statements, s);
	if (s->n_params <= PARAMS_MAX)
		return s;
	s->n_params = 0; /* never used: the map owns it until close */
	(void)err_set(err, ERR_INTERNAL, "database %s: too many parameters", db->name);
	return NULL;
}

static void set_param(struct postgres_stmt *s, int at, struct bytes v, bool binary)
{
	struct param *p;

	if (at < 1 || at > s->n_params || v.n > INT32_MAX)
		return; /* a missing value is NULL, which the server refuses where it matters */
	p = &s->params[at - 1];
	mem_free(p->p);
	p->p = mem_alloc(v.n + 1);
	if (v.n)
		memcpy(p->p, v.p, v.n);
	p->n = (int)v.n;
	p->binary = binary;
}

void postgres_bind_i64(struct postgres_stmt *s, int at, int64_t v)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%lld", (long long)v);
	set_param(s, at, bytes_str(text), false);
}

void postgres_bind_text(struct postgres_stmt *s, int at, struct bytes v)
{
	struct buf clean;

	if (text_is_utf8(v) && (!v.n || !memchr(v.p, 0, v.n))) {
		set_param(s, at, v, true);
		return;
	}
	buf_init(&clean, v.n + 1);
	while (v.n) {
		uint32_t cp;
		size_t n = text_utf8(v, &cp);

		if (n && cp)
			(void)buf_append(&clean, bytes_of(v.p, n));
		else
			(void)buf_append_u8(&clean, '?');
		v = bytes_from(v, n ? n : 1);
	}
	set_param(s, at, buf_bytes(&clean), true);
	buf_fini(&clean);
}

void postgres_bind_blob(struct postgres_stmt *s, int at, struct bytes v)
{
	set_param(s, at, v, true);
}

void postgres_bind_null(struct postgres_stmt *s, int at)
{
	if (at < 1 || at > s->n_params)
		return;
	mem_free(s->params[at - 1].p);
	s->params[at - 1] = (struct param){ 0 };
}

static int mark(struct postgres *db, struct err *err)
{
	const char *sql = db->marked ? "RELEASE w; SAVEPOINT w" : "SAVEPOINT w";

	if (command(db, sql, err) < 0)
		return -1;
	db->marked = true;
	return 0;
}

static int run(struct postgres_stmt *s, struct err *err)
{
	const char *values[PARAMS_MAX];
	int lengths[PARAMS_MAX], formats[PARAMS_MAX];
	struct postgres *db = s->db;
	PGresult *r;

	if (s->dialed != db->dialed) {
		r = PQprepare(db->conn, s->name, s->text, 0, NULL);
		if (PQresultStatus(r) != PGRES_COMMAND_OK)
			return fail(db, r, err);
		PQclear(r);
		s->dialed = db->dialed;
	}
	for (int i = 0; i < s->n_params; i++) {
		values[i] = s->params[i].p;
		lengths[i] = s->params[i].n;
		formats[i] = s->params[i].binary;
	}
	r = PQexecPrepared(db->conn, s->name, s->n_params, values, lengths, formats, 1);
	if (PQresultStatus(r) != PGRES_COMMAND_OK && PQresultStatus(r) != PGRES_TUPLES_OK)
		return fail(db, r, err);
	s->result = r;
	s->row = -1;
	return 0;
}

static int start(struct postgres_stmt *s, struct err *err)
{
	struct postgres *db = s->db;
	uint64_t changes;

	if (be_connected(db, err) < 0)
		return -1;
	if (db->open && s->writes && mark(db, err) < 0)
		return -1;
	if (run(s, err) < 0) {
		if (db->open && s->writes && PQstatus(db->conn) == CONNECTION_OK)
			(void)command(db, "ROLLBACK TO w", NULL);
		return -1;
	}
	db->changes =
	    text_u64(bytes_str(PQcmdTuples(s->result)), INT64_MAX, &changes) ? (int64_t)changes : 0;
	return 0;
}

int postgres_step(struct postgres_stmt *s, struct err *err)
{
	if (!s->result && start(s, err) < 0) {
		postgres_reset(s);
		return -1;
	}
	if (++s->row < PQntuples(s->result))
		return 1;
	postgres_reset(s);
	return 0;
}

int64_t postgres_changes(const struct postgres *db)
{
	return db->changes;
}

/* ---- columns ---- */

struct bytes postgres_bytes(const struct postgres_stmt *s, int column)
{
	return bytes_of(PQgetvalue(s->result, s->row, column),
			(size_t)PQgetlength(s->result, s->row, column));
}

bool postgres_is_integer(const struct postgres_stmt *s, int column)
{
	Oid type = PQftype(s->result, column);

	return type == OID_INT8 || type == OID_INT4 || type == OID_INT2;
}

bool postgres_is_blob(const struct postgres_stmt *s, int column)
{
	return PQftype(s->result, column) == OID_BYTEA;
}

int64_t postgres_i64(const struct postgres_stmt *s, int column)
{
	struct reader r = reader_of(postgres_bytes(s, column));

	if (!postgres_is_integer(s, column))
		return 0;
	switch (reader_left(&r)) {
	case 8:
		return (int64_t)read_be64(&r);
	case 4:
		return (int32_t)read_be32(&r);
	case 2:
		return (int16_t)read_be16(&r);
	default:
		return 0; /* NULL */
	}
}

bool postgres_is_null(const struct postgres_stmt *s, int column)
{
	return PQgetisnull(s->result, s->row, column);
}

int postgres_columns(const struct postgres_stmt *s)
{
	return PQnfields(s->result);
}

const char *postgres_column_name(const struct postgres_stmt *s, int column)
{
	return PQfname(s->result, column);
}
