#include "io/http_assets.h"

#include <stdio.h>

#include "base/mem.h"
#include "http_support.h"
#include "kit/kit.h"

static const struct http_asset assets[] = {
	{ "/index.html", "text/html", { (const uint8_t *)"<p>hi", 5 }, "v1" },
	{ "/app.js", "text/javascript", { (const uint8_t *)"go()", 4 }, "v2" },
};

static void handle(void *arg, struct http_exchange *x, const struct http_request *req)
{
	(void)arg;
	http_reply_asset(x, req, http_asset_find(assets, array_len(assets), req->path));
}

static const struct httpd_route routes[] = { { "GET", "/*", handle, 0 } };

static bool answers(const char *path, const char *none_match, const char *what)
{
	struct loop *loop = test_loop();
	struct httpd *httpd = httpd_create(
	    loop, &(struct httpd_conf){ .routes = routes, .route_count = array_len(routes) });
	struct stream *client, *server;
	struct ear ear;
	char request[300];
	bool ok;

	stream_pair(loop, &client, &server);
	httpd_serve(httpd, server, HTTPD_H1, (struct addrport){ 0 }, NULL, NULL);
	ear_init(&ear, client);
	snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: h\r\n%s%s%s\r\n", path,
		 none_match ? "If-None-Match: " : "", none_match ? none_match : "",
		 none_match ? "\r\n" : "");
	stream_send(ear.s, bytes_str(request));
	for (int i = 0; i < 4; i++)
		loop_turn(loop, false);
	ok = strstr(buf_cstr(&ear.got), what) != NULL;
	ear_fini(&ear);
	httpd_destroy(httpd);
	loop_destroy(loop);
	return ok;
}

TEST(http_assets)
{
	CHECK(answers("/index.html", NULL, "\r\n\r\n<p>hi"));
	CHECK(answers("/index.html", NULL, "etag: \"v1\"\r\n"));
	CHECK(answers("/index.html", NULL, "content-type: text/html\r\n"));
	CHECK(answers("/app.js", NULL, "x-content-type-options: nosniff\r\n"));
	CHECK(answers("/app.js", NULL, "content-security-policy: default-src 'self';"));
	CHECK(answers("/app.js", "\"v1\"", "HTTP/1.1 200 "));
	CHECK(answers("/app.js", "\"v2\"", "HTTP/1.1 304 "));
	CHECK(answers("/app.js", "\"v2\"", "etag: \"v2\"\r\n"));
	CHECK(!answers("/app.js", "\"v2\"", "go()"));
	CHECK(!answers("/app.js", "\"v2\"", "content-length"));
	CHECK(answers("/app.js", "\"x\", W/\"v2\"", "HTTP/1.1 304 "));
	CHECK(answers("/app.js", "*", "HTTP/1.1 304 "));
	CHECK(answers("/app.js", "v2", "HTTP/1.1 200 ")); /* a tag has quotes */
	CHECK(answers("/../app.js", NULL, "HTTP/1.1 400 "));
	CHECK(answers("/nothing", NULL, "HTTP/1.1 404 "));
}
