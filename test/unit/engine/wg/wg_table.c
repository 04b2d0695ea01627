#include "engine/wg/wg_table.h"

#include <stdlib.h>

#include "base/rand.h"
#include "kit/kit.h"

TEST(indices_are_unique_and_do_not_come_back)
{
	enum { N = 2000 };
	struct rng rng = rng_seeded(1);
	struct wg_index x = { 0 };
	uint32_t index[N], again;
	int owner;

	for (int i = 0; i < N; i++) {
		CHECK(wg_index_take(&x, &rng, &owner, &index[i]));
		CHECK(wg_index_find(&x, index[i]) != NULL);
	}
	for (int i = 0; i < N; i++)
		wg_index_release(&x, index[i]);
	CHECK(wg_index_find(&x, index[0]) == NULL);
	wg_index_release(&x, index[0]); /* twice is once */
	for (int i = 0; i < N; i++) {
		CHECK(wg_index_take(&x, &rng, &owner, &again));
		CHECK((again & (WG_SLOT_MAX - 1)) == (index[i] & (WG_SLOT_MAX - 1)));
		CHECK(again != index[i] && wg_index_find(&x, index[i]) == NULL);
	}
	CHECK_INT(x.n, N);
	wg_index_fini(&x);
}

TEST(indices_end_at_the_limit)
{
	struct rng rng = rng_seeded(1);
	struct wg_index x = { 0 };
	uint32_t index = 0;
	int owner, taken = 0;

	while (wg_index_take(&x, &rng, &owner, &index))
		taken++;
	CHECK_INT(taken, WG_SLOT_MAX);
	wg_index_release(&x, index);
	CHECK(wg_index_take(&x, &rng, &owner, &index));
	CHECK(!wg_index_take(&x, &rng, &owner, &index));
	wg_index_fini(&x);
}

TEST(table_finds_only_the_exact_index)
{
	struct wg_table *t = wg_table_create();
	struct wg_session *s = aligned_alloc(_Alignof(struct wg_session), sizeof(*s));
	struct wg_lane *lane = aligned_alloc(_Alignof(struct wg_lane), sizeof(*lane));

	s->local_index = 0xabc00000 | 700;
	CHECK(wg_table_session(t, s->local_index) == NULL);
	wg_table_put_session(t, s->local_index, s);
	CHECK(wg_table_session(t, s->local_index) == s);
	CHECK(wg_table_session(t, s->local_index + 1) == NULL);
	CHECK(wg_table_session(t, 700) == NULL);
	CHECK(wg_table_session(t, UINT32_MAX) == NULL);
	wg_table_put_lane(t, WG_OWNER_MAX - 1, lane);
	CHECK(wg_table_lane(t, WG_OWNER_MAX - 1) == lane);
	CHECK(wg_table_lane(t, WG_OWNER_MAX) == NULL);
	CHECK(wg_table_lane(t, WG_OWNER_NONE) == NULL);
	CHECK(wg_table_lane(t, 3) == NULL);
	free(lane);
	free(s);
	wg_table_destroy(t);
}
