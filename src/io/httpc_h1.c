/*
 * io/httpc_h1.c - HTTP/1.1 on a client's connection: the first call of the list is under way, the
 * others wait. Nothing is pipelined, so a call that ends early takes the connection with it.
 */
#include "base/mem.h"
#include "io/httpc_conn.h"

struct httpc_h1 {
	struct buf in;
	struct http_call *call; /* sent, not yet answered; NULL when idle */
	struct http1_head head;
	struct http1_chunked chunked;
	uint64_t left;
	bool in_body;
	bool closing; /* the server keeps the connection for no further call */
};

static void next_call(struct httpc *c);

static bool is_visible(const char *s)
{
	if (!s || !*s)
		return false;
	for (; *s; s++)
		if (*s <= ' ' || *s >= 0x7f)
			return false;
	return true;
}

/* Written by us alone: a second one would be the smuggling that our own server refuses. */
static bool is_ours(struct bytes name)
{
	return bytes_equal_nocase(name, bytes_str("host")) ||
	       bytes_equal_nocase(name, bytes_str("content-length")) ||
	       bytes_equal_nocase(name, bytes_str("transfer-encoding"));
}

bool httpc_head_encode(struct buf *out, const struct http_call_conf *conf)
{
	bool carries =
	    conf->method && (!strcmp(conf->method, "POST") || !strcmp(conf->method, "PUT") ||
			     !strcmp(conf->method, "PATCH"));

	if (!conf->method || !http1_is_token(bytes_str(conf->method)) || !is_visible(conf->path) ||
	    !is_visible(conf->authority))
		return false;
	buf_printf(out, "%s %s HTTP/1.1\r\nhost: %s\r\n", conf->method, conf->path,
		   conf->authority);
	if (conf->body.n || carries)
		buf_printf(out, "content-length: %zu\r\n", conf->body.n);
	for (size_t i = 0; i < conf->header_count; i++)
		if (is_ours(conf->headers[i].name) ||
		    !http1_header_encode(out, conf->headers[i].name, conf->headers[i].value))
			return false;
	return buf_append(out, bytes_of("\r\n", 2));
}

static void malformed(struct httpc *c, const char *why)
{
	struct err err = { 0 };

	err_set(&err, ERR_MALFORMED, "the server answered with %s", why);
	httpc_close(c, &err);
}

static void finish_call(struct httpc *c)
{
	struct httpc_h1 *h1 = c->h1;
	struct http_call *call = h1->call;

	stream_pause(c->stream, false);
	h1->call = NULL;
	h1->in_body = false;
	h1->closing = !h1->head.keep_alive;
	httpc_call_end(call, NULL);
	if (c->dead || !c->stream)
		return;
	if (h1->closing)
		httpc_close(c, NULL);
	else
		next_call(c);
}

/* The pieces below return false when nothing more can be taken from the input. */

static bool read_head(struct httpc *c)
{
	struct httpc_h1 *h1 = c->h1;
	struct http_call *call = h1->call;
	bool to_head = strcmp(call->conf.method, "HEAD") == 0;
	size_t used;

	switch (
	    http1_response_decode(&h1->head, &call->answer, buf_bytes(&h1->in), to_head, &used)) {
	case HTTP1_MORE:
		return false;
	case HTTP1_FRAME:
		break;
	default:
		malformed(c, h1->head.why);
		return false;
	}
	buf_consume(&h1->in, used);
	if (h1->head.status == 101) {
		malformed(c, "a change of protocol that nobody asked for");
		return false;
	}
	if (h1->head.status < 200) {
		arena_reset(&call->answer);
		return true;
	}
	h1->in_body = true;
	h1->left = h1->head.framing == HTTP1_LENGTH ? h1->head.length : 0;
	h1->chunked = (struct http1_chunked){ 0 };
	if (call->conf.on_head)
		call->conf.on_head(call->conf.arg, h1->head.status, h1->head.headers,
				   h1->head.header_count);
	return !c->dead && c->stream;
}

/* Keeps only what follows the piece: the callback may end the call, not the reading. */
static bool tell_body(struct httpc *c, struct bytes data)
{
	struct http_call *call = c->h1->call;

	return httpc_call_body(call, data) && !c->dead && c->stream;
}

static bool read_length(struct httpc *c)
{
	struct httpc_h1 *h1 = c->h1;
	size_t n = h1->in.n < h1->left ? h1->in.n : (size_t)h1->left;

	if (n && !tell_body(c, bytes_of(h1->in.p, n)))
		return false;
	buf_consume(&h1->in, n);
	h1->left -= n;
	if (h1->left)
		return false;
	finish_call(c);
	return true;
}

static bool read_chunks(struct httpc *c)
{
	struct httpc_h1 *h1 = c->h1;
	struct bytes in = buf_bytes(&h1->in), data;
	enum http1_verdict v;

	do {
		v = http1_chunked_decode(&h1->chunked, &in, &data);
		if (data.n && !tell_body(c, data))
			return false;
	} while (v == HTTP1_MORE && in.n);
	buf_consume(&h1->in, h1->in.n - in.n);
	if (v == HTTP1_FRAME)
		finish_call(c);
	else if (v != HTTP1_MORE)
		malformed(c, "a chunk that is none");
	return v == HTTP1_FRAME;
}

static bool read_body(struct httpc *c)
{
	struct httpc_h1 *h1 = c->h1;

	switch (h1->head.framing) {
	case HTTP1_CHUNKED:
		return read_chunks(c);
	case HTTP1_UNTIL_CLOSE:
		if (h1->in.n && tell_body(c, buf_bytes(&h1->in)))
			buf_clear(&h1->in);
		return false;
	default:
		return read_length(c); /* also when there is none: left is 0 */
	}
}

static void h1_on_data(struct httpc *c, struct bytes data)
{
	struct httpc_h1 *h1 = c->h1;
	bool more = true;

	buf_append(&h1->in, data);
	while (more && !c->dead && c->stream && h1->call)
		more = h1->in_body ? read_body(c) : h1->in.n && read_head(c);
	if (!c->dead && c->stream && !h1->call && h1->in.n)
		malformed(c, "bytes that belong to no request");
}

/* A body without a length ends with the connection. */
static void h1_on_end(struct httpc *c)
{
	struct httpc_h1 *h1 = c->h1;
	struct http_call *call = h1->call;

	if (!call || !h1->in_body || h1->head.framing != HTTP1_UNTIL_CLOSE)
		return;
	h1->call = NULL;
	httpc_call_end(call, NULL);
}

static void next_call(struct httpc *c)
{
	struct httpc_h1 *h1 = c->h1;
	struct list *node = list_first(&c->calls);
	struct buf out;

	if (!node || h1->call || h1->closing)
		return;
	h1->call = list_entry(node, struct http_call, node);
	stream_pause(c->stream, h1->call->paused);
	h1->call->sent = true;
	buf_init(&out, SIZE_MAX / 4);
	httpc_head_encode(&out, &h1->call->conf);
	buf_append(&out, h1->call->conf.body);
	stream_send(c->stream, buf_bytes(&out));
	buf_fini(&out);
}

static void h1_call(struct http_call *call)
{
	next_call(call->c);
}

static void h1_cancel(struct http_call *call)
{
	struct httpc *c = call->c;

	if (c->h1->call != call)
		return;
	c->h1->call = NULL;
	httpc_close(c, NULL);
}

static void h1_pause(struct http_call *call)
{
	if (call->c->h1->call == call)
		stream_pause(call->c->stream, call->paused);
}

static void h1_fini(struct httpc *c)
{
	buf_fini(&c->h1->in);
	mem_free(c->h1);
}

const struct httpc_ops httpc_h1_ops = {
	.on_data = h1_on_data,
	.on_end = h1_on_end,
	.call = h1_call,
	.cancel = h1_cancel,
	.pause = h1_pause,
	.fini = h1_fini,
};

void httpc_h1_init(struct httpc *c)
{
	c->ops = &httpc_h1_ops;
	c->h1 = mem_alloc(sizeof(*c->h1));
	buf_init(&c->h1->in, SIZE_MAX / 4); /* emptied by every read but for an unfinished head */
}
