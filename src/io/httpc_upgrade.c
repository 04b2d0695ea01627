/* io/httpc_upgrade.c - leaves HTTP/1.1 behind: one request, and the stream belongs to someone else.
 */
#include "base/mem.h"
#include "io/httpc_conn.h"

enum { UPGRADE_TIMEOUT_MS = 10000, UPGRADE_EXTRA_MAX = 24 };

struct http_upgrading {
	struct stream *stream; /* NULL: handed over or given up */
	struct loop *loop;
	struct http_upgrade_conf conf;
	char protocol[64];
	struct arena arena;
	struct buf in;
	struct io_timer timer;
	bool dead;
};

static void upgrading_free(void *arg)
{
	struct http_upgrading *u = arg;

	arena_fini(&u->arena);
	buf_fini(&u->in);
	mem_free(u);
}

void http_upgrading_destroy(struct http_upgrading *u)
{
	if (!u || u->dead)
		return;
	u->dead = true;
	io_timer_stop(&u->timer);
	stream_destroy(u->stream);
	u->stream = NULL;
	loop_defer(u->loop, upgrading_free, u);
}

static void fail(struct http_upgrading *u, unsigned status, const struct err *why)
{
	if (u->dead)
		return;
	http_upgrading_destroy(u); /* the memory stays for this turn */
	u->conf.on_fail(u->conf.arg, status, why);
}

static void hand_over(struct http_upgrading *u, const struct http1_head *head, size_t used)
{
	struct stream *s = u->stream;

	u->stream = NULL;
	stream_set_up(s, NULL, NULL);
	stream_unread(s, bytes_from(buf_bytes(&u->in), used));
	http_upgrading_destroy(u);
	u->conf.on_stream(u->conf.arg, s, head->headers, head->header_count);
}

static void on_data(void *arg, struct bytes data)
{
	struct http_upgrading *u = arg;
	struct http1_head head;
	struct err err = { 0 };
	struct bytes protocol;
	size_t used;

	buf_append(&u->in, data);
	for (;;) {
		switch (http1_response_decode(&head, &u->arena, buf_bytes(&u->in), false, &used)) {
		case HTTP1_MORE:
			return;
		case HTTP1_FRAME:
			break;
		default:
			err_set(&err, ERR_MALFORMED, "the server answered with %s", head.why);
			fail(u, 0, &err);
			return;
		}
		if (head.status >= 200 || head.status == 101)
			break;
		buf_consume(&u->in, used);
		arena_reset(&u->arena);
	}
	protocol = http1_header_get(head.headers, head.header_count, "upgrade");
	if (head.status == 101 && bytes_equal_nocase(protocol, bytes_str(u->protocol))) {
		hand_over(u, &head, used);
		return;
	}
	err_set(&err, ERR_REFUSED, "the server answered %u instead of changing to %s", head.status,
		u->protocol);
	fail(u, head.status, &err);
}

static void on_close(void *arg, const struct err *why)
{
	struct err err = { 0 };

	err_set(&err, ERR_REFUSED, "the server closed the connection");
	fail(arg, 0, why->code ? why : &err);
}

static const struct stream_up upgrading_up = { .on_data = on_data, .on_close = on_close };

static void on_timeout(struct io_timer *t)
{
	struct http_upgrading *u = container_of(t, struct http_upgrading, timer);
	struct err err = { 0 };

	err_set(&err, ERR_TIMEOUT, "no answer to the upgrade to %s", u->protocol);
	fail(u, 0, &err);
}

static void fail_unsent(void *arg)
{
	struct err err = { 0 };

	err_set(&err, ERR_USAGE, "the upgrade request cannot be written as HTTP");
	fail(arg, 0, &err);
}

static bool put_request(struct buf *out, const struct http_upgrade_conf *conf)
{
	struct http_header headers[UPGRADE_EXTRA_MAX + 2] = {
		{ bytes_str("connection"), bytes_str("upgrade") },
		{ bytes_str("upgrade"), bytes_str(conf->protocol) },
	};
	struct http_call_conf call = {
		.method = conf->method ? conf->method : "GET",
		.path = conf->path,
		.authority = conf->host,
		.headers = headers,
		.header_count = conf->header_count + 2,
	};

	if (conf->header_count > UPGRADE_EXTRA_MAX)
		return false;
	for (size_t i = 0; i < conf->header_count; i++)
		headers[i + 2] = conf->headers[i];
	return httpc_head_encode(out, &call);
}

struct http_upgrading *httpc_upgrade(struct stream *s, const struct http_upgrade_conf *conf)
{
	struct http_upgrading *u = mem_alloc(sizeof(*u));
	struct buf out;

	u->stream = s;
	u->loop = s->loop;
	u->conf = *conf;
	arena_init(&u->arena, 2 * HTTPC_HEAD_MAX);
	buf_init(&u->in,
		 SIZE_MAX / 4); /* the head has its limit; the rest belongs to the protocol */
	io_timer_init(&u->timer, on_timeout);
	io_timer_in_ms(u->loop, &u->timer,
		       conf->timeout_ms ? conf->timeout_ms : UPGRADE_TIMEOUT_MS);
	stream_set_up(s, &upgrading_up, u);
	buf_init(&out, HTTPC_HEAD_MAX);
	if (bytes_to_cstr(bytes_str(conf->protocol), u->protocol, sizeof(u->protocol)) &&
	    put_request(&out, conf))
		stream_send(s, buf_bytes(&out));
	else
		loop_defer(u->loop, fail_unsent, u);
	buf_fini(&out);
	return u;
}
