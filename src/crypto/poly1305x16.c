#include "crypto/poly1305x16.h"

#include <immintrin.h>
#include <string.h>

#include "crypto/secret.h"

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512ifma,avx512vbmi2")))
#define AVX512_INLINE AVX512 __attribute__((always_inline)) static inline

/*
 * Numbers are three limbs of 44, 44 and 42 bits, one message per 64-bit lane, multiplied by the
 * 52-bit multiply-add. 2^132 is 20 modulo 2^130 - 5, which folds the products' upper limbs.
 */
#define MASK44 ((1ULL << 44) - 1)
#define MASK42 ((1ULL << 42) - 1)

enum { LANES = 8 };

struct state {
	__m512i h0, h1, h2, r0, r1, r2;
	__m512i s1, s2; /* 20 * r1, 20 * r2 */
};

AVX512_INLINE __m512i times20(__m512i x)
{
	return _mm512_add_epi64(_mm512_slli_epi64(x, 4), _mm512_slli_epi64(x, 2));
}

/* h = h * r, each limb below 2^45 afterwards. */
AVX512_INLINE void multiply(struct state *s)
{
	const __m512i zero = _mm512_setzero_si512();
	const __m512i mask44 = _mm512_set1_epi64(MASK44), mask42 = _mm512_set1_epi64(MASK42);
	__m512i d0, d1, d2, e0, e1, e2;

	d0 = _mm512_madd52lo_epu64(zero, s->h0, s->r0);
	e0 = _mm512_madd52hi_epu64(zero, s->h0, s->r0);
	d1 = _mm512_madd52lo_epu64(zero, s->h0, s->r1);
	e1 = _mm512_madd52hi_epu64(zero, s->h0, s->r1);
	d2 = _mm512_madd52lo_epu64(zero, s->h0, s->r2);
	e2 = _mm512_madd52hi_epu64(zero, s->h0, s->r2);
	d0 = _mm512_madd52lo_epu64(d0, s->h1, s->s2);
	e0 = _mm512_madd52hi_epu64(e0, s->h1, s->s2);
	d1 = _mm512_madd52lo_epu64(d1, s->h1, s->r0);
	e1 = _mm512_madd52hi_epu64(e1, s->h1, s->r0);
	d2 = _mm512_madd52lo_epu64(d2, s->h1, s->r1);
	e2 = _mm512_madd52hi_epu64(e2, s->h1, s->r1);
	d0 = _mm512_madd52lo_epu64(d0, s->h2, s->s1);
	e0 = _mm512_madd52hi_epu64(e0, s->h2, s->s1);
	d1 = _mm512_madd52lo_epu64(d1, s->h2, s->s2);
	e1 = _mm512_madd52hi_epu64(e1, s->h2, s->s2);
	d2 = _mm512_madd52lo_epu64(d2, s->h2, s->r0);
	e2 = _mm512_madd52hi_epu64(e2, s->h2, s->r0);

	/* The upper halves weigh 2^52: eight bits into the next limb. */
	d0 = _mm512_add_epi64(d0, times20(_mm512_slli_epi64(e2, 8)));
	d1 = _mm512_add_epi64(d1, _mm512_slli_epi64(e0, 8));
	d2 = _mm512_add_epi64(d2, _mm512_slli_epi64(e1, 8));
	d1 = _mm512_add_epi64(d1, _mm512_srli_epi64(d0, 44));
	d2 = _mm512_add_epi64(d2, _mm512_srli_epi64(d1, 44));
	e0 = _mm512_srli_epi64(d2, 42);
	s->h2 = _mm512_and_si512(d2, mask42);
	s->h1 = _mm512_and_si512(d1, mask44);
	s->h0 = _mm512_add_epi64(_mm512_and_si512(d0, mask44),
				 _mm512_add_epi64(e0, _mm512_slli_epi64(e0, 2)));
}

/* One block of each message, as its two little-endian halves, into h. */
AVX512_INLINE void absorb(struct state *s, __m512i lo, __m512i hi)
{
	const __m512i mask44 = _mm512_set1_epi64(MASK44), bit = _mm512_set1_epi64(1LL << 40);
	__m512i mid = _mm512_shrdi_epi64(lo, hi, 44);

	s->h0 = _mm512_add_epi64(s->h0, _mm512_and_si512(lo, mask44));
	s->h1 = _mm512_add_epi64(s->h1, _mm512_and_si512(mid, mask44));
	s->h2 = _mm512_add_epi64(s->h2, _mm512_or_si512(_mm512_srli_epi64(hi, 24), bit));
	multiply(s);
}

/* Eight rows of eight words to eight columns: word 2b and 2b + 1 of a row are the halves of block
 * b. */
AVX512_INLINE void transpose(__m512i x[8])
{
	__m512i t[8];

	for (int i = 0; i < 8; i += 2) {
		t[i] = _mm512_unpacklo_epi64(x[i], x[i + 1]);
		t[i + 1] = _mm512_unpackhi_epi64(x[i], x[i + 1]);
	}
	/* t[2p + k]: words k, k + 2, k + 4, k + 6 of rows 2p and 2p + 1 */
	for (int k = 0; k < 2; k++) {
		__m512i a = _mm512_shuffle_i64x2(t[k], t[2 + k], 0x88);
		__m512i b = _mm512_shuffle_i64x2(t[4 + k], t[6 + k], 0x88);
		__m512i c = _mm512_shuffle_i64x2(t[k], t[2 + k], 0xdd);
		__m512i d = _mm512_shuffle_i64x2(t[4 + k], t[6 + k], 0xdd);

		x[k] = _mm512_shuffle_i64x2(a, b, 0x88);
		x[k + 4] = _mm512_shuffle_i64x2(a, b, 0xdd);
		x[k + 2] = _mm512_shuffle_i64x2(c, d, 0x88);
		x[k + 6] = _mm512_shuffle_i64x2(c, d, 0xdd);
	}
}

static uint64_t le64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v)); /* x86 is little-endian */
	return v;
}

AVX512_INLINE void set_keys(struct state *s, const struct poly1305x16_job *jobs, unsigned n)
{
	uint64_t r0[LANES] = { 0 }, r1[LANES] = { 0 }, r2[LANES] = { 0 };

	for (unsigned l = 0; l < n; l++) {
		uint64_t lo = le64(jobs[l].key) & 0x0ffffffc0fffffffULL;
		uint64_t hi = le64(jobs[l].key + 8) & 0x0ffffffc0ffffffcULL;

		r0[l] = lo & MASK44;
		r1[l] = (lo >> 44 | hi << 20) & MASK44;
		r2[l] = hi >> 24;
	}
	s->r0 = _mm512_loadu_si512(r0);
	s->r1 = _mm512_loadu_si512(r1);
	s->r2 = _mm512_loadu_si512(r2);
	s->s1 = times20(s->r1);
	s->s2 = times20(s->r2);
	s->h0 = s->h1 = s->h2 = _mm512_setzero_si512();
	secret_wipe(r0, sizeof(r0));
	secret_wipe(r1, sizeof(r1));
	secret_wipe(r2, sizeof(r2));
}

/* 64 bytes of every message, all of them there. */
AVX512_INLINE void take_full(struct state *s, const struct poly1305x16_job *jobs, uint64_t at)
{
	__m512i x[8];

	for (int l = 0; l < LANES; l++)
		x[l] = _mm512_loadu_si512(jobs[l].p + at);
	transpose(x);
	for (int b = 0; b < 4; b++)
		absorb(s, x[2 * b], x[2 * b + 1]);
}

AVX512_INLINE void take_two(struct state *s, struct state *t, const struct poly1305x16_job *jobs,
			    uint64_t at)
{
	__m512i x[8], y[8];

	for (int l = 0; l < LANES; l++) {
		x[l] = _mm512_loadu_si512(jobs[l].p + at);
		y[l] = _mm512_loadu_si512(jobs[LANES + l].p + at);
	}
	transpose(x);
	transpose(y);
	for (int b = 0; b < 4; b++) {
		absorb(s, x[2 * b], x[2 * b + 1]);
		absorb(t, y[2 * b], y[2 * b + 1]);
	}
}

/* 64 bytes of every message or what is left of it, then its lengths; who is done stays as it is. */
AVX512_INLINE void take_rest(struct state *s, const struct poly1305x16_job *jobs, unsigned n,
			     uint64_t at)
{
	uint64_t last[LANES], length[LANES]; /* index of the block of lengths; lengths */
	__m512i x[8], lasts, lengths;

	for (unsigned l = 0; l < 8; l++) {
		uint64_t left = l < n && jobs[l].n > at ? jobs[l].n - at : 0;
		__mmask64 m = left >= 64 ? ~0ULL : (1ULL << left) - 1;

		x[l] = m ? _mm512_maskz_loadu_epi8(m, jobs[l].p + at) : _mm512_setzero_si512();
		length[l] = l < n ? jobs[l].n : 0;
		last[l] = (length[l] + 15) / 16;
	}
	transpose(x);
	lasts = _mm512_loadu_si512(last);
	lengths = _mm512_loadu_si512(length);
	for (unsigned b = 0; b < 4; b++) {
		__m512i index = _mm512_set1_epi64((int64_t)at / 16 + b);
		__mmask8 live = _mm512_cmple_epu64_mask(index, lasts);
		__mmask8 ends = _mm512_cmpeq_epu64_mask(index, lasts);
		struct state before = *s;

		absorb(s, x[2 * b], _mm512_mask_mov_epi64(x[2 * b + 1], ends, lengths));
		s->h0 = _mm512_mask_mov_epi64(before.h0, live, s->h0);
		s->h1 = _mm512_mask_mov_epi64(before.h1, live, s->h1);
		s->h2 = _mm512_mask_mov_epi64(before.h2, live, s->h2);
	}
}

/* h modulo 2^130 - 5, plus s, modulo 2^128; no branch depends on a secret. */
static void reduce(struct poly1305x16_job *j, uint64_t h0, uint64_t h1, uint64_t h2)
{
	uint64_t g0, g1, g2, c, keep, lo, hi, s_lo;

	for (int i = 0; i < 2; i++) {
		h1 += h0 >> 44;
		h0 &= MASK44;
		h2 += h1 >> 44;
		h1 &= MASK44;
		h0 += (h2 >> 42) * 5;
		h2 &= MASK42;
	}
	h1 += h0 >> 44;
	h0 &= MASK44;
	g0 = h0 + 5;
	g1 = h1 + (g0 >> 44);
	g2 = h2 + (g1 >> 44);
	c = g2 >> 42; /* 1: h was 2^130 - 5 or more */
	keep = c - 1;
	h0 = (h0 & keep) | (g0 & MASK44 & ~keep);
	h1 = (h1 & keep) | (g1 & MASK44 & ~keep);
	h2 = (h2 & keep) | (g2 & MASK42 & ~keep);
	lo = h0 | h1 << 44;
	hi = h1 >> 20 | h2 << 24;
	s_lo = le64(j->key + 16);
	lo += s_lo;
	hi += le64(j->key + 24) + (lo < s_lo);
	memcpy(j->tag, &lo, sizeof(lo));
	memcpy(j->tag + 8, &hi, sizeof(hi));
}

AVX512_INLINE void finish(const struct state *s, struct poly1305x16_job *jobs, unsigned n)
{
	uint64_t h0[LANES], h1[LANES], h2[LANES];

	_mm512_storeu_si512(h0, s->h0);
	_mm512_storeu_si512(h1, s->h1);
	_mm512_storeu_si512(h2, s->h2);
	for (unsigned l = 0; l < n; l++)
		reduce(&jobs[l], h0[l], h1[l], h2[l]);
}

/* The multiplications of one message wait for each other: two sets of eight fill the gaps. */
AVX512 void poly1305x16_run(struct poly1305x16_job *jobs, unsigned n)
{
	uint64_t full = ~0ULL, longest = 0, at = 0;
	unsigned first = n < LANES ? n : LANES;
	struct poly1305x16_job *second = jobs + LANES;
	struct state a, b;

	for (unsigned l = 0; l < n; l++) {
		full = jobs[l].n < full ? jobs[l].n : full;
		longest = jobs[l].n > longest ? jobs[l].n : longest;
	}
	set_keys(&a, jobs, first);
	set_keys(&b, second, n - first);
	for (; n == POLY1305X16 && at + 64 <= full; at += 64)
		take_two(&a, &b, jobs, at);
	for (; n >= LANES && n < POLY1305X16 && at + 64 <= full; at += 64) {
		take_full(&a, jobs, at);
		if (n > LANES)
			take_rest(&b, second, n - LANES, at);
	}
	for (; at <= (longest + 15) / 16 * 16; at += 64) {
		take_rest(&a, jobs, first, at);
		if (n > LANES)
			take_rest(&b, second, n - LANES, at);
	}
	finish(&a, jobs, first);
	finish(&b, second, n - first);
}
