/* HTTP/2, our client against our server: streams side by side, back-pressure, ends of all kinds. */
#include <nghttp2/nghttp2.h>

#include "base/mem.h"
#include "base/rand.h"
#include "http_support.h"
#include "kit/kit.h"

enum { CALLS = 30 };

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

struct pair {
	struct site site;
	struct owner owner;
	struct stream *stream; /* of the client */
	struct httpc *c;
	struct answer a[CALLS];
};

static void pair_init(struct pair *p, const struct httpd_conf *limits, enum httpd_proto proto)
{
	site_init(&p->site, limits);
	p->owner = (struct owner){ 0 };
	p->stream = site_connect(&p->site, proto);
	p->c = httpc_create(p->stream, true, on_close, &p->owner);
	for (size_t i = 0; i < CALLS; i++)
		answer_init(&p->a[i]);
}

static void pair_fini(struct pair *p)
{
	httpc_destroy(p->c);
	site_fini(&p->site);
	for (size_t i = 0; i < CALLS; i++)
		answer_fini(&p->a[i]);
}

static void get(struct pair *p, size_t i, const char *path)
{
	answer_call(&p->a[i], p->c, "GET", path, bytes_of(NULL, 0));
}

TEST(h2_calls)
{
	struct pair p;

	pair_init(&p, NULL, HTTPD_ANY); /* found by its preface */
	get(&p, 0, "/hello");
	answer_call(&p.a[1], p.c, "GET", "/echo", bytes_str("get with body"));
	answer_call(&p.a[2], p.c, "HEAD", "/hello", bytes_of(NULL, 0));
	answer_call(&p.a[3], p.c, "DELETE", "/hello", bytes_of(NULL, 0));
	get(&p, 4, "/device/n%20x?q=1+2");
	get(&p, 5, "/nowhere");
	answer_call(&p.a[6], p.c, "PUT", "/hello", bytes_str("x"));
	get(&p, 7, "/upgrade");
	get(&p, 8, "/rest/%2e%2e/%2e%2e/x");
	site_turns(&p.site, 8);
	CHECK_STR(buf_cstr(&p.a[0].body), "hello\n");
	CHECK_STR(p.a[0].type, "text/plain");
	CHECK_STR(buf_cstr(&p.a[1].body), "get with body");
	CHECK(p.a[2].status == 200 && !p.a[2].body.n && p.a[2].done == 1);
	CHECK(p.a[3].status == 204 && p.a[3].done == 1);
	CHECK_STR(buf_cstr(&p.a[4].body), "id=n x q=1 2\n");
	CHECK_INT(p.a[5].status, 404);
	CHECK_INT(p.a[6].status, 405);
	CHECK_INT(p.a[7].status, 426); /* nothing to take over */
	CHECK_INT(p.a[8].status, 400);
	for (size_t i = 0; i < 9; i++)
		CHECK(p.a[i].done == 1 && p.a[i].heads == 1 && p.a[i].err.code == ERR_NONE);
	CHECK_INT(p.owner.closes, 0);
	pair_fini(&p);
}

TEST(h2_streams_side_by_side)
{
	struct pair p;

	pair_init(&p, NULL, HTTPD_H2);
	for (size_t i = 0; i < CALLS; i++)
		get(&p, i, "/park");
	site_turns(&p.site, 4);
	CHECK_INT(p.site.parked_count, CALLS);
	for (size_t i = CALLS; i-- > 0;)
		http_reply_start(p.site.parked[i], 200, "text/plain");
	for (size_t i = 0; i < CALLS; i++)
		http_reply_send(p.site.parked[i], bytes_str("part "));
	site_turns(&p.site, 4);
	CHECK(p.a[0].heads == 1 && !p.a[0].done);
	CHECK_STR(buf_cstr(&p.a[7].body), "part ");
	for (size_t i = CALLS; i-- > 0;) {
		http_reply_send(p.site.parked[i], bytes_str("end"));
		http_reply_end(p.site.parked[i]);
	}
	site_turns(&p.site, 4);
	for (size_t i = 0; i < CALLS; i++) {
		CHECK(p.a[i].done == 1 && p.a[i].err.code == ERR_NONE);
		CHECK_STR(buf_cstr(&p.a[i].body), "part end");
	}
	CHECK_INT(p.site.gone, 0);
	pair_fini(&p);
}

/* More than every window on the way: flow control must open again, in both directions. */
TEST(h2_large_bodies_both_ways)
{
	struct pair p;
	uint8_t *big = mem_alloc(HTTP_BIG_BODY_MAX + 1);

	fill_pattern(big, HTTP_BIG_BODY_MAX + 1, 0);
	pair_init(&p, NULL, HTTPD_H2);
	answer_call(&p.a[0], p.c, "POST", "/echo", bytes_of(big, HTTP_BIG_BODY_MAX));
	answer_call(&p.a[1], p.c, "POST", "/echo", bytes_of(big, HTTP_BIG_BODY_MAX + 1));
	answer_call(&p.a[2], p.c, "POST", "/echo", bytes_of(big + 9, 1 << 20));
	for (int i = 0; i < 3000 && !(p.a[0].done && p.a[1].done && p.a[2].done); i++)
		site_turns(&p.site, 1);
	CHECK(p.a[0].done && p.a[1].done && p.a[2].done);
	CHECK(bytes_equal(buf_bytes(&p.a[0].body), bytes_of(big, HTTP_BIG_BODY_MAX)));
	CHECK(bytes_equal(buf_bytes(&p.a[2].body), bytes_of(big + 9, 1 << 20)));
	CHECK_INT(p.a[1].status, 413);
	mem_free(big);
	pair_fini(&p);
}

TEST(h2_client_cancel_is_told_once)
{
	struct pair p;

	pair_init(&p, NULL, HTTPD_H2);
	get(&p, 0, "/park");
	get(&p, 1, "/park");
	site_turns(&p.site, 4);
	http_call_cancel(p.a[0].call);
	site_turns(&p.site, 4);
	CHECK_INT(p.site.gone, 1);
	CHECK_INT(p.a[0].done, 0);
	http_reply_text(p.site.parked[1], 200, "still here");
	site_turns(&p.site, 4);
	CHECK_STR(buf_cstr(&p.a[1].body), "still here\n");
	CHECK_INT(p.site.conn_gone, 0);
	httpc_destroy(p.c);
	p.c = NULL;
	site_turns(&p.site, 4);
	CHECK_INT(p.site.conn_gone, 1);
	CHECK_INT(p.site.gone, 1);
	pair_fini(&p);
}

TEST(h2_abort_resets_one_stream)
{
	struct pair p;

	pair_init(&p, NULL, HTTPD_H2);
	get(&p, 0, "/park");
	get(&p, 1, "/park");
	site_turns(&p.site, 4);
	http_reply_start(p.site.parked[0], 200, NULL);
	http_reply_send(p.site.parked[0], bytes_str("half"));
	site_turns(&p.site, 2);
	http_reply_abort(p.site.parked[0]);
	site_turns(&p.site, 4);
	CHECK(p.a[0].done == 1 && p.a[0].err.code == ERR_REFUSED);
	CHECK_INT(p.site.gone, 0);
	http_reply_text(p.site.parked[1], 200, "ok");
	site_turns(&p.site, 4);
	CHECK(p.a[1].done == 1 && p.a[1].err.code == ERR_NONE);
	pair_fini(&p);
}

/* A network map whose reader sleeps: the queue shows, then drains; the others go on. */
TEST(h2_back_pressure_is_visible)
{
	struct pair p;
	uint8_t *block = mem_alloc(64 << 10);

	pair_init(&p, NULL, HTTPD_H2);
	get(&p, 0, "/park");
	site_turns(&p.site, 4);
	http_reply_start(p.site.parked[0], 200, NULL);
	stream_pause(p.stream, true);
	for (int i = 0; i < 64; i++)
		http_reply_send(p.site.parked[0], bytes_of(block, 64 << 10));
	site_turns(&p.site, 4);
	CHECK(http_reply_queued(p.site.parked[0]) > 3 << 20);
	CHECK_INT(p.site.drains, 0);
	stream_pause(p.stream, false);
	for (int i = 0; i < 200 && p.a[0].body.n < 4 << 20; i++)
		site_turns(&p.site, 1);
	CHECK_INT(p.a[0].body.n, 4 << 20);
	CHECK_INT(http_reply_queued(p.site.parked[0]), 0);
	CHECK_INT(p.site.drains, 1);
	http_reply_end(p.site.parked[0]);
	site_turns(&p.site, 4);
	CHECK_INT(p.a[0].done, 1);
	mem_free(block);
	pair_fini(&p);
}

TEST(h2_a_paused_call_holds_only_its_own_stream)
{
	struct pair p;
	uint8_t *block = mem_alloc(4 << 20);

	pair_init(&p, NULL, HTTPD_H2);
	get(&p, 0, "/park");
	get(&p, 1, "/park");
	site_turns(&p.site, 4);
	http_call_pause(p.a[0].call, true);
	for (int i = 0; i < 2; i++)
		http_reply(p.site.parked[i], 200, NULL, bytes_of(block, 4 << 20));
	for (int i = 0; i < 200; i++)
		site_turns(&p.site, 1);
	CHECK(p.a[1].done == 1 && p.a[1].body.n == 4 << 20);
	CHECK(!p.a[0].done && p.a[0].body.n <= 1 << 20);
	http_call_pause(p.a[0].call, false);
	for (int i = 0; i < 200; i++)
		site_turns(&p.site, 1);
	CHECK(p.a[0].done == 1 && p.a[0].body.n == 4 << 20);
	mem_free(block);
	pair_fini(&p);
}

TEST(h2_a_client_that_never_reads_loses_the_stream)
{
	struct pair p;
	uint8_t *block = mem_alloc(1 << 20);

	pair_init(&p, NULL, HTTPD_H2);
	get(&p, 0, "/park");
	site_turns(&p.site, 4);
	http_reply_start(p.site.parked[0], 200, NULL);
	stream_pause(p.stream, true);
	for (int i = 0; i < 70; i++)
		http_reply_send(p.site.parked[0], bytes_of(block, 1 << 20));
	CHECK_INT(p.site.gone, 0);
	site_turns(&p.site, 4);
	CHECK_INT(p.site.gone, 1);
	CHECK_INT(p.site.conn_gone, 0);
	mem_free(block);
	pair_fini(&p);
}

static void on_idle(void *arg)
{
	struct site *site = arg;

	site->idle++;
}

TEST(h2_drain_lets_open_streams_end)
{
	struct pair p;

	pair_init(&p, NULL, HTTPD_H2);
	get(&p, 0, "/park");
	site_turns(&p.site, 4);
	httpd_drain(p.site.httpd, on_idle, &p.site);
	site_turns(&p.site, 2);
	get(&p, 1, "/hello");
	site_turns(&p.site, 4);
	CHECK(p.a[1].done == 1 && p.a[1].err.code == ERR_REFUSED);
	CHECK(!p.a[0].done && !p.site.idle);
	http_reply_text(p.site.parked[0], 200, "last");
	site_turns(&p.site, 6);
	CHECK_STR(buf_cstr(&p.a[0].body), "last\n");
	CHECK_INT(p.owner.closes, 1);
	CHECK_INT(p.site.idle, 1);
	pair_fini(&p);
}

TEST(h2_destroying_the_server_tells_both_sides)
{
	struct pair p;

	pair_init(&p, NULL, HTTPD_H2);
	get(&p, 0, "/park");
	site_turns(&p.site, 4);
	httpd_destroy(p.site.httpd);
	p.site.httpd = NULL;
	CHECK_INT(p.site.gone, 1);
	site_turns(&p.site, 4);
	CHECK(p.a[0].done == 1 && p.a[0].err.code == ERR_REFUSED);
	CHECK_INT(p.owner.closes, 1);
	pair_fini(&p);
}

TEST(h2_timeouts)
{
	struct httpd_conf limits = { .head_timeout_s = 1,
				     .body_timeout_s = 1,
				     .idle_timeout_s = 1 };
	struct pair p;
	struct ear silent;

	pair_init(&p, &limits, HTTPD_H2);
	ear_init(&silent, site_connect(&p.site, HTTPD_H2));
	get(&p, 0, "/hello");
	turn_until(p.site.loop, &p.owner.closes, 1); /* idle */
	turn_until(p.site.loop, &silent.closes, 1);
	CHECK(p.a[0].done == 1 && p.owner.closes == 1 && silent.closes == 1);
	ear_fini(&silent);
	pair_fini(&p);
}

/* ---- a client that misbehaves, by nghttp2 itself ---- */

struct rogue {
	nghttp2_session *session;
	struct ear ear;
	unsigned goaways, resets, heads;
	uint32_t code;
};

static int rogue_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct rogue *r = arg;

	(void)session;
	if (frame->hd.type == NGHTTP2_GOAWAY) {
		r->goaways++;
		r->code = frame->goaway.error_code;
	}
	if (frame->hd.type == NGHTTP2_RST_STREAM) {
		r->resets++;
		r->code = frame->rst_stream.error_code;
	}
	if (frame->hd.type == NGHTTP2_HEADERS)
		r->heads++;
	return 0;
}

static void rogue_init(struct rogue *r, struct site *site)
{
	nghttp2_session_callbacks *calls;

	*r = (struct rogue){ 0 };
	nghttp2_session_callbacks_new(&calls);
	nghttp2_session_callbacks_set_on_frame_recv_callback(calls, rogue_frame);
	nghttp2_session_client_new(&r->session, calls, r);
	nghttp2_session_callbacks_del(calls);
	nghttp2_submit_settings(r->session, NGHTTP2_FLAG_NONE, NULL, 0);
	ear_init(&r->ear, site_connect(site, HTTPD_H2));
}

static void rogue_turn(struct rogue *r, struct site *site)
{
	const uint8_t *data;
	ssize_t n;

	while ((n = nghttp2_session_mem_send(r->session, &data)) > 0)
		stream_send(r->ear.s, bytes_of(data, (size_t)n));
	site_turns(site, 2);
	nghttp2_session_mem_recv(r->session, r->ear.got.p, r->ear.got.n);
	buf_clear(&r->ear.got);
}

/* A body that never comes. */
static ssize_t rogue_body(nghttp2_session *session, int32_t stream_id, uint8_t *to, size_t length,
			  uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	(void)session;
	(void)stream_id;
	(void)to;
	(void)length;
	(void)flags;
	(void)source;
	(void)arg;
	return NGHTTP2_ERR_DEFERRED;
}

static int32_t rogue_ask(struct rogue *r, const char *method, const char *host, const char *path)
{
	const char *names[4] = { ":method", ":scheme", ":authority", ":path" };
	const char *values[4] = { method, "http", host, path };
	nghttp2_data_provider never = { .read_callback = rogue_body };
	bool has_body = strcmp(method, "POST") == 0;
	nghttp2_nv nv[4];

	for (size_t i = 0; i < 4; i++)
		nv[i] =
		    (nghttp2_nv){ (uint8_t *)(uintptr_t)names[i], (uint8_t *)(uintptr_t)values[i],
				  strlen(names[i]), strlen(values[i]), 0 };
	return nghttp2_submit_request(r->session, NULL, nv, 4, has_body ? &never : NULL, NULL);
}

static int32_t rogue_get(struct rogue *r, const char *path)
{
	return rogue_ask(r, "GET", "h", path);
}

/* What nghttp2 lets through is refused by us, as over HTTP/1.1. */
TEST(h2_strange_heads_reach_no_handler)
{
	static const char *const asked[][3] = {
		{ "G(T", "h", "/hello" },
		{ "GET", "u@h", "/hello" },
		{ "GET", "h/x", "/hello" },
		{ "GET", "h", "http://other/hello" },
		{ "GET", "h", "hello" },
		{ "GET", "h", "/he llo" },
		{ "GET", "h", "/x/%2e%2e/%2e%2e/hello" },
	};
	struct site site;
	struct rogue r;

	site_init(&site, NULL);
	rogue_init(&r, &site);
	for (size_t i = 0; i < array_len(asked); i++) {
		rogue_ask(&r, asked[i][0], asked[i][1], asked[i][2]);
		rogue_turn(&r, &site);
	}
	CHECK_INT(site.handled, 0);
	rogue_ask(&r, "GET", "h:80", "/hello");
	rogue_turn(&r, &site);
	CHECK_INT(site.handled, 1);
	nghttp2_session_del(r.session);
	ear_fini(&r.ear);
	site_fini(&site);
}

/* Answered before its body came: the answer first, and only later the wish to stop. */
TEST(h2_early_answer_lingers_before_the_reset)
{
	struct site site;
	struct rogue r;
	struct mono end = mono_add_s(mono_now(), 5);

	site_init(&site, NULL);
	rogue_init(&r, &site);
	rogue_ask(&r, "POST", "h", "/nowhere");
	rogue_turn(&r, &site);
	rogue_turn(&r, &site);
	CHECK(r.heads == 1 && !r.resets);
	while (!r.resets && !mono_reached(mono_now(), end)) {
		loop_turn(site.loop, true);
		rogue_turn(&r, &site);
	}
	CHECK_INT(r.resets, 1);
	CHECK_INT(r.code, NGHTTP2_NO_ERROR);
	CHECK_INT(r.goaways, 0);
	nghttp2_session_del(r.session);
	ear_fini(&r.ear);
	site_fini(&site);
}

TEST(h2_a_body_that_does_not_come_times_out)
{
	struct httpd_conf limits = { .body_timeout_s = 1 };
	struct site site;
	struct rogue r;
	struct mono end = mono_add_s(mono_now(), 5);

	site_init(&site, &limits);
	rogue_init(&r, &site);
	rogue_ask(&r, "POST", "h", "/small");
	while (!r.heads && !mono_reached(mono_now(), end)) {
		rogue_turn(&r, &site);
		loop_turn(site.loop, true);
	}
	CHECK(r.heads == 1 && !site.handled);
	nghttp2_session_del(r.session);
	ear_fini(&r.ear);
	site_fini(&site);
}

TEST(h2_rapid_reset_ends_the_connection)
{
	struct site site;
	struct rogue r;
	unsigned sent = 0;

	site_init(&site, NULL);
	rogue_init(&r, &site);
	rogue_turn(&r, &site);
	while (!r.goaways && sent < 5000) {
		int32_t id = rogue_get(&r, "/park");

		rogue_turn(&r, &site);
		if (id > 0)
			nghttp2_submit_rst_stream(r.session, 0, id, NGHTTP2_CANCEL);
		sent++;
	}
	CHECK_INT(r.goaways, 1);
	CHECK_INT(r.code, NGHTTP2_ENHANCE_YOUR_CALM);
	CHECK(site.gone == site.handled);
	CHECK(sent < 1000);
	nghttp2_session_del(r.session);
	ear_fini(&r.ear);
	site_fini(&site);
}

TEST(h2_ping_flood_ends_the_connection)
{
	struct site site;
	struct rogue r;

	site_init(&site, NULL);
	rogue_init(&r, &site);
	for (int i = 0; i < 10000 && !r.goaways; i++) {
		nghttp2_submit_ping(r.session, 0, NULL);
		if (i % 500 == 0)
			rogue_turn(&r, &site);
	}
	CHECK_INT(r.code, NGHTTP2_ENHANCE_YOUR_CALM);
	nghttp2_session_del(r.session);
	ear_fini(&r.ear);
	site_fini(&site);
}

TEST(h2_survives_garbage)
{
	struct rng rng = rng_seeded(11);
	struct site site;
	const uint8_t *data;
	struct rogue good;
	struct buf valid;
	ssize_t n;

	site_init(&site, NULL);
	rogue_init(&good, &site);
	rogue_get(&good, "/hello");
	rogue_get(&good, "/device/x?q=1");
	buf_init(&valid, 1 << 16);
	while ((n = nghttp2_session_mem_send(good.session, &data)) > 0)
		buf_append(&valid, bytes_of(data, (size_t)n));
	for (int i = 0; i < 2000; i++) {
		struct ear ear;
		struct bytes bent = kit_copy(buf_bytes(&valid));
		uint8_t *p = (uint8_t *)(uintptr_t)bent.p;

		for (uint64_t k = rng_below(&rng, 6); k; k--)
			p[24 + rng_below(&rng, bent.n - 24)] = (uint8_t)rng_u32(&rng);
		ear_init(&ear, site_connect(&site, HTTPD_ANY));
		stream_send(ear.s, bytes_of(p, rng_below(&rng, bent.n) + 1));
		site_turns(&site, 3);
		ear_fini(&ear);
	}
	site_turns(&site, 4);
	CHECK_INT(site.conn_gone, 2000);
	CHECK(site.handled > 0);
	buf_fini(&valid);
	nghttp2_session_del(good.session);
	ear_fini(&good.ear);
	site_fini(&site);
}
