#include "http_support.h"

#include <stdio.h>

#include "base/mem.h"
#include "io/stream.h"
#include "kit/kit.h"

static void hello(void *arg, struct http_exchange *x, const struct http_request *req)
{
	struct site *site = arg;

	(void)req;
	site->handled++;
	http_reply(x, 200, "text/plain", bytes_str("hello\n"));
}

static void echo(void *arg, struct http_exchange *x, const struct http_request *req)
{
	struct site *site = arg;

	site->handled++;
	http_reply(x, 200, "application/octet-stream", req->body);
}

static void device(void *arg, struct http_exchange *x, const struct http_request *req)
{
	char value[16] = "none";
	struct bytes id = http_path_param(x, "id");

	(void)arg;
	http_query_get(req, "q", value, sizeof(value));
	http_add_header(x, "X-Note", "fine");
	http_add_header(x, "X-Broken", "a\r\nb: c"); /* never reaches the wire */
	http_reply_text(x, 200, "id=%.*s q=%s", BYTES_FMT(id), value);
}

static void rest(void *arg, struct http_exchange *x, const struct http_request *req)
{
	(void)arg;
	(void)req;
	http_reply(x, 200, "text/plain", http_path_param(x, "*"));
}

static void on_parked_gone(void *arg)
{
	struct site *site = arg;

	site->gone++;
}

static void on_parked_drain(void *arg)
{
	struct site *site = arg;

	site->drains++;
}

static void park(void *arg, struct http_exchange *x, const struct http_request *req)
{
	struct site *site = arg;

	(void)req;
	site->handled++;
	http_on_gone(x, on_parked_gone, site);
	http_on_drain(x, on_parked_drain, site);
	if (site->parked_count < HTTP_PARKED_MAX)
		site->parked[site->parked_count++] = x;
}

static void upgrade(void *arg, struct http_exchange *x, const struct http_request *req)
{
	struct site *site = arg;

	(void)req;
	site->upgraded = http_upgrade(x, "test", site->upgrade_raw);
	if (!site->upgraded)
		http_reply_text(x, 426, "cannot be taken over");
}

static void nothing(void *arg, struct http_exchange *x, const struct http_request *req)
{
	(void)arg;
	(void)req;
	http_reply(x, 204, NULL, bytes_of(NULL, 0));
}

static const struct httpd_route routes[] = {
	{ "GET", "/hello", hello, 0 },
	{ "POST", "/echo", echo, HTTP_BIG_BODY_MAX },
	{ "GET", "/echo", echo, HTTP_SMALL_BODY_MAX },
	{ "POST", "/small", echo, HTTP_SMALL_BODY_MAX },
	{ "GET", "/device/{id}", device, 0 },
	{ "GET", "/rest/*", rest, 0 },
	{ "GET", "/park", park, 0 },
	{ "POST", "/upgrade", upgrade, 0 },
	{ "GET", "/upgrade", upgrade, 0 },
	{ "DELETE", "/hello", nothing, 0 },
};

void site_init(struct site *site, const struct httpd_conf *limits)
{
	struct httpd_conf conf = limits ? *limits : (struct httpd_conf){ 0 };

	*site = (struct site){ .loop = test_loop() };
	conf.routes = routes;
	conf.route_count = array_len(routes);
	conf.arg = site;
	site->httpd = httpd_create(site->loop, &conf);
}

void site_fini(struct site *site)
{
	stream_destroy(site->upgraded);
	httpd_destroy(site->httpd);
	loop_destroy(site->loop);
}

static void on_conn_gone(void *arg)
{
	struct site *site = arg;

	site->conn_gone++;
}

struct stream *site_connect(struct site *site, enum httpd_proto proto)
{
	struct stream *client, *server;
	struct addrport peer = { ip_v4(192, 0, 2, 1), 4321 };

	stream_pair(site->loop, &client, &server);
	httpd_serve(site->httpd, server, proto, peer, site, on_conn_gone);
	return client;
}

void site_turns(struct site *site, unsigned n)
{
	while (n--)
		loop_turn(site->loop, false);
}

const char *site_ask(struct site *site, struct ear *ear, const char *request)
{
	ear_init(ear, site_connect(site, HTTPD_ANY));
	stream_send(ear->s, bytes_str(request));
	site_turns(site, 12);
	return buf_cstr(&ear->got);
}

/* ---- calls ---- */

void answer_init(struct answer *a)
{
	*a = (struct answer){ 0 };
	buf_init(&a->body, 64 << 20);
}

void answer_fini(struct answer *a)
{
	buf_fini(&a->body);
}

static void on_head(void *arg, unsigned status, const struct http_header *headers, size_t n)
{
	struct answer *a = arg;
	struct bytes type = http1_header_get(headers, n, "content-type");

	a->status = status;
	a->heads++;
	snprintf(a->type, sizeof(a->type), "%.*s", BYTES_FMT(type));
}

static void on_body(void *arg, struct bytes data)
{
	struct answer *a = arg;

	buf_append(&a->body, data);
}

static void on_done(void *arg, const struct err *err)
{
	struct answer *a = arg;

	a->done++;
	a->err = *err;
	a->call = NULL;
}

void answer_call(struct answer *a, struct httpc *c, const char *method, const char *path,
		 struct bytes body)
{
	struct http_call_conf conf = {
		.method = method,
		.path = path,
		.authority = "test.example",
		.body = body,
		.on_head = on_head,
		.on_body = on_body,
		.on_done = on_done,
		.arg = a,
	};

	a->call = httpc_call(c, &conf);
}
