/* Who may destroy what while it is on the stack: everything, from every callback, both protocols.
 */
#include "base/mem.h"
#include "http_support.h"
#include "kit/kit.h"

enum when { ON_HEAD, ON_BODY, ON_DONE, WHENS };

struct life {
	struct loop *loop;
	struct httpd *httpd;
	struct httpc *c;
	struct http_call *second;
	enum when when;
	bool cancel; /* only the other call, not the whole client */
	unsigned handled, heads, bodies, dones, closes;
};

static void destroy_server(void *arg, struct http_exchange *x, const struct http_request *req)
{
	struct life *l = arg;

	(void)x;
	l->handled++;
	httpd_destroy(l->httpd);
	CHECK(bytes_equal_str(req->path, "/destroy")); /* the request outlives its server */
}

static void answer_and_look(void *arg, struct http_exchange *x, const struct http_request *req)
{
	struct life *l = arg;

	l->handled++;
	http_reply(x, 200, "text/plain", bytes_str("some body"));
	CHECK(bytes_equal_str(req->path, "/answer"));
	CHECK(bytes_equal_str(http_header_get(req, "x-mark"), "here"));
}

static void answer_and_destroy(void *arg, struct http_exchange *x, const struct http_request *req)
{
	struct life *l = arg;

	(void)req;
	l->handled++;
	http_reply(x, 200, "text/plain", bytes_str("last words"));
	httpd_destroy(l->httpd);
}

static const struct httpd_route routes[] = {
	{ "GET", "/destroy", destroy_server, 0 },
	{ "GET", "/answer", answer_and_look, 0 },
	{ "GET", "/last", answer_and_destroy, 0 },
};

static void act(struct life *l, enum when when)
{
	if (l->when != when)
		return;
	if (l->cancel) {
		http_call_cancel(l->second);
		return;
	}
	httpc_destroy(l->c);
	l->c = NULL;
}

static void on_head(void *arg, unsigned status, const struct http_header *headers, size_t n)
{
	struct life *l = arg;

	(void)status;
	(void)headers;
	(void)n;
	l->heads++;
	act(l, ON_HEAD);
}

static void on_body(void *arg, struct bytes data)
{
	struct life *l = arg;

	(void)data;
	l->bodies++;
	act(l, ON_BODY);
}

static void on_done(void *arg, const struct err *err)
{
	struct life *l = arg;

	(void)err;
	l->dones++;
	act(l, ON_DONE);
}

static void on_close(void *arg, const struct err *why)
{
	struct life *l = arg;

	(void)why;
	l->closes++;
}

static struct http_call *call(struct life *l, const char *path)
{
	struct http_header mark = { bytes_str("x-mark"), bytes_str("here") };

	return httpc_call(l->c, &(struct http_call_conf){ .method = "GET",
							  .path = path,
							  .authority = "h",
							  .headers = &mark,
							  .header_count = 1,
							  .on_head = on_head,
							  .on_body = on_body,
							  .on_done = on_done,
							  .arg = l });
}

static void live(struct life *l, bool h2, const char *path)
{
	struct stream *client, *server;

	l->loop = test_loop();
	l->httpd = httpd_create(
	    l->loop,
	    &(struct httpd_conf){ .routes = routes, .route_count = array_len(routes), .arg = l });
	stream_pair(l->loop, &client, &server);
	httpd_serve(l->httpd, server, HTTPD_ANY, (struct addrport){ 0 }, NULL, NULL);
	l->c = httpc_create(client, h2, on_close, l);
	call(l, path);
	l->second = call(l, path);
	for (int i = 0; i < 10; i++)
		loop_turn(l->loop, false);
	httpc_destroy(l->c);
	if (strcmp(path, "/answer") == 0)
		httpd_destroy(l->httpd);
	loop_destroy(l->loop);
}

TEST(http_server_destroyed_by_its_handler)
{
	for (int h2 = 0; h2 < 2; h2++) {
		struct life a = { .when = WHENS }, b = { .when = WHENS };

		live(&a, h2, "/destroy");
		CHECK(a.handled == 1 && a.dones == 2 && a.closes == 1 && !a.heads);
		live(&b, h2, "/last");
		CHECK(b.handled == 1 && b.dones == 2 && b.closes == 1);
	}
}

TEST(http_client_destroyed_by_its_callbacks)
{
	for (int h2 = 0; h2 < 2; h2++)
		for (enum when when = ON_HEAD; when < WHENS; when++) {
			struct life l = { .when = when };

			live(&l, h2, "/answer");
			CHECK(l.heads == 1 || (h2 && when > ON_HEAD && l.heads == 2));
			CHECK_INT(l.bodies, when >= ON_BODY);
			CHECK_INT(l.dones, when >= ON_DONE);
			CHECK_INT(l.closes, 0);
		}
}

TEST(http_call_cancelled_by_another)
{
	for (int h2 = 0; h2 < 2; h2++)
		for (enum when when = ON_HEAD; when < WHENS; when++) {
			struct life l = { .when = when, .cancel = true };

			live(&l, h2, "/answer");
			CHECK(l.heads == 1 || (h2 && when > ON_HEAD && l.heads == 2));
			CHECK(l.bodies == 1 && l.dones == 1);
		}
}
