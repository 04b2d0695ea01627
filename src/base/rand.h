/* base/rand.h - randomness as an argument: the system's, or a seeded stream for tests and
 * simulation. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct rng {
	void (*fill)(struct rng *rng, void *out, size_t n);
	uint64_t state[4]; /* used by the seeded stream only */
};

struct rng rng_system(void);          /* getrandom(2); aborts if the kernel has none */
struct rng rng_seeded(uint64_t seed); /* xoshiro256**: repeatable, never for keys of real users */
uint64_t rng_u64(struct rng *rng);
uint32_t rng_u32(struct rng *rng);
uint64_t rng_below(struct rng *rng, uint64_t n); /* uniform in 0 .. n-1; n > 0 */
