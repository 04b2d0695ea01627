/*
 * io/httpd_h2.c - HTTP/2 on a connection, by nghttp2 in memory: bytes in, callbacks, bytes out.
 *
 * Handlers run inside nghttp2's callbacks and may close anything, so the session is deleted only
 * when the turn is over, and while `busy` nobody else enters it: whoever answers from a handler
 * leaves the sending to whoever is already inside. nghttp2 is asked for bytes only while the stream
 * below is not full; the rest waits in each exchange's `out`, which is where back-pressure shows.
 *
 * What a hostile client can do is counted per second: resets (CVE-2023-44487) and frames that carry
 * nothing. Past the limit the connection ends with ENHANCE_YOUR_CALM.
 */
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "io/httpd_conn.h"
#include "wire/url.h"

enum h2_limits {
	H2_HEADER_LIST_MAX = HTTP1_HEAD_MAX, /* as HTTP/2 counts: 32 more for each */
	H2_STREAM_WINDOW = 1 << 20,
	H2_CONN_WINDOW = 4 << 20,
	H2_RESETS_SPARE = 50,      /* resets per second beyond the streams one may have open */
	H2_IDLE_FRAMES_MAX = 2000, /* per second: PING, SETTINGS, PRIORITY, empty DATA */
	H2_PING_MS = 25000,
	H2_SEND_BATCH = 16 << 10,
	H2_KEEP_MAX = 64 << 10, /* memory of an exchange with nothing to send */
	H2_SILENT_PINGS_MAX = 3,
};

struct httpd_h2 {
	nghttp2_session *session;
	struct io_timer ping;
	struct httpd_conn *conn;
	size_t bodies, bodies_max; /* request bodies held for all streams together */
	int64_t second;            /* that the two counters below belong to */
	unsigned resets, idle_frames;
	bool busy;       /* somebody is inside the session */
	bool greeted;    /* the client's SETTINGS came */
	bool heard;      /* anything, since the last ping */
	unsigned silent; /* pings in a row without hearing anything */
	bool going_away; /* no new streams */
	bool closing;
	bool drained; /* some exchange's queue became short */
};

static void flush(struct httpd_conn *c);

static size_t queued(const struct http_exchange *x)
{
	return x->out.n - x->out_at;
}

static bool is_over(const struct httpd_conn *c)
{
	return c->dead || !c->stream;
}

/* Says goodbye, sends what is queued, then closes. */
static void close_gently(struct httpd_conn *c, uint32_t code)
{
	struct httpd_h2 *h2 = c->h2;

	if (h2->closing)
		return;
	h2->closing = true;
	nghttp2_session_terminate_session(h2->session, code);
	io_timer_stop(&h2->ping);
	c->stalled_at = 0;
	io_timer_in_ms(c->httpd->loop, &c->timer, HTTPD_CLOSING_MS);
}

/* True when this one is too much. */
static bool count_against(struct httpd_conn *c, unsigned *counter, unsigned max)
{
	struct httpd_h2 *h2 = c->h2;
	int64_t second = loop_now(c->httpd->loop).ns / 1000000000;

	if (h2->second != second) {
		h2->second = second;
		h2->resets = h2->idle_frames = 0;
	}
	if (++*counter <= max)
		return false;
	if (!h2->closing)
		log_debug(c->httpd->conf.log, "connection ended, too many %s",
			  counter == &h2->resets ? "resets" : "idle frames");
	close_gently(c, NGHTTP2_ENHANCE_YOUR_CALM);
	return true;
}

static void count_reset(struct httpd_conn *c)
{
	count_against(c, &c->h2->resets, c->httpd->conf.streams_max + H2_RESETS_SPARE);
}

/* ---- answers ---- */

static nghttp2_nv nv_of(struct bytes name, struct bytes value)
{
	return (nghttp2_nv){ (uint8_t *)(uintptr_t)name.p, (uint8_t *)(uintptr_t)value.p, name.n,
			     value.n, NGHTTP2_NV_FLAG_NONE };
}

/* Cheap on average: bytes move only when half of the buffer is behind us. */
static void take_out(struct http_exchange *x, size_t n)
{
	x->out_at += n;
	if (x->out_at == x->out.n && x->out.cap > H2_KEEP_MAX) {
		buf_fini(&x->out); /* a map stream lives for days after its one large answer */
		buf_init(&x->out, SIZE_MAX / 4);
	} else if (x->out_at * 2 >= x->out.n) {
		buf_consume(&x->out, x->out_at);
	} else {
		return;
	}
	x->out_at = 0;
}

static ssize_t read_out(nghttp2_session *session, int32_t stream_id, uint8_t *to, size_t length,
			uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	struct http_exchange *x = source->ptr;
	size_t n = queued(x) < length ? queued(x) : length;

	(void)session;
	(void)stream_id;
	(void)arg;
	if (!n && !x->out_ended) {
		x->deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	if (n) {
		memcpy(to, x->out.p + x->out_at, n);
		take_out(x, n);
	}
	if (x->out_ended && !queued(x))
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	if (x->draining && queued(x) < STREAM_LOW)
		x->conn->h2->drained = true;
	return (ssize_t)n;
}

static void h2_start(struct http_exchange *x, const char *content_type, int64_t length)
{
	struct httpd_conn *c = x->conn;
	nghttp2_nv nv[HTTPD_ADDED_MAX + 4];
	nghttp2_data_provider source = { .source.ptr = x, .read_callback = read_out };
	bool has_body = !x->is_head && x->status != 204 && x->status != 304 && length != 0;
	char status[12], size[24];
	size_t n = 0;

	snprintf(status, sizeof(status), "%u", x->status);
	nv[n++] = nv_of(bytes_str(":status"), bytes_str(status));
	nv[n++] = nv_of(bytes_str("date"), bytes_str(httpd_date(c->httpd)));
	if (content_type && http1_is_value(bytes_str(content_type)))
		nv[n++] = nv_of(bytes_str("content-type"), bytes_str(content_type));
	if (length >= 0 && x->status != 204 && x->status != 304) {
		snprintf(size, sizeof(size), "%lld", (long long)length);
		nv[n++] = nv_of(bytes_str("content-length"), bytes_str(size));
	}
	for (size_t i = 0; i < x->added_count; i++)
		nv[n++] = nv_of(x->added[i].name, x->added[i].value);
	nghttp2_submit_response(c->h2->session, x->stream_id, nv, n, has_body ? &source : NULL);
}

static void resume(struct http_exchange *x)
{
	if (!x->deferred)
		return;
	x->deferred = false;
	nghttp2_session_resume_data(x->conn->h2->session, x->stream_id);
}

static void h2_data(struct http_exchange *x, struct bytes data)
{
	if (!buf_append(&x->out, data))
		exchange_doom(x); /* no memory: better no answer than one with a hole */
	resume(x);
}

static void h2_flush(struct http_exchange *x)
{
	flush(x->conn);
}

static void h2_end(struct http_exchange *x)
{
	struct httpd_conn *c = x->conn;

	x->out_ended = true;
	resume(x);
	exchange_ended(x); /* freed when nghttp2 has closed the stream */
	x->stalled_at = queued(x);
	io_timer_in_ms(c->httpd->loop, &x->timer, (int64_t)c->httpd->conf.idle_timeout_s * 1000);
	flush(c);
}

/* The stream forgets x, so that no callback finds it again. */
static void reset(struct http_exchange *x, uint32_t code)
{
	struct httpd_conn *c = x->conn;

	nghttp2_session_set_stream_user_data(c->h2->session, x->stream_id, NULL);
	nghttp2_submit_rst_stream(c->h2->session, NGHTTP2_FLAG_NONE, x->stream_id, code);
	c->h2->bodies -= x->body.n;
	/* A source that nghttp2 may still ask for is at its end: x lives for this turn only, and
	 * the reset is sent before any more data of the stream. */
	exchange_gone(x);
}

static void h2_abort(struct http_exchange *x)
{
	struct httpd_conn *c = x->conn;

	reset(x, NGHTTP2_INTERNAL_ERROR);
	if (!is_over(c))
		flush(c);
}

/* ---- requests ---- */

static struct http_exchange *exchange_of(struct httpd_conn *c, int32_t stream_id)
{
	return nghttp2_session_get_stream_user_data(c->h2->session, stream_id);
}

static void refuse(struct http_exchange *x, unsigned status, const char *why)
{
	io_timer_stop(&x->timer);
	x->state = EXCHANGE_OPEN;
	http_reply_text(x, status, "%s", why);
}

static void on_exchange_timer(struct io_timer *t)
{
	struct http_exchange *x = container_of(t, struct http_exchange, timer);
	struct httpd_conn *c = x->conn;
	const struct httpd_conf *conf = &c->httpd->conf;

	if (x->state == EXCHANGE_READING) {
		int64_t left = exchange_body_time_left(x);

		if (left > 0)
			io_timer_in_ms(c->httpd->loop, t, left);
		else
			refuse(x, 408, "the request took too long");
	} else if (x->state == EXCHANGE_ENDED && queued(x) && queued(x) < x->stalled_at) {
		x->stalled_at = queued(x);
		io_timer_in_ms(c->httpd->loop, t, (int64_t)conf->idle_timeout_s * 1000);
	} else if (x->state == EXCHANGE_ENDED) {
		/* Answered: the client takes nothing of it, or goes on sending. */
		reset(x, queued(x) ? NGHTTP2_CANCEL : NGHTTP2_NO_ERROR);
		if (!is_over(c))
			flush(c);
	}
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct httpd_conn *c = arg;
	struct http_exchange *x;

	if (frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0; /* trailers */
	x = exchange_create(c);
	x->stream_id = frame->hd.stream_id;
	x->req.version = 20;
	x->headers = arena_array(&x->arena, HTTP1_HEADERS_MAX, sizeof(*x->headers));
	x->req.headers = x->headers;
	io_timer_init(&x->timer, on_exchange_timer);
	io_timer_in_ms(c->httpd->loop, &x->timer, (int64_t)c->httpd->conf.body_timeout_s * 1000);
	nghttp2_session_set_stream_user_data(session, x->stream_id, x);
	return 0;
}

static void keep_header(struct http_exchange *x, struct bytes name, struct bytes value)
{
	if (bytes_equal_str(name, ":method"))
		x->req.method = value;
	else if (bytes_equal_str(name, ":path"))
		x->target = value;
	else if (bytes_equal_str(name, ":authority"))
		x->req.authority = value;
	else if (name.p[0] != ':')
		x->headers[x->req.header_count++] = (struct http_header){ name, value };
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
		     void *arg)
{
	struct http_exchange *x = exchange_of(arg, frame->hd.stream_id);
	struct bytes n, v;

	(void)session;
	(void)flags;
	if (!x || frame->headers.cat != NGHTTP2_HCAT_REQUEST || x->rejected || !name_len)
		return 0;
	x->header_bytes += name_len + value_len + 32;
	n = arena_bytes(&x->arena, bytes_of(name, name_len));
	v = value_len ? arena_bytes(&x->arena, bytes_of(value, value_len)) : bytes_str("");
	if (x->header_bytes > H2_HEADER_LIST_MAX || x->req.header_count == HTTP1_HEADERS_MAX ||
	    !n.p || !v.p)
		x->rejected = true;
	else
		keep_header(x, n, v);
	return 0;
}

static void begin_body(struct http_exchange *x)
{
	struct bytes length = http_header_get(&x->req, "content-length");
	uint64_t n;

	if (length.n && (!text_u64(length, INT64_MAX, &n) || n > x->route->body_max))
		refuse(x, 413, "the body is too large");
	else
		buf_init(&x->body, x->route->body_max);
}

/* What nghttp2 leaves to us: HTTP/1.1 is as strict. */
static bool is_plain(const struct http_exchange *x)
{
	struct bytes target = x->target;

	if (!http1_is_token(x->req.method) || !target.n || (target.p[0] != '/' && target.n > 1))
		return false;
	return !x->req.authority.n || url_authority_is_valid(x->req.authority);
}

static void begin_request(struct http_exchange *x, bool ended)
{
	unsigned status;

	if (!x->req.authority.n)
		x->req.authority = http_header_get(&x->req, "host");
	if (x->rejected)
		status = 431;
	else if (!is_plain(x))
		status = 400;
	else
		status = exchange_route(x, x->target);
	if (status)
		refuse(x, status, http1_reason(status));
	else if (ended)
		exchange_dispatch(x);
	else
		begin_body(x);
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t stream_id,
			 const uint8_t *data, size_t n, void *arg)
{
	struct httpd_conn *c = arg;
	struct http_exchange *x = exchange_of(c, stream_id);

	(void)session;
	(void)flags;
	if (!x || x->state != EXCHANGE_READING)
		return 0;
	x->body_seen += n;
	if (c->h2->bodies + n > c->h2->bodies_max)
		refuse(x, 503, "too many bodies at once");
	else if (!buf_append(&x->body, bytes_of(data, n)))
		refuse(x, 413, "the body is too large");
	else
		c->h2->bodies += n;
	return is_over(c) ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static void on_idle_frame(struct httpd_conn *c, const nghttp2_frame *frame)
{
	struct httpd_h2 *h2 = c->h2;

	if (frame->hd.type == NGHTTP2_SETTINGS && !h2->greeted) {
		h2->greeted = true;
		io_timer_in_ms(c->httpd->loop, &c->timer,
			       (int64_t)c->httpd->conf.idle_timeout_s * 1000);
	}
	count_against(c, &h2->idle_frames, H2_IDLE_FRAMES_MAX);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct httpd_conn *c = arg;
	struct http_exchange *x = exchange_of(c, frame->hd.stream_id);
	bool ended = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;

	(void)session;
	switch (frame->hd.type) {
	case NGHTTP2_HEADERS:
		if (x && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
			begin_request(x, ended);
		else if (x && ended && x->state == EXCHANGE_READING)
			exchange_dispatch(x);
		break;
	case NGHTTP2_DATA:
		if (x && ended && x->state == EXCHANGE_READING)
			exchange_dispatch(x);
		else if (!frame->hd.length)
			on_idle_frame(c, frame);
		break;
	case NGHTTP2_RST_STREAM:
		count_reset(c);
		break;
	case NGHTTP2_PING:
	case NGHTTP2_SETTINGS:
	case NGHTTP2_PRIORITY:
		on_idle_frame(c, frame);
		break;
	default:
		break;
	}
	return is_over(c) ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t code, void *arg)
{
	struct httpd_conn *c = arg;
	struct http_exchange *x = exchange_of(c, stream_id);

	(void)session;
	(void)code;
	if (!x)
		return 0;
	c->h2->bodies -= x->body.n;
	exchange_gone(x);
	return is_over(c) ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

/*
 * A client that still sends a body whose answer is complete is asked to stop (RFC 9113
 * section 8.1), but not at once: some take the reset for a failure and throw the answer away
 * (curl 7.88).
 */
static void linger(struct httpd_conn *c, int32_t stream_id)
{
	struct http_exchange *x = exchange_of(c, stream_id);

	if (x && nghttp2_session_get_stream_remote_close(c->h2->session, stream_id) == 0)
		io_timer_in_ms(c->httpd->loop, &x->timer, HTTPD_LINGER_MS);
}

static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	bool is_part = frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS;

	(void)session;
	if (frame->hd.type == NGHTTP2_RST_STREAM &&
	    frame->rst_stream.error_code != NGHTTP2_NO_ERROR)
		count_reset(arg); /* also those that its own broken frames forced out of us */
	if (is_part && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		linger(arg, frame->hd.stream_id);
	return 0;
}

/* ---- the connection ---- */

static void tell_drained(struct httpd_conn *c)
{
	bool again;

	c->h2->drained = false;
	do {
		again = false;
		list_each (node, &c->exchanges) {
			struct http_exchange *x = list_entry(node, struct http_exchange, node);

			if (!x->draining || queued(x) >= STREAM_LOW)
				continue;
			again = true;
			exchange_drained(x);
			x->draining = false;
			break; /* the list may have changed */
		}
	} while (again && !is_over(c));
}

/* Timers and the end, after the session was used. */
static void settle(struct httpd_conn *c)
{
	struct httpd_h2 *h2 = c->h2;
	bool idle = list_is_empty(&c->exchanges);

	if (!nghttp2_session_want_read(h2->session) && !nghttp2_session_want_write(h2->session)) {
		h2->closing = true;
		io_timer_in_ms(c->httpd->loop, &c->timer, HTTPD_CLOSING_MS);
		stream_finish(c->stream);
		return;
	}
	if (h2->closing)
		return;
	if (h2->going_away && idle) {
		close_gently(c, NGHTTP2_NO_ERROR);
		flush(c);
		return;
	}
	if (idle && !heap_has(&c->timer.node)) {
		io_timer_in_ms(c->httpd->loop, &c->timer,
			       (int64_t)c->httpd->conf.idle_timeout_s * 1000);
		io_timer_stop(&h2->ping);
	} else if (!idle) {
		io_timer_stop(&c->timer);
		if (!heap_has(&h2->ping.node))
			io_timer_in_ms(c->httpd->loop, &h2->ping, H2_PING_MS);
	}
}

static void send_out(struct httpd_conn *c)
{
	if (c->out.n)
		stream_send(c->stream, buf_bytes(&c->out));
	buf_clear(&c->out);
}

/* Moves bytes from the session to the stream while that has room. */
static bool pump(struct httpd_conn *c)
{
	const uint8_t *data;
	ssize_t n = 0;

	while (stream_queued(c->stream) + c->out.n <= STREAM_HIGH) {
		n = nghttp2_session_mem_send(c->h2->session, &data);
		if (n <= 0)
			break;
		buf_append(&c->out, bytes_of(data, (size_t)n));
		if (c->out.n >= H2_SEND_BATCH)
			send_out(c);
	}
	send_out(c);
	return n >= 0;
}

static void flush(struct httpd_conn *c)
{
	bool ok;

	if (is_over(c) || c->h2->busy)
		return;
	c->h2->busy = true;
	ok = pump(c);
	c->h2->busy = false;
	if (!ok) {
		httpd_conn_close(c);
		return;
	}
	settle(c);
	if (c->h2->drained && !is_over(c))
		tell_drained(c);
}

static void h2_on_data(struct httpd_conn *c, struct bytes data)
{
	ssize_t n;

	c->h2->heard = true;
	c->h2->busy = true;
	n = nghttp2_session_mem_recv(c->h2->session, data.p, data.n);
	c->h2->busy = false;
	if (is_over(c))
		return;
	if (n < 0) {
		log_debug(c->httpd->conf.log, "connection ended, %s", nghttp2_strerror((int)n));
		httpd_conn_close(c);
		return;
	}
	flush(c);
}

static void on_ping_due(struct io_timer *t)
{
	struct httpd_h2 *h2 = container_of(t, struct httpd_h2, ping);

	/* A ping may stand behind megabytes on a slow line: any sign of life will do. */
	h2->silent = h2->heard ? 0 : h2->silent + 1;
	h2->heard = false;
	if (h2->silent > H2_SILENT_PINGS_MAX) {
		log_debug(h2->conn->httpd->conf.log, "connection ended, pings were not answered");
		httpd_conn_close(h2->conn);
		return;
	}
	nghttp2_submit_ping(h2->session, NGHTTP2_FLAG_NONE, NULL);
	flush(h2->conn);
}

static void h2_on_timer(struct httpd_conn *c)
{
	size_t left = stream_queued(c->stream);

	if (left && left != c->stalled_at) {
		c->stalled_at = left;
		io_timer_in_ms(c->httpd->loop, &c->timer, HTTPD_CLOSING_MS);
	} else if (c->h2->closing || !c->h2->greeted) {
		httpd_conn_close(c);
	} else {
		close_gently(c, NGHTTP2_NO_ERROR);
		flush(c);
	}
}

static void h2_drain(struct httpd_conn *c)
{
	struct httpd_h2 *h2 = c->h2;

	h2->going_away = true;
	nghttp2_submit_goaway(h2->session, NGHTTP2_FLAG_NONE,
			      nghttp2_session_get_last_proc_stream_id(h2->session),
			      NGHTTP2_NO_ERROR, NULL, 0);
	flush(c);
}

static size_t h2_queued(const struct http_exchange *x)
{
	return queued(x);
}

static void h2_stop(struct httpd_conn *c)
{
	io_timer_stop(&c->h2->ping);
}

static void h2_fini(struct httpd_conn *c)
{
	nghttp2_session_del(c->h2->session);
	mem_free(c->h2);
}

const struct httpd_proto_ops httpd_h2_ops = {
	.on_data = h2_on_data,
	.on_drain = flush,
	.on_timer = h2_on_timer,
	.drain = h2_drain,
	.stop = h2_stop,
	.fini = h2_fini,
	.start = h2_start,
	.data = h2_data,
	.flush = h2_flush,
	.end = h2_end,
	.abort = h2_abort,
	.queued = h2_queued,
};

static size_t bodies_max(const struct httpd_conf *conf)
{
	size_t largest = 1 << 20;

	for (size_t i = 0; i < conf->route_count; i++)
		if (conf->routes[i].body_max > largest)
			largest = conf->routes[i].body_max;
	return largest * 2;
}

static void create_session(struct httpd_conn *c)
{
	nghttp2_session_callbacks *calls;

	nghttp2_session_callbacks_new(&calls);
	nghttp2_session_callbacks_set_on_begin_headers_callback(calls, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(calls, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(calls, on_data_chunk);
	nghttp2_session_callbacks_set_on_frame_recv_callback(calls, on_frame);
	nghttp2_session_callbacks_set_on_frame_send_callback(calls, on_frame_sent);
	nghttp2_session_callbacks_set_on_stream_close_callback(calls, on_stream_close);
	if (nghttp2_session_server_new(&c->h2->session, calls, c) != 0)
		abort(); /* no memory, as in mem_alloc() */
	nghttp2_session_callbacks_del(calls);
}

void httpd_h2_start(struct httpd_conn *c)
{
	const nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, c->httpd->conf.streams_max },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_STREAM_WINDOW },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, H2_HEADER_LIST_MAX },
	};
	struct buf in = c->in;

	c->ops = &httpd_h2_ops;
	c->h2 = mem_alloc(sizeof(*c->h2));
	c->h2->conn = c;
	c->h2->bodies_max = bodies_max(&c->httpd->conf);
	io_timer_init(&c->h2->ping, on_ping_due);
	create_session(c);
	nghttp2_submit_settings(c->h2->session, NGHTTP2_FLAG_NONE, settings, array_len(settings));
	nghttp2_session_set_local_window_size(c->h2->session, NGHTTP2_FLAG_NONE, 0, H2_CONN_WINDOW);
	buf_init(&c->in, SIZE_MAX / 4);
	if (in.n)
		h2_on_data(c, buf_bytes(&in));
	else
		flush(c);
	buf_fini(&in);
}
