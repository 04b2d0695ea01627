#include "base/arena.h"

#include "base/mem.h"
#include "kit/kit.h"

TEST(arena_gives_zeroed_aligned_memory)
{
	struct arena a;

	arena_init(&a, 1 << 20);
	for (size_t n = 1; n < 5000; n += 97) {
		uint8_t *p = arena_alloc(&a, n);

		CHECK(p && (uintptr_t)p % _Alignof(max_align_t) == 0 && p[0] == 0 && p[n - 1] == 0);
		memset(p, 0xff, n);
	}
	arena_reset(&a);
	CHECK(a.used == 0);
	CHECK(*(uint8_t *)arena_alloc(&a, 1) == 0);
	arena_fini(&a);
}

TEST(arena_keeps_to_its_limit)
{
	struct arena a;

	arena_init(&a, 100);
	CHECK(arena_alloc(&a, 64));
	CHECK(!arena_alloc(&a, 64) && a.bad);
	CHECK(!arena_alloc(&a, 1));
	arena_reset(&a);
	CHECK(arena_alloc(&a, 100));
	CHECK(!arena_array(&a, SIZE_MAX / 2, 8));
	arena_fini(&a);
}

TEST(arena_survives_a_system_without_memory)
{
	struct arena a;

	arena_init(&a, 1 << 20);
	mem_fail_after(1);
	CHECK(!arena_alloc(&a, 10) && a.bad);
	arena_reset(&a);
	CHECK_STR(arena_printf(&a, "%s-%d", "x", 5), "x-5");
	arena_fini(&a);
}

TEST(aligned_memory_is_aligned_and_zero)
{
	for (size_t align = 16; align <= 4096; align *= 2) {
		uint8_t *p = mem_alloc_aligned(align, 100);

		CHECK((uintptr_t)p % align == 0);
		for (size_t i = 0; i < 100; i++)
			CHECK(p[i] == 0);
		mem_free(p);
	}
}
