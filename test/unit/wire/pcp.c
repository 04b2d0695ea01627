#include "wire/pcp.h"

#include <string.h>

#include "kit/kit.h"

/* The layout of RFC 6887, sections 7.1, 7.2 and 11.1. */
TEST(pcp_requests)
{
	struct pcp_map_request m = { .client = ip_v4(192, 168, 1, 10),
				     .internal_port = 41641,
				     .external_port = 5000,
				     .lifetime_s = 7200 };
	uint8_t out[PCP_MAP_LEN];

	memset(m.nonce, 0xab, sizeof(m.nonce));
	CHECK_INT(pcp_announce_encode(out, m.client), PCP_ANNOUNCE_LEN);
	CHECK(bytes_equal(bytes_of(out, PCP_ANNOUNCE_LEN),
			  kit_hex("020000000000000000000000000000000000ffffc0a8010a")));
	CHECK_INT(pcp_map_request_encode(out, &m), PCP_MAP_LEN);
	CHECK(bytes_equal(bytes_of(out, sizeof(out)),
			  kit_hex("0201000000001c2000000000000000000000ffffc0a8010a"
				  "abababababababababababab11000000a2a91388"
				  "00000000000000000000ffff00000000")));
}

TEST(pcp_answers)
{
	struct bytes map = kit_hex("0281000000000e100000000a000000000000000000000000"
				   "abababababababababababab11000000a2a91388"
				   "00000000000000000000ffff0b000005");
	struct pcp_response r;
	char text[IP_TEXT_MAX];

	CHECK(pcp_response_decode(&r, map));
	CHECK_INT(r.kind, PCP_MAP);
	CHECK_INT(r.result, PCP_OK);
	CHECK_INT(r.lifetime_s, 3600);
	CHECK_INT(r.epoch_s, 10);
	CHECK_INT(r.nonce[11], 0xab);
	CHECK_INT(r.internal_port, 41641);
	CHECK_INT(r.external_port, 5000);
	CHECK_STR(ip_format(r.external, text), "11.0.0.5");
	for (size_t n = 0; n < map.n; n++)
		CHECK(!pcp_response_decode(&r, kit_copy(bytes_of(map.p, n))));
	CHECK(pcp_response_decode(&r, kit_hex("028000000000000000000007000000000000000000000000")));
	CHECK_INT(r.kind, PCP_ANNOUNCE);
}

TEST(pcp_refusals_and_strangers)
{
	static uint8_t long_one[PCP_MESSAGE_MAX + 4] = { 2, 128 };
	struct pcp_response r;

	CHECK(pcp_response_decode(&r, kit_hex("0281000c0000001e00000007000000000000000000000000")));
	CHECK_INT(r.result, PCP_ADDRESS_MISMATCH);
	CHECK(
	    !pcp_response_decode(&r, kit_hex("008000000000000000000007000000000000000000000000")));
	CHECK(
	    !pcp_response_decode(&r, kit_hex("020000000000000000000007000000000000000000000000")));
	CHECK(!pcp_response_decode(&r, bytes_of(long_one, sizeof(long_one))));
	CHECK(pcp_response_decode(&r, bytes_of(long_one, PCP_MESSAGE_MAX)));
}
