#include "crypto/chacha32.h"

#include <immintrin.h>
#include <string.h>

#define AVX512 __attribute__((target("avx512f,avx512bw")))
#define AVX512_INLINE AVX512 __attribute__((always_inline)) static inline

/*
 * Register i of a set holds word i of sixteen blocks. The quarter-rounds of a
 * half-round are independent of each other, which keeps the units busy.
 */
enum { SET = 16 };

AVX512_INLINE void quarter(__m512i *a, __m512i *b, __m512i *c, __m512i *d)
{
	*a = _mm512_add_epi32(*a, *b);
	*d = _mm512_rol_epi32(_mm512_xor_si512(*d, *a), 16);
	*c = _mm512_add_epi32(*c, *d);
	*b = _mm512_rol_epi32(_mm512_xor_si512(*b, *c), 12);
	*a = _mm512_add_epi32(*a, *b);
	*d = _mm512_rol_epi32(_mm512_xor_si512(*d, *a), 8);
	*c = _mm512_add_epi32(*c, *d);
	*b = _mm512_rol_epi32(_mm512_xor_si512(*b, *c), 7);
}

AVX512_INLINE void double_round(__m512i x[16])
{
	quarter(&x[0], &x[4], &x[8], &x[12]);
	quarter(&x[1], &x[5], &x[9], &x[13]);
	quarter(&x[2], &x[6], &x[10], &x[14]);
	quarter(&x[3], &x[7], &x[11], &x[15]);
	quarter(&x[0], &x[5], &x[10], &x[15]);
	quarter(&x[1], &x[6], &x[11], &x[12]);
	quarter(&x[2], &x[7], &x[8], &x[13]);
	quarter(&x[3], &x[4], &x[9], &x[14]);
}

/* Four words of four registers: 128-bit lane q of register k becomes words of block 4q + k. */
AVX512_INLINE void transpose4(__m512i x[4])
{
	__m512i a = _mm512_unpacklo_epi32(x[0], x[1]), b = _mm512_unpackhi_epi32(x[0], x[1]);
	__m512i c = _mm512_unpacklo_epi32(x[2], x[3]), d = _mm512_unpackhi_epi32(x[2], x[3]);

	x[0] = _mm512_unpacklo_epi64(a, c);
	x[1] = _mm512_unpackhi_epi64(a, c);
	x[2] = _mm512_unpacklo_epi64(b, d);
	x[3] = _mm512_unpackhi_epi64(b, d);
}

/* The blocks k, k + 4, k + 8 and k + 12, whole. */
AVX512_INLINE void gather4(__m512i x[16], int k)
{
	__m512i a = _mm512_shuffle_i32x4(x[k], x[4 + k], 0x88);
	__m512i b = _mm512_shuffle_i32x4(x[8 + k], x[12 + k], 0x88);
	__m512i c = _mm512_shuffle_i32x4(x[k], x[4 + k], 0xdd);
	__m512i d = _mm512_shuffle_i32x4(x[8 + k], x[12 + k], 0xdd);

	x[k] = _mm512_shuffle_i32x4(a, b, 0x88);
	x[4 + k] = _mm512_shuffle_i32x4(c, d, 0x88);
	x[8 + k] = _mm512_shuffle_i32x4(a, b, 0xdd);
	x[12 + k] = _mm512_shuffle_i32x4(c, d, 0xdd);
}

/* From word i of every block to block i whole. */
AVX512_INLINE void transpose(__m512i x[16])
{
	transpose4(x);
	transpose4(x + 4);
	transpose4(x + 8);
	transpose4(x + 12);
	gather4(x, 0);
	gather4(x, 1);
	gather4(x, 2);
	gather4(x, 3);
}

static uint32_t key_word(const struct secret32 *key, int i)
{
	uint32_t w;

	memcpy(&w, key->b + 4 * i, sizeof(w)); /* x86 is little-endian */
	return w;
}

/* The lanes of this set, of 16 from lane `from` on, that a run starting at lane `at` fills. */
static __mmask16 lanes_of(unsigned from, unsigned at, unsigned lanes)
{
	uint64_t bits = ((1ULL << lanes) - 1) << at;

	return (__mmask16)(bits >> from);
}

AVX512_INLINE void load(__m512i x[16], const struct chacha32 *c, unsigned from)
{
	const __m512i iota = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
	unsigned at = 0;

	x[0] = _mm512_set1_epi32(0x61707865);
	x[1] = _mm512_set1_epi32(0x3320646e);
	x[2] = _mm512_set1_epi32(0x79622d32);
	x[3] = _mm512_set1_epi32(0x6b206574);
	for (int i = 0; i < 8; i++)
		x[4 + i] = _mm512_set1_epi32((int)key_word(c->runs[0].key, i));
	x[12] = x[13] = x[14] = x[15] = _mm512_setzero_si512();
	for (unsigned r = 0; r < c->n; at += c->runs[r++].lanes) {
		const struct chacha_run *run = &c->runs[r];
		__mmask16 m = lanes_of(from, at, run->lanes);
		__m512i first = _mm512_set1_epi32((int)(run->block + from - at));

		x[12] = _mm512_mask_add_epi32(x[12], m, first, iota);
		x[14] = _mm512_mask_set1_epi32(x[14], m, (int)(uint32_t)run->counter);
		x[15] = _mm512_mask_set1_epi32(x[15], m, (int)(uint32_t)(run->counter >> 32));
		for (int i = 0; i < 8 && run->key != c->runs[0].key; i++)
			x[4 + i] = _mm512_mask_set1_epi32(x[4 + i], m, (int)key_word(run->key, i));
	}
}

AVX512_INLINE void deliver(const struct chacha_run *run, const __m512i *stream)
{
	uint8_t *to = run->to;

	for (uint32_t left = run->len; left; stream++, to += CHACHA_BLOCK) {
		__mmask64 m = left >= CHACHA_BLOCK ? ~0ULL : (1ULL << left) - 1;
		__m512i s = *stream;

		if (!run->store)
			s = _mm512_xor_si512(s, _mm512_maskz_loadu_epi8(m, to));
		_mm512_mask_storeu_epi8(to, m, s);
		left -= left >= CHACHA_BLOCK ? CHACHA_BLOCK : left;
	}
}

AVX512_INLINE void blocks(__m512i x[16], const struct chacha32 *c, unsigned from)
{
	__m512i start[16];

	load(start, c, from);
	for (int i = 0; i < 16; i++)
		x[i] = start[i];
	for (int i = 0; i < 10; i++)
		double_round(x);
	for (int i = 0; i < 16; i++)
		x[i] = _mm512_add_epi32(x[i], start[i]);
	transpose(x);
}

AVX512 void chacha32_run(struct chacha32 *c)
{
	__m512i x[CHACHA32];
	unsigned at = 0;

	if (c->lanes)
		blocks(x, c, 0);
	if (c->lanes > SET)
		blocks(x + SET, c, SET);
	for (unsigned r = 0; r < c->n; at += c->runs[r++].lanes)
		deliver(&c->runs[r], x + at);
	c->n = c->lanes = 0;
}

void chacha32_add(struct chacha32 *c, const struct chacha_run *run)
{
	struct chacha_run rest = *run;

	while (rest.lanes) {
		uint32_t room = CHACHA32 - c->lanes;
		uint32_t lanes = rest.lanes < room ? rest.lanes : room;
		struct chacha_run *part = &c->runs[c->n++];

		*part = rest;
		part->lanes = lanes;
		if (part->len > lanes * CHACHA_BLOCK)
			part->len = lanes * CHACHA_BLOCK;
		rest.block += lanes;
		rest.lanes -= lanes;
		rest.len -= part->len;
		rest.to += part->len;
		c->lanes += lanes;
		if (c->lanes == CHACHA32)
			chacha32_run(c);
	}
}
