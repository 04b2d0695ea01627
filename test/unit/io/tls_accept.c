#include "io/tls_accept.h"

#include "io/tcp.h"
#include "io/tls.h"
#include "kit/kit.h"
#include "support.h"

struct bench {
	struct loop *loop;
	struct tls_accept *accept;
	struct tls_ctx *client;
	unsigned opened;
	struct stream *streams[16];
};

static void on_stream(void *arg, struct stream *s, struct addrport peer)
{
	struct bench *b = arg;

	CHECK(peer.port == 7);
	b->streams[b->opened++] = s;
}

static void bench_init(struct bench *b, size_t running, size_t waiting)
{
	struct tls_server_conf sc = { .self_signed_for = "localhost" };
	struct tls_client_conf cc = { .insecure = true };
	struct tls_accept_conf conf = { .running_max = running,
					.waiting_max = waiting,
					.handshake_ms = 100,
					.waiting_ms = 300,
					.on_stream = on_stream,
					.arg = b };

	*b = (struct bench){ .loop = test_loop() };
	b->client = tls_ctx_client(&cc, NULL);
	conf.ctx = tls_ctx_server(&sc, NULL);
	b->accept = tls_accept_create(b->loop, &conf);
	tls_ctx_unref(conf.ctx);
}

static void bench_fini(struct bench *b)
{
	for (unsigned i = 0; i < b->opened; i++)
		stream_destroy(b->streams[i]);
	tls_accept_destroy(b->accept);
	tls_ctx_unref(b->client);
	loop_destroy(b->loop);
}

/* The far end of a connection that was just accepted. */
static struct stream *come(struct bench *b)
{
	struct stream *near, *far;

	stream_pair(b->loop, &near, &far);
	tls_accept_add(b->accept, near, (struct addrport){ ip_v4(192, 0, 2, 1), 7 });
	return far;
}

TEST(tls_accept_serves_all_in_turns)
{
	struct bench b;
	struct ear ears[8];
	struct tls_accept_stats st;

	bench_init(&b, 2, 100);
	for (int i = 0; i < 8; i++)
		ear_init(&ears[i], tls_client(come(&b), b.client, "localhost"));
	tls_accept_stats(b.accept, &st);
	CHECK(st.running == 2 && st.waiting == 6);
	CHECK(turn_until(b.loop, &b.opened, 8));
	tls_accept_stats(b.accept, &st);
	CHECK(st.done == 8 && st.running == 0 && st.waiting == 0 && st.waiting_peak == 6);
	for (int i = 0; i < 8; i++)
		ear_fini(&ears[i]);
	bench_fini(&b);
}

TEST(tls_accept_sends_the_overflow_away_and_gives_up_on_the_silent)
{
	struct bench b;
	struct ear ears[5];
	struct tls_accept_stats st;

	bench_init(&b, 1, 2);
	for (int i = 0; i < 5; i++)
		ear_init(&ears[i], come(&b)); /* say nothing */
	tls_accept_stats(b.accept, &st);
	CHECK(st.running == 1 && st.waiting == 2 && st.refused == 2);
	for (int i = 0; i < 3; i++)
		CHECK(turn_until(b.loop, &ears[i].closes, 1));
	tls_accept_stats(b.accept, &st);
	CHECK(st.timeouts == 3 && st.running == 0 && st.waiting == 0);
	for (int i = 0; i < 5; i++)
		ear_fini(&ears[i]);
	bench_fini(&b);
}

static void on_fd(void *arg, int fd, struct addrport peer)
{
	struct bench *b = arg;

	peer.port = 7;
	tls_accept_add_fd(b->accept, fd, peer);
}

TEST(tls_accept_takes_descriptors_and_closes_those_too_many)
{
	enum { ENDS = 6 };
	struct addrport at = { ip_v4(127, 0, 0, 1), 0 };
	struct bench b;
	struct ear ears[ENDS];
	struct tls_accept_stats st;
	struct tcp_listener *l;
	struct err err;

	bench_init(&b, 1, 3);
	l = tcp_listen(b.loop, at, NULL, &b, &err);
	tcp_listener_hand_off(l, on_fd);
	for (int i = 0; i < ENDS; i++) {
		struct tcp_conf conf = { .to = tcp_listener_address(l) };
		struct stream *tcp = tcp_connect(b.loop, &conf);

		ear_init(&ears[i], i < 3 ? tls_client(tcp, b.client, "localhost") : tcp);
	}
	do {
		loop_turn(b.loop, true);
		tls_accept_stats(b.accept, &st);
	} while (st.done + st.failed + st.timeouts + st.refused < ENDS);
	CHECK(st.done >= 1 && st.running == 0 && st.waiting == 0 && st.waiting_peak <= 3);
	for (int i = 0; i < ENDS; i++)
		ear_fini(&ears[i]);
	tcp_listener_destroy(l);
	bench_fini(&b);
}
