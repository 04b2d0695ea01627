/* A peer that is written out by hand, segment by segment. */
#include "kit/kit.h"

#include "engine/microtcp/microtcp_impl.h"

static const struct addrport here = { { 4, { 100, 100, 100, 100 } }, 53 };
static const struct addrport there = { { 4, { 100, 64, 0, 1 } }, 40000 };

struct world {
	struct microtcp *t;
	struct microtcp_conn *c;
	struct mono now;
	struct buf got;
	bool ended, gone, echo, refuse;
	enum microtcp_end why;
	uint32_t seq, ack; /* the peer's */
	struct segment last;
	uint8_t packet[MICROTCP_PACKET_MAX];
};

static bool on_ask(void *arg, const struct addrport *local, const struct addrport *peer)
{
	struct world *w = arg;

	(void)peer;
	return !w->refuse && local->port == 53;
}

static void *on_open(void *arg, struct microtcp_conn *c)
{
	((struct world *)arg)->c = c;
	return arg;
}

static void on_data(void *owner, struct bytes data)
{
	struct world *w = owner;

	buf_append(&w->got, data);
	if (w->echo)
		microtcp_output(w->c, w->now, data);
}

static void on_end(void *owner)
{
	((struct world *)owner)->ended = true;
}

static void on_gone(void *owner, enum microtcp_end why)
{
	struct world *w = owner;

	w->gone = true;
	w->why = why;
	w->c = NULL;
}

static void world_init(struct world *w)
{
	struct microtcp_conf conf = { .rng = rng_seeded(1),
				      .on_ask = on_ask,
				      .on_open = on_open,
				      .on_data = on_data,
				      .on_end = on_end,
				      .on_gone = on_gone,
				      .arg = w };

	*w = (struct world){ .now = { 1000000000 }, .seq = 5000 };
	buf_init(&w->got, 1 << 22);
	w->t = microtcp_create(&conf);
}

static void world_fini(struct world *w)
{
	microtcp_destroy(w->t);
	buf_fini(&w->got);
}

/* A segment of the peer's. */
static void say(struct world *w, uint8_t flags, const char *text)
{
	struct outgoing o = { .local = &there,
			      .peer = &here,
			      .seq = w->seq,
			      .ack = w->ack,
			      .flags = flags,
			      .window = 1000,
			      .mss = 1200,
			      .scale = true,
			      .data = bytes_str(text) };
	struct bytes b = segment_encode(&o, w->packet);

	CHECK(microtcp_input(w->t, w->now, kit_copy(b)));
}

/* What comes out, as the peer sees it; false: nothing. */
static bool hear(struct world *w)
{
	struct bytes b = microtcp_next_packet(w->t, w->now);

	return b.n && segment_decode(&w->last, kit_copy(b));
}

static void open_it(struct world *w)
{
	say(w, TCP_SYN, "");
	CHECK(hear(w) && w->last.flags == (TCP_SYN | TCP_ACK));
	CHECK(w->last.ack == w->seq + 1 && w->last.mss == 1240 && w->last.scale == 0);
	w->seq++;
	w->ack = w->last.seq + 1;
	say(w, TCP_ACK, "");
	CHECK(w->c && !hear(w));
}

TEST(a_connection_opens_talks_and_ends)
{
	struct world w;

	world_init(&w);
	w.echo = true;
	open_it(&w);
	say(&w, TCP_ACK | TCP_PSH, "hello");
	CHECK(w.got.n == 5);
	CHECK(hear(&w) && bytes_equal_str(w.last.data, "hello") && w.last.ack == w.seq + 5);
	CHECK(!hear(&w)); /* the answer carries the acknowledgement */
	w.seq += 5;
	w.ack += 5;
	say(&w, TCP_ACK | TCP_FIN, "");
	CHECK(w.ended && !w.gone);
	CHECK(hear(&w) && w.last.ack == w.seq + 1 && !w.last.data.n);
	w.seq++;
	microtcp_finish(w.c, w.now);
	CHECK(hear(&w) && w.last.flags & TCP_FIN && w.last.seq == w.ack);
	w.ack++;
	say(&w, TCP_ACK, "");
	CHECK(w.gone && w.why == MICROTCP_CLOSED && microtcp_count(w.t) == 0);
	world_fini(&w);
}

TEST(our_end_comes_first)
{
	struct world w;

	world_init(&w);
	open_it(&w);
	microtcp_output(w.c, w.now, bytes_str("bye"));
	microtcp_finish(w.c, w.now);
	CHECK(hear(&w) && bytes_equal_str(w.last.data, "bye") && w.last.flags & TCP_FIN);
	w.ack += 4;
	say(&w, TCP_ACK, "");
	CHECK(!w.gone);
	say(&w, TCP_ACK | TCP_FIN, "");
	CHECK(w.gone && w.why == MICROTCP_CLOSED);
	CHECK(hear(&w) && w.last.ack == w.seq + 1);
	CHECK_INT(microtcp_count(w.t), 1); /* waits for what may still be on the way */
	w.now = microtcp_deadline(w.t);
	microtcp_tick(w.t, w.now);
	CHECK_INT(microtcp_count(w.t), 0);
	world_fini(&w);
}

TEST(nobody_listens)
{
	struct world w;

	world_init(&w);
	w.refuse = true;
	say(&w, TCP_SYN, "");
	CHECK(hear(&w) && w.last.flags == (TCP_RST | TCP_ACK) && w.last.ack == w.seq + 1);
	w.ack = 77;
	say(&w, TCP_ACK, "x");
	CHECK(hear(&w) && w.last.flags == TCP_RST && w.last.seq == 77);
	say(&w, TCP_RST, "");
	CHECK(!hear(&w) && microtcp_count(w.t) == 0);
	world_fini(&w);
}

TEST(what_is_lost_is_sent_again)
{
	struct world w;
	unsigned tries = 0;

	world_init(&w);
	open_it(&w);
	microtcp_output(w.c, w.now, bytes_str("lost"));
	CHECK(hear(&w) && !hear(&w));
	w.now = microtcp_deadline(w.t);
	microtcp_tick(w.t, w.now);
	CHECK(hear(&w) && bytes_equal_str(w.last.data, "lost"));
	while (!w.gone && tries++ < 100) {
		w.now = microtcp_deadline(w.t);
		microtcp_tick(w.t, w.now);
		while (hear(&w))
			;
	}
	CHECK(w.gone && w.why == MICROTCP_TIMEOUT);
	CHECK(w.last.flags & TCP_RST);
	CHECK_INT(tries, MICROTCP_RETRIES_MAX);
	world_fini(&w);
}

TEST(order_and_windows_are_kept)
{
	struct world w;

	world_init(&w);
	open_it(&w);
	w.seq += 3;
	say(&w, TCP_ACK, "def");
	CHECK(w.got.n == 0 && hear(&w) && w.last.ack == w.seq - 3);
	w.seq -= 3;
	say(&w, TCP_ACK, "abcdef");
	CHECK(w.got.n == 6 && hear(&w));
	say(&w, TCP_ACK, "abcdefgh"); /* the first six again */
	CHECK(bytes_equal_str(buf_bytes(&w.got), "abcdefgh") && hear(&w));
	w.seq += 8;
	microtcp_pause(w.c);
	say(&w, TCP_ACK | TCP_FIN, "held");
	CHECK(w.got.n == 8 && !w.ended);
	CHECK(hear(&w) && w.last.window == MICROTCP_RECEIVE_BYTES - 4);
	microtcp_resume(w.c);
	CHECK(w.got.n == 12 && w.ended);
	CHECK(hear(&w) && w.last.window == MICROTCP_RECEIVE_BYTES);
	world_fini(&w);
}

TEST(the_peers_window_holds_us_back)
{
	static char text[3001];
	struct world w;

	world_init(&w);
	memset(text, 'x', sizeof(text) - 1);
	open_it(&w); /* a window of 1000 */
	microtcp_output(w.c, w.now, bytes_str(text));
	CHECK(hear(&w) && w.last.data.n == 1000 && !hear(&w));
	w.ack += 1000;
	say(&w, TCP_ACK, "");
	CHECK(hear(&w) && w.last.data.n == 1000 && !hear(&w));
	world_fini(&w);
}

TEST(three_equal_acknowledgements_ask_for_the_missing_one)
{
	static char text[801];
	struct world w;

	world_init(&w);
	memset(text, 'x', sizeof(text) - 1);
	open_it(&w);
	for (int i = 0; i < 4; i++) {
		microtcp_output(w.c, w.now, bytes_of(text, 200));
		CHECK(hear(&w) && w.last.data.n == 200);
	}
	for (int i = 0; i < 3; i++) {
		CHECK(!hear(&w));
		say(&w, TCP_ACK, "");
	}
	CHECK(hear(&w) && w.last.seq == w.ack && w.last.data.n == 800);
	world_fini(&w);
}

TEST(only_the_exact_reset_counts)
{
	struct world w;

	world_init(&w);
	open_it(&w);
	w.seq += 10;
	say(&w, TCP_RST, "");
	CHECK(!w.gone && hear(&w) && w.last.flags == TCP_ACK);
	w.seq += 100000;
	say(&w, TCP_RST, "");
	CHECK(!w.gone && !hear(&w));
	w.seq -= 100010;
	say(&w, TCP_SYN, ""); /* a new one in the middle of it: asked back */
	CHECK(!w.gone && hear(&w) && w.last.flags == TCP_ACK);
	say(&w, TCP_RST, "");
	CHECK(w.gone && w.why == MICROTCP_RESET && microtcp_count(w.t) == 0);
	world_fini(&w);
}

TEST(strangers_have_limits)
{
	struct world w;
	uint8_t packet[MICROTCP_PACKET_MAX];

	world_init(&w);
	for (unsigned i = 0; i < MICROTCP_CONNS_MAX + 200; i++) {
		struct addrport from = { ip_v4(100, 64, 1, (uint8_t)(i / 100)),
					 (uint16_t)(1000 + i) };
		struct outgoing o = { .local = &from, .peer = &here, .flags = TCP_SYN };

		CHECK(microtcp_input(w.t, w.now, segment_encode(&o, packet)));
	}
	CHECK_INT(microtcp_count(w.t), MICROTCP_CONNS_MAX);
	CHECK_INT(microtcp_counters(w.t)->limited, 200);
	for (int i = 0; i < 10; i++) { /* half open ones go by themselves */
		w.now = mono_add_s(w.now, 30);
		microtcp_tick(w.t, w.now);
		while (hear(&w))
			;
	}
	CHECK_INT(microtcp_count(w.t), 0);
	for (unsigned i = 0; i < MICROTCP_SOURCE_MAX + 1; i++) {
		struct addrport from = { there.ip, (uint16_t)(1000 + i) };
		struct outgoing o = { .local = &from, .peer = &here, .flags = TCP_SYN };

		CHECK(microtcp_input(w.t, w.now, segment_encode(&o, packet)));
	}
	CHECK_INT(microtcp_count(w.t), MICROTCP_SOURCE_MAX);
	world_fini(&w);
}

TEST(cut_and_spoiled_segments_are_dropped)
{
	struct outgoing o = { .local = &there, .peer = &here, .flags = TCP_SYN, .scale = true };
	uint8_t packet[MICROTCP_PACKET_MAX];
	struct bytes b = segment_encode(&o, packet);
	struct world w;

	world_init(&w);
	for (size_t n = 0; n < b.n; n++)
		CHECK(!microtcp_input(w.t, w.now, kit_copy(bytes_of(b.p, n))));
	packet[30] ^= 1;
	CHECK(!microtcp_input(w.t, w.now, kit_copy(b)));
	CHECK_INT(microtcp_counters(w.t)->dropped_malformed, b.n + 1);
	world_fini(&w);
}

/* Both directions lose every eighth packet at random; all bytes arrive all the same. */
TEST(bulk_over_a_bad_link)
{
	enum { TOTAL = 200000 };
	struct rng rng = rng_seeded(7);
	struct buf want;
	struct world w;
	uint32_t first;
	size_t got = 0;

	world_init(&w);
	open_it(&w);
	first = w.ack;
	buf_init(&want, TOTAL);
	for (unsigned i = 0; i < TOTAL; i++)
		buf_append_u8(&want, (uint8_t)(i * 7 + i / 251));
	microtcp_output(w.c, w.now, buf_bytes(&want));
	for (int turn = 0; turn < 200000 && got < TOTAL; turn++) {
		if (!hear(&w)) {
			w.now = microtcp_deadline(w.t);
			microtcp_tick(w.t, w.now);
			continue;
		}
		w.now = mono_add_ms(w.now, 1);
		if (rng_below(&rng, 8) == 0)
			continue;
		if (w.last.seq == first + got) {
			CHECK(!memcmp(want.p + got, w.last.data.p, w.last.data.n));
			got += w.last.data.n;
			w.ack = first + (uint32_t)got;
		}
		if (rng_below(&rng, 8))
			say(&w, TCP_ACK, "");
	}
	CHECK_INT(got, TOTAL);
	buf_fini(&want);
	world_fini(&w);
}
