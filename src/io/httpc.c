/*
 * io/httpc.c - calls on a connection: how they come, time out and end. The protocols are in
 * httpc_h1.c and httpc_h2.c.
 */
#include "io/httpc.h"

#include "base/mem.h"
#include "io/httpc_conn.h"

enum { CALL_ARENA_MAX = 64 << 10 };

static void call_free(void *arg)
{
	struct http_call *call = arg;

	arena_fini(&call->arena);
	arena_fini(&call->answer);
	mem_free((void *)call->conf.body.p);
	mem_free(call);
}

static void detach(struct http_call *call)
{
	call->done = true;
	io_timer_stop(&call->timer);
	list_remove(&call->node);
	loop_defer(call->c->loop, call_free, call);
}

void httpc_call_end(struct http_call *call, const struct err *err)
{
	static const struct err none = { .code = ERR_NONE };

	if (call->done)
		return;
	detach(call);
	if (call->conf.on_done)
		call->conf.on_done(call->conf.arg, err ? err : &none);
}

bool httpc_call_body(struct http_call *call, struct bytes data)
{
	struct err err = { 0 };

	call->received += data.n;
	if (call->conf.body_max && call->received > call->conf.body_max) {
		struct httpc *c = call->c;

		err_set(&err, ERR_LIMIT, "the answer is larger than %zu bytes",
			call->conf.body_max);
		httpc_call_end(call, &err);
		if (!c->dead && c->stream)
			c->ops->cancel(call);
		return false;
	}
	if (data.n && call->conf.on_body)
		call->conf.on_body(call->conf.arg, data);
	return !call->done;
}

void httpc_close(struct httpc *c, const struct err *why)
{
	struct err lost = { 0 };
	struct list *node;

	if (c->dead || !c->stream)
		return;
	stream_destroy(c->stream);
	c->stream = NULL;
	if (why && why->code)
		lost = *why;
	else
		err_set(&lost, ERR_REFUSED, "the server closed the connection");
	while (!c->dead && (node = list_first(&c->calls)))
		httpc_call_end(list_entry(node, struct http_call, node), &lost);
	if (!c->dead && c->on_close)
		c->on_close(c->arg, why && why->code ? why : &(struct err){ .code = ERR_NONE });
}

/* ---- events from the stream ---- */

static void on_data(void *arg, struct bytes data)
{
	struct httpc *c = arg;

	c->ops->on_data(c, data);
}

static void on_drain(void *arg)
{
	struct httpc *c = arg;

	if (c->ops->on_drain)
		c->ops->on_drain(c);
}

static void on_close(void *arg, const struct err *why)
{
	struct httpc *c = arg;

	if (why->code == ERR_NONE && c->ops->on_end)
		c->ops->on_end(c);
	httpc_close(c, why);
}

static const struct stream_up client_up = { .on_data = on_data,
					    .on_drain = on_drain,
					    .on_close = on_close };

struct httpc *httpc_create(struct stream *s, bool h2,
			   void (*on_closed)(void *arg, const struct err *why), void *arg)
{
	struct httpc *c = mem_alloc(sizeof(*c));

	c->loop = s->loop;
	c->stream = s;
	c->on_close = on_closed;
	c->arg = arg;
	list_init(&c->calls);
	if (h2)
		httpc_h2_init(c);
	else
		httpc_h1_init(c);
	stream_set_up(s, &client_up, c);
	return c;
}

static void client_free(void *arg)
{
	struct httpc *c = arg;

	c->ops->fini(c);
	mem_free(c);
}

void httpc_destroy(struct httpc *c)
{
	struct list *node;

	if (!c || c->dead)
		return;
	c->dead = true;
	stream_destroy(c->stream);
	c->stream = NULL;
	while ((node = list_first(&c->calls)))
		detach(list_entry(node, struct http_call, node));
	loop_defer(c->loop, client_free, c);
}

/* ---- calls ---- */

static void on_timeout(struct io_timer *t)
{
	struct http_call *call = container_of(t, struct http_call, timer);
	struct httpc *c = call->c;
	struct err err = { 0 };

	err_set(&err, ERR_TIMEOUT, "no complete answer in %u ms", call->conf.timeout_ms);
	httpc_call_end(call, &err);
	if (!c->dead && c->stream)
		c->ops->cancel(call);
}

static char *copy_str(struct arena *a, const char *s)
{
	return s ? arena_str(a, bytes_str(s)) : NULL;
}

static void copy_headers(struct http_call *call)
{
	struct http_call_conf *conf = &call->conf;
	struct http_header *copy = arena_array(&call->arena, conf->header_count, sizeof(*copy));

	for (size_t i = 0; copy && i < conf->header_count; i++) {
		copy[i].name = arena_bytes(&call->arena, conf->headers[i].name);
		copy[i].value = arena_bytes(&call->arena, conf->headers[i].value);
	}
	conf->headers = copy;
}

static void copy_conf(struct http_call *call)
{
	struct http_call_conf *conf = &call->conf;

	conf->method = copy_str(&call->arena, conf->method);
	conf->path = copy_str(&call->arena, conf->path);
	conf->scheme = copy_str(&call->arena, conf->scheme ? conf->scheme : "https");
	conf->authority = copy_str(&call->arena, conf->authority);
	if (conf->header_count)
		copy_headers(call);
	if (conf->body.n) {
		uint8_t *copy = mem_alloc(conf->body.n);

		memcpy(copy, conf->body.p, conf->body.n);
		conf->body.p = copy;
	} else {
		conf->body.p = NULL;
	}
}

static bool can_be_written(const struct http_call *call)
{
	struct buf head;
	bool ok;

	buf_init(&head, CALL_ARENA_MAX);
	ok = !call->arena.bad && httpc_head_encode(&head, &call->conf);
	buf_fini(&head);
	return ok;
}

static void fail_unsent(void *arg)
{
	struct http_call *call = arg;
	struct err err = { 0 };

	if (call->done)
		return;
	if (call->c->stream)
		err_set(&err, ERR_USAGE, "the request cannot be written as HTTP");
	else
		err_set(&err, ERR_REFUSED, "the connection is closed");
	httpc_call_end(call, &err);
}

struct http_call *httpc_call(struct httpc *c, const struct http_call_conf *conf)
{
	struct http_call *call = mem_alloc(sizeof(*call));

	call->c = c;
	call->conf = *conf;
	arena_init(&call->arena, CALL_ARENA_MAX);
	arena_init(&call->answer, 2 * HTTPC_HEAD_MAX);
	copy_conf(call);
	list_append(&c->calls, &call->node);
	io_timer_init(&call->timer, on_timeout);
	if (conf->timeout_ms)
		io_timer_in_ms(c->loop, &call->timer, conf->timeout_ms);
	if (c->stream && can_be_written(call))
		c->ops->call(call);
	else
		loop_defer(c->loop, fail_unsent, call); /* on_done never comes from inside here */
	return call;
}

void http_call_pause(struct http_call *call, bool paused)
{
	if (call->done || call->paused == paused)
		return;
	call->paused = paused;
	if (!call->c->dead && call->c->stream)
		call->c->ops->pause(call);
}

void http_call_cancel(struct http_call *call)
{
	struct httpc *c;

	if (!call || call->done)
		return;
	c = call->c;
	detach(call);
	if (!c->dead && c->stream)
		c->ops->cancel(call);
}
