/* The relay on three threads, as its clients see it. */
#include "app/relay/relay_shards.h"

#include "base/log.h"
#include "derp_support.h"

#include "kit/kit.h"

enum { ENDS = 12 };

static const struct log silent;

struct world {
	struct bench b; /* its loop is the main loop, its clients are ours */
	struct relay_shards *shards;
	unsigned idle, reports;
	struct relay_stats stats;
	size_t client_bytes;
	bool deny;
};

static void on_fd(void *arg, int fd, struct addrport peer)
{
	struct world *w = arg;

	relay_shards_accept(w->shards, fd, peer);
}

static void on_verify(void *arg, uint64_t client, const struct key *key, struct addrport from)
{
	struct world *w = arg;

	(void)key;
	(void)from;
	w->b.asks++;
	relay_shards_decide(w->shards, client, !w->deny);
}

static void start(struct world *w, bool tls)
{
	struct tls_server_conf sc = { .self_signed_for = "localhost", .alpn = "http/1.1" };
	struct tls_client_conf cc = { .insecure = true, .alpn = "http/1.1" };
	struct addrport at = { ip_v4(127, 0, 0, 1), 0 };
	struct relay_shards_conf conf = { .count = 3,
					  .log = &silent,
					  .connections = 100,
					  .handshakes = 10,
					  .on_verify = on_verify };
	struct err err;

	*w = (struct world){ 0 };
	bench_init(&w->b);
	conf.main = w->b.loop;
	conf.arg = w;
	memset(conf.derp.private_key.b, 0x77, 32);
	w->shards = relay_shards_create(&conf, &err);
	if (tls) {
		w->b.tls = tls_ctx_server(&sc, &err);
		w->b.client_tls = tls_ctx_client(&cc, &err);
		relay_shards_set_tls(w->shards, w->b.tls);
	}
	CHECK(relay_shards_start(w->shards, &err) == 0);
	w->b.listener = tcp_listen(w->b.loop, at, NULL, w, &err);
	tcp_listener_hand_off(w->b.listener, on_fd);
	w->b.port = tcp_listener_address(w->b.listener).port;
}

static void finish(struct world *w)
{
	relay_shards_close(w->shards);
	bench_fini(&w->b);
	relay_shards_destroy(w->shards);
}

static void open_all(struct world *w, struct end *ends)
{
	for (uint8_t i = 0; i < ENDS; i++) {
		end_open(&ends[i], &w->b, (uint8_t)(i + 1));
		CHECK(turn_until(&w->b, &ends[i].ups, 1));
	}
}

static void on_report(void *arg, const struct relay_report *r)
{
	struct world *w = arg;

	w->reports++;
	w->stats = r->derp.relay;
	w->client_bytes = r->clients.n;
}

static void ask_numbers(struct world *w)
{
	unsigned before = w->reports;

	relay_shards_report(w->shards, true, on_report, w);
	CHECK(turn_until(&w->b, &w->reports, before + 1));
}

static void everyone_to_everyone(bool tls)
{
	struct world w;
	struct end ends[ENDS];

	start(&w, tls);
	open_all(&w, ends);
	/* Who is where has to get around: ask until it has, then each hears from all others. */
	for (int i = 0; i < ENDS; i++)
		for (int tries = 0; tries < 100 && !ends[i].packets; tries++) {
			(void)derp_client_send(ends[(i + 1) % ENDS].client, &ends[i].key,
					       bytes_str("?"));
			turn_for_ms(&w.b, 20);
		}
	turn_for_ms(&w.b, 50);
	for (int i = 0; i < ENDS; i++)
		ends[i].packets = 0;
	for (int i = 0; i < ENDS; i++)
		for (int k = 0; k < ENDS; k++)
			if (i != k)
				CHECK(derp_client_send(ends[i].client, &ends[k].key,
						       bytes_str("hello")));
	for (int i = 0; i < ENDS; i++)
		CHECK(turn_until(&w.b, &ends[i].packets, ENDS - 1));
	ask_numbers(&w);
	CHECK(w.b.asks == ENDS && w.stats.clients == ENDS && w.stats.connections == ENDS);
	CHECK(w.stats.packets_handed_over >= (uint64_t)ENDS * (ENDS - 1) * 2 / 3);
	CHECK(w.client_bytes > (size_t)ENDS * 60);
	/* Who leaves is missed at the other shards. */
	end_fini(&ends[0]);
	for (int i = 1; i < ENDS; i++)
		CHECK(turn_until(&w.b, &ends[i].gone, 1));
	for (int i = 1; i < ENDS; i++)
		end_fini(&ends[i]);
	finish(&w);
}

TEST(relay_shards_carry_between_threads)
{
	everyone_to_everyone(false);
}

TEST(relay_shards_share_a_tls_context)
{
	everyone_to_everyone(true);
}

static void on_idle(void *arg)
{
	((struct world *)arg)->idle++;
}

TEST(relay_shards_recheck_and_drain_everywhere)
{
	struct world w;
	struct end ends[ENDS];

	start(&w, false);
	open_all(&w, ends);
	relay_shards_recheck(w.shards);
	CHECK(turn_until(&w.b, &w.b.asks, 2 * ENDS));
	for (int i = 0; i < ENDS; i++)
		CHECK(ends[i].downs == 0);
	w.deny = true;
	relay_shards_recheck(w.shards);
	for (int i = 0; i < ENDS; i++)
		CHECK(turn_until(&w.b, &ends[i].downs, 1));
	relay_shards_drain(w.shards, 10, on_idle, &w);
	CHECK(turn_until(&w.b, &w.idle, 1));
	for (int i = 0; i < ENDS; i++)
		end_fini(&ends[i]);
	finish(&w);
}

TEST(relay_shards_bulk_fills_the_rings_and_small_packets_pass)
{
	enum { PACKETS = 20000, BYTES = 1200 };
	struct world w;
	struct end ends[ENDS];
	uint8_t pkt[BYTES] = { 4 };

	start(&w, false);
	open_all(&w, ends);
	for (int i = 0; i < PACKETS; i++) {
		(void)derp_client_send(ends[0].client, &ends[1].key, bytes_of(pkt, sizeof(pkt)));
		if (i % 100 == 0)
			loop_turn(w.b.loop, false);
	}
	for (int tries = 0; tries < 100 && !ends[4].packets; tries++) {
		(void)derp_client_send(ends[3].client, &ends[4].key, bytes_str("small"));
		turn_for_ms(&w.b, 20);
	}
	CHECK(ends[4].packets > 0);
	CHECK(turn_until(&w.b, &ends[1].packets, 100));
	/* Ended in the middle of it. */
	for (int i = 0; i < ENDS; i++)
		end_fini(&ends[i]);
	finish(&w);
}
