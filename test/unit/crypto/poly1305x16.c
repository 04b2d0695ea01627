#include "crypto/poly1305x16.h"

#include <sodium.h>

#include "kit/kit.h"

enum { TEXT = 32 };

static bool can_run(void)
{
	bool can = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
		   __builtin_cpu_supports("avx512ifma") && __builtin_cpu_supports("avx512vbmi2");

	if (!can)
		kit_skip("this CPU has no AVX-512 with IFMA");
	return can;
}

/* The tag of the text and its block of lengths, as libsodium computes it. */
static void expect(const struct poly1305x16_job *j)
{
	uint8_t all[TEXT + 16] = { 0 }, tag[16];

	memcpy(all, j->p, TEXT);
	all[TEXT + 8] = TEXT;
	crypto_onetimeauth_poly1305(tag, all, sizeof(all), j->key);
	CHECK(memcmp(tag, j->tag, sizeof(tag)) == 0);
}

/* With r = 1 the sum of the blocks is 2^130 - 5 + k: what is left to the last reduction. */
TEST(sums_at_the_modulus_are_reduced)
{
	uint8_t text[POLY1305X16][TEXT] = { 0 };
	struct poly1305x16_job jobs[POLY1305X16] = { 0 };

	if (!can_run())
		return;
	for (unsigned k = 0; k < POLY1305X16; k++) {
		/* 2^128 - 5 + k - (TEXT << 64), little-endian */
		memset(text[k], 0xff, 16);
		text[k][0] = k < 5 ? (uint8_t)(0xfb + k) : (uint8_t)(0xf0 + k - 5);
		text[k][8] = 0xff - TEXT;
		jobs[k].p = text[k];
		jobs[k].n = TEXT;
		jobs[k].key[0] = 1;
	}
	poly1305x16_run(jobs, POLY1305X16);
	for (unsigned k = 0; k < POLY1305X16; k++)
		expect(&jobs[k]);
}

TEST(the_largest_factors_and_texts_carry_right)
{
	uint8_t text[POLY1305X16][TEXT];
	struct poly1305x16_job jobs[POLY1305X16] = { 0 };

	if (!can_run())
		return;
	memset(text, 0xff, sizeof(text));
	for (unsigned k = 0; k < POLY1305X16; k++) {
		text[k][k] = 0;
		memset(jobs[k].key, k % 3 ? 0xff : 0xfe, sizeof(jobs[k].key));
		jobs[k].p = text[k];
		jobs[k].n = TEXT;
	}
	for (unsigned n = 1; n <= POLY1305X16; n++) {
		poly1305x16_run(jobs, n);
		for (unsigned k = 0; k < n; k++)
			expect(&jobs[k]);
	}
}
