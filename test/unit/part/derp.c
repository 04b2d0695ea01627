/* The relay and its client against each other, over loopback, plain and under TLS. */
#include <stdio.h>
#include <sys/socket.h>

#include "base/json.h"
#include "base/mem.h"
#include "crypto/x25519.h"
#include "derp_support.h"
#include "io/websocket.h"

#include "kit/kit.h"

static void exchange(bool tls, bool no_fast)
{
	struct bench b;
	struct end x, y;
	struct derp_client_conf conf = { .no_fast_start = no_fast, .home = true };
	struct relay_stats st;
	struct key nobody = { { 1 } };
	uint8_t disco[62] = { 0x54, 0x53, 0xf0, 0x9f, 0x92, 0xac };

	bench_init(&b);
	bench_start(&b, tls);
	end_open_conf(&x, &b, 1, conf);
	end_open(&y, &b, 2);
	CHECK(turn_until(&b, &x.ups, 1) && turn_until(&b, &y.ups, 1));
	CHECK(derp_client_was_fast(x.client) == (tls && !no_fast));
	CHECK(key_equal(derp_client_relay_key(x.client), derp_server_key(b.server)));
	y.packets = 0;
	CHECK(derp_client_send(x.client, &y.key, bytes_str("hello")));
	CHECK(turn_until(&b, &y.packets, 1) && key_equal(&y.from, &x.key));
	CHECK_STR(buf_cstr(&y.got), "hello");
	CHECK(derp_client_send(y.client, &x.key, bytes_str("hello yourself")));
	CHECK(turn_until(&b, &x.packets, 1));
	derp_client_ping(x.client, (const uint8_t *)"pingping");
	CHECK(turn_until(&b, &x.pongs, 1));
	CHECK(derp_client_send(y.client, &nobody, bytes_of(disco, sizeof(disco))));
	CHECK(turn_until(&b, &y.gone, 1) && y.why_gone == DERP_GONE_NOT_HERE);
	derp_server_stats(b.server, &st);
	CHECK(st.clients == 2 && st.home == 1);
	end_fini(&x);
	CHECK(turn_until(&b, &y.gone, 2) && y.why_gone == DERP_GONE_DISCONNECTED);
	end_fini(&y);
	bench_fini(&b);
}

TEST(derp_plain)
{
	exchange(false, false);
}

TEST(derp_tls_with_fast_start)
{
	exchange(true, false);
}

TEST(derp_tls_with_upgrade)
{
	exchange(true, true);
}

TEST(derp_largest_packet)
{
	struct bench b;
	struct end x, y;
	uint8_t *big = mem_alloc(DERP_PACKET_MAX + 1);

	for (size_t i = 0; i < DERP_PACKET_MAX; i++)
		big[i] = (uint8_t)(i * 7 + i / 256);
	bench_init(&b);
	bench_start(&b, true);
	end_open(&x, &b, 1);
	end_open(&y, &b, 2);
	CHECK(turn_until(&b, &x.ups, 1) && turn_until(&b, &y.ups, 1));
	CHECK(!derp_client_send(x.client, &y.key, bytes_of(big, DERP_PACKET_MAX + 1)));
	CHECK(derp_client_send(x.client, &y.key, bytes_of(big, DERP_PACKET_MAX)));
	CHECK(turn_until(&b, &y.packets, 1));
	CHECK(bytes_equal(buf_bytes(&y.got), bytes_of(big, DERP_PACKET_MAX)));
	end_fini(&x);
	end_fini(&y);
	bench_fini(&b);
	mem_free(big);
}

TEST(derp_admission_is_closed_by_default)
{
	struct bench b;
	struct end x;

	bench_init(&b);
	b.conf.open = false;
	b.conf.on_verify = NULL;
	bench_start(&b, false);
	end_open(&x, &b, 1);
	CHECK(turn_until(&b, &x.downs, 1));
	CHECK(x.ups == 0 && x.why.code == ERR_REFUSED && strstr(x.why.text, "not admitted"));
	end_fini(&x);
	bench_fini(&b);
}

TEST(derp_admission_may_be_decided_later)
{
	struct bench b;
	struct end x, y;

	bench_init(&b);
	b.conf.open = false;
	bench_start(&b, false);
	end_open(&x, &b, 1);
	CHECK(turn_until(&b, &b.asks, 1));
	/* The node does not wait for ServerInfo; what it sends meanwhile is not lost. */
	CHECK(derp_client_send(x.client, &x.key, bytes_str("to myself")));
	turn_for_ms(&b, 30);
	CHECK(x.ups == 0 && x.packets == 0);
	derp_server_decide(b.server, b.asked, true);
	CHECK(turn_until(&b, &x.ups, 1) && turn_until(&b, &x.packets, 1));
	end_open(&y, &b, 2);
	CHECK(turn_until(&b, &b.asks, 2));
	derp_server_decide(b.server, b.asked, false);
	CHECK(turn_until(&b, &y.downs, 1) && y.ups == 0);
	derp_server_recheck(b.server);
	CHECK(b.asks == 3);
	derp_server_decide(b.server, b.asked, false);
	CHECK(turn_until(&b, &x.downs, 1));
	end_fini(&x);
	end_fini(&y);
	bench_fini(&b);
}

/* A raw connection that says what a test wants it to say. */
struct raw {
	struct stream *s;
	struct buf got;
	unsigned bytes, closes;
};

static void raw_data(void *arg, struct bytes data)
{
	struct raw *r = arg;

	(void)buf_append(&r->got, data);
	r->bytes += (unsigned)data.n;
}

static void raw_close(void *arg, const struct err *why)
{
	struct raw *r = arg;

	(void)why;
	r->closes++;
}

static const struct stream_up raw_up = { .on_data = raw_data, .on_close = raw_close };

static void raw_open(struct raw *r, struct bench *b, const char *text)
{
	struct tcp_conf conf = { .to = { ip_v4(127, 0, 0, 1), b->port } };

	*r = (struct raw){ .s = tcp_connect(b->loop, &conf) };
	buf_init(&r->got, 1 << 20);
	stream_set_up(r->s, &raw_up, r);
	stream_send(r->s, bytes_str(text));
}

static void raw_fini(struct raw *r)
{
	stream_destroy(r->s);
	buf_fini(&r->got);
}

/* Sends text, returns the whole answer of a connection that ends, or what came in 100 ms. */
static void ask(struct bench *b, struct raw *r, const char *text)
{
	raw_open(r, b, text);
	(void)turn_until(b, &r->bytes, 1);
	turn_for_ms(b, 20);
}

TEST(derp_http_face)
{
	static const struct {
		const char *request, *status, *has;
	} cases[] = {
		{ "GET /derp HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 426", "connection upgrade" },
		{ "GET /derp HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: derp\r\n\r\n",
		  "HTTP/1.1 101",
		  "1cf579aba45a10ba1d1ef06d91fca2aa9ed0a1150515653155405d0b18cb9a67" },
		{ "GET /derp HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: "
		  "websocket\r\n\r\n",
		  "HTTP/1.1 101", "DERP" },
		{ "GET /derp HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
		  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: derp\r\n"
		  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
		  "HTTP/1.1 101", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" },
		{ "GET /derp/latency-check HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200", "*" },
		{ "HEAD /derp/probe HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200", "*" },
		{ "POST /derp/probe HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 405", "" },
		{ "GET /generate_204 HTTP/1.1\r\nHost: x\r\nX-Tailscale-Challenge: ab-1\r\n\r\n",
		  "HTTP/1.1 204", "response ab-1" },
		{ "GET /robots.txt HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200", "Disallow: /" },
		{ "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200", "cannot read" },
	};
	struct bench b;
	struct raw r;

	bench_init(&b);
	bench_start(&b, false);
	for (size_t i = 0; i < array_len(cases); i++) {
		ask(&b, &r, cases[i].request);
		CHECK(bytes_has_prefix(buf_bytes(&r.got), cases[i].status));
		CHECK(memmem(r.got.p, r.got.n, cases[i].has, strlen(cases[i].has)) != NULL);
		raw_fini(&r);
	}
	/* a challenge that is none is not echoed */
	ask(&b, &r, "GET /generate_204 HTTP/1.1\r\nHost: x\r\nX-Tailscale-Challenge: a<b\r\n\r\n");
	CHECK(memmem(r.got.p, r.got.n, "response", 8) == NULL);
	raw_fini(&r);
	bench_fini(&b);
}

TEST(derp_fast_start_has_no_http_answer)
{
	struct bench b;
	struct raw r;

	bench_init(&b);
	bench_start(&b, false);
	ask(&b, &r,
	    "GET /derp HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: DERP\r\n"
	    "Derp-Fast-Start: 1\r\n\r\n");
	CHECK(r.got.n == 45 && r.got.p[0] == DERP_SERVER_KEY);
	raw_fini(&r);
	bench_fini(&b);
}

static void on_websocket(void *arg, struct stream *s)
{
	struct raw *r = arg;

	r->s = s;
	stream_set_up(s, &raw_up, r);
}

static void on_no_websocket(void *arg, const struct err *why)
{
	struct raw *r = arg;

	CHECK_STR(why->text, "");
	r->closes++;
}

TEST(derp_over_websocket)
{
	struct bench b;
	struct raw r = { 0 };
	struct tcp_conf to = { 0 };
	struct websocket_conf conf = { .host = "localhost",
				       .path = "/derp",
				       .protocol = "derp",
				       .on_stream = on_websocket,
				       .on_fail = on_no_websocket,
				       .arg = &r };
	struct derp_client_info info = { .version = 2 };
	struct secret32 priv, shared;
	uint8_t frame[512], nonce[BOX_NONCE_LEN] = { 0 };
	struct writer w = writer_of(frame, sizeof(frame));

	bench_init(&b);
	bench_start(&b, false);
	buf_init(&r.got, 1 << 16);
	to.to = (struct addrport){ ip_v4(127, 0, 0, 1), b.port };
	(void)websocket_connect(tcp_connect(b.loop, &to), &conf);
	CHECK(turn_until(&b, &r.bytes, 45));
	CHECK(r.got.n == 45 && r.got.p[0] == DERP_SERVER_KEY);
	memset(priv.b, 5, 32);
	x25519_public(info.key.b, &priv);
	CHECK(box_shared(&shared, &priv, derp_server_key(b.server)->b));
	derp_put_client_info(&w, &info, &shared, nonce);
	stream_send(r.s, bytes_of(frame, 7)); /* message boundaries mean nothing */
	stream_send(r.s, bytes_of(frame + 7, writer_done(&w) - 7));
	CHECK(turn_until(&b, &r.bytes, 45 + 58));
	CHECK(r.got.p[45] == DERP_SERVER_INFO);
	raw_fini(&r);
	bench_fini(&b);
}

TEST(derp_oversize_frame_ends_one_connection_only)
{
	static const uint8_t huge[] = { 4, 0xff, 0xff, 0xff, 0xff };
	struct bench b;
	struct end x;
	struct raw r;

	bench_init(&b);
	bench_start(&b, false);
	end_open(&x, &b, 1);
	CHECK(turn_until(&b, &x.ups, 1));
	ask(&b, &r,
	    "GET /derp HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: DERP\r\n\r\n");
	stream_send(r.s, bytes_of(huge, sizeof(huge)));
	CHECK(turn_until(&b, &r.closes, 1));
	CHECK(derp_client_send(x.client, &x.key, bytes_str("still here")));
	CHECK(turn_until(&b, &x.packets, 1) && x.downs == 0);
	raw_fini(&r);
	end_fini(&x);
	bench_fini(&b);
}

static void put_random_frame(struct buf *out, struct rng *rng, bool honest)
{
	uint8_t type = (uint8_t)rng_below(rng, 0x18), body[200];
	uint32_t n = (uint32_t)rng_below(rng, sizeof(body)), says = n;

	if (!honest && rng_below(rng, 4) == 0)
		says = (uint32_t)rng_below(rng, UINT32_MAX);
	rng->fill(rng, body, n);
	(void)buf_append_u8(out, type);
	for (int shift = 24; shift >= 0; shift -= 8)
		(void)buf_append_u8(out, (uint8_t)(says >> shift));
	(void)buf_append(out, bytes_of(body, n));
}

/* Strangers and admitted clients that send noise: each ends alone, nobody else notices. */
TEST(derp_noise_to_a_live_server_disturbs_nobody)
{
	enum { ROUNDS = 60 };
	struct bench b;
	struct end x, noisy;
	struct relay_stats st;
	struct rng rng = rng_seeded(6);
	struct buf noise;

	bench_init(&b);
	bench_start(&b, false);
	end_open(&x, &b, 1);
	CHECK(turn_until(&b, &x.ups, 1));
	buf_init(&noise, 1 << 20);
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct raw r;

		ask(&b, &r,
		    "GET /derp HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: "
		    "DERP\r\n\r\n");
		end_open(&noisy, &b, 2);
		CHECK(turn_until(&b, &noisy.ups, 1));
		buf_clear(&noise);
		for (unsigned k = 0; k < 20; k++)
			put_random_frame(&noise, &rng, i % 2);
		stream_send(r.s, buf_bytes(&noise));
		derp_client_write(noisy.client, buf_bytes(&noise));
		turn_for_ms(&b, 1);
		CHECK(derp_client_send(x.client, &x.key, bytes_str("still here")));
		CHECK(turn_until(&b, &x.packets, i + 1));
		raw_fini(&r);
		end_fini(&noisy);
	}
	CHECK(x.downs == 0);
	turn_for_ms(&b, 20);
	derp_server_stats(b.server, &st);
	CHECK(st.connections == 1 && st.queued_bytes == 0 && st.flows == 0);
	buf_fini(&noise);
	end_fini(&x);
	bench_fini(&b);
}

/* Connections that begin and never go on: as many as the limit allows, and the rest works. */
TEST(derp_half_open_clients_are_counted_and_bounded)
{
	enum { HALVES = 30, MAX = 20 };
	struct bench b;
	struct end x, y;
	struct raw half[HALVES];
	struct relay_stats st;

	bench_init(&b);
	b.conf.connections_max = MAX;
	bench_start(&b, false);
	end_open(&x, &b, 1);
	end_open(&y, &b, 2);
	CHECK(turn_until(&b, &x.ups, 1) && turn_until(&b, &y.ups, 1));
	for (int i = 0; i < HALVES; i++)
		ask(&b, &half[i],
		    "GET /derp HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: "
		    "DERP\r\n\r\n");
	for (int i = MAX; i < HALVES; i++)
		CHECK(turn_until(&b, &half[i].closes, 1)); /* at once, not after a timeout */
	derp_server_stats(b.server, &st);
	CHECK(st.connections == MAX && st.refused == HALVES + 2 - MAX && st.clients == 2);
	CHECK(derp_client_send(x.client, &y.key, bytes_str("as ever")));
	CHECK(turn_until(&b, &y.packets, 1));
	for (int i = 0; i < HALVES; i++)
		raw_fini(&half[i]);
	end_fini(&x);
	end_fini(&y);
	bench_fini(&b);
}

/* A client that stops reading: the relay queues its budget, others notice nothing. */
TEST(derp_slow_reader_is_bounded)
{
	struct bench b;
	struct end fast, other, slow;
	struct relay_stats st;
	uint8_t data[1400] = { 4 };

	bench_init(&b);
	b.conf.queue_bytes = 128 << 10;
	bench_start(&b, false);
	end_open(&fast, &b, 1);
	end_open(&other, &b, 2);
	end_open(&slow, &b, 3);
	CHECK(turn_until(&b, &fast.ups, 1) && turn_until(&b, &other.ups, 1) &&
	      turn_until(&b, &slow.ups, 1));
	derp_client_hold(slow.client, true);
	for (int i = 0; i < 6000; i++) {
		(void)derp_client_send(fast.client, &slow.key, bytes_of(data, sizeof(data)));
		if (i % 50 == 0)
			turn_for_ms(&b, 0);
	}
	turn_for_ms(&b, 50);
	derp_server_stats(b.server, &st);
	CHECK(st.queued_bytes <= 128 << 10 && st.drops[RELAY_DROP_QUEUE_HEAD] > 0);
	CHECK(derp_client_send(fast.client, &other.key, bytes_str("quick")));
	CHECK(turn_until(&b, &other.packets, 1));
	derp_client_hold(slow.client, false);
	CHECK(turn_until(&b, &slow.packets, 100));
	end_fini(&fast);
	end_fini(&other);
	end_fini(&slow);
	bench_fini(&b);
}

TEST(derp_drain_moves_clients_away)
{
	struct bench b;
	struct end x, late;

	bench_init(&b);
	bench_start(&b, true);
	end_open(&x, &b, 1);
	CHECK(turn_until(&b, &x.ups, 1));
	derp_server_drain(b.server, 50, NULL, NULL);
	CHECK(turn_until(&b, &x.downs, 1));
	CHECK(x.restarts == 1);
	end_open(&late, &b, 2);
	CHECK(turn_until(&b, &late.downs, 1));
	end_fini(&x);
	end_fini(&late);
	bench_fini(&b);
}

TEST(derp_client_says_what_went_wrong)
{
	struct bench b;
	struct end x;
	struct derp_client_conf conf = { .port = 1 };

	bench_init(&b);
	bench_start(&b, false);
	end_open_conf(&x, &b, 1, conf);
	CHECK(turn_until(&b, &x.downs, 1));
	CHECK(strstr(x.why.text, "relay localhost") && strstr(x.why.text, "refused"));
	end_fini(&x);
	/* TLS to a plain port */
	b.client_tls = tls_ctx_client(&(struct tls_client_conf){ .insecure = true }, NULL);
	end_open(&x, &b, 1);
	CHECK(turn_until(&b, &x.downs, 1));
	CHECK(strstr(x.why.text, "TLS") != NULL);
	end_fini(&x);
	bench_fini(&b);
}

TEST(derp_numbers)
{
	struct bench b;
	struct end x;
	struct buf out;
	struct json_out o;

	bench_init(&b);
	bench_start(&b, false);
	end_open(&x, &b, 1);
	CHECK(turn_until(&b, &x.ups, 1));
	buf_init(&out, 1 << 16);
	derp_server_metrics(b.server, &out);
	CHECK(strstr(buf_cstr(&out), "\nweft_relay_clients 1\n") != NULL);
	CHECK(strstr(buf_cstr(&out), "weft_relay_dropped_total{reason=\"queue_head\"} 0\n") !=
	      NULL);
	buf_clear(&out);
	json_out_init(&o, &out);
	derp_server_status(b.server, &o, true);
	CHECK(strstr(buf_cstr(&out), "\"kind\":\"client\",\"from\":\"127.0.0.1:") != NULL);
	buf_fini(&out);
	end_fini(&x);
	bench_fini(&b);
}
