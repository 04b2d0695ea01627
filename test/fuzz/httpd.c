/*
 * The whole server on a stream in memory: sniffing, HTTP/1.1, HTTP/2, handlers that answer at once,
 * stream, park, take over and abort. First byte: protocol and the size of the pieces.
 */
#include "io/httpd.h"

#include <stdlib.h>

#include "base/mem.h"
#include "io/loop.h"
#include "io/stream.h"

struct site {
	struct httpd *httpd;
	struct http_exchange *parked;
	struct stream *taken;
};

static void echo(void *arg, struct http_exchange *x, const struct http_request *req)
{
	(void)arg;
	http_reply(x, 200, "text/plain", req->body.n ? req->body : req->path);
}

static void events(void *arg, struct http_exchange *x, const struct http_request *req)
{
	(void)arg;
	http_reply_start(x, 200, "text/plain");
	http_reply_send(x, req->query);
	http_reply_end(x);
}

static void on_gone(void *arg)
{
	struct site *site = arg;

	site->parked = NULL;
}

static void park(void *arg, struct http_exchange *x, const struct http_request *req)
{
	struct site *site = arg;

	(void)req;
	if (site->parked) {
		http_reply_abort(x);
		return;
	}
	site->parked = x;
	http_on_gone(x, on_gone, site);
}

static void take(void *arg, struct http_exchange *x, const struct http_request *req)
{
	struct site *site = arg;
	struct stream *s = site->taken ? NULL : http_upgrade(x, "t", req->query.n > 0);

	if (s)
		site->taken = s;
	else
		http_reply_text(x, 426, "no");
}

static const struct httpd_route routes[] = {
	{ "POST", "/e", echo, 1000 }, { "GET", "/e", echo, 10 },  { "GET", "/s", events, 0 },
	{ "GET", "/p", park, 0 },     { "GET", "/t/*", take, 0 },
};

static void feed(struct loop *loop, struct stream *s, struct bytes in, size_t step)
{
	while (in.n) {
		stream_send(s, bytes_of(in.p, in.n < step ? in.n : step));
		in = bytes_from(in, step);
		loop_turn(loop, false);
	}
	loop_turn(loop, false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct site site = { 0 };
	struct stream *client, *server;
	struct loop *loop;

	if (!n || n > 4096)
		return 0;
	loop = loop_create(NULL);
	if (!loop)
		abort();
	site.httpd = httpd_create(loop, &(struct httpd_conf){ .routes = routes,
							      .route_count = array_len(routes),
							      .arg = &site });
	stream_pair(loop, &client, &server);
	httpd_serve(site.httpd, server, data[0] % 3, (struct addrport){ 0 }, NULL, NULL);
	feed(loop, client, bytes_from(bytes_of(data, n), 1),
	     data[0] & 0x80 ? 4096 : (data[0] >> 2) + 1);
	if (site.parked && (data[0] & 0x40))
		http_reply_text(site.parked, 200, "late");
	loop_turn(loop, false);
	stream_destroy(client);
	loop_turn(loop, false);
	stream_destroy(site.taken);
	httpd_destroy(site.httpd);
	loop_destroy(loop);
	return 0;
}
