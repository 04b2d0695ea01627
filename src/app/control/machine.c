#include "app/control/machine.h"

#include "app/control/c2n.h"
#include "app/control/core.h"
#include "app/control/hostinfo.h"
#include "app/control/mapstream.h"
#include "app/control/register.h"
#include "app/control/store.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/mem.h"
#include "io/httpd.h"
#include "wire/tailcfg_map.h"
#include "wire/tailcfg_register.h"

enum { ARENA_MAX = 16 << 20, C2N_ANSWER_MAX = 4 << 20 };

struct machine_conn {
	struct key machine;
	unsigned version;
};

struct machine_conn *machine_conn_create(const struct key *machine, unsigned version)
{
	struct machine_conn *m = mem_alloc(sizeof(*m));

	m->machine = *machine;
	m->version = version;
	return m;
}

void machine_conn_destroy(void *conn)
{
	mem_free(conn);
}

static void on_register(void *arg, struct http_exchange *x, const struct http_request *req)
{
	const struct machine_conn *m = req->conn_arg;
	struct tailcfg_register_request r;
	struct control *c = arg;
	struct arena arena;
	struct err err;

	arena_init(&arena, ARENA_MAX);
	if (schema_decode(&r, &tailcfg_register_request_schema, &arena, req->body, &err) < 0)
		http_reply_text(x, 400, "%s", err.text);
	else
		register_request(c, &m->machine, x, &r);
	arena_fini(&arena);
}

/* ---- map ---- */

static void update(struct control *c, struct tn_node *n, struct http_exchange *x,
		   const struct tailcfg_map_request *r)
{
	struct hostinfo_change change = { 0 };
	struct err err = { 0 };

	c->count.updates++;
	hostinfo_apply_update(&c->model, n, r, &change);
	if (change.routes && core_auto_approve(c, n))
		change.stored = true;
	if (change.stored && store_put_node(c->store, n, &err) < 0) {
		log_error(&c->log, "update of node %s was not stored: %s", n->name, err.text);
		http_reply_text(x, 503, "the update could not be stored; try again later");
		return;
	}
	if (change.routes)
		core_node_changed(c, n);
	else if (change.seen)
		core_node_touched(c, n);
	core_answer_when_durable(c, x);
}

/*
 * State comes by lite updates. A streaming request only fills what is still empty: it may have been
 * sent before an update that was faster.
 */
static void fill_in(struct control *c, struct tn_node *n, const struct tailcfg_map_request *r)
{
	struct hostinfo_change change = { 0 };
	struct err err;

	if (n->cap != r->version) {
		n->cap = r->version;
		model_touch(&c->model, n, PART_CAP);
		change.seen = change.stored = true;
	}
	if (key_is_zero(&n->disco))
		hostinfo_apply_update(&c->model, n, r, &change);
	else if (!n->hostinfo.n)
		hostinfo_apply(&c->model, n, r->hostinfo, &change);
	if (change.routes)
		(void)core_auto_approve(c, n);
	if (change.stored && store_put_node(c->store, n, &err) == 0)
		core_commit_soon(c);
	if (change.routes)
		core_node_changed(c, n);
	else if (change.seen)
		core_node_touched(c, n);
}

static void map_request(struct control *c, const struct machine_conn *m, struct http_exchange *x,
			const struct tailcfg_map_request *r)
{
	struct tn_node *n = model_node_by_key(&c->model, &r->node_key);

	c->count.maps++;
	if (r->version < CAPVER_MIN) {
		http_reply_text(x, 400,
				"this client is too old: capability version %lld, at least %d",
				(long long)r->version, CAPVER_MIN);
		return;
	}
	if (r->compress.n && !bytes_equal_str(r->compress, "zstd")) {
		http_reply_text(x, 400, "Compress takes zstd or nothing");
		return;
	}
	if (!n && r->stream && !r->read_only) {
		mapstream_unknown(c, x, r);
		return;
	}
	if (!n || !key_equal(&n->machine, &m->machine)) {
		http_reply_text(x, 404, "node not found");
		return;
	}
	if (r->read_only) {
		mapstream_once(c, n, x, r);
	} else if (r->stream) {
		fill_in(c, n, r);
		mapstream_open(c, n, x, r);
	} else if (r->omit_peers) {
		update(c, n, x, r);
	} else {
		fill_in(c, n, r);
		mapstream_once(c, n, x, r);
	}
}

static void on_map(void *arg, struct http_exchange *x, const struct http_request *req)
{
	struct tailcfg_map_request r;
	struct control *c = arg;
	struct arena arena;
	struct err err;

	arena_init(&arena, ARENA_MAX);
	if (schema_decode(&r, &tailcfg_map_request_schema, &arena, req->body, &err) < 0)
		http_reply_text(x, 400, "%s", err.text);
	else
		map_request(c, req->conn_arg, x, &r);
	arena_fini(&arena);
}

static void on_whoami(void *arg, struct http_exchange *x, const struct http_request *req)
{
	const struct machine_conn *m = req->conn_arg;
	char text[KEYTEXT_MAX];

	(void)arg;
	http_reply_text(x, 200, "%s", keytext_format(&m->machine, KEY_MACHINE, text));
}

static void on_c2n(void *arg, struct http_exchange *x, const struct http_request *req)
{
	const struct machine_conn *m = req->conn_arg;

	c2n_on_answer(arg, &m->machine, x, req);
}

static void on_missing(void *arg, struct http_exchange *x, const struct http_request *req)
{
	(void)arg;
	(void)req;
	http_reply_text(x, 501, "this server does not offer that");
}

static const struct httpd_route routes[] = {
	{ "POST", "/machine/register", on_register, BODY_MAX },
	{ "POST", "/machine/map", on_map, BODY_MAX },
	{ "GET", "/machine/whoami", on_whoami, 0 },
	{ "POST", "/c2n/*", on_c2n, C2N_ANSWER_MAX },
	{ NULL, "/machine/*", on_missing, BODY_MAX },
};

struct httpd *machine_httpd(struct control *c)
{
	struct httpd_conf conf = { .routes = routes,
				   .route_count = array_len(routes),
				   .arg = c,
				   .log = &c->log,
				   .idle_timeout_s = 24 * 3600 };

	return httpd_create(c->loop, &conf);
}
