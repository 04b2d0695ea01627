#include "base/ring.h"

#include "base/rand.h"

#include "kit/kit.h"

TEST(ring_keeps_order_and_content_over_its_end)
{
	struct ring r;
	struct rng rng = rng_seeded(3);
	uint64_t put = 0, got = 0;

	ring_init(&r, 4096);
	for (int i = 0; i < 20000; i++) {
		size_t n = rng_below(&rng, 700), have;
		uint8_t *p = ring_reserve(&r, n);

		if (p && rng_below(&rng, 3)) {
			memset(p, (int)(put & 0xff), n);
			ring_commit(&r);
			put++;
		}
		if ((!p || rng_below(&rng, 2)) && ring_peek(&r, &p, &have)) {
			CHECK(have == 0 || (p[0] == (got & 0xff) && p[have - 1] == (got & 0xff)));
			ring_pop(&r);
			got++;
		}
	}
	while (got < put) {
		size_t have;
		uint8_t *p;

		if (!CHECK(ring_peek(&r, &p, &have)))
			break;
		ring_pop(&r);
		got++;
	}
	CHECK(ring_is_empty(&r) && ring_used(&r) == 0 && put > 1000);
	CHECK(!ring_reserve(&r, 2049) && ring_reserve(&r, 2048));
	ring_fini(&r);
}

TEST(ring_tells_when_a_record_was_taken)
{
	struct ring r;
	size_t n, until;
	uint8_t *p;

	ring_init(&r, 4096);
	for (int i = 0; i < 20; i++) {
		CHECK(ring_taken(&r) == ring_written(&r));
		CHECK(ring_reserve(&r, 1500) && ring_taken(&r) == ring_written(&r));
		ring_commit(&r);
		until = ring_written(&r);
		CHECK(ring_reserve(&r, 8) && ring_taken(&r) < until);
		ring_commit(&r);
		CHECK(ring_peek(&r, &p, &n) && n == 1500 && ring_taken(&r) < until);
		ring_pop(&r);
		CHECK(ring_taken(&r) >= until && ring_taken(&r) < ring_written(&r));
		CHECK(ring_peek(&r, &p, &n) && n == 8);
		ring_pop(&r);
	}
	ring_fini(&r);
}
