#include "io/stream.h"

#include "base/mem.h"
#include "base/rand.h"
#include "kit/kit.h"
#include "support.h"

struct two {
	struct loop *loop;
	struct ear a, b;
};

static void two_init(struct two *t)
{
	struct stream *a, *b;

	t->loop = test_loop();
	stream_pair(t->loop, &a, &b);
	ear_init(&t->a, a);
	ear_init(&t->b, b);
}

static void two_fini(struct two *t)
{
	ear_fini(&t->a);
	ear_fini(&t->b);
	loop_destroy(t->loop);
}

static void turns(struct two *t, unsigned n)
{
	while (n--)
		loop_turn(t->loop, false);
}

TEST(stream_pair_opens_and_carries_both_ways)
{
	struct two t;

	two_init(&t);
	stream_send(t.a.s, bytes_str("ping"));
	stream_send(t.b.s, bytes_str("pong"));
	CHECK_INT(stream_queued(t.a.s), 4);
	CHECK_INT(t.b.got.n, 0); /* not before the turn */
	turns(&t, 1);
	CHECK_INT(t.a.opens, 1);
	CHECK_INT(t.b.opens, 1);
	CHECK_STR(buf_cstr(&t.b.got), "ping");
	CHECK_STR(buf_cstr(&t.a.got), "pong");
	CHECK_INT(stream_queued(t.a.s), 0);
	CHECK(stream_find(t.a.s, "pair") == t.a.s);
	CHECK(stream_find(t.a.s, "tcp") == NULL);
	two_fini(&t);
}

TEST(stream_finish_delivers_all_then_closes_orderly)
{
	struct two t;

	two_init(&t);
	stream_send(t.a.s, bytes_str("last words"));
	stream_finish(t.a.s);
	stream_send(t.a.s, bytes_str("ignored"));
	turns(&t, 2);
	CHECK_STR(buf_cstr(&t.b.got), "last words");
	CHECK_INT(t.b.closes, 1);
	CHECK_INT(t.b.why.code, ERR_NONE);
	CHECK_INT(t.a.closes, 1);
	two_fini(&t);
}

TEST(stream_close_waits_behind_paused_data)
{
	struct two t;

	two_init(&t);
	stream_send(t.a.s, bytes_str("x"));
	stream_pause(t.b.s, true);
	stream_destroy(t.a.s);
	t.a.s = NULL;
	turns(&t, 3);
	CHECK_INT(t.b.got.n, 0);
	CHECK_INT(t.b.closes, 0);
	stream_pause(t.b.s, false);
	turns(&t, 3);
	CHECK_STR(buf_cstr(&t.b.got), "x");
	CHECK_INT(t.b.closes, 1);
	two_fini(&t);
}

TEST(stream_unread_comes_first_also_for_a_new_owner)
{
	struct two t;
	struct ear next;

	two_init(&t);
	stream_send(t.a.s, bytes_str("behind"));
	stream_unread(t.b.s, bytes_str("read too much, "));
	ear_init(&next, t.b.s);
	t.b.s = NULL;
	turns(&t, 2);
	CHECK_STR(buf_cstr(&next.got), "read too much, behind");
	CHECK_INT(t.b.got.n, 0);
	ear_fini(&next);
	two_fini(&t);
}

TEST(stream_without_owner_keeps_everything_until_there_is_one)
{
	struct two t;

	two_init(&t);
	stream_set_up(t.b.s, NULL, NULL);
	stream_send(t.a.s, bytes_str("kept"));
	stream_finish(t.a.s);
	turns(&t, 3);
	CHECK_INT(t.b.closes, 0);
	ear_init(&t.b, t.b.s);
	turns(&t, 2);
	CHECK_STR(buf_cstr(&t.b.got), "kept");
	CHECK_INT(t.b.closes, 1);
	two_fini(&t);
}

TEST(stream_drain_comes_after_the_high_mark)
{
	struct two t;
	uint8_t *data = mem_alloc(STREAM_HIGH + 1);

	two_init(&t);
	stream_pause(t.b.s, true);
	stream_send(t.a.s, bytes_of(data, STREAM_HIGH + 1));
	turns(&t, 2);
	CHECK_INT(t.a.drains, 0);
	stream_pause(t.b.s, false);
	turns(&t, 2);
	CHECK_INT(t.a.drains, 1);
	stream_send(t.a.s, bytes_of(data, STREAM_LOW - 1));
	turns(&t, 2);
	CHECK_INT(t.a.drains, 1); /* never was above low */
	CHECK_INT(t.b.got.n, STREAM_HIGH + STREAM_LOW);
	mem_free(data);
	two_fini(&t);
}

TEST(stream_drain_at_the_mark_of_the_owner)
{
	struct two t;
	uint8_t data[1000] = { 0 };

	two_init(&t);
	stream_set_mark(t.a.s, 500);
	stream_send(t.a.s, bytes_of(data, 499));
	turns(&t, 2);
	CHECK_INT(t.a.drains, 0);
	stream_send(t.a.s, bytes_of(data, 1000));
	turns(&t, 2);
	CHECK_INT(t.a.drains, 1);
	two_fini(&t);
}

TEST(stream_may_be_destroyed_in_each_of_its_callbacks)
{
	for (int which = 0; which < 3; which++) {
		struct two t;

		two_init(&t);
		t.b.destroy_on_open = which == 0;
		t.b.destroy_on_data = which == 1;
		t.b.destroy_on_close = which == 2;
		stream_send(t.a.s, bytes_str("x"));
		stream_send(t.b.s, bytes_str("y"));
		stream_finish(t.a.s);
		turns(&t, 4);
		CHECK(t.b.s == NULL);
		CHECK_INT(t.a.closes, 1);
		CHECK_INT(t.b.closes, which == 2);
		two_fini(&t);
	}
}

/* Random sends, pauses, unreads and owners on both ends: every byte once and in order. */
struct stress {
	struct ear *ear;
	uint64_t sent, checked;
	bool bad;
};

static void check_got(struct stress *st)
{
	uint8_t want[512];
	struct bytes got = buf_bytes(&st->ear->got);

	while (got.n) {
		size_t n = got.n < sizeof(want) ? got.n : sizeof(want);

		fill_pattern(want, n, st->checked);
		st->bad |= memcmp(want, got.p, n) != 0;
		st->checked += n;
		got = bytes_from(got, n);
	}
	buf_clear(&st->ear->got);
}

static void send_some(struct stress *st, size_t n)
{
	uint8_t *data = mem_alloc(n + 1);

	fill_pattern(data, n, st->sent);
	stream_send(st->ear->s, bytes_of(data, n));
	st->sent += n;
	mem_free(data);
}

/* The owner thinks better of what it just got: gives the tail back. */
static void give_back(struct stress *st, struct rng *rng)
{
	size_t n = st->ear->got.n ? rng_below(rng, st->ear->got.n + 1) : 0;
	struct buf *got = &st->ear->got;

	stream_unread(st->ear->s, bytes_of(got->p + got->n - n, n));
	got->n -= n;
}

TEST(stream_stress_with_random_chunks_pauses_and_unreads)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct rng rng = rng_seeded(seed);
		struct two t;
		struct stress st[2];

		two_init(&t);
		st[0] = (struct stress){ .ear = &t.a };
		st[1] = (struct stress){ .ear = &t.b };
		for (int step = 0; step < 400; step++) {
			struct stress *who = &st[rng_below(&rng, 2)];

			switch (rng_below(&rng, 5)) {
			case 0:
				send_some(who, (size_t)rng_below(&rng, 3000));
				break;
			case 1:
				stream_pause(who->ear->s, rng_below(&rng, 2));
				break;
			case 2:
				give_back(who, &rng);
				break;
			default:
				check_got(who);
				loop_turn(t.loop, false);
			}
		}
		stream_pause(t.a.s, false);
		stream_pause(t.b.s, false);
		stream_finish(t.a.s);
		turns(&t, 6);
		check_got(&st[0]);
		check_got(&st[1]);
		CHECK(!st[0].bad && !st[1].bad);
		CHECK_INT(st[1].checked, st[0].sent);
		CHECK_INT(t.b.closes, 1);
		two_fini(&t);
	}
}
