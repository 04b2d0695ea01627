#include "engine/filter/filter_axis.h"

#include "base/rand.h"
#include "kit/kit.h"

enum { RANGES = 200 };

static struct ip random_ip(struct rng *rng)
{
	if (rng_below(rng, 2))
		return (struct ip){ 6, { [15] = (uint8_t)rng_below(rng, 256) } };
	/* few addresses, some at the very end of the family */
	return ip_v4_of(rng_below(rng, 4) ? (uint32_t)rng_below(rng, 256)
					  : UINT32_MAX - (uint32_t)rng_below(rng, 4));
}

TEST(axis_agrees_with_looking_at_every_range)
{
	static struct axis_range ranges[RANGES], sorted[RANGES];
	struct rng rng = rng_seeded(11);

	for (int round = 0; round < 20; round++) {
		struct axis axis;
		struct err *none = NULL;

		for (uint32_t i = 0; i < RANGES; i++) {
			struct ip a = random_ip(&rng), b = random_ip(&rng);

			if (a.family != b.family)
				b = a;
			if (ip_compare(a, b) > 0) {
				struct ip swap = a;

				a = b;
				b = swap;
			}
			if (rng_below(&rng, 20) == 0) {
				a = ip_v4_of(0);
				b = ip_v4_of(UINT32_MAX);
			}
			ranges[i] = (struct axis_range){ { a, b }, (uint32_t)rng_below(&rng, 50) };
		}
		memcpy(sorted, ranges, sizeof(sorted));
		CHECK(axis_build(&axis, sorted, RANGES, none) == 0);
		for (int probe = 0; probe < 500; probe++) {
			struct ip ip = random_ip(&rng);
			struct axis_ids some = axis_lookup(&axis, ip), any = axis_any(&axis, ip);

			for (uint32_t id = 0; id < 50; id++) {
				bool want = false;

				for (uint32_t i = 0; i < RANGES; i++)
					want |= ranges[i].id == id &&
						range_contains(ranges[i].range, ip);
				CHECK((axis_has(some, id) || axis_has(any, id)) == want);
			}
		}
		axis_fini(&axis);
	}
}

TEST(an_empty_axis_holds_nothing)
{
	struct axis axis;

	CHECK(axis_build(&axis, NULL, 0, NULL) == 0);
	CHECK(axis_lookup(&axis, ip_v4(1, 2, 3, 4)).n == 0 &&
	      axis_any(&axis, ip_v4(1, 2, 3, 4)).n == 0);
	axis_fini(&axis);
}
