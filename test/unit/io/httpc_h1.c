/* The HTTP/1.1 client, against our own server and against scripted ones. */
#include "base/mem.h"
#include "http_support.h"
#include "kit/kit.h"

struct owner {
	unsigned closes;
	struct err why;
};

static void on_close(void *arg, const struct err *why)
{
	struct owner *o = arg;

	o->closes++;
	o->why = *why;
}

TEST(httpc_h1_calls_one_after_the_other)
{
	struct site site;
	struct answer a, b, d;
	struct owner owner = { 0 };
	struct httpc *c;

	site_init(&site, NULL);
	answer_init(&a);
	answer_init(&b);
	answer_init(&d);
	c = httpc_create(site_connect(&site, HTTPD_H1), false, on_close, &owner);
	answer_call(&a, c, "GET", "/park", bytes_of(NULL, 0));
	answer_call(&b, c, "POST", "/echo", bytes_str("body"));
	answer_call(&d, c, "GET", "/echo", bytes_str("get with body"));
	site_turns(&site, 6);
	CHECK(!a.done && !b.done);
	http_reply_start(site.parked[0], 200, "text/x");
	http_reply_send(site.parked[0], bytes_str("str"));
	site_turns(&site, 4);
	CHECK(a.heads == 1 && !a.done);
	CHECK_STR(buf_cstr(&a.body), "str");
	CHECK_STR(a.type, "text/x");
	http_reply_send(site.parked[0], bytes_str("eam"));
	http_reply_end(site.parked[0]);
	site_turns(&site, 10);
	CHECK(a.done == 1 && a.err.code == ERR_NONE && a.status == 200);
	CHECK_STR(buf_cstr(&a.body), "stream");
	CHECK(b.done == 1 && d.done == 1);
	CHECK_STR(buf_cstr(&b.body), "body");
	CHECK_STR(buf_cstr(&d.body), "get with body");
	CHECK_INT(owner.closes, 0);
	httpc_destroy(c);
	answer_fini(&a);
	answer_fini(&b);
	answer_fini(&d);
	site_fini(&site);
}

/* Its answer tells the length of a body that does not come. */
TEST(httpc_h1_head_has_no_body)
{
	struct site site;
	struct answer a, b;
	struct httpc *c;

	site_init(&site, NULL);
	answer_init(&a);
	answer_init(&b);
	c = httpc_create(site_connect(&site, HTTPD_H1), false, NULL, NULL);
	answer_call(&a, c, "HEAD", "/hello", bytes_of(NULL, 0));
	answer_call(&b, c, "GET", "/hello", bytes_of(NULL, 0));
	site_turns(&site, 10);
	CHECK(a.done == 1 && a.err.code == ERR_NONE && a.status == 200);
	CHECK_INT(a.body.n, 0);
	CHECK(b.done == 1 && b.body.n > 0);
	httpc_destroy(c);
	answer_fini(&a);
	answer_fini(&b);
	site_fini(&site);
}

/* Large pieces take another way out of the server than small ones, chunked or not. */
TEST(httpc_h1_large_pieces_and_pause)
{
	struct site site;
	struct answer a;
	struct httpc *c;
	uint8_t *big = mem_alloc(600000);

	fill_pattern(big, 600000, 1);
	site_init(&site, NULL);
	answer_init(&a);
	c = httpc_create(site_connect(&site, HTTPD_H1), false, NULL, NULL);
	answer_call(&a, c, "POST", "/echo", bytes_of(big, 600000));
	site_turns(&site, 10);
	CHECK(a.done == 1 && bytes_equal(buf_bytes(&a.body), bytes_of(big, 600000)));
	buf_clear(&a.body);
	answer_call(&a, c, "GET", "/park", bytes_of(NULL, 0));
	site_turns(&site, 4);
	http_call_pause(a.call, true);
	http_reply_start(site.parked[0], 200, NULL);
	http_reply_send(site.parked[0], bytes_of(big, 20000));
	http_reply_send(site.parked[0], bytes_of(big + 20000, 10));
	http_reply_send(site.parked[0], bytes_of(big + 20010, 579990));
	http_reply_end(site.parked[0]);
	site_turns(&site, 10);
	CHECK_INT(a.body.n, 0);
	http_call_pause(a.call, false);
	site_turns(&site, 10);
	CHECK(a.done == 2 && bytes_equal(buf_bytes(&a.body), bytes_of(big, 600000)));
	mem_free(big);
	httpc_destroy(c);
	answer_fini(&a);
	site_fini(&site);
}

TEST(httpc_h1_cancel_and_close)
{
	struct site site;
	struct answer a, b;
	struct owner owner = { 0 };
	struct httpc *c;

	site_init(&site, NULL);
	answer_init(&a);
	answer_init(&b);
	c = httpc_create(site_connect(&site, HTTPD_H1), false, on_close, &owner);
	answer_call(&a, c, "GET", "/park", bytes_of(NULL, 0));
	answer_call(&b, c, "GET", "/hello", bytes_of(NULL, 0));
	site_turns(&site, 4);
	http_call_cancel(a.call); /* it was under way: the connection goes with it */
	CHECK(!a.done && b.done == 1 && b.err.code == ERR_REFUSED);
	CHECK_INT(owner.closes, 1);
	site_turns(&site, 4);
	CHECK_INT(site.gone, 1);
	answer_call(&b, c, "GET", "/hello", bytes_of(NULL, 0));
	CHECK_INT(b.done, 1);
	site_turns(&site, 2);
	CHECK_INT(b.done, 2); /* later, not from inside the call */
	httpc_destroy(c);
	answer_fini(&a);
	answer_fini(&b);
	site_fini(&site);
}

/* A server that says one text and may then close. */
static void scripted(const char *text, bool close, struct answer *a)
{
	struct loop *loop = test_loop();
	struct stream *client, *server;
	struct ear ear;
	struct owner owner = { 0 };
	struct httpc *c;

	stream_pair(loop, &client, &server);
	ear_init(&ear, server);
	c = httpc_create(client, false, on_close, &owner);
	answer_call(a, c, "GET", "/", bytes_of(NULL, 0));
	for (int i = 0; i < 3; i++)
		loop_turn(loop, false);
	for (; *text; text++) { /* one byte at a time */
		stream_send(ear.s, bytes_of(text, 1));
		loop_turn(loop, false);
	}
	if (close)
		stream_finish(ear.s);
	for (int i = 0; i < 3; i++)
		loop_turn(loop, false);
	httpc_destroy(c);
	ear_fini(&ear);
	loop_destroy(loop);
}

static void expect(const char *text, bool close, enum err_code code, const char *body)
{
	struct answer a;

	answer_init(&a);
	scripted(text, close, &a);
	CHECK_INT(a.done, 1);
	CHECK_INT(a.err.code, code);
	CHECK_STR(buf_cstr(&a.body), body);
	answer_fini(&a);
}

TEST(httpc_h1_framings)
{
	expect("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", false, ERR_NONE, "abc");
	expect("HTTP/1.1 103 Early\r\nX: y\r\n\r\nHTTP/1.1 204 No\r\n\r\n", false, ERR_NONE, "");
	expect("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", false,
	       ERR_NONE, "abc");
	expect("HTTP/1.1 200 OK\r\n\r\nuntil close", true, ERR_NONE, "until close");
	expect("HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\nabc", true, ERR_REFUSED, "abc");
	expect("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab", true, ERR_REFUSED,
	       "ab");
	expect("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", false,
	       ERR_MALFORMED, "");
	expect("SSH-2.0-OpenSSH\r\n\r\n", false, ERR_MALFORMED, "");
	expect("", true, ERR_REFUSED, "");
	expect("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", false, ERR_MALFORMED, "");
}

TEST(httpc_h1_what_cannot_be_written_is_refused)
{
	struct site site;
	struct answer a;
	struct httpc *c;

	site_init(&site, NULL);
	answer_init(&a);
	c = httpc_create(site_connect(&site, HTTPD_H1), false, NULL, NULL);
	answer_call(&a, c, "GET", "/a b", bytes_of(NULL, 0));
	CHECK_INT(a.done, 0);
	site_turns(&site, 2);
	CHECK(a.done == 1 && a.err.code == ERR_USAGE);
	answer_call(&a, c, "GET\r\n", "/", bytes_of(NULL, 0));
	site_turns(&site, 2);
	CHECK(a.done == 2 && a.err.code == ERR_USAGE);
	httpc_destroy(c);
	answer_fini(&a);
	site_fini(&site);
}

/* ---- upgrade ---- */

struct taker {
	struct stream *stream;
	unsigned fails, status;
	struct err why;
};

static void on_stream(void *arg, struct stream *s, const struct http_header *headers, size_t n)
{
	struct taker *t = arg;

	CHECK(bytes_equal_str(http1_header_get(headers, n, "connection"), "upgrade"));
	t->stream = s;
}

static void on_fail(void *arg, unsigned status, const struct err *why)
{
	struct taker *t = arg;

	t->fails++;
	t->status = status;
	t->why = *why;
}

static struct http_upgrade_conf upgrade_conf(struct taker *t, const char *path)
{
	return (struct http_upgrade_conf){ .method = "POST",
					   .path = path,
					   .host = "h",
					   .protocol = "test",
					   .on_stream = on_stream,
					   .on_fail = on_fail,
					   .arg = t };
}

TEST(httpc_upgrade_both_ways)
{
	struct site site;
	struct taker t = { 0 };
	struct http_upgrade_conf conf = upgrade_conf(&t, "/upgrade");
	struct ear client, server;

	site_init(&site, NULL);
	httpc_upgrade(site_connect(&site, HTTPD_ANY), &conf);
	while (!site.upgraded)
		site_turns(&site, 1);
	ear_init(&server, site.upgraded);
	site.upgraded = NULL;
	stream_send(server.s, bytes_str("first")); /* may arrive in one read with the head */
	site_turns(&site, 4);
	CHECK(t.stream != NULL && !t.fails);
	ear_init(&client, t.stream);
	stream_send(client.s, bytes_str("second"));
	site_turns(&site, 4);
	CHECK_STR(buf_cstr(&client.got), "first");
	CHECK_STR(buf_cstr(&server.got), "second");
	ear_fini(&client);
	ear_fini(&server);
	site_fini(&site);
}

TEST(httpc_upgrade_refused_cancelled_timed_out)
{
	struct site site;
	struct taker t = { 0 };
	struct http_upgrade_conf conf = upgrade_conf(&t, "/nowhere");
	struct http_upgrading *u;

	site_init(&site, NULL);
	httpc_upgrade(site_connect(&site, HTTPD_ANY), &conf);
	site_turns(&site, 6);
	CHECK(!t.stream && t.fails == 1 && t.status == 404 && t.why.code == ERR_REFUSED);
	conf = upgrade_conf(&t, "/park");
	conf.method = "GET";
	u = httpc_upgrade(site_connect(&site, HTTPD_ANY), &conf);
	site_turns(&site, 1);
	http_upgrading_destroy(u);
	site_turns(&site, 6);
	CHECK_INT(t.fails, 1);
	conf.timeout_ms = 20;
	httpc_upgrade(site_connect(&site, HTTPD_ANY), &conf);
	turn_until(site.loop, &t.fails, 2);
	CHECK(t.fails == 2 && t.why.code == ERR_TIMEOUT && !t.status);
	site_fini(&site);
}
