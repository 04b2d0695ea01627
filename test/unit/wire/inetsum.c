#include "wire/inetsum.h"

#include "base/rand.h"
#include "kit/kit.h"

static uint16_t naive(const uint8_t *p, size_t n)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

TEST(sum_is_that_of_rfc_1071) /* the example in section 3 */
{
	struct bytes b = kit_hex("0001f203f4f5f6f7");

	CHECK_INT(inetsum_fold(inetsum_add(0, b.p, b.n)), 0xddf2);
}

TEST(every_length_and_alignment_agrees_with_the_naive_sum)
{
	struct rng rng = rng_seeded(7);
	uint8_t data[700], out[700];

	for (size_t n = 0; n < 600; n++) {
		size_t shift = rng_below(&rng, 64);
		struct bytes b;

		rng.fill(&rng, data, sizeof(data));
		b = kit_copy(bytes_of(data + shift, n));
		if (n % 3 == 0)
			memset(data, 0xff, sizeof(data));
		CHECK_INT(inetsum_fold(inetsum_add(0, b.p, n)), naive(b.p, n));
		CHECK_INT(inetsum_fold(inetsum_add(0, data + shift, n)), naive(data + shift, n));
		CHECK_INT(inetsum_fold(inetsum_copy(0, out, b.p, n)), naive(b.p, n));
		CHECK(memcmp(out, b.p, n) == 0);
	}
}

TEST(pseudo_header_verifies_real_packets)
{
	/* IPv4 UDP 10.0.0.1:1 -> 10.0.0.2:2 "hi", and the same over IPv6, checksums by hand. */
	struct bytes v4 = kit_hex("4500001e00000000401100000a0000010a000002"
				  "00010002000a0000"
				  "6869");
	uint64_t sum = inetsum_pseudo(v4.p, 17, 10);

	CHECK_INT(inetsum_fold(sum), 0x141e);
	CHECK_INT(inetsum_fold(inetsum_add(sum, v4.p + 20, 10)), 0x7c94);
	CHECK_INT(inetsum_fold(inetsum_u16(0, 0x1234)), 0x1234);
}
