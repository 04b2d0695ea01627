/* HTTP/1.1 as a server: what is answered, in what order, and what a hostile client gets. */
#include <stdio.h>

#include "base/mem.h"
#include "base/rand.h"
#include "http_support.h"
#include "kit/kit.h"

static bool has(const char *text, const char *part)
{
	return strstr(text, part) != NULL;
}

static unsigned count(const char *text, const char *part)
{
	unsigned n = 0;

	while ((text = strstr(text, part))) {
		text += strlen(part);
		n++;
	}
	return n;
}

/* Asks on a fresh connection; true when the answer holds all of what. */
static bool answers(const char *request, const char *what)
{
	struct site site;
	struct ear ear;
	bool ok;

	site_init(&site, NULL);
	ok = has(site_ask(&site, &ear, request), what);
	ear_fini(&ear);
	site_fini(&site);
	return ok;
}

TEST(h1_answers_and_keeps_the_connection)
{
	struct site site;
	struct ear ear;
	const char *got;

	site_init(&site, NULL);
	got = site_ask(&site, &ear, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
	CHECK(bytes_has_prefix(bytes_str(got), "HTTP/1.1 200 OK\r\n"));
	CHECK(has(got, "content-length: 6\r\n") && has(got, "\r\n\r\nhello\n"));
	CHECK(has(got, "\r\ndate: ") && has(got, " GMT\r\n"));
	CHECK(!has(got, "connection: close"));
	stream_send(ear.s,
		    bytes_str("HEAD /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
	buf_clear(&ear.got);
	site_turns(&site, 6);
	got = buf_cstr(&ear.got);
	CHECK(has(got, "content-length: 6\r\n") && !has(got, "hello"));
	CHECK(has(got, "connection: close\r\n"));
	CHECK_INT(ear.closes, 1);
	CHECK_INT(ear.why.code, ERR_NONE);
	CHECK_INT(site.conn_gone, 1);
	ear_fini(&ear);
	site_fini(&site);
}

TEST(h1_pipelined_requests_are_answered_in_order)
{
	struct site site;
	struct ear ear;
	const char *got;

	site_init(&site, NULL);
	got = site_ask(&site, &ear,
		       "GET /device/a HTTP/1.1\r\nHost: h\r\n\r\n"
		       "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
		       "3\r\nxyz\r\n0\r\n\r\n"
		       "GET /park HTTP/1.1\r\nHost: h\r\n\r\n"
		       "GET /device/b HTTP/1.1\r\nHost: h\r\n\r\n");
	CHECK_INT(count(got, "HTTP/1.1 200"), 2);
	CHECK(strstr(got, "id=a") && strstr(got, "xyz") > strstr(got, "id=a"));
	CHECK_INT(site.parked_count, 1);
	http_reply_text(site.parked[0], 200, "late");
	CHECK(!has(buf_cstr(&ear.got), "id=b")); /* not from inside the answer */
	site_turns(&site, 6);
	got = buf_cstr(&ear.got);
	CHECK(strstr(got, "late") && strstr(got, "id=b") > strstr(got, "late"));
	CHECK_INT(site.gone, 0);
	ear_fini(&ear);
	site_fini(&site);
}

TEST(h1_routes)
{
	CHECK(answers("GET /device/n%20x?q=a+b%21 HTTP/1.1\r\nHost: h\r\n\r\n", "id=n x q=a b!\n"));
	CHECK(answers("GET /device/n HTTP/1.1\r\nHost: h\r\n\r\n", "x-note: fine\r\n"));
	CHECK(!answers("GET /device/n HTTP/1.1\r\nHost: h\r\n\r\n", "b: c"));
	CHECK(answers("GET /device/ HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 404 "));
	CHECK(answers("GET /device/a/b HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 404 "));
	CHECK(answers("GET /rest/a//b/./c HTTP/1.1\r\nHost: h\r\n\r\n", "\r\n\r\na/b/c"));
	CHECK(answers("PUT /hello HTTP/1.1\r\nHost: h\r\n\r\n", "allow: GET, HEAD, DELETE\r\n"));
	CHECK(answers("PUT /hello HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 405 "));
	CHECK(answers("DELETE /hello HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 204 "));
	CHECK(!answers("DELETE /hello HTTP/1.1\r\nHost: h\r\n\r\n", "content-length"));
	CHECK(answers("GET http://h/hello HTTP/1.1\r\nHost: h\r\n\r\n", "hello\n"));
	CHECK(answers("GET /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody",
		      "\r\n\r\nbody"));
	CHECK(answers("GET /hello HTTP/1.0\r\n\r\n", "connection: close\r\n"));
	CHECK(answers("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
		      "connection: keep-alive\r\n"));
}

TEST(h1_refuses)
{
	CHECK(answers("GET /../etc HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 400 "));
	CHECK(answers("GET /rest/%2e%2e/%2e%2e/x HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 400 "));
	CHECK(answers("GET /rest/a%2fb HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 400 "));
	CHECK(answers("GET /rest/%00 HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 400 "));
	CHECK(answers("GET /hello HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "));
	CHECK(answers("GET /hello HTTP/2.0\r\nHost: h\r\n\r\n", "HTTP/1.1 505 "));
	CHECK(answers("GET /hello HTTP/1.1\nHost: h\n\n", "HTTP/1.1 400 "));
	CHECK(answers("GET /hello HTTP/1.1\r\nHost: h\r\nExpect: cake\r\n\r\n", "HTTP/1.1 417 "));
	CHECK(answers("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
		      "HTTP/1.1 501 "));
	CHECK(answers("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n"
		      "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		      "HTTP/1.1 400 "));
	CHECK(answers("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nq\r\n",
		      "HTTP/1.1 400 "));
	CHECK(answers("POST /small HTTP/1.1\r\nHost: h\r\nContent-Length: 101\r\n\r\n",
		      "HTTP/1.1 413 "));
	CHECK(answers("POST /hello HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx",
		      "HTTP/1.1 405 "));
	CHECK(answers("\x16\x03\x01\x02", "HTTP/1.1 400 ")); /* a TLS hello on the wrong port */
}

/* What follows a refused request must never be taken for another one. */
TEST(h1_a_refused_request_hides_no_other)
{
	struct site site;
	struct ear ear;
	const char *got;

	site_init(&site, NULL);
	got = site_ask(&site, &ear,
		       "POST /small HTTP/1.1\r\nHost: h\r\nContent-Length: 200\r\n\r\n"
		       "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
	CHECK(has(got, "HTTP/1.1 413 ") && has(got, "connection: close\r\n"));
	CHECK_INT(count(got, "HTTP/1.1"), 1);
	stream_send(ear.s, bytes_str("GET /hello HTTP/1.1\r\nHost: h\r\n\r\n"));
	site_turns(&site, 6);
	CHECK_INT(count(buf_cstr(&ear.got), "HTTP/1.1"), 1);
	CHECK_INT(site.handled, 0);
	ear_fini(&ear);
	site_fini(&site);
}

TEST(h1_body_at_the_limit_and_one_past_it)
{
	char request[512];
	char body[HTTP_SMALL_BODY_MAX + 2];

	for (int extra = 0; extra < 2; extra++) {
		int n = HTTP_SMALL_BODY_MAX + extra;

		memset(body, 'a', (size_t)n);
		body[n] = 0;
		snprintf(request, sizeof(request),
			 "POST /small HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
			 "10\r\n0123456789abcdef\r\n%x\r\n%.*s\r\n0\r\n\r\n",
			 n - 16, n - 16, body);
		CHECK(answers(request, extra ? "HTTP/1.1 413 " : "HTTP/1.1 200 "));
	}
}

TEST(h1_head_too_long)
{
	struct site site;
	struct ear ear;
	char line[1100];
	struct buf request;

	buf_init(&request, 64 << 10);
	buf_append_str(&request, "GET /hello HTTP/1.1\r\nHost: h\r\n");
	memset(line, 'x', sizeof(line));
	memcpy(line, "name: ", 6);
	for (int i = 0; i < 16; i++)
		buf_printf(&request, "%.1000s\r\n", line);
	site_init(&site, NULL);
	CHECK(!has(site_ask(&site, &ear, buf_cstr(&request)), "HTTP"));
	stream_send(ear.s, bytes_of(line, sizeof(line)));
	site_turns(&site, 4);
	CHECK(has(buf_cstr(&ear.got), "HTTP/1.1 431 "));
	ear_fini(&ear);
	site_fini(&site);
	buf_fini(&request);
}

TEST(h1_continue_is_sent_only_for_a_body_that_is_wanted)
{
	struct site site;
	struct ear ear;
	const char *got;

	site_init(&site, NULL);
	got = site_ask(&site, &ear,
		       "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n"
		       "Expect: 100-continue\r\n\r\n");
	CHECK_STR(got, "HTTP/1.1 100 Continue\r\n\r\n");
	stream_send(ear.s, bytes_str("ok"));
	site_turns(&site, 4);
	CHECK(has(buf_cstr(&ear.got), "HTTP/1.1 200 OK") && has(buf_cstr(&ear.got), "\r\n\r\nok"));
	ear_fini(&ear);
	site_fini(&site);
	CHECK(!answers("POST /small HTTP/1.1\r\nHost: h\r\nContent-Length: 999\r\n"
		       "Expect: 100-continue\r\n\r\n",
		       "100 Continue"));
}

TEST(h1_streamed_answer_is_chunked_and_flushed)
{
	struct site site;
	struct ear ear;
	const char *got;

	site_init(&site, NULL);
	site_ask(&site, &ear, "GET /park HTTP/1.1\r\nHost: h\r\n\r\n");
	http_reply_start(site.parked[0], 200, "text/plain");
	site_turns(&site, 2);
	CHECK(has(buf_cstr(&ear.got), "transfer-encoding: chunked\r\n\r\n"));
	http_reply_send(site.parked[0], bytes_str("one"));
	site_turns(&site, 2);
	CHECK(has(buf_cstr(&ear.got), "\r\n\r\n3\r\none\r\n"));
	http_reply_send(site.parked[0], bytes_str("and two"));
	http_reply_end(site.parked[0]);
	site_turns(&site, 2);
	got = buf_cstr(&ear.got);
	CHECK(has(got, "7\r\nand two\r\n0\r\n\r\n"));
	CHECK_INT(ear.closes, 0);
	CHECK_INT(site.gone, 0);
	ear_fini(&ear);
	site_fini(&site);
}

TEST(h1_client_that_leaves_is_told_once)
{
	struct site site;
	struct ear ear;

	site_init(&site, NULL);
	site_ask(&site, &ear, "GET /park HTTP/1.1\r\nHost: h\r\n\r\n");
	CHECK_INT(site.parked_count, 1);
	ear_fini(&ear);
	site_turns(&site, 4);
	CHECK_INT(site.gone, 1);
	CHECK_INT(site.conn_gone, 1);
	site_fini(&site);
	CHECK_INT(site.gone, 1);
}

TEST(h1_destroying_the_server_tells_open_exchanges)
{
	struct site site;
	struct ear ear;

	site_init(&site, NULL);
	site_ask(&site, &ear, "GET /park HTTP/1.1\r\nHost: h\r\n\r\n");
	httpd_destroy(site.httpd);
	site.httpd = NULL;
	CHECK_INT(site.gone, 1);
	CHECK_INT(site.conn_gone, 1);
	site_turns(&site, 4);
	CHECK_INT(ear.closes, 1);
	ear_fini(&ear);
	site_fini(&site);
}

/* A client that stops reading: the queue grows where its owner can see it, and drains later. */
TEST(h1_back_pressure_is_visible)
{
	struct site site;
	struct ear ear;
	uint8_t block[4096] = { 0 };

	site_init(&site, NULL);
	site_ask(&site, &ear, "GET /park HTTP/1.1\r\nHost: h\r\n\r\n");
	http_reply_start(site.parked[0], 200, NULL);
	site_turns(&site, 2);
	stream_pause(ear.s, true);
	for (int i = 0; i < 100; i++)
		http_reply_send(site.parked[0], bytes_of(block, sizeof(block)));
	site_turns(&site, 4);
	CHECK(http_reply_queued(site.parked[0]) >= 100 * sizeof(block));
	CHECK_INT(site.drains, 0);
	stream_pause(ear.s, false);
	site_turns(&site, 4);
	CHECK_INT(http_reply_queued(site.parked[0]), 0);
	CHECK_INT(site.drains, 1);
	http_reply_end(site.parked[0]);
	ear_fini(&ear);
	site_fini(&site);
}

TEST(h1_a_client_that_never_reads_is_dropped_at_the_limit)
{
	struct site site;
	struct ear ear;
	uint8_t *block = mem_alloc(1 << 20);

	site_init(&site, NULL);
	site_ask(&site, &ear, "GET /park HTTP/1.1\r\nHost: h\r\n\r\n");
	http_reply_start(site.parked[0], 200, NULL);
	stream_pause(ear.s, true);
	for (int i = 0; i < 70 && !site.gone; i++)
		http_reply_send(site.parked[0], bytes_of(block, 1 << 20));
	CHECK_INT(site.gone, 0); /* never inside the call */
	site_turns(&site, 2);
	CHECK_INT(site.gone, 1);
	CHECK_INT(site.conn_gone, 1);
	mem_free(block);
	ear_fini(&ear);
	site_fini(&site);
}

/* Many requests, no reading of answers: requests wait, memory does not grow with them. */
TEST(h1_pipelining_without_reading_is_held_back)
{
	struct site site;
	struct ear ear;

	site_init(&site, NULL);
	ear_init(&ear, site_connect(&site, HTTPD_H1));
	site_turns(&site, 2);
	stream_pause(ear.s, true);
	for (int i = 0; i < 20000; i++)
		stream_send(ear.s, bytes_str("GET /hello HTTP/1.1\r\nHost: h\r\n\r\n"));
	site_turns(&site, 10);
	CHECK(site.handled > 100 && site.handled < 4000);
	stream_pause(ear.s, false);
	for (int i = 0; i < 2000 && site.handled < 20000; i++)
		site_turns(&site, 1);
	CHECK_INT(site.handled, 20000);
	ear_fini(&ear);
	site_fini(&site);
}

static void wait_closed(struct site *site, struct ear *ear)
{
	struct mono end = mono_add_s(mono_now(), 8);

	while (!ear->closes && !mono_reached(mono_now(), end))
		loop_turn(site->loop, true);
}

TEST(h1_slow_heads_and_bodies_time_out)
{
	struct httpd_conf limits = { .head_timeout_s = 1,
				     .body_timeout_s = 1,
				     .idle_timeout_s = 1 };
	struct site site;
	struct ear head, body, idle, silent;

	site_init(&site, &limits);
	site_ask(&site, &head, "GET /hello HTTP/1.1\r\nHo");
	site_ask(&site, &body, "POST /small HTTP/1.1\r\nHost: h\r\nContent-Length: 20\r\n\r\nslow");
	site_ask(&site, &idle, "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
	site_ask(&site, &silent, "");
	wait_closed(&site, &idle);
	wait_closed(&site, &silent);
	wait_closed(&site, &head);
	wait_closed(&site, &body);
	CHECK(has(buf_cstr(&head.got), "HTTP/1.1 408 "));
	CHECK(has(buf_cstr(&body.got), "HTTP/1.1 408 "));
	CHECK(has(buf_cstr(&idle.got), "HTTP/1.1 200 ") && idle.closes == 1);
	CHECK(silent.got.n == 0 && silent.closes == 1);
	CHECK_INT(site.conn_gone, 4);
	ear_fini(&head);
	ear_fini(&body);
	ear_fini(&idle);
	ear_fini(&silent);
	site_fini(&site);
}

TEST(h1_too_many_connections_are_refused)
{
	struct httpd_conf limits = { .connections_max = 2 };
	struct site site;
	struct ear ears[3];

	site_init(&site, &limits);
	for (size_t i = 0; i < 3; i++)
		site_ask(&site, &ears[i], "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
	CHECK(ears[1].got.n && !ears[2].got.n);
	CHECK_INT(ears[2].closes, 1);
	CHECK_INT(site.conn_gone, 1);
	for (size_t i = 0; i < 3; i++)
		ear_fini(&ears[i]);
	site_fini(&site);
}

static void on_idle(void *arg)
{
	struct site *site = arg;

	site->idle++;
}

TEST(h1_drain_lets_the_open_exchange_end)
{
	struct site site;
	struct ear open, idle;

	site_init(&site, NULL);
	site_ask(&site, &open, "GET /park HTTP/1.1\r\nHost: h\r\n\r\n");
	site_ask(&site, &idle, "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
	httpd_drain(site.httpd, on_idle, &site);
	site_turns(&site, 4);
	CHECK_INT(idle.closes, 1);
	CHECK_INT(open.closes, 0);
	CHECK_INT(site.idle, 0);
	http_reply_text(site.parked[0], 200, "last");
	site_turns(&site, 6);
	CHECK(has(buf_cstr(&open.got), "last") && open.closes == 1);
	CHECK_INT(site.idle, 1);
	ear_fini(&open);
	ear_fini(&idle);
	site_ask(&site, &idle, "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
	CHECK(idle.closes == 1 && !idle.got.n);
	ear_fini(&idle);
	site_fini(&site);
}

TEST(h1_upgrade_hands_over_what_was_read_too_much)
{
	struct site site;
	struct ear client, server;

	site_init(&site, NULL);
	site_ask(&site, &client,
		 "POST /upgrade HTTP/1.1\r\nHost: h\r\nUpgrade: test\r\n"
		 "Connection: upgrade\r\nContent-Length: 0\r\n\r\nearly");
	CHECK(site.upgraded != NULL);
	CHECK_STR(buf_cstr(&client.got), "HTTP/1.1 101 Switching Protocols\r\nupgrade: test\r\n"
					 "connection: upgrade\r\n\r\n");
	CHECK_INT(site.conn_gone, 1);
	ear_init(&server, site.upgraded);
	site.upgraded = NULL;
	stream_send(client.s, bytes_str(" late"));
	site_turns(&site, 4);
	CHECK_STR(buf_cstr(&server.got), "early late");
	stream_send(server.s, bytes_str("raw"));
	site_turns(&site, 4);
	CHECK(has(buf_cstr(&client.got), "\r\n\r\nraw"));
	ear_fini(&client);
	ear_fini(&server);
	site_fini(&site);
}

TEST(h1_raw_upgrade_writes_nothing)
{
	struct site site;
	struct ear client;

	site_init(&site, NULL);
	site.upgrade_raw = true;
	site_ask(&site, &client, "GET /upgrade HTTP/1.1\r\nHost: h\r\n\r\n");
	CHECK(site.upgraded != NULL);
	CHECK_INT(client.got.n, 0);
	ear_fini(&client);
	site_fini(&site);
}

/* The malformed-input hammer: nothing may crash, and every connection ends. */
TEST(h1_survives_garbage)
{
	static const char *const pieces[] = {
		"GET /hello HTTP/1.1\r\n",
		"POST /echo HTTP/1.1\r\n",
		"Host: h\r\n",
		"\r\n",
		"Content-Length: 5\r\n",
		"Transfer-Encoding: chunked\r\n",
		"5\r\nhello\r\n",
		"0\r\n\r\n",
		"\n",
		"\r",
		" folded\r\n",
		": x\r\n",
		"Host : h\r\n",
		"PRI * HTTP/2.0\r\n\r\n",
		"Expect: 100-continue\r\n",
		"ffffffff\r\n",
		"Connection: upgrade\r\n",
		"hello",
	};
	struct rng rng = rng_seeded(7);
	struct httpd_conf limits = { .head_timeout_s = 1,
				     .body_timeout_s = 1,
				     .idle_timeout_s = 1 };
	struct site site;

	site_init(&site, &limits);
	for (int i = 0; i < 3000; i++) {
		struct ear ear;

		ear_init(&ear, site_connect(&site, HTTPD_ANY));
		if (rng_below(&rng, 2)) /* half of them begin well */
			stream_send(ear.s, bytes_str("POST /echo HTTP/1.1\r\nHost: h\r\n"));
		for (uint64_t n = rng_below(&rng, 12) + 1; n; n--) {
			uint8_t junk[8];

			if (rng_below(&rng, 10)) {
				stream_send(ear.s,
					    bytes_str(pieces[rng_below(&rng, array_len(pieces))]));
			} else {
				rng.fill(&rng, junk, sizeof(junk));
				stream_send(ear.s, bytes_of(junk, sizeof(junk)));
			}
			if (rng_below(&rng, 3) == 0)
				site_turns(&site, 1);
		}
		site_turns(&site, 3);
		ear_fini(&ear);
	}
	site_turns(&site, 8);
	CHECK_INT(site.conn_gone, 3000);
	CHECK(site.handled > 0);
	site_fini(&site);
}
