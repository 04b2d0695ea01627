#include "wire/inetsum.h"

/*
 * Sums 32-bit words of memory order into 64-bit lanes: four lanes per step, so the loop is the same
 * with SSE2, AVX2 and NEON, and a lane cannot overflow below 16 GiB. The byte order is put right
 * once, in inetsum_fold(), which RFC 1071 section 2 (B) permits.
 */
typedef uint64_t lanes __attribute__((vector_size(32)));
typedef lanes lanes_unaligned __attribute__((aligned(1), may_alias));

enum { STEP = sizeof(lanes) };

#define SUM_LOOP(copying)                                                                          \
	lanes low = { 0 }, high = { 0 };                                                           \
	size_t at = 0;                                                                             \
                                                                                                   \
	for (; n - at >= STEP; at += STEP) {                                                       \
		lanes v = *(const lanes_unaligned *)(in + at);                                     \
                                                                                                   \
		if (copying)                                                                       \
			*(lanes_unaligned *)(out + at) = v;                                        \
		low += v & UINT32_MAX;                                                             \
		high += v >> 32;                                                                   \
	}                                                                                          \
	low += high;                                                                               \
	*sum += low[0] + low[1] + low[2] + low[3];                                                 \
	return at;

static size_t add_plain(uint64_t *sum, const uint8_t *in, size_t n)
{
	uint8_t *out = NULL;

	SUM_LOOP(0)
}

static size_t copy_plain(uint64_t *sum, uint8_t *out, const uint8_t *in, size_t n)
{
	SUM_LOOP(1)
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static size_t add_avx2(uint64_t *sum, const uint8_t *in, size_t n)
{
	uint8_t *out = NULL;

	SUM_LOOP(0)
}

__attribute__((target("avx2"))) static size_t copy_avx2(uint64_t *sum, uint8_t *out,
							const uint8_t *in, size_t n)
{
	SUM_LOOP(1)
}
#endif

static uint64_t tail(uint64_t sum, const uint8_t *in, size_t n)
{
	uint32_t word;
	uint8_t last[4] = { 0 };

	for (; n >= 4; in += 4, n -= 4) {
		memcpy(&word, in, 4);
		sum += word;
	}
	memcpy(last, in, n);
	memcpy(&word, last, 4);
	return sum + word;
}

uint64_t inetsum_add(uint64_t sum, const void *p, size_t n)
{
	size_t done;

#ifdef __x86_64__
	if (n >= 128 && __builtin_cpu_supports("avx2"))
		done = add_avx2(&sum, p, n);
	else
#endif
		done = add_plain(&sum, p, n);
	return tail(sum, (const uint8_t *)p + done, n - done);
}

uint64_t inetsum_copy(uint64_t sum, void *out, const void *in, size_t n)
{
	size_t done;

#ifdef __x86_64__
	if (n >= 128 && __builtin_cpu_supports("avx2"))
		done = copy_avx2(&sum, out, in, n);
	else
#endif
		done = copy_plain(&sum, out, in, n);
	memcpy((uint8_t *)out + done, (const uint8_t *)in + done, n - done);
	return tail(sum, (const uint8_t *)in + done, n - done);
}

uint64_t inetsum_u16(uint64_t sum, uint16_t v)
{
	uint8_t be[2] = { (uint8_t)(v >> 8), (uint8_t)v };
	uint16_t memory_order;

	memcpy(&memory_order, be, 2);
	return sum + memory_order;
}

uint64_t inetsum_pseudo(const uint8_t *ip, uint8_t proto, uint32_t length)
{
	uint64_t sum = ip[0] >> 4 == 4 ? inetsum_add(0, ip + 12, 8) : inetsum_add(0, ip + 8, 32);

	sum = inetsum_u16(sum, proto);
	sum = inetsum_u16(sum, (uint16_t)(length >> 16));
	return inetsum_u16(sum, (uint16_t)length);
}

uint16_t inetsum_fold(uint64_t sum)
{
	uint16_t memory_order;
	uint8_t be[2];

	sum = (sum & UINT32_MAX) + (sum >> 32);
	sum = (sum & UINT32_MAX) + (sum >> 32);
	sum = (sum & UINT16_MAX) + (sum >> 16);
	sum = (sum & UINT16_MAX) + (sum >> 16);
	sum = (sum & UINT16_MAX) + (sum >> 16);
	memory_order = (uint16_t)sum;
	memcpy(be, &memory_order, 2);
	return (uint16_t)(be[0] << 8 | be[1]);
}
