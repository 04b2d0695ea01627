#include "base/rand.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static void fill_system(struct rng *rng, void *out, size_t n)
{
	uint8_t *p = out;

	(void)rng;
	while (n > 0) {
		ssize_t got = getrandom(p, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			abort(); /* keys without randomness are worse than no process */
		p += got;
		n -= (size_t)got;
	}
}

struct rng rng_system(void)
{
	return (struct rng){ .fill = fill_system };
}

static uint64_t rotl(uint64_t x, int k)
{
	return x << k | x >> (64 - k);
}

static uint64_t xoshiro(uint64_t s[4])
{
	uint64_t result = rotl(s[1] * 5, 7) * 9;
	uint64_t t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotl(s[3], 45);
	return result;
}

static void fill_seeded(struct rng *rng, void *out, size_t n)
{
	uint8_t *p = out;

	while (n > 0) {
		uint64_t v = xoshiro(rng->state);
		size_t take = n < sizeof(v) ? n : sizeof(v);

		memcpy(p, &v, take);
		p += take;
		n -= take;
	}
}

struct rng rng_seeded(uint64_t seed)
{
	struct rng rng = { .fill = fill_seeded };

	for (int i = 0; i < 4; i++) { /* splitmix64 spreads a small seed over the state */
		uint64_t z = seed += 0x9e3779b97f4a7c15;

		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
		z = (z ^ z >> 27) * 0x94d049bb133111eb;
		rng.state[i] = z ^ z >> 31;
	}
	return rng;
}

uint64_t rng_u64(struct rng *rng)
{
	uint64_t v;

	rng->fill(rng, &v, sizeof(v));
	return v;
}

uint32_t rng_u32(struct rng *rng)
{
	return (uint32_t)rng_u64(rng);
}

uint64_t rng_below(struct rng *rng, uint64_t n)
{
	uint64_t limit = UINT64_MAX - UINT64_MAX % n;
	uint64_t v;

	do
		v = rng_u64(rng);
	while (v >= limit);
	return v % n;
}
