#include "io/websocket.h"

#include "base/mem.h"
#include "base/rand.h"
#include "http_support.h"
#include "io/stream.h"
#include "kit/kit.h"

/* A server with one WebSocket route, and what both ends became. */
struct place {
	struct loop *loop;
	struct httpd *httpd;
	struct stream *server, *client;
	unsigned fails;
	struct err why;
};

static void handle(void *arg, struct http_exchange *x, const struct http_request *req)
{
	struct place *p = arg;
	struct stream *s = websocket_accept(x, req, "derp");

	if (s)
		p->server = s;
}

static const struct httpd_route routes[] = { { "GET", "/ws", handle, 0 } };

static void place_init(struct place *p)
{
	*p = (struct place){ .loop = test_loop() };
	p->httpd = httpd_create(
	    p->loop, &(struct httpd_conf){ .routes = routes, .route_count = 1, .arg = p });
}

static void place_fini(struct place *p)
{
	httpd_destroy(p->httpd);
	loop_destroy(p->loop);
}

static void turns(struct place *p, unsigned n)
{
	while (n--)
		loop_turn(p->loop, false);
}

static struct stream *dial(struct place *p)
{
	struct stream *client, *server;

	stream_pair(p->loop, &client, &server);
	httpd_serve(p->httpd, server, HTTPD_ANY, (struct addrport){ 0 }, NULL, NULL);
	return client;
}

static void on_stream(void *arg, struct stream *s)
{
	struct place *p = arg;

	p->client = s;
}

static void on_fail(void *arg, const struct err *why)
{
	struct place *p = arg;

	p->fails++;
	p->why = *why;
}

static void place_connect(struct place *p, const char *protocol)
{
	websocket_connect(dial(p), &(struct websocket_conf){ .host = "h",
							     .path = "/ws",
							     .protocol = protocol,
							     .on_stream = on_stream,
							     .on_fail = on_fail,
							     .arg = p });
	turns(p, 8);
}

TEST(websocket_carries_bytes_both_ways)
{
	struct place p;
	struct ear client, server;
	uint8_t *big = mem_alloc(300000);

	fill_pattern(big, 300000, 5);
	place_init(&p);
	place_connect(&p, "derp");
	CHECK(p.client && p.server && !p.fails);
	ear_init(&client, p.client);
	ear_init(&server, p.server);
	stream_send(client.s, bytes_str("up"));
	stream_send(client.s, bytes_of(big, 300000));
	stream_send(server.s, bytes_str("down"));
	for (int i = 0; i < 100 && server.got.n < 300002; i++)
		turns(&p, 1);
	CHECK_STR(buf_cstr(&client.got), "down");
	CHECK_INT(server.got.n, 300002);
	CHECK(bytes_equal(bytes_from(buf_bytes(&server.got), 2), bytes_of(big, 300000)));
	CHECK(stream_find(client.s, "pair") != NULL);
	stream_finish(client.s);
	turns(&p, 6);
	CHECK(server.closes == 1 && server.why.code == ERR_NONE);
	CHECK(client.closes == 1 && client.why.code == ERR_NONE);
	mem_free(big);
	ear_fini(&client);
	ear_fini(&server);
	place_fini(&p);
}

TEST(websocket_subprotocol_is_required)
{
	struct place p;

	place_init(&p);
	place_connect(&p, "other");
	CHECK(!p.client && !p.server && p.fails == 1 && p.why.code == ERR_REFUSED);
	place_connect(&p, NULL);
	CHECK(!p.client && !p.server && p.fails == 2);
	place_fini(&p);
}

static bool answers(const char *request, const char *what)
{
	struct place p;
	struct ear ear;
	bool ok;

	place_init(&p);
	ear_init(&ear, dial(&p));
	stream_send(ear.s, bytes_str(request));
	turns(&p, 6);
	ok = strstr(buf_cstr(&ear.got), what) != NULL;
	stream_destroy(p.server);
	ear_fini(&ear);
	place_fini(&p);
	return ok;
}

#define ASK                                                                                        \
	"GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

TEST(websocket_handshake_answers)
{
	CHECK(answers(ASK KEY
		      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: x, derp\r\n\r\n",
		      "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
		      "sec-websocket-protocol: derp\r\n\r\n"));
	CHECK(answers(ASK KEY "Sec-WebSocket-Version: 8\r\nSec-WebSocket-Protocol: derp\r\n\r\n",
		      "sec-websocket-version: 13\r\n"));
	CHECK(answers(ASK "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: derp\r\n\r\n",
		      "HTTP/1.1 400 "));
	CHECK(answers("GET /ws HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 426 "));
}

/* The server's end of a bare pair, fed with frames written by hand. */
struct frames {
	struct loop *loop;
	struct ear raw, ear;
};

static void frames_init(struct frames *f)
{
	struct stream *a, *b;

	f->loop = test_loop();
	stream_pair(f->loop, &a, &b);
	ear_init(&f->raw, a);
	ear_init(&f->ear, websocket_stream(b, true));
}

static void frames_fini(struct frames *f)
{
	ear_fini(&f->raw);
	ear_fini(&f->ear);
	loop_destroy(f->loop);
}

static void feed(struct frames *f, const char *hex, size_t step)
{
	struct bytes in = kit_hex(hex);

	for (; in.n; in = bytes_from(in, step)) {
		stream_send(f->raw.s, bytes_of(in.p, in.n < step ? in.n : step));
		loop_turn(f->loop, false);
	}
	for (int i = 0; i < 3; i++)
		loop_turn(f->loop, false);
}

/* Masked with zeroes, so that payloads can be read here. */
TEST(websocket_fragments_pings_and_close)
{
	for (size_t step = 1; step < 40; step += 6) {
		struct frames f;

		frames_init(&f);
		feed(&f,
		     "028300000000616263" /* begins */
		     "898200000000"       /* a ping in between */
		     "7069"
		     "008000000000" /* goes on, empty */
		     "808100000000"
		     "64"           /* ends */
		     "8a8000000000" /* a pong nobody asked for */
		     "828100000000"
		     "65"
		     "888200000000"
		     "03e8", /* close */
		     step);
		CHECK_STR(buf_cstr(&f.ear.got), "abcde");
		CHECK(f.ear.closes == 1 && f.ear.why.code == ERR_NONE);
		CHECK(bytes_equal(buf_bytes(&f.raw.got), kit_hex("8a027069880203e8")));
		frames_fini(&f);
	}
}

static enum err_code ends_with(const char *hex, const char *answer)
{
	struct frames f;
	enum err_code code;

	frames_init(&f);
	feed(&f, hex, 100);
	CHECK_INT(f.ear.closes, 1);
	CHECK(bytes_equal(buf_bytes(&f.raw.got), kit_hex(answer)));
	code = f.ear.why.code;
	frames_fini(&f);
	return code;
}

TEST(websocket_refuses)
{
	CHECK_INT(ends_with("820161", "880203ea"), ERR_MALFORMED);         /* not masked */
	CHECK_INT(ends_with("81810000000061", "880203eb"), ERR_MALFORMED); /* text */
	CHECK_INT(ends_with("80810000000061", "880203ea"),
		  ERR_MALFORMED); /* goes on from nothing */
	CHECK_INT(ends_with("0281000000006182810000000061", "880203ea"), ERR_MALFORMED);
	CHECK_INT(ends_with("ff", "880203ea"), ERR_MALFORMED);
}

TEST(websocket_cut_is_not_an_end)
{
	struct frames f;

	frames_init(&f);
	stream_finish(f.raw.s);
	for (int i = 0; i < 4; i++)
		loop_turn(f.loop, false);
	CHECK(f.ear.closes == 1 && f.ear.why.code == ERR_MALFORMED);
	frames_fini(&f);
}

TEST(websocket_may_be_destroyed_inside_its_data)
{
	struct frames f;

	frames_init(&f);
	f.ear.destroy_on_data = true;
	feed(&f, "8281000000006182810000000062", 100);
	CHECK_STR(buf_cstr(&f.ear.got), "a");
	CHECK_INT(f.raw.closes, 1);
	frames_fini(&f);
}

TEST(websocket_pause_holds_bytes_back)
{
	struct frames f;

	frames_init(&f);
	stream_pause(f.ear.s, true);
	feed(&f, "82810000000061", 100);
	CHECK_INT(f.ear.got.n, 0);
	stream_pause(f.ear.s, false);
	for (int i = 0; i < 3; i++)
		loop_turn(f.loop, false);
	CHECK_STR(buf_cstr(&f.ear.got), "a");
	frames_fini(&f);
}

TEST(websocket_survives_garbage)
{
	struct rng rng = rng_seeded(3);

	for (int i = 0; i < 2000; i++) {
		uint8_t junk[64];
		struct frames f;

		frames_init(&f);
		rng.fill(&rng, junk, sizeof(junk));
		junk[0] = (uint8_t)(0x80 | (junk[0] & 0x0f));
		junk[1] |= 0x80;
		stream_send(f.raw.s, bytes_of(junk, rng_below(&rng, sizeof(junk)) + 1));
		loop_turn(f.loop, false);
		loop_turn(f.loop, false);
		CHECK(f.ear.got.n < sizeof(junk) && f.ear.closes <= 1);
		frames_fini(&f);
	}
}
