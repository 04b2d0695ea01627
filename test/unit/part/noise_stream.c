#include "part/noise_stream.h"

#include "base/err.h"
#include "base/rand.h"
#include "crypto/x25519.h"
#include "engine/ts2021/ts2021.h"
#include "io/loop.h"
#include "io/stream.h"
#include "kit/kit.h"

struct end {
	struct stream *s;
	struct buf got, early;
	bool open, closed, destroy_on_data;
	struct err why;
};

static void on_open(void *arg)
{
	((struct end *)arg)->open = true;
}

static void on_data(void *arg, struct bytes data)
{
	struct end *e = arg;

	(void)buf_append(&e->got, data);
	if (e->destroy_on_data) {
		stream_destroy(e->s);
		e->s = NULL;
	}
}

static void on_close(void *arg, const struct err *why)
{
	struct end *e = arg;

	e->closed = true;
	e->why = *why;
}

static void on_early(void *arg, struct bytes json)
{
	(void)buf_append(&((struct end *)arg)->early, json);
}

static const struct stream_up up = { .on_open = on_open, .on_data = on_data, .on_close = on_close };

struct bench {
	struct loop *loop;
	struct end node, server;
};

static void end_init(struct end *e)
{
	*e = (struct end){ 0 };
	buf_init(&e->got, 1 << 24);
	buf_init(&e->early, 1 << 16);
}

static void turns(struct bench *b)
{
	for (int i = 0; i < 50; i++)
		loop_turn(b->loop, false);
}

static void bench_init(struct bench *b, const char *early)
{
	struct rng rng = rng_seeded(7);
	struct secret32 node_key, server_key;
	struct stream *a, *z;
	struct ts2021 *c, *s;
	struct key pub;

	b->loop = loop_create(NULL);
	end_init(&b->node);
	end_init(&b->server);
	x25519_generate(&node_key, &rng);
	x25519_generate(&server_key, &rng);
	x25519_public(pub.b, &server_key);
	c = ts2021_create_client(&node_key, &pub, 145, loop_now(b->loop), &rng, NULL);
	s = ts2021_create_server(&server_key, bytes_of(ts2021_initiation(c), TS2021_INITIATION_LEN),
				 &rng, NULL);
	stream_pair(b->loop, &a, &z);
	b->node.s = noise_stream_client(a, c, on_early, &b->node);
	b->server.s = noise_stream_server(z, s, bytes_str(early));
	stream_set_up(b->node.s, &up, &b->node);
	stream_set_up(b->server.s, &up, &b->server);
	turns(b);
}

static void bench_fini(struct bench *b)
{
	stream_destroy(b->node.s);
	stream_destroy(b->server.s);
	turns(b);
	loop_destroy(b->loop);
	buf_fini(&b->node.got);
	buf_fini(&b->node.early);
	buf_fini(&b->server.got);
	buf_fini(&b->server.early);
}

TEST(both_ways_with_early_payload)
{
	struct bench b;

	bench_init(&b, "{\"nodeKeyChallenge\":\"chalpub:x\"}");
	CHECK(b.node.open && b.server.open);
	CHECK_STR(buf_cstr(&b.node.early), "{\"nodeKeyChallenge\":\"chalpub:x\"}");
	stream_send(b.node.s, bytes_str("ping"));
	stream_send(b.server.s, bytes_str("a longer answer"));
	turns(&b);
	CHECK_STR(buf_cstr(&b.server.got), "ping");
	CHECK_STR(buf_cstr(&b.node.got), "a longer answer");
	CHECK(noise_stream_channel(b.server.s) &&
	      ts2021_version(noise_stream_channel(b.server.s)) == 145);
	bench_fini(&b);
}

TEST(without_early_payload_nothing_is_lost)
{
	struct bench b;

	bench_init(&b, "");
	stream_send(b.server.s, kit_hex("000000040000000000"));
	turns(&b);
	CHECK(!b.node.early.n);
	CHECK(bytes_equal(buf_bytes(&b.node.got), kit_hex("000000040000000000")));
	bench_fini(&b);
}

TEST(a_megabyte_arrives)
{
	uint8_t block[4096];
	struct bench b;

	memset(block, 'x', sizeof(block));
	bench_init(&b, "{}");
	for (int i = 0; i < 256; i++)
		stream_send(b.node.s, bytes_of(block, sizeof(block)));
	for (int i = 0; i < 200; i++)
		turns(&b);
	CHECK_INT(b.server.got.n, 256 * sizeof(block));
	bench_fini(&b);
}

TEST(orderly_end_goes_up)
{
	struct bench b;

	bench_init(&b, "{}");
	stream_finish(b.server.s);
	turns(&b);
	CHECK(b.node.closed && b.node.why.code == ERR_NONE);
	bench_fini(&b);
}

TEST(destroy_inside_on_data)
{
	struct bench b;

	bench_init(&b, "{}");
	b.server.destroy_on_data = true;
	stream_send(b.node.s, bytes_str("one"));
	stream_send(b.node.s, bytes_str("two"));
	turns(&b);
	CHECK(!b.server.s && b.server.got.n >= 3);
	bench_fini(&b);
}
