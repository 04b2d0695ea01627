/*
 * The client against a server that says anything: calls over HTTP/1.1 or HTTP/2, an upgrade, and a
 * WebSocket when it comes to one. First byte: which of them, and the size of the pieces.
 */
#include "io/httpc.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"
#include "io/loop.h"
#include "io/stream.h"
#include "io/websocket.h"

struct heard {
	unsigned calls, dones, fails;
	struct stream *stream;
};

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void on_head(void *arg, unsigned status, const struct http_header *headers, size_t n)
{
	(void)arg;
	require(status >= 200);
	for (size_t i = 0; i < n; i++)
		require(headers[i].name.n > 0);
}

static void on_done(void *arg, const struct err *err)
{
	struct heard *h = arg;

	(void)err;
	h->dones++;
	require(h->dones <= h->calls);
}

static void call(struct heard *h, struct httpc *c, const char *method, struct bytes body)
{
	h->calls++;
	httpc_call(c, &(struct http_call_conf){ .method = method,
						.path = "/",
						.authority = "h",
						.body = body,
						.body_max = 1000,
						.on_head = on_head,
						.on_done = on_done,
						.arg = h });
}

static void on_stream(void *arg, struct stream *s, const struct http_header *headers, size_t n)
{
	struct heard *h = arg;

	(void)headers;
	(void)n;
	h->stream = websocket_stream(s, false);
}

static void on_fail(void *arg, unsigned status, const struct err *why)
{
	struct heard *h = arg;

	(void)status;
	require(why->code != ERR_NONE && !h->fails++);
}

static void feed(struct loop *loop, struct stream *s, struct bytes in, size_t step)
{
	loop_turn(loop, false);
	while (in.n) {
		stream_send(s, bytes_of(in.p, in.n < step ? in.n : step));
		in = bytes_from(in, step);
		loop_turn(loop, false);
	}
	stream_finish(s);
	loop_turn(loop, false);
	loop_turn(loop, false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct http_upgrade_conf up = { .path = "/",
					.host = "h",
					.protocol = "websocket",
					.on_stream = on_stream,
					.on_fail = on_fail };
	struct http_upgrading *upgrading = NULL;
	struct stream *client, *server;
	struct heard heard = { 0 };
	struct httpc *c = NULL;
	struct loop *loop;

	if (!n || n > 4096)
		return 0;
	loop = loop_create(NULL);
	require(loop != NULL);
	stream_pair(loop, &client, &server);
	up.arg = &heard;
	if (data[0] % 3 == 2) {
		upgrading = httpc_upgrade(client, &up);
	} else {
		c = httpc_create(client, data[0] % 3, NULL, NULL);
		call(&heard, c, "GET", bytes_of(NULL, 0));
		call(&heard, c, "POST", bytes_str("body"));
		call(&heard, c, "HEAD", bytes_of(NULL, 0));
	}
	feed(loop, server, bytes_from(bytes_of(data, n), 1),
	     data[0] & 0x80 ? 4096 : (data[0] >> 2) + 1);
	require(!c || heard.dones == heard.calls); /* the server has closed: all are told */
	require(!upgrading || heard.fails == 1 || heard.stream);
	stream_destroy(heard.stream);
	stream_destroy(server);
	httpc_destroy(c);
	loop_destroy(loop);
	return 0;
}
