#include "io/websocket.h"

#include "kit/kit.h"
#include "support.h"

struct two {
	struct loop *loop;
	struct stream *raw;
	struct ear ws, peer;
};

static void two_init(struct two *t)
{
	struct stream *a, *b;

	t->loop = test_loop();
	stream_pair(t->loop, &a, &b);
	ear_init(&t->ws, websocket_server(a));
	ear_init(&t->peer, b);
}

static void two_fini(struct two *t)
{
	ear_fini(&t->ws);
	ear_fini(&t->peer);
	loop_destroy(t->loop);
}

static void turns(struct two *t)
{
	for (int i = 0; i < 4; i++)
		loop_turn(t->loop, false);
}

TEST(websocket_accept_vector) /* RFC 6455, section 1.3 */
{
	char out[WEBSOCKET_ACCEPT_MAX];

	CHECK(websocket_accept(bytes_str("dGhlIHNhbXBsZSBub25jZQ=="), out));
	CHECK_STR(out, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
	CHECK(!websocket_accept(bytes_str("short"), out));
}

TEST(websocket_joins_messages_in_any_pieces) /* "Hello" masked: RFC 6455, section 5.7 */
{
	struct bytes in = kit_hex("828537fa213d7f9f4d5158" /* whole */
				  "028337fa213d7f9f4d"
				  "808237fa213d5b95"   /* two fragments */
				  "8980000000000000"); /* empty ping cut short by two zero bytes */

	for (size_t step = 1; step <= in.n; step++) {
		struct two t;

		two_init(&t);
		for (size_t at = 0; at < in.n - 2; at += step) {
			size_t n = in.n - 2 - at < step ? in.n - 2 - at : step;

			stream_send(t.peer.s, bytes_of(in.p + at, n));
			turns(&t);
		}
		CHECK_STR(buf_cstr(&t.ws.got), "HelloHello");
		CHECK(bytes_equal(buf_bytes(&t.peer.got), kit_hex("8a00"))); /* pong */
		two_fini(&t);
	}
}

TEST(websocket_sends_binary)
{
	struct two t;
	uint8_t big[300] = { 7 };

	two_init(&t);
	stream_send(t.ws.s, bytes_str("hi"));
	stream_send(t.ws.s, bytes_of(big, sizeof(big)));
	turns(&t);
	CHECK(bytes_equal(bytes_of(t.peer.got.p, 9), kit_hex("82026869827e012c07")));
	CHECK_INT(t.peer.got.n, 4 + 4 + 300);
	stream_finish(t.ws.s);
	turns(&t);
	CHECK(bytes_equal(bytes_of(t.peer.got.p + 308, 4), kit_hex("880203e8")));
	two_fini(&t);
}

TEST(websocket_refuses_what_it_should)
{
	static const char *const bad[] = {
		"818137fa213d7f", /* text */
		"820548656c6c6f", /* no mask */
		"c28137fa213d7f", /* extension bit */
		"808137fa213d7f", /* continues nothing */
		"8981",           /* see below: long ping */
		"838137fa213d7f", /* unknown */
		"098037fa213d",   /* ping in fragments */
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct two t;

		two_init(&t);
		stream_send(t.peer.s, i == 4 ? kit_hex("89fe007e00000000") : kit_hex(bad[i]));
		turns(&t);
		CHECK_INT(t.ws.closes, 1);
		CHECK(t.ws.why.code == ERR_MALFORMED && t.ws.got.n == 0);
		two_fini(&t);
	}
}

TEST(websocket_close_is_orderly)
{
	struct two t;

	two_init(&t);
	stream_send(t.peer.s, kit_hex("888000000000"));
	turns(&t);
	CHECK(t.ws.closes == 1 && t.ws.why.code == ERR_NONE);
	CHECK(bytes_equal(buf_bytes(&t.peer.got), kit_hex("880203e8")));
	two_fini(&t);
}
