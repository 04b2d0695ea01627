/* Vectors: between 100.64.0.1 and 100.64.0.2, as upstream's nodes write them. */
#include "wire/tsmp.h"

#include <string.h>

#include "kit/kit.h"
#include "wire/ippkt.h"

static struct ip one, two;

static struct bytes coded(const struct tsmp *m, bool back, uint8_t *out)
{
	CHECK(ip_parse(&one, bytes_str("100.64.0.1")) && ip_parse(&two, bytes_str("100.64.0.2")));
	return bytes_of(out, tsmp_encode(out, m, back ? two : one, back ? one : two));
}

static void check_both_ways(const char *hex, const struct tsmp *m, bool back)
{
	uint8_t out[TSMP_PACKET_MAX];
	struct bytes wanted = kit_hex(hex), got = coded(m, back, out);
	struct tsmp again;
	struct ippkt pkt;

	CHECK(bytes_equal(got, wanted));
	CHECK(ippkt_parse(&pkt, wanted) && pkt.proto == IPPKT_TSMP);
	CHECK(tsmp_decode(&again, bytes_from(wanted, pkt.transport)));
	CHECK(memcmp(&again, m, sizeof(again)) == 0);
}

TEST(tsmp_vectors)
{
	const struct tsmp ping = { .type = TSMP_PING, .data = { 1, 2, 3, 4, 5, 6, 7, 8 } };
	const struct tsmp pong = { .type = TSMP_PONG,
				   .data = { 1, 2, 3, 4, 5, 6, 7, 8 },
				   .peerapi_port = 50000 };
	const struct tsmp reject = { .type = TSMP_REJECT,
				     .proto = IPPKT_TCP,
				     .reason = 'A',
				     .src_port = 40000,
				     .dst_port = 22 };

	check_both_ways("4500001d000000004063b1fb6440000164400002700102030405060708", &ping, false);
	check_both_ways("4500001f000000004063b1f964400002644000016f0102030405060708c350", &pong,
			true);
	check_both_ways("4500001b000000004063b1fd64400002644000012106419c400016", &reject, true);
}

TEST(tsmp_refuses_what_is_cut)
{
	static const struct {
		const char *hex;
		size_t least;
	} cases[] = {
		{ "7001020304050607", 99 }, /* seven of eight bytes */
		{ "700102030405060708", 9 },
		{ "6f0102030405060708c350", 9 },
		{ "2106419c400016", 7 },
		{ "61000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", 33 },
		{ "7a0102030405060708", 99 }, /* nobody knows 'z' */
	};
	struct tsmp m;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bytes all = kit_hex(cases[i].hex);

		for (size_t n = 0; n <= all.n; n++)
			CHECK(tsmp_decode(&m, kit_copy(bytes_of(all.p, n))) ==
			      (n >= cases[i].least));
	}
}

TEST(tsmp_over_ipv6)
{
	const struct tsmp ping = { .type = TSMP_PING, .data = { 9 } };
	uint8_t out[TSMP_PACKET_MAX];
	struct ippkt pkt;
	struct tsmp again;
	struct ip a, b;
	size_t n;

	CHECK(ip_parse(&a, bytes_str("fd7a::1")) && ip_parse(&b, bytes_str("fd7a::2")));
	n = tsmp_encode(out, &ping, a, b);
	CHECK(ippkt_parse(&pkt, bytes_of(out, n)) && pkt.proto == IPPKT_TSMP);
	CHECK(tsmp_decode(&again, bytes_of(out + pkt.transport, n - pkt.transport)));
	CHECK_INT(again.data[0], 9);
}
