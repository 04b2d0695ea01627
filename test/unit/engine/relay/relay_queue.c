#include "engine/relay/relay_queue.h"

#include "kit/kit.h"

static struct mono now = { 1000000000 };

struct world {
	struct relay_flows fs;
	struct relay_queue q;
	uint64_t drops[RELAY_DROP_COUNT];
	struct buf out;
};

static void setup(struct world *w, size_t queue_max)
{
	*w = (struct world){ 0 };
	relay_flows_init(&w->fs, NULL);
	w->fs.queue_max = queue_max;
	w->fs.bytes_max = 1 << 20;
	w->fs.max_age_ms = 1000;
	w->fs.drops = w->drops;
	relay_queue_init(&w->q, 1);
	buf_init(&w->out, 1 << 20);
}

static void teardown(struct world *w)
{
	relay_queue_clear(&w->fs, &w->q, RELAY_DROP_GONE);
	CHECK(w->fs.bytes == 0 && w->fs.by_id.n == 0 && w->q.flows == 0);
	relay_flows_fini(&w->fs);
	buf_fini(&w->out);
}

static bool push(struct world *w, uint8_t src, uint8_t mark, size_t n)
{
	static const uint8_t zeros[70000];
	struct key k = { { src } };
	struct buf b;
	bool ok;

	buf_init(&b, 70000);
	(void)buf_append(&b, bytes_of(zeros, n));
	b.p[0] = 4; /* WireGuard data */
	b.p[1] = mark;
	ok =
	    relay_queue_push(&w->fs, &w->q, now,
			     &(struct relay_envelope){ DERP_RECV_PACKET, &k, NULL }, buf_bytes(&b));
	buf_fini(&b);
	return ok;
}

/* Source and mark of the next frame, -1 when there is none. */
static int pop(struct world *w, uint8_t *mark)
{
	buf_clear(&w->out);
	if (!relay_queue_pop(&w->fs, &w->q, now, &w->out))
		return -1;
	*mark = w->out.p[DERP_HEADER_LEN + DERP_KEY_LEN + 1];
	return w->out.p[DERP_HEADER_LEN];
}

TEST(queue_keeps_order_within_a_flow)
{
	struct world w;
	uint8_t mark;

	setup(&w, 1 << 20);
	for (uint8_t i = 0; i < 100; i++)
		CHECK(push(&w, 1, i, 1400));
	for (uint8_t i = 0; i < 100; i++)
		CHECK(pop(&w, &mark) == 1 && mark == i);
	CHECK(pop(&w, &mark) == -1);
	CHECK(w.fs.by_id.n == 0); /* nothing stays behind an idle destination */
	teardown(&w);
}

TEST(queue_lets_a_ping_pass_a_bulk_flow)
{
	struct world w;
	uint8_t mark;

	setup(&w, 1 << 20);
	for (uint8_t i = 0; i < 200; i++)
		(void)push(&w, 1, i, 1400);
	for (int i = 0; i < 20; i++)
		CHECK(pop(&w, &mark) == 1);
	CHECK(push(&w, 2, 0, 60));
	CHECK(pop(&w, &mark) == 2); /* at once: no bulk frame in between */
	teardown(&w);
}

/* Ten bulk flows: two full-size frames (a quantum and one frame) of each at most. */
TEST(queue_bounds_the_wait_behind_many_bulk_flows)
{
	struct world w;
	uint8_t mark;
	int wait = 0, worst = 0;

	setup(&w, 1 << 20);
	for (int i = 0; i < 40; i++)
		for (uint8_t src = 1; src <= 10; src++)
			(void)push(&w, src, 0, 1400);
	for (int round = 0; round < 10; round++) {
		CHECK(push(&w, 99, 0, 60));
		wait = 0;
		while (pop(&w, &mark) != 99)
			wait++;
		if (wait > worst)
			worst = wait;
		(void)pop(&w, &mark);
	}
	CHECK(worst <= 20);
	teardown(&w);
}

TEST(queue_shares_evenly_whatever_the_sizes)
{
	struct world w;
	uint8_t mark;
	size_t got[3] = { 0 };

	setup(&w, 1 << 20);
	for (int i = 0; i < 300; i++) {
		(void)push(&w, 1, 0, 1400);
		(void)push(&w, 2, 0, 300);
	}
	for (int i = 0; i < 200; i++) {
		int src = pop(&w, &mark);

		if (src > 0)
			got[src] += w.out.n;
	}
	CHECK(got[1] > 40000 && got[2] > 40000);
	CHECK(got[1] < got[2] + 6000 && got[2] < got[1] + 6000);
	teardown(&w);
}

TEST(queue_full_drops_the_oldest_of_the_longest_flow)
{
	struct world w;
	uint8_t mark;
	int sparse = 0, bulk = 0, src;

	setup(&w, 64 << 10);
	for (uint8_t i = 0; i < 5; i++)
		CHECK(push(&w, 2, i, 100));
	for (int i = 0; i < 200; i++) {
		CHECK(push(&w, 1, (uint8_t)i, 1400));
		CHECK(w.q.bytes <= 64 << 10);
	}
	CHECK(w.drops[RELAY_DROP_QUEUE_HEAD] > 100);
	while ((src = pop(&w, &mark)) != -1) {
		sparse += src == 2;
		bulk += src == 1;
	}
	CHECK_INT(sparse, 5);
	CHECK(bulk > 40 && mark == 199); /* the newest survived */
	CHECK_INT(bulk + (int)w.drops[RELAY_DROP_QUEUE_HEAD], 200);
	CHECK_INT(w.q.drops, w.drops[RELAY_DROP_QUEUE_HEAD]);
	teardown(&w);
}

TEST(queue_holds_the_largest_packet_and_no_larger_one)
{
	struct world w;
	uint8_t mark;

	setup(&w, DERP_HEADER_LEN + DERP_KEY_LEN + DERP_PACKET_MAX);
	CHECK(push(&w, 1, 7, DERP_PACKET_MAX));
	CHECK(pop(&w, &mark) == 1 && mark == 7);
	teardown(&w);
	setup(&w, 1000);
	CHECK(!push(&w, 1, 7, 2000));
	CHECK_INT(w.drops[RELAY_DROP_QUEUE_TAIL], 1);
	teardown(&w);
}

TEST(queue_common_budget)
{
	struct world w;
	struct relay_queue other;
	struct key k = { { 9 } };

	setup(&w, 1 << 20);
	relay_queue_init(&other, 2);
	w.fs.bytes_max = 10000;
	for (int i = 0; i < 20; i++)
		(void)push(&w, 1, 0, 1400);
	CHECK(w.fs.bytes <= 10000 && w.drops[RELAY_DROP_MEMORY] > 0);
	CHECK(!relay_queue_push(&w.fs, &other, now,
				&(struct relay_envelope){ DERP_RECV_PACKET, &k, NULL },
				bytes_of(w.out.p, 0)) ||
	      w.fs.bytes <= 10000);
	relay_queue_clear(&w.fs, &other, RELAY_DROP_GONE);
	teardown(&w);
}

TEST(queue_throws_dead_letters_away)
{
	struct world w;
	uint8_t mark;

	setup(&w, 1 << 20);
	CHECK(push(&w, 1, 1, 100));
	now = mono_add_ms(now, 1500);
	CHECK(push(&w, 1, 2, 100));
	CHECK(pop(&w, &mark) == 1 && mark == 2);
	CHECK_INT(w.drops[RELAY_DROP_QUEUE_OLD], 1);
	teardown(&w);
}

TEST(queue_discovery_passes_data_of_the_same_source)
{
	struct world w;
	uint8_t mark, disco[62] = { 0x54, 0x53, 0xf0, 0x9f, 0x92, 0xac }, init[148] = { 1 };
	struct key k = { { 1 } };

	setup(&w, 1 << 20);
	for (int i = 0; i < 50; i++)
		(void)push(&w, 1, 0, 1400);
	(void)pop(&w, &mark);
	CHECK(relay_queue_push(&w.fs, &w.q, now,
			       &(struct relay_envelope){ DERP_RECV_PACKET, &k, NULL },
			       bytes_of(disco, sizeof(disco))));
	CHECK(relay_queue_push(&w.fs, &w.q, now,
			       &(struct relay_envelope){ DERP_RECV_PACKET, &k, NULL },
			       bytes_of(init, sizeof(init))));
	(void)pop(&w, &mark);
	CHECK(w.out.n == 5 + 32 + 62);
	(void)pop(&w, &mark);
	CHECK(w.out.n == 5 + 32 + 148);
	teardown(&w);
}

/* What is sent drains at 10 packets in 10 ms; `rate` come in that time. Returns the last delay. */
static int64_t slow_link(struct world *w, int rate, int seconds)
{
	size_t in = 0;
	int64_t delay = 0;

	for (int t = 0; t < seconds * 100; t++) {
		for (int i = 0; i < rate; i++) {
			(void)push(w, 1, 0, 1400);
			in++;
		}
		now = mono_add_ms(now, 10);
		for (int i = 0; i < 10; i++) {
			uint8_t mark;

			if (pop(w, &mark) == -1)
				break;
		}
		delay = (int64_t)w->q.bytes / 1437; /* packets in front of a new one: 1 ms each */
	}
	return in ? delay : -1;
}

TEST(queue_keeps_the_delay_of_a_steady_sender_low)
{
	struct world w;
	uint64_t before;

	setup(&w, 512 << 10);
	/* A burst of 300 ms that the link then just keeps up with: it would stand there for ever.
	 */
	for (int i = 0; i < 300; i++)
		(void)push(&w, 1, 0, 1400);
	CHECK(slow_link(&w, 10, 30) < 40);
	CHECK(w.drops[RELAY_DROP_QUEUE_DELAY] > 100 && w.drops[RELAY_DROP_QUEUE_DELAY] < 400);
	CHECK_INT(w.drops[RELAY_DROP_QUEUE_HEAD] + w.drops[RELAY_DROP_QUEUE_OLD], 0);
	/* Once the queue is short nothing more is lost. */
	(void)slow_link(&w, 9, 5);
	before = w.drops[RELAY_DROP_QUEUE_DELAY];
	CHECK(slow_link(&w, 9, 10) <= 2);
	CHECK_INT(w.drops[RELAY_DROP_QUEUE_DELAY], before);
	teardown(&w);
}

TEST(queue_lets_short_bursts_pass)
{
	struct world w;
	uint8_t mark;
	int n = 0;

	setup(&w, 512 << 10);
	for (int i = 0; i < 200; i++)
		(void)push(&w, 1, 0, 1400);
	for (int i = 0; i < 90; i++) { /* 90 ms: shorter than the interval */
		now = mono_add_ms(now, 1);
		n += pop(&w, &mark) == 1;
		n += pop(&w, &mark) == 1;
		n += pop(&w, &mark) == 1;
	}
	CHECK_INT(n, 200);
	CHECK_INT(w.drops[RELAY_DROP_QUEUE_DELAY], 0);
	teardown(&w);
}
