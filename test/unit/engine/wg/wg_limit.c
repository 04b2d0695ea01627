#include "engine/wg/wg_limit.h"

#include "base/rand.h"
#include "kit/kit.h"

static struct mono ms(int64_t n)
{
	return mono_add_ms((struct mono){ 1 }, n);
}

TEST(load_begins_above_the_rate_and_stays_one_second)
{
	struct rng rng = rng_seeded(1);
	struct wg_limit l;
	int i;

	wg_limit_init(&l, 1000, &rng);
	for (i = 0; i < 1000; i++) /* exactly the rate: no load */
		CHECK(!wg_limit_is_loaded(&l, ms(i)));
	for (i = 0; i < 125; i++)
		CHECK(!wg_limit_is_loaded(&l, ms(2000)));
	CHECK(wg_limit_is_loaded(&l, ms(2000)));
	CHECK(wg_limit_is_loaded(&l, ms(2999)));
	CHECK(!wg_limit_is_loaded(&l, ms(3000)));
	l.forced = true;
	CHECK(wg_limit_is_loaded(&l, ms(9000)));
}

TEST(nothing_passes_the_hard_limit)
{
	struct rng rng = rng_seeded(1);
	struct wg_limit l;
	int passed = 0;

	wg_limit_init(&l, 1000, &rng);
	for (uint32_t i = 0; i < 100000; i++) { /* 100 per ms, one second, each from elsewhere */
		struct wg_source from = { .addr = { ip_v4_of(i * 2654435761U), 1 } };

		passed += wg_limit_admit(&l, ms(i / 100), &from);
	}
	CHECK(passed >= 4000 && passed <= 4600);
}

TEST(a_source_gets_twenty_per_second_and_five_at_once)
{
	struct wg_source from = { .addr = { ip_v4(192, 0, 2, 1), 1 } };
	struct rng rng = rng_seeded(1);
	struct wg_limit l;
	int passed = 0;

	wg_limit_init(&l, 1000, &rng);
	for (int i = 0; i < 100; i++)
		passed += wg_limit_admit(&l, ms(0), &from);
	CHECK_INT(passed, 5);
	from.addr.port = 2; /* the port does not count */
	CHECK(!wg_limit_admit(&l, ms(0), &from));
	from.addr.ip.b[3] = 2;
	CHECK(wg_limit_admit(&l, ms(0), &from));
	from.addr.ip.b[3] = 1;
	passed = 0;
	for (int i = 1; i <= 1000; i++)
		passed += wg_limit_admit(&l, ms(i), &from);
	CHECK(passed >= 19 && passed <= 21);
	from.addr.ip.family = 0; /* over a relay: by path */
	CHECK(wg_limit_admit(&l, ms(1001), &from));
}
