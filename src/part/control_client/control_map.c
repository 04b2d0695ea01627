/*
 * part/control_client/control_map.c - the map stream, what control asks in it, updates of ours.
 */
#include "part/control_client/control_impl.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "part/control_client/control_c2n.h"
#include "wire/tailcfg_map.h"

enum {
	WATCHDOG_MS = 120 * 1000,
	PING_TIMEOUT_MS = 15 * 1000,
};

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
				       .body_max = CONTROL_ERROR_BODY_MAX << 8,
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
	control_cancel(&c->map);
	io_timer_stop(&c->watchdog);
	control_frames_fini(&c->frames);
	control_failed(c, why);
}

void control_on_watchdog(struct io_timer *t)
{
	struct control_client *c = container_of(t, struct control_client, watchdog);
	struct err err;

	(void)err_set(&err, ERR_TIMEOUT, "the map stream was silent for %d s", WATCHDOG_MS / 1000);
	/* Silence usually means that the connection is dead, not only this call. */
	control_cancel(&c->map);
	control_frames_fini(&c->frames);
	control_drop_connection(c);
	control_failed(c, &err);
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
		control_set_state(c, CONTROL_STREAMING);
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
	*hostinfo = control_hostinfo(c);
	m->version = CONTROL_CAPVER;
	m->node_key = control_public(&c->conf.keys.node);
	m->disco_key = c->disco;
	m->hostinfo = hostinfo;
	for (size_t i = 0; i < c->endpoint_count; i++) {
		at[i] = c->endpoints[i].at;
		types[i] = c->endpoints[i].type;
	}
	m->endpoints = (struct addrport_list){ at, c->endpoint_count, c->endpoint_count > 0 };
	m->endpoint_types = (struct i64_list){ types, c->endpoint_count, c->endpoint_count > 0 };
}

void control_start_map(struct control_client *c)
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
	control_set_state(c, CONTROL_POLLING);
	if (c->destroyed)
		return;
	io_timer_in_ms(c->loop, &c->watchdog, WATCHDOG_MS);
	c->map = control_post(c, "/machine/map", &tailcfg_map_request_schema, &m, call);
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
		control_step(c);
		return;
	}
	log_debug(&c->conf.log, "update failed: status %u %s", c->update_status, why->text);
	c->update_due = true;
	if (c->update_failures < 1000)
		c->update_failures++;
	io_timer_in_ms(c->loop, &c->update_retry, control_backoff_ms(c, c->update_failures + 4));
}

void control_on_update_retry(struct io_timer *t)
{
	control_step(container_of(t, struct control_client, update_retry));
}

void control_start_update(struct control_client *c)
{
	struct addrport at[CONTROL_ENDPOINTS_MAX];
	int64_t types[CONTROL_ENDPOINTS_MAX];
	struct tailcfg_hostinfo hostinfo;
	struct tailcfg_map_request m = { .omit_peers = true, .compress = bytes_str("zstd") };
	struct http_call_conf call = { .body_max = CONTROL_ERROR_BODY_MAX << 8,
				       .timeout_ms = CONTROL_UPDATE_TIMEOUT_MS,
				       .on_head = on_update_head,
				       .on_done = on_update_done };

	fill_map_request(c, &m, &hostinfo, at, types);
	c->update_due = false;
	c->update_status = 0;
	c->update = control_post(c, "/machine/map", &tailcfg_map_request_schema, &m, call);
}
