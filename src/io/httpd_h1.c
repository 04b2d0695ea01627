/*
 * io/httpd_h1.c - HTTP/1.1 on a connection: one exchange after the other.
 *
 *   HEAD --head--> BODY --all of it--> OPEN --answered--> HEAD ...
 *     '---- refused --> LINGER --1 s--> CLOSING          '---> CLOSING, when it may not be kept
 *
 * What a client pipelines waits in c->in; past HTTPD_INPUT_HIGH the stream is paused.
 */
#include <stdio.h>

#include "base/log.h"
#include "base/mem.h"
#include "io/httpd_conn.h"

enum {
	OUT_COPY_MAX = 16 << 10, /* larger pieces go to the stream without a copy in between */
	IDLE_KEEP_MAX = 4 << 10, /* of each buffer of an idle connection */
};

static void process(struct httpd_conn *c);

static void set_state(struct httpd_conn *c, enum h1_state state)
{
	c->state = state;
}

static void arm(struct httpd_conn *c, int64_t ms)
{
	io_timer_in_ms(c->httpd->loop, &c->timer, ms);
}

static void drop_input(struct httpd_conn *c)
{
	buf_clear(&c->in);
	if (c->stream)
		stream_pause(c->stream, false);
}

static void close_gently(struct httpd_conn *c)
{
	drop_input(c);
	set_state(c, H1_CLOSING);
	c->stalled_at = stream_queued(c->stream);
	stream_finish(c->stream);
	arm(c, HTTPD_CLOSING_MS);
}

static void flush_out(struct httpd_conn *c)
{
	if (c->out.n)
		stream_send(c->stream, buf_bytes(&c->out));
	buf_clear(&c->out);
}

/* Twenty thousand idle connections must not keep what their last request needed. */
static void forget_memory(struct buf *b)
{
	size_t max = b->max;

	if (b->n || b->cap <= IDLE_KEEP_MAX)
		return;
	buf_fini(b);
	buf_init(b, max);
}

/* ---- answers ---- */

static void put_header(struct httpd_conn *c, const char *name, const char *value)
{
	buf_append_str(&c->out, name);
	buf_append(&c->out, bytes_of(": ", 2));
	buf_append_str(&c->out, value);
	buf_append(&c->out, bytes_of("\r\n", 2));
}

static void put_added(struct httpd_conn *c, const struct http_exchange *x)
{
	for (size_t i = 0; i < x->added_count; i++)
		http1_header_encode(&c->out, x->added[i].name, x->added[i].value);
}

/* A body of unknown length is chunked; HTTP/1.0 knows only the end of the connection. */
static void put_framing(struct http_exchange *x, int64_t length)
{
	struct httpd_conn *c = x->conn;

	if (x->status == 204 || x->status == 304)
		return;
	if (length >= 0) {
		buf_printf(&c->out, "content-length: %lld\r\n", (long long)length);
	} else if (x->req.version >= 11) {
		put_header(c, "transfer-encoding", "chunked");
		x->chunked = !x->is_head;
	} else {
		c->keep_alive = false;
	}
}

static void h1_start(struct http_exchange *x, const char *content_type, int64_t length)
{
	struct httpd_conn *c = x->conn;

	if (c->httpd->draining)
		c->keep_alive = false;
	buf_printf(&c->out, "HTTP/1.1 %u %s\r\n", x->status, http1_reason(x->status));
	put_header(c, "date", httpd_date(c->httpd));
	if (content_type && http1_is_value(bytes_str(content_type)))
		put_header(c, "content-type", content_type);
	put_framing(x, length);
	if (!c->keep_alive)
		put_header(c, "connection", "close");
	else if (x->req.version == 10)
		put_header(c, "connection", "keep-alive");
	put_added(c, x);
	buf_append(&c->out, bytes_of("\r\n", 2));
}

static void h1_data(struct http_exchange *x, struct bytes data)
{
	struct httpd_conn *c = x->conn;

	if (!data.n)
		return;
	if (data.n <= OUT_COPY_MAX) {
		if (x->chunked)
			http1_chunk_encode(&c->out, data);
		else
			buf_append(&c->out, data);
		return;
	}
	if (x->chunked)
		http1_chunk_begin(&c->out, data.n);
	flush_out(c);
	stream_send(c->stream, data);
	if (x->chunked)
		http1_chunk_finish(&c->out);
}

static void h1_flush(struct http_exchange *x)
{
	flush_out(x->conn);
}

static void process_later(void *arg)
{
	struct httpd_conn *c = arg;

	c->process_due = false;
	if (!c->dead && c->stream)
		process(c);
}

/* Never from inside the answer: its caller must not find the next request's handler below it. */
static void next_request(struct httpd_conn *c)
{
	set_state(c, H1_HEAD);
	c->head_timed = false;
	c->stalled_at = stream_queued(c->stream);
	arm(c, (int64_t)c->httpd->conf.idle_timeout_s * 1000);
	forget_memory(&c->out);
	if (c->processing || c->process_due)
		return;
	if (!c->in.n) {
		stream_pause(c->stream, false);
		return;
	}
	c->process_due = true;
	loop_defer(c->httpd->loop, process_later, c);
}

static void h1_end(struct http_exchange *x)
{
	struct httpd_conn *c = x->conn;
	bool refused = c->state == H1_HEAD || c->state == H1_BODY;

	if (x->chunked)
		buf_append_str(&c->out, HTTP1_LAST_CHUNK);
	flush_out(c);
	exchange_ended(x);
	exchange_gone(x);
	c->x = NULL;
	if (c->keep_alive && !c->httpd->draining) {
		next_request(c);
	} else if (refused) {
		drop_input(c);
		set_state(c, H1_LINGER);
		arm(c, HTTPD_LINGER_MS);
	} else {
		close_gently(c);
	}
}

static void h1_abort(struct http_exchange *x)
{
	httpd_conn_close(x->conn);
}

static size_t h1_queued(const struct http_exchange *x)
{
	return x->conn->stream ? stream_queued(x->conn->stream) + x->conn->out.n : 0;
}

/* ---- requests ---- */

/* Answers before the handler ran; what the client still sends is not a request. */
static void refuse(struct httpd_conn *c, unsigned status, const char *why)
{
	if (status != 404 && status != 405)
		log_debug(c->httpd->conf.log, "request refused with %u, %s", status, why);
	c->keep_alive = false;
	http_reply_text(c->x, status, "%s", why);
}

static void refuse_route(struct httpd_conn *c, unsigned status)
{
	/* Without a body the next request starts right behind this one: nothing to fear. */
	if (c->head->framing != HTTP1_NO_BODY || (status != 404 && status != 405)) {
		refuse(c, status, http1_reason(status));
		return;
	}
	set_state(c, H1_OPEN);
	http_reply_text(c->x, status, "%s", http1_reason(status));
}

static void begin_body(struct httpd_conn *c)
{
	struct http_exchange *x = c->x;
	size_t max = x->route->body_max;

	if (c->head->framing == HTTP1_LENGTH && c->head->length > max) {
		refuse(c, 413, "the body is too large");
		return;
	}
	buf_init(&x->body, max);
	if (c->head->framing == HTTP1_CHUNKED) {
		c->chunked = arena_alloc(&x->arena, sizeof(*c->chunked));
		if (!c->chunked) {
			refuse(c, 431, "the head is too long");
			return;
		}
	}
	if (c->head->continue_100 && !c->in.n)
		stream_send(c->stream, bytes_str("HTTP/1.1 100 Continue\r\n\r\n"));
	set_state(c, H1_BODY);
	c->x->started = loop_now(c->httpd->loop);
	arm(c, (int64_t)c->httpd->conf.body_timeout_s * 1000);
}

static void dispatch(struct httpd_conn *c)
{
	set_state(c, H1_OPEN);
	io_timer_stop(&c->timer);
	exchange_dispatch(c->x);
}

static void begin_request(struct httpd_conn *c)
{
	struct http_exchange *x = c->x;
	unsigned status;

	x->req.version = c->head->version;
	x->req.method = c->head->method;
	x->req.headers = c->head->headers;
	x->req.header_count = c->head->header_count;
	x->req.authority = http_header_get(&x->req, "host");
	c->keep_alive = c->head->keep_alive;
	status = exchange_route(x, c->head->target);
	if (status)
		refuse_route(c, status);
	else if (c->head->framing == HTTP1_NO_BODY)
		dispatch(c);
	else
		begin_body(c);
}

/* False: wait for more. */
static bool read_head(struct httpd_conn *c)
{
	size_t used;

	if (!c->in.n)
		return false;
	if (!c->x)
		c->x = exchange_create(c);
	if (!c->head_timed) {
		c->head_timed = true;
		arm(c, (int64_t)c->httpd->conf.head_timeout_s * 1000);
	}
	c->head = arena_alloc(&c->x->arena, sizeof(*c->head));
	switch (http1_request_decode(c->head, &c->x->arena, buf_bytes(&c->in), &used)) {
	case HTTP1_MORE:
		arena_reset(&c->x->arena);
		return false;
	case HTTP1_FRAME:
		buf_consume(&c->in, used);
		begin_request(c);
		return true;
	default:
		c->x->req.version = 11;
		refuse(c, c->head->refuse, c->head->why);
		return true;
	}
}

static bool keep_body(struct httpd_conn *c, struct bytes data)
{
	c->x->body_seen += data.n;
	if (buf_append(&c->x->body, data))
		return true;
	refuse(c, 413, "the body is too large");
	return false;
}

static bool read_chunks(struct httpd_conn *c)
{
	struct bytes in = buf_bytes(&c->in), data;
	enum http1_verdict v;

	do {
		v = http1_chunked_decode(c->chunked, &in, &data);
		if (data.n && !keep_body(c, data))
			return true;
	} while (v == HTTP1_MORE && in.n);
	buf_consume(&c->in, c->in.n - in.n);
	if (v == HTTP1_MORE)
		return false;
	if (v == HTTP1_FRAME)
		dispatch(c);
	else
		refuse(c, 400, "a chunk that is none");
	return true;
}

static bool read_body(struct httpd_conn *c)
{
	uint64_t left = c->head->length - c->x->body.n;
	struct bytes data = bytes_of(c->in.p, c->in.n < left ? c->in.n : (size_t)left);

	if (!c->in.n)
		return false;
	if (c->head->framing == HTTP1_CHUNKED)
		return read_chunks(c);
	if (!keep_body(c, data))
		return true;
	buf_consume(&c->in, data.n);
	if (data.n < left)
		return false;
	dispatch(c);
	return true;
}

/* Takes requests off the input until one is open, more is needed or the connection is over. */
static void process(struct httpd_conn *c)
{
	bool more = true;

	c->processing = true;
	while (more && !c->dead && c->stream) {
		switch (c->state) {
		case H1_HEAD:
			/* Who does not read our answers gets no more of them. */
			more = stream_queued(c->stream) <= STREAM_HIGH && read_head(c);
			break;
		case H1_BODY:
			more = read_body(c);
			break;
		default:
			more = false;
		}
	}
	c->processing = false;
	forget_memory(&c->in);
	if (!c->dead && c->stream)
		stream_pause(c->stream, c->in.n > HTTPD_INPUT_HIGH);
}

static void h1_on_data(struct httpd_conn *c, struct bytes data)
{
	if (c->state == H1_LINGER || c->state == H1_CLOSING)
		return;
	buf_append(&c->in, data);
	if (c->state == H1_OPEN)
		stream_pause(c->stream, c->in.n > HTTPD_INPUT_HIGH);
	else
		process(c);
}

static void h1_on_drain(struct httpd_conn *c)
{
	if (c->x)
		exchange_drained(c->x);
	if (!c->dead && c->stream && c->state == H1_HEAD && c->in.n)
		process(c);
}

/* True while a slow reader still takes something; looked at once per timeout. */
static bool makes_progress(struct httpd_conn *c, int64_t again_ms)
{
	size_t queued = stream_queued(c->stream);
	bool progress = queued && queued < c->stalled_at;

	c->stalled_at = queued;
	if (progress)
		arm(c, again_ms);
	return progress;
}

static void body_timer(struct httpd_conn *c)
{
	int64_t left = exchange_body_time_left(c->x);

	if (left > 0)
		arm(c, left);
	else
		refuse(c, 408, "the body took too long");
}

static void h1_on_timer(struct httpd_conn *c)
{
	switch (c->state) {
	case H1_HEAD:
		if (c->in.n && c->x)
			refuse(c, 408, "the head took too long");
		else if (!makes_progress(c, (int64_t)c->httpd->conf.idle_timeout_s * 1000))
			httpd_conn_close(c);
		break;
	case H1_BODY:
		body_timer(c);
		break;
	case H1_LINGER:
		close_gently(c);
		break;
	case H1_CLOSING:
		if (!makes_progress(c, HTTPD_CLOSING_MS))
			httpd_conn_close(c);
		break;
	case H1_OPEN:
		break;
	}
}

static void h1_drain(struct httpd_conn *c)
{
	c->keep_alive = false;
	if (c->state == H1_HEAD && !c->in.n)
		close_gently(c);
}

const struct httpd_proto_ops httpd_h1_ops = {
	.on_data = h1_on_data,
	.on_drain = h1_on_drain,
	.on_timer = h1_on_timer,
	.drain = h1_drain,
	.start = h1_start,
	.data = h1_data,
	.flush = h1_flush,
	.end = h1_end,
	.abort = h1_abort,
	.queued = h1_queued,
};

void httpd_h1_start(struct httpd_conn *c)
{
	c->ops = &httpd_h1_ops;
	c->head_timed = true; /* the timer runs since the connection came */
	if (c->in.n)
		process(c);
}

struct stream *http_upgrade(struct http_exchange *x, const char *protocol, bool raw)
{
	struct httpd_conn *c = x->conn;
	struct stream *s = c->stream;

	if (c->ops != &httpd_h1_ops || x->state != EXCHANGE_OPEN || !s)
		return NULL;
	if (!raw && x->req.version < 11)
		return NULL;
	if (!raw) {
		buf_printf(&c->out, "HTTP/1.1 101 %s\r\n", http1_reason(101));
		put_header(c, "upgrade", protocol);
		put_header(c, "connection", "upgrade");
		put_added(c, x);
		buf_append(&c->out, bytes_of("\r\n", 2));
		flush_out(c);
	}
	c->stream = NULL;
	stream_set_up(s, NULL, NULL);
	stream_pause(s, false);
	stream_unread(s, buf_bytes(&c->in));
	x->status = 101;
	c->x = NULL;
	exchange_ended(x);
	exchange_gone(x);
	httpd_conn_close(c); /* stops its timer; nothing of it touches the stream any more */
	return s;
}
