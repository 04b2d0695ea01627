/*
 * io/httpc_h2.c - HTTP/2 on a client's connection: calls side by side, by nghttp2 in memory.
 *
 * Callbacks of calls run inside nghttp2's own; see the rules at the top of httpd_h2.c.
 */
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "io/httpc_conn.h"

enum h2_limits {
	H2_STREAM_WINDOW = 1 << 20,
	H2_CONN_WINDOW = 8 << 20,
	H2_SEND_BATCH = 16 << 10,
};

struct httpc_h2 {
	nghttp2_session *session;
	struct buf out;
	bool busy; /* somebody is inside the session */
};

static bool is_over(const struct httpc *c)
{
	return c->dead || !c->stream;
}

static void send_out(struct httpc *c)
{
	if (c->h2->out.n)
		stream_send(c->stream, buf_bytes(&c->h2->out));
	buf_clear(&c->h2->out);
}

static ssize_t pump(struct httpc *c)
{
	const uint8_t *data;
	ssize_t n = 0;

	while (!is_over(c) && stream_queued(c->stream) + c->h2->out.n <= STREAM_HIGH) {
		n = nghttp2_session_mem_send(c->h2->session, &data);
		if (n <= 0 || is_over(c))
			break;
		buf_append(&c->h2->out, bytes_of(data, (size_t)n));
		if (c->h2->out.n >= H2_SEND_BATCH)
			send_out(c);
	}
	if (!is_over(c))
		send_out(c);
	return n;
}

static void broken(struct httpc *c, ssize_t code)
{
	struct err err = { 0 };

	err_set(&err, ERR_MALFORMED, "HTTP/2: %s", nghttp2_strerror((int)code));
	httpc_close(c, &err);
}

static void flush(struct httpc *c)
{
	struct httpc_h2 *h2 = c->h2;
	ssize_t n;

	if (is_over(c) || h2->busy)
		return;
	h2->busy = true;
	n = pump(c);
	h2->busy = false;
	if (is_over(c))
		return;
	if (n < 0)
		broken(c, n);
	else if (!nghttp2_session_want_read(h2->session) &&
		 !nghttp2_session_want_write(h2->session))
		httpc_close(c, NULL);
}

static void h2_on_data(struct httpc *c, struct bytes data)
{
	ssize_t n;

	c->h2->busy = true;
	n = nghttp2_session_mem_recv(c->h2->session, data.p, data.n);
	c->h2->busy = false;
	if (is_over(c))
		return;
	if (n < 0)
		broken(c, n);
	else
		flush(c);
}

/* ---- requests ---- */

static nghttp2_nv nv_of(struct bytes name, struct bytes value)
{
	return (nghttp2_nv){ (uint8_t *)(uintptr_t)name.p, (uint8_t *)(uintptr_t)value.p, name.n,
			     value.n, NGHTTP2_NV_FLAG_NONE };
}

static nghttp2_nv nv_str(const char *name, const char *value)
{
	return nv_of(bytes_str(name), bytes_str(value));
}

/* Headers of one connection do not travel in HTTP/2 (RFC 9113 section 8.2.2). */
static bool is_dropped(struct bytes name)
{
	static const char *const dropped[] = { "connection", "keep-alive", "proxy-connection",
					       "transfer-encoding", "upgrade" };

	for (size_t i = 0; i < array_len(dropped); i++)
		if (bytes_equal_str(name, dropped[i]))
			return true;
	return false;
}

static ssize_t read_body(nghttp2_session *session, int32_t stream_id, uint8_t *to, size_t length,
			 uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	struct http_call *call = nghttp2_session_get_stream_user_data(session, stream_id);
	size_t n;

	(void)source;
	(void)arg;
	if (!call)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* it ended early; this resets */
	n = call->unsent.n < length ? call->unsent.n : length;
	memcpy(to, call->unsent.p, n);
	call->unsent = bytes_from(call->unsent, n);
	if (!call->unsent.n)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}

static void fail_start(void *arg)
{
	struct http_call *call = arg;
	struct err err = { 0 };

	err_set(&err, ERR_REFUSED, "the connection takes no more calls");
	httpc_call_end(call, &err);
}

static void h2_call(struct http_call *call)
{
	const struct http_call_conf *conf = &call->conf;
	nghttp2_nv *nv = mem_resize(NULL, conf->header_count + 5, sizeof(*nv));
	nghttp2_data_provider source = { .read_callback = read_body };
	char size[24];
	size_t n = 0;

	call->unsent = conf->body;
	nv[n++] = nv_str(":method", conf->method);
	nv[n++] = nv_str(":scheme", conf->scheme);
	nv[n++] = nv_str(":authority", conf->authority);
	nv[n++] = nv_str(":path", conf->path);
	if (conf->body.n) {
		snprintf(size, sizeof(size), "%zu", conf->body.n);
		nv[n++] = nv_str("content-length", size);
	}
	for (size_t i = 0; i < conf->header_count; i++)
		if (!is_dropped(conf->headers[i].name))
			nv[n++] = nv_of(conf->headers[i].name, conf->headers[i].value);
	call->stream_id = nghttp2_submit_request(call->c->h2->session, NULL, nv, n,
						 conf->body.n ? &source : NULL, call);
	mem_free(nv);
	if (call->stream_id < 0)
		loop_defer(call->c->loop, fail_start, call);
	else
		flush(call->c);
}

/* The stream forgets the call, so that no callback finds it again. */
static void forget(struct http_call *call, uint32_t code)
{
	nghttp2_session *session = call->c->h2->session;

	if (call->stream_id <= 0)
		return;
	nghttp2_session_set_stream_user_data(session, call->stream_id, NULL);
	nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, call->stream_id, code);
}

static void h2_cancel(struct http_call *call)
{
	forget(call, NGHTTP2_CANCEL);
	flush(call->c);
}

static void h2_pause(struct http_call *call)
{
	if (call->paused || !call->held)
		return;
	nghttp2_session_consume_stream(call->c->h2->session, call->stream_id, call->held);
	call->held = 0;
	flush(call->c);
}

/* ---- answers ---- */

static struct http_call *call_of(nghttp2_session *session, int32_t stream_id)
{
	return nghttp2_session_get_stream_user_data(session, stream_id);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct http_call *call = call_of(session, frame->hd.stream_id);

	(void)arg;
	if (!call || call->head_told)
		return 0;
	arena_reset(&call->answer); /* of an interim head */
	call->header_count = 0;
	call->status = 0;
	call->headers = arena_array(&call->answer, HTTP1_HEADERS_MAX, sizeof(*call->headers));
	return 0;
}

static unsigned status_of(struct bytes text)
{
	unsigned status = 0;

	for (size_t i = 0; i < text.n; i++)
		status = status * 10 + (unsigned)(text.p[i] - '0'); /* nghttp2 checked: 3 digits */
	return status;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
		     void *arg)
{
	struct http_call *call = call_of(session, frame->hd.stream_id);
	struct bytes n = bytes_of(name, name_len), v = bytes_of(value, value_len);

	(void)flags;
	(void)arg;
	if (!call || call->head_told || !name_len)
		return 0;
	if (bytes_equal_str(n, ":status")) {
		call->status = status_of(v);
		return 0;
	}
	n = arena_bytes(&call->answer, n);
	v = value_len ? arena_bytes(&call->answer, v) : bytes_str("");
	if (call->header_count == HTTP1_HEADERS_MAX || !n.p || !v.p)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* resets the stream */
	call->headers[call->header_count++] = (struct http_header){ n, v };
	return 0;
}

static void tell_head(struct http_call *call)
{
	if (call->head_told || call->status < 200)
		return;
	call->head_told = true;
	if (call->conf.on_head)
		call->conf.on_head(call->conf.arg, call->status, call->headers, call->header_count);
}

static void complete(struct httpc *c, struct http_call *call)
{
	if (is_over(c) || call->done)
		return;
	if (call->unsent.n)
		forget(call, NGHTTP2_CANCEL); /* it answered without waiting for the body */
	else
		nghttp2_session_set_stream_user_data(c->h2->session, call->stream_id, NULL);
	httpc_call_end(call, NULL);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct httpc *c = arg;
	struct http_call *call = call_of(session, frame->hd.stream_id);
	bool is_part = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;

	if (!call || !is_part)
		return 0;
	if (frame->hd.type == NGHTTP2_HEADERS)
		tell_head(call);
	if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
		complete(c, call);
	return is_over(c) ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t stream_id,
			 const uint8_t *data, size_t n, void *arg)
{
	struct http_call *call = call_of(session, stream_id);

	(void)flags;
	nghttp2_session_consume_connection(session, n);
	if (call && call->paused)
		call->held += n;
	else
		nghttp2_session_consume_stream(session, stream_id, n);
	if (call)
		httpc_call_body(call, bytes_of(data, n));
	return is_over(arg) ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static void end_broken(struct http_call *call, const char *why)
{
	struct err err = { 0 };

	err_set(&err, ERR_REFUSED, "the server ended the stream: %s", why);
	httpc_call_end(call, &err);
}

static int on_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t code, void *arg)
{
	struct http_call *call = call_of(session, stream_id);

	if (call)
		end_broken(call, nghttp2_http2_strerror(code));
	return is_over(arg) ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

/* A request that never left: the server is going away. */
static int on_not_sent(nghttp2_session *session, const nghttp2_frame *frame, int code, void *arg)
{
	struct http_call *call = call_of(session, frame->hd.stream_id);

	if (frame->hd.type == NGHTTP2_HEADERS && call) {
		nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, NULL);
		end_broken(call, nghttp2_strerror(code));
	}
	return is_over(arg) ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static void h2_fini(struct httpc *c)
{
	nghttp2_session_del(c->h2->session);
	buf_fini(&c->h2->out);
	mem_free(c->h2);
}

const struct httpc_ops httpc_h2_ops = {
	.on_data = h2_on_data,
	.on_drain = flush,
	.call = h2_call,
	.cancel = h2_cancel,
	.pause = h2_pause,
	.fini = h2_fini,
};

static void create_session(struct httpc *c)
{
	nghttp2_session_callbacks *calls;
	nghttp2_option *option;

	nghttp2_option_new(&option);
	nghttp2_option_set_no_auto_window_update(option, 1); /* windows open as calls consume */
	nghttp2_session_callbacks_new(&calls);
	nghttp2_session_callbacks_set_on_begin_headers_callback(calls, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(calls, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(calls, on_data_chunk);
	nghttp2_session_callbacks_set_on_frame_recv_callback(calls, on_frame);
	nghttp2_session_callbacks_set_on_frame_not_send_callback(calls, on_not_sent);
	nghttp2_session_callbacks_set_on_stream_close_callback(calls, on_stream_close);
	if (nghttp2_session_client_new2(&c->h2->session, calls, c, option) != 0)
		abort(); /* no memory, as in mem_alloc() */
	nghttp2_option_del(option);
	nghttp2_session_callbacks_del(calls);
}

void httpc_h2_init(struct httpc *c)
{
	static const nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_STREAM_WINDOW },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HTTPC_HEAD_MAX },
	};

	c->ops = &httpc_h2_ops;
	c->h2 = mem_alloc(sizeof(*c->h2));
	buf_init(&c->h2->out, SIZE_MAX / 4);
	create_session(c);
	nghttp2_submit_settings(c->h2->session, NGHTTP2_FLAG_NONE, settings, array_len(settings));
	nghttp2_session_set_local_window_size(c->h2->session, NGHTTP2_FLAG_NONE, 0, H2_CONN_WINDOW);
	flush(c);
}
