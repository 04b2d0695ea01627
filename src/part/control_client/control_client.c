/*
 * part/control_client/control_client.c - what happens when: login, map stream, updates, pauses.
 *
 * step() looks at what is wanted and what is there, and starts the one thing that is missing.
 * Whatever ends calls step() again, after a pause when it failed. Upstream:
 * control/controlclient/{auto,direct}.go.
 */
#include "part/control_client/control_client.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/x25519.h"
#include "io/httpc.h"
#include "io/loop.h"
#include "io/tls.h"
#include "part/control_client/control_c2n.h"
#include "part/control_client/control_dial.h"
#include "part/control_client/control_frames.h"
#include "wire/tailcfg_map.h"
#include "wire/tailcfg_register.h"

enum {
	REGISTER_BODY_MAX = 1 << 20,
	ERROR_BODY_MAX = 200,
	HOSTINFO_MAX = 256 << 10,
	WATCHDOG_MS = 120 * 1000,
	UPDATE_TIMEOUT_MS = 30 * 1000,
	LOGOUT_TIMEOUT_MS = 10 * 1000,
	PING_TIMEOUT_MS = 15 * 1000,
	BACKOFF_UNIT_MS = 10,
	BACKOFF_MAX_MS = 30 * 1000,
	RECENT_DIAL_S = 120,
	RETRY_AFTER_MAX_S = 3600,
	URL_MAX = 2048,
	LOGOUT_EXPIRY_S = 123, /* the protocol's word for "now" */
};

struct control_client {
	struct loop *loop;
	struct control_client_conf conf;
	struct control_server server;
	struct key server_key;
	struct tls_ctx *tls;
	bool destroyed;

	enum control_state state;
	bool wanted; /* somebody asked for a login, and has not logged out */
	bool paused, logging_out;
	bool registered; /* the current keys were accepted since the last login call */

	struct control_dial *dial;
	struct httpc *http;
	struct mono last_dial;
	struct io_timer retry;
	unsigned failures; /* in a row */

	/* registration */
	struct http_call *reg;
	struct secret32 trying; /* the key we ask for */
	bool trying_is_new;
	char *auth_key;
	char followup[URL_MAX];
	struct buf reg_body;
	unsigned reg_status;
	int64_t retry_after_s;

	/* map stream */
	struct http_call *map;
	struct control_frames frames;
	bool map_first; /* the next frame that is no keep-alive is the first */
	unsigned map_status;
	struct io_timer watchdog;
	char ping_url[URL_MAX]; /* of the last request of control */

	/* lite updates */
	struct http_call *update;
	bool update_due;
	unsigned update_status, update_failures;
	struct io_timer update_retry;
	struct buf hostinfo;
	struct key disco;
	struct control_endpoint endpoints[CONTROL_ENDPOINTS_MAX];
	size_t endpoint_count;

	struct http_call *logout;
};

static void step(struct control_client *c);

const char *control_state_name(enum control_state s)
{
	static const char *const names[] = {
		[CONTROL_IDLE] = "idle",
		[CONTROL_CONNECTING] = "connecting",
		[CONTROL_REGISTERING] = "registering",
		[CONTROL_WAITING] = "waiting for a login",
		[CONTROL_POLLING] = "waiting for the map",
		[CONTROL_STREAMING] = "streaming",
	};

	return names[s];
}

static void set_state(struct control_client *c, enum control_state next)
{
	if (c->state == next)
		return;
	log_info(&c->conf.log, "control client is %s", control_state_name(next));
	c->state = next; /* the only assignment */
	c->conf.on_state(c->conf.arg, next);
}

/* ---- pauses and endings ---- */

static void cancel(struct http_call **call)
{
	struct http_call *gone = *call;

	*call = NULL;
	if (gone)
		http_call_cancel(gone);
}

static void drop_calls(struct control_client *c)
{
	cancel(&c->reg);
	cancel(&c->map);
	if (c->update)
		c->update_due = true;
	cancel(&c->update);
	cancel(&c->logout);
	io_timer_stop(&c->watchdog);
}

static void drop_connection(struct control_client *c)
{
	drop_calls(c);
	control_dial_cancel(c->dial);
	c->dial = NULL;
	httpc_destroy(c->http);
	c->http = NULL;
}

static bool is_armed(const struct io_timer *t)
{
	return heap_has(&t->node);
}

/* n * n * 10 ms, half to one and a half of it (upstream: util/backoff). */
static int64_t backoff_ms(struct control_client *c, unsigned n)
{
	int64_t ms = (int64_t)n * n * BACKOFF_UNIT_MS;

	if (ms > BACKOFF_MAX_MS)
		ms = BACKOFF_MAX_MS;
	return ms / 2 + (int64_t)rng_below(&c->conf.rng, (uint64_t)ms + 1);
}

static void retry_in(struct control_client *c, int64_t ms)
{
	io_timer_in_ms(c->loop, &c->retry, ms);
}

static void logged_out(struct control_client *c, const struct err *err);

/* Something broke: tell, wait, start over. */
static void failed(struct control_client *c, const struct err *why)
{
	/* The user wants to be gone, whether the server can be told or not. */
	if (c->logging_out) {
		struct err copy = *why;

		logged_out(c, &copy);
		return;
	}
	if (c->failures < 1000)
		c->failures++;
	log_warn(&c->conf.log, "%s", why->text);
	/* Who did not answer in time may be behind a connection that is dead. */
	if (why->code == ERR_TIMEOUT)
		drop_connection(c);
	set_state(c, CONTROL_CONNECTING);
	if (c->destroyed)
		return;
	c->conf.on_error(c->conf.arg, why->text);
	if (!c->destroyed)
		retry_in(c, backoff_ms(c, c->failures));
}

static void on_retry(struct io_timer *t)
{
	step(container_of(t, struct control_client, retry));
}

/* ---- the connection ---- */

static void on_http_close(void *arg, const struct err *why)
{
	struct control_client *c = arg;
	struct httpc *gone = c->http;
	struct err err = *why;

	/* Its calls were told before and have scheduled what comes next. */
	c->http = NULL;
	drop_calls(c);
	httpc_destroy(gone);
	if (!c->wanted && !c->logging_out)
		return;
	if (!is_armed(&c->retry)) {
		if (err.code == ERR_NONE)
			(void)err_set(&err, ERR_REFUSED, "the server closed the connection");
		failed(c, &err);
	}
}

static void on_dialed(void *arg, struct httpc *http)
{
	struct control_client *c = arg;

	c->dial = NULL;
	c->http = http;
	step(c);
}

static void on_dial_failed(void *arg, const struct err *why)
{
	struct control_client *c = arg;

	c->dial = NULL;
	failed(c, why);
}

static void start_dial(struct control_client *c)
{
	struct mono now = loop_now(c->loop);
	struct control_dial_conf dial = {
		.server = &c->server,
		.url = c->conf.url,
		.ca_file = c->conf.ca_file,
		.tls = c->tls,
		.machine = &c->conf.machine,
		.server_key = &c->server_key,
		.rng = &c->conf.rng,
		.noise = c->conf.noise,
		.tls_first = !mono_is_zero(c->last_dial) &&
			     mono_since_ms(now, c->last_dial) < RECENT_DIAL_S * 1000,
		.on_socket = c->conf.on_socket,
		.socket_arg = c->conf.arg,
		.on_open = on_dialed,
		.on_fail = on_dial_failed,
		.on_close = on_http_close,
		.arg = c,
	};

	c->last_dial = now;
	set_state(c, CONTROL_CONNECTING);
	if (!c->destroyed)
		c->dial = control_dial_start(c->loop, &dial);
}

static struct http_call *post(struct control_client *c, const char *path,
			      const struct schema *schema, const void *message,
			      struct http_call_conf call)
{
	static const struct http_header type = { { (const uint8_t *)"content-type", 12 },
						 { (const uint8_t *)"application/json", 16 } };
	struct http_call *started;
	struct json_out o;
	struct buf body;

	buf_init(&body, 4 << 20);
	json_out_init(&o, &body);
	schema_encode(&o, schema, message);
	call.method = "POST";
	call.path = path;
	call.authority = c->server.authority;
	call.headers = &type;
	call.header_count = 1;
	call.body = buf_bytes(&body);
	call.arg = c;
	started = httpc_call(c->http, &call);
	secret_wipe(body.p, body.n); /* it may hold an auth key */
	buf_fini(&body);
	return started;
}

/* ---- registration ---- */

static struct key public_of(const struct secret32 *s)
{
	struct key k = { 0 };

	if (!secret_is_zero(s->b, sizeof(s->b)))
		x25519_public(k.b, s);
	return k;
}

static struct tailcfg_hostinfo hostinfo_of(struct control_client *c)
{
	return (struct tailcfg_hostinfo){ .raw = c->hostinfo.n ? buf_bytes(&c->hostinfo)
							       : bytes_str("{}") };
}

static void on_register_head(void *arg, unsigned status, const struct http_header *headers,
			     size_t n)
{
	struct control_client *c = arg;
	uint64_t seconds;

	c->reg_status = status;
	c->retry_after_s = 0;
	for (size_t i = 0; i < n; i++)
		if (bytes_equal_str(headers[i].name, "retry-after") &&
		    text_u64(headers[i].value, RETRY_AFTER_MAX_S, &seconds))
			c->retry_after_s = (int64_t)seconds;
}

static void on_register_body(void *arg, struct bytes data)
{
	struct control_client *c = arg;

	(void)buf_append(&c->reg_body, data);
}

static void forget_auth_key(struct control_client *c)
{
	if (!c->auth_key)
		return;
	secret_wipe(c->auth_key, strlen(c->auth_key));
	mem_free(c->auth_key);
	c->auth_key = NULL;
}

static void try_new_key(struct control_client *c)
{
	x25519_generate(&c->trying, &c->conf.rng);
	c->trying_is_new = true;
	c->followup[0] = '\0';
}

static void accepted(struct control_client *c, const struct tailcfg_register_response *r)
{
	struct control_keys *keys = &c->conf.keys;

	if (!secret_equal(&c->trying, &keys->node, sizeof(c->trying))) {
		if (!secret_is_zero(keys->node.b, sizeof(keys->node.b)))
			keys->old_node = keys->node;
		keys->node = c->trying;
	}
	c->trying_is_new = false;
	c->registered = true;
	c->failures = 0;
	c->update_due = true;
	c->followup[0] = '\0';
	forget_auth_key(c);
	c->conf.on_auth_url(c->conf.arg, "");
	if (!c->destroyed)
		c->conf.on_login(c->conf.arg, keys, r);
	if (!c->destroyed)
		step(c);
}

static void follow_up(struct control_client *c, struct bytes url)
{
	bool same = bytes_equal_str(url, c->followup);
	struct err err;

	if (!bytes_to_cstr(url, c->followup, sizeof(c->followup))) {
		c->followup[0] = '\0';
		(void)err_set(&err, ERR_LIMIT, "the login URL is too long");
		failed(c, &err);
		return;
	}
	if (same) {
		c->failures++;
		retry_in(c, backoff_ms(c, c->failures));
		return;
	}
	set_state(c, CONTROL_WAITING);
	if (!c->destroyed)
		c->conf.on_auth_url(c->conf.arg, c->followup);
	if (!c->destroyed)
		step(c);
}

/* The order is the protocol's: Error, signature, expiry, URL, success. */
static void take_answer(struct control_client *c, const struct tailcfg_register_response *r)
{
	struct err err = { 0 };

	if (r->error.n) {
		(void)err_set(&err, ERR_REFUSED, "%.*s", BYTES_FMT(r->error));
	} else if (r->node_key_signature.n) {
		(void)err_set(&err, ERR_REFUSED,
			      "the tailnet lock wants a signature that this node cannot make");
	} else if (r->node_key_expired && c->trying_is_new) {
		(void)err_set(&err, ERR_REFUSED, "the server calls a fresh node key expired");
	} else if (r->node_key_expired) {
		log_info(&c->conf.log, "node key expired, asking for a new one");
		try_new_key(c);
		step(c);
		return;
	} else if (r->auth_url.n) {
		follow_up(c, r->auth_url);
		return;
	} else {
		accepted(c, r);
		return;
	}
	failed(c, &err);
}

static void too_many(struct control_client *c)
{
	int64_t s = c->retry_after_s;

	if (s <= 0)
		s = 5 + (int64_t)rng_below(&c->conf.rng, 6);
	log_warn(&c->conf.log, "server says there are too many logins, retrying in %lld s",
		 (long long)s);
	retry_in(c, s * 1000);
}

static void on_register_done(void *arg, const struct err *why)
{
	struct control_client *c = arg;
	struct tailcfg_register_response r = { 0 };
	struct bytes body = buf_bytes(&c->reg_body);
	struct arena arena;
	struct err err = *why;

	c->reg = NULL;
	if (err.code == ERR_NONE && c->reg_status == 429) {
		too_many(c);
		return;
	}
	arena_init(&arena, 32 << 20);
	if (err.code == ERR_NONE && c->reg_status != 200)
		(void)err_set(&err, ERR_REFUSED, "register: status %u: %.*s", c->reg_status,
			      (int)(body.n < ERROR_BODY_MAX ? body.n : ERROR_BODY_MAX),
			      (const char *)body.p);
	else if (err.code == ERR_NONE)
		(void)schema_decode(&r, &tailcfg_register_response_schema, &arena, body, &err);
	if (err.code != ERR_NONE)
		failed(c, &err);
	else
		take_answer(c, &r);
	arena_fini(&arena);
}

static void start_register(struct control_client *c)
{
	struct tailcfg_hostinfo hostinfo = hostinfo_of(c);
	struct tailcfg_register_auth auth = { 0 };
	struct tailcfg_register_request r = {
		.version = CONTROL_CAPVER,
		.node_key = public_of(&c->trying),
		.nl_key = c->conf.nl_key,
		.hostinfo = &hostinfo,
		.ephemeral = c->conf.ephemeral,
		.followup = bytes_str(c->followup),
	};
	struct http_call_conf call = { .body_max = REGISTER_BODY_MAX,
				       .on_head = on_register_head,
				       .on_body = on_register_body,
				       .on_done = on_register_done };

	r.old_node_key = public_of(c->trying_is_new ? &c->conf.keys.node : &c->conf.keys.old_node);
	if (c->auth_key) {
		auth.auth_key = bytes_str(c->auth_key);
		r.auth = &auth;
	}
	buf_clear(&c->reg_body);
	c->reg_body.bad = false;
	if (!c->followup[0])
		set_state(c, CONTROL_REGISTERING);
	if (c->destroyed)
		return;
	/* No timeout with a followup: a person is on the way. */
	call.timeout_ms = c->followup[0] ? 0 : UPDATE_TIMEOUT_MS;
	c->reg = post(c, "/machine/register", &tailcfg_register_request_schema, &r, call);
}

/* ---- logout ---- */

static void logged_out(struct control_client *c, const struct err *err)
{
	secret32_wipe(&c->conf.keys.node);
	c->logging_out = false;
	drop_connection(c);
	io_timer_stop(&c->retry);
	set_state(c, CONTROL_IDLE);
	if (!c->destroyed)
		c->conf.on_logout(c->conf.arg, err);
}

static void on_logout_done(void *arg, const struct err *err)
{
	struct control_client *c = arg;

	c->logout = NULL;
	logged_out(c, err);
}

static void start_logout(struct control_client *c)
{
	struct tailcfg_hostinfo hostinfo = hostinfo_of(c);
	struct tailcfg_register_request r = {
		.version = CONTROL_CAPVER,
		.node_key = public_of(&c->conf.keys.node),
		.old_node_key = public_of(&c->conf.keys.old_node),
		.nl_key = c->conf.nl_key,
		.hostinfo = &hostinfo,
		.expiry = wall_from_s(LOGOUT_EXPIRY_S),
	};
	struct http_call_conf call = { .body_max = REGISTER_BODY_MAX,
				       .timeout_ms = LOGOUT_TIMEOUT_MS,
				       .on_done = on_logout_done };

	c->logout = post(c, "/machine/register", &tailcfg_register_request_schema, &r, call);
}

/* ---- requests of control ---- */

static void on_ping_done(void *arg, const struct err *err)
{
	struct control_client *c = arg;

	if (err->code != ERR_NONE)
		log_debug(&c->conf.log, "request of control: %s", err->text);
}

/* "https://anything/path?query" to its path: over Noise the host means nothing. */
static const char *path_of_url(const char *url)
{
	const char *host = strstr(url, "://");
	const char *path = host ? strchr(host + 3, '/') : NULL;

	return path ? path : "/";
}

static void answer_ping(struct control_client *c, const struct tailcfg_ping_request *p)
{
	struct http_call_conf call = { .authority = c->server.authority,
				       .body_max = ERROR_BODY_MAX << 8,
				       .timeout_ms = PING_TIMEOUT_MS,
				       .on_done = on_ping_done,
				       .arg = c };
	struct buf body;

	if (!p->url.n || bytes_equal_str(p->url, c->ping_url) ||
	    !bytes_to_cstr(p->url, c->ping_url, sizeof(c->ping_url)))
		return;
	call.path = path_of_url(c->ping_url);
	buf_init(&body, 2 << 20);
	if (bytes_equal_str(p->types, "c2n")) {
		call.method = "POST";
		control_c2n_answer(p->payload, &body);
		call.body = buf_bytes(&body);
		(void)httpc_call(c->http, &call);
	} else if (!p->types.n && p->url_is_noise) {
		call.method = "HEAD";
		(void)httpc_call(c->http, &call);
	} else {
		log_debug(&c->conf.log, "control asked for a ping that this node does not make");
	}
	buf_fini(&body);
}

/* ---- the map stream ---- */

static void map_failed(struct control_client *c, const struct err *why)
{
	cancel(&c->map);
	io_timer_stop(&c->watchdog);
	control_frames_fini(&c->frames);
	failed(c, why);
}

static void on_watchdog(struct io_timer *t)
{
	struct control_client *c = container_of(t, struct control_client, watchdog);
	struct err err;

	(void)err_set(&err, ERR_TIMEOUT, "the map stream was silent for %d s", WATCHDOG_MS / 1000);
	/* Silence usually means that the connection is dead, not only this call. */
	cancel(&c->map);
	control_frames_fini(&c->frames);
	drop_connection(c);
	failed(c, &err);
}

static void on_map_head(void *arg, unsigned status, const struct http_header *headers, size_t n)
{
	struct control_client *c = arg;

	(void)headers;
	(void)n;
	c->map_status = status;
}

/* False: c is gone, or the stream is over. */
static bool take_frame(struct control_client *c, const struct tailcfg_map_response *f)
{
	struct err err = { 0 };
	bool first = c->map_first;

	io_timer_in_ms(c->loop, &c->watchdog, WATCHDOG_MS);
	if (f->ping_request)
		answer_ping(c, f->ping_request);
	if (f->keep_alive)
		return true;
	c->map_first = false;
	c->failures = 0;
	if (c->conf.on_map(c->conf.arg, first, f, &err) < 0 && !c->destroyed) {
		map_failed(c, &err);
		return false;
	}
	if (!c->destroyed && c->map)
		set_state(c, CONTROL_STREAMING);
	return !c->destroyed && c->map;
}

static void on_map_body(void *arg, struct bytes data)
{
	struct control_client *c = arg;

	if (c->map_status != 200)
		return;
	control_frames_input(&c->frames, data);
	for (;;) {
		struct tailcfg_map_response f;
		struct arena arena;
		struct err err = { 0 };
		int got = control_frames_next(&c->frames, &arena, &f, &err);
		bool go_on;

		if (got < 0)
			map_failed(c, &err);
		if (got <= 0)
			return;
		go_on = take_frame(c, &f);
		arena_fini(&arena);
		if (!go_on)
			return;
	}
}

static void on_map_done(void *arg, const struct err *why)
{
	struct control_client *c = arg;
	struct err err = *why;

	c->map = NULL;
	if (err.code == ERR_NONE)
		(void)err_set(&err, ERR_REFUSED,
			      c->map_status == 200 ? "the server ended the map stream (%u)"
						   : "map: status %u",
			      c->map_status);
	map_failed(c, &err);
}

static void fill_map_request(struct control_client *c, struct tailcfg_map_request *m,
			     struct tailcfg_hostinfo *hostinfo, struct addrport *at, int64_t *types)
{
	*hostinfo = hostinfo_of(c);
	m->version = CONTROL_CAPVER;
	m->node_key = public_of(&c->conf.keys.node);
	m->disco_key = c->disco;
	m->hostinfo = hostinfo;
	for (size_t i = 0; i < c->endpoint_count; i++) {
		at[i] = c->endpoints[i].at;
		types[i] = c->endpoints[i].type;
	}
	m->endpoints = (struct addrport_list){ at, c->endpoint_count, c->endpoint_count > 0 };
	m->endpoint_types = (struct i64_list){ types, c->endpoint_count, c->endpoint_count > 0 };
}

static void start_map(struct control_client *c)
{
	struct addrport at[CONTROL_ENDPOINTS_MAX];
	int64_t types[CONTROL_ENDPOINTS_MAX];
	struct tailcfg_hostinfo hostinfo;
	struct tailcfg_map_request m = { .stream = true,
					 .keep_alive = true,
					 .compress = bytes_str("zstd") };
	struct http_call_conf call = { .on_head = on_map_head,
				       .on_body = on_map_body,
				       .on_done = on_map_done };

	fill_map_request(c, &m, &hostinfo, at, types);
	control_frames_fini(&c->frames);
	control_frames_init(&c->frames, false);
	c->map_first = true;
	c->map_status = 0;
	c->ping_url[0] = '\0';
	set_state(c, CONTROL_POLLING);
	if (c->destroyed)
		return;
	io_timer_in_ms(c->loop, &c->watchdog, WATCHDOG_MS);
	c->map = post(c, "/machine/map", &tailcfg_map_request_schema, &m, call);
}

/* ---- lite updates: one at a time, the newest state wins ---- */

static void on_update_head(void *arg, unsigned status, const struct http_header *headers, size_t n)
{
	struct control_client *c = arg;

	(void)headers;
	(void)n;
	c->update_status = status;
}

static void on_update_done(void *arg, const struct err *why)
{
	struct control_client *c = arg;

	c->update = NULL;
	if (why->code == ERR_NONE && c->update_status == 200) {
		c->update_failures = 0;
		step(c);
		return;
	}
	log_debug(&c->conf.log, "update failed: status %u %s", c->update_status, why->text);
	c->update_due = true;
	if (c->update_failures < 1000)
		c->update_failures++;
	io_timer_in_ms(c->loop, &c->update_retry, backoff_ms(c, c->update_failures + 4));
}

static void on_update_retry(struct io_timer *t)
{
	step(container_of(t, struct control_client, update_retry));
}

static void start_update(struct control_client *c)
{
	struct addrport at[CONTROL_ENDPOINTS_MAX];
	int64_t types[CONTROL_ENDPOINTS_MAX];
	struct tailcfg_hostinfo hostinfo;
	struct tailcfg_map_request m = { .omit_peers = true, .compress = bytes_str("zstd") };
	struct http_call_conf call = { .body_max = ERROR_BODY_MAX << 8,
				       .timeout_ms = UPDATE_TIMEOUT_MS,
				       .on_head = on_update_head,
				       .on_done = on_update_done };

	fill_map_request(c, &m, &hostinfo, at, types);
	c->update_due = false;
	c->update_status = 0;
	c->update = post(c, "/machine/map", &tailcfg_map_request_schema, &m, call);
}

/* ---- what is missing? ---- */

static bool can_connect(struct control_client *c)
{
	if (c->http)
		return true;
	if (!c->dial)
		start_dial(c);
	return false;
}

static void step(struct control_client *c)
{
	io_timer_stop(&c->retry);
	if (c->logging_out) {
		if (can_connect(c) && !c->logout)
			start_logout(c);
		return;
	}
	if (!c->wanted || (c->paused && c->registered)) {
		set_state(c, CONTROL_IDLE);
		return;
	}
	if (!can_connect(c))
		return;
	if (!c->registered) {
		if (!c->reg)
			start_register(c);
		return;
	}
	if (!c->map)
		start_map(c);
	if (!c->destroyed && c->http && c->update_due && !c->update && !is_armed(&c->update_retry))
		start_update(c);
}

/* ---- public ---- */

struct control_client *
control_client_create(struct loop *loop, const struct control_client_conf *conf, struct err *err)
{
	struct control_client *c = mem_alloc(sizeof(*c));

	c->loop = loop;
	c->conf = *conf;
	c->conf.url = mem_strdup(conf->url);
	c->conf.ca_file = conf->ca_file ? mem_strdup(conf->ca_file) : NULL;
	io_timer_init(&c->retry, on_retry);
	io_timer_init(&c->watchdog, on_watchdog);
	io_timer_init(&c->update_retry, on_update_retry);
	buf_init(&c->reg_body, REGISTER_BODY_MAX);
	buf_init(&c->hostinfo, HOSTINFO_MAX);
	c->tls = tls_ctx_client(&(struct tls_client_conf){ .insecure = true }, err);
	if (!c->tls || control_server_parse(&c->server, conf->url, err) < 0) {
		control_client_destroy(c);
		return NULL;
	}
	return c;
}

void control_client_destroy(struct control_client *c)
{
	if (!c)
		return;
	c->destroyed = true;
	drop_connection(c);
	io_timer_stop(&c->retry);
	io_timer_stop(&c->update_retry);
	control_frames_fini(&c->frames);
	forget_auth_key(c);
	buf_fini(&c->reg_body);
	buf_fini(&c->hostinfo);
	tls_ctx_unref(c->tls);
	mem_free((char *)(uintptr_t)c->conf.url);
	mem_free((char *)(uintptr_t)c->conf.ca_file);
	secret_wipe(&c->conf.machine, sizeof(c->conf.machine));
	secret_wipe(&c->conf.keys, sizeof(c->conf.keys));
	secret32_wipe(&c->trying);
	loop_free_later(c->loop, c);
}

void control_client_login(struct control_client *c, unsigned flags, const char *auth_key)
{
	bool have_key = !secret_is_zero(c->conf.keys.node.b, sizeof(c->conf.keys.node.b));

	cancel(&c->reg);
	cancel(&c->map);
	io_timer_stop(&c->watchdog);
	forget_auth_key(c);
	if (auth_key && *auth_key)
		c->auth_key = mem_strdup(auth_key);
	c->followup[0] = '\0';
	c->trying_is_new = false;
	c->trying = c->conf.keys.node;
	if ((flags & CONTROL_LOGIN_NEW_KEY) || !have_key)
		try_new_key(c);
	c->wanted = true;
	c->registered = false;
	c->failures = 0;
	step(c);
}

void control_client_logout(struct control_client *c)
{
	struct err err = { 0 };

	drop_calls(c);
	c->wanted = false;
	c->registered = false;
	c->followup[0] = '\0';
	forget_auth_key(c);
	if (secret_is_zero(c->conf.keys.node.b, sizeof(c->conf.keys.node.b))) {
		logged_out(c, &err);
		return;
	}
	c->logging_out = true;
	step(c);
}

void control_client_pause(struct control_client *c, bool paused)
{
	if (c->paused == paused)
		return;
	c->paused = paused;
	if (paused && c->registered) {
		drop_connection(c);
		io_timer_stop(&c->retry);
	}
	c->failures = 0;
	step(c);
}

void control_client_kick(struct control_client *c)
{
	drop_connection(c);
	c->failures = 0;
	c->update_failures = 0;
	io_timer_stop(&c->update_retry);
	step(c);
}

void control_client_set_hostinfo(struct control_client *c, struct bytes json)
{
	if (bytes_equal(buf_bytes(&c->hostinfo), json))
		return;
	buf_clear(&c->hostinfo);
	(void)buf_append(&c->hostinfo, json);
	c->update_due = true;
	if (c->registered && !c->paused)
		step(c);
}

void control_client_set_endpoints(struct control_client *c, const struct key *disco,
				  const struct control_endpoint *endpoints, size_t n)
{
	if (n > CONTROL_ENDPOINTS_MAX)
		n = CONTROL_ENDPOINTS_MAX;
	c->disco = *disco;
	memcpy(c->endpoints, endpoints, n * sizeof(*endpoints));
	c->endpoint_count = n;
	c->update_due = true;
	if (c->registered && !c->paused)
		step(c);
}

enum control_state control_client_state(const struct control_client *c)
{
	return c->state;
}
