#include "engine/wg/wg_replay.h"

#include <stdlib.h>

#include "base/rand.h"
#include "kit/kit.h"

TEST(each_counter_is_taken_once)
{
	struct wg_replay r = { 0 };

	CHECK(wg_replay_check(&r, 0) && wg_replay_commit(&r, 0));
	CHECK(!wg_replay_check(&r, 0) && !wg_replay_commit(&r, 0));
	CHECK(wg_replay_commit(&r, 1) && wg_replay_commit(&r, 64) && wg_replay_commit(&r, 63));
	CHECK(!wg_replay_commit(&r, 1) && !wg_replay_commit(&r, 63) && !wg_replay_commit(&r, 64));
}

TEST(window_is_8128_counters)
{
	struct wg_replay r = { 0 };
	uint64_t top = 100000;

	CHECK_INT(WG_REPLAY_WINDOW, 8128);
	CHECK(wg_replay_commit(&r, top));
	CHECK(wg_replay_commit(&r, top - 8127));
	CHECK(!wg_replay_commit(&r, top - 8127));
	CHECK(!wg_replay_commit(&r, top - 8128));
	CHECK(!wg_replay_commit(&r, 0));
	CHECK(wg_replay_commit(&r, top + 1));
	CHECK(!wg_replay_check(&r, top - 8127));
}

TEST(a_leap_forgets_the_whole_ring)
{
	struct wg_replay r = { 0 };

	for (uint64_t i = 0; i < 9000; i++)
		CHECK(wg_replay_commit(&r, i));
	CHECK(wg_replay_commit(&r, 9000 + 128 * 64 * 3 + 5));
	for (uint64_t i = 1; i < 8000; i++)
		CHECK(wg_replay_commit(&r, 9000 + 128 * 64 * 3 + 5 - i));
	CHECK(wg_replay_commit(&r, UINT64_MAX - 8192));
	CHECK(!wg_replay_commit(&r, UINT64_MAX - 8192));
}

TEST(agrees_with_a_list_of_everything_seen)
{
	enum { SPAN = 40000 };
	struct rng rng = rng_seeded(11);
	struct wg_replay r = { 0 };
	bool *seen = calloc(SPAN, 1);
	uint64_t base = 0, top = 0;

	for (int i = 0; i < 60000; i++) {
		uint64_t c;

		base += rng_below(&rng, 2);
		c = base + rng_below(&rng, i % 1000 == 0 ? 9000 : 700);
		if (c >= SPAN)
			break;
		CHECK(wg_replay_commit(&r, c) == (!seen[c] && (c > top || top - c < 8128)));
		seen[c] = true;
		top = c > top ? c : top;
	}
	free(seen);
}
