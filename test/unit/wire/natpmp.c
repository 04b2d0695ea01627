#include "wire/natpmp.h"

#include "kit/kit.h"

/* The layout of RFC 6886, sections 3.2 and 3.3. */
TEST(natpmp_requests)
{
	struct natpmp_map_request m = { 41641, 5000, 7200 };
	uint8_t out[NATPMP_MAP_REQUEST_LEN];

	CHECK_INT(natpmp_address_request_encode(out), NATPMP_ADDRESS_REQUEST_LEN);
	CHECK(bytes_equal(bytes_of(out, 2), kit_hex("0000")));
	CHECK_INT(natpmp_map_request_encode(out, &m), NATPMP_MAP_REQUEST_LEN);
	CHECK(bytes_equal(bytes_of(out, sizeof(out)), kit_hex("00010000a2a9138800001c20")));
}

TEST(natpmp_answers)
{
	struct bytes address = kit_hex("008000000000000a0b000005");
	struct bytes map = kit_hex("008100000000000aa2a9138800000e10");
	struct natpmp_response r;
	char text[IP_TEXT_MAX];

	CHECK(natpmp_response_decode(&r, address));
	CHECK_INT(r.kind, NATPMP_ADDRESS);
	CHECK_INT(r.epoch_s, 10);
	CHECK_STR(ip_format(r.address, text), "11.0.0.5");
	CHECK(natpmp_response_decode(&r, map));
	CHECK_INT(r.kind, NATPMP_MAP);
	CHECK_INT(r.internal_port, 41641);
	CHECK_INT(r.external_port, 5000);
	CHECK_INT(r.lifetime_s, 3600);
	for (size_t n = 0; n < map.n; n++)
		CHECK(!natpmp_response_decode(&r, kit_copy(bytes_of(map.p, n))));
	for (size_t n = 0; n < address.n; n++)
		CHECK(!natpmp_response_decode(&r, kit_copy(bytes_of(address.p, n))));
}

TEST(natpmp_refusals_and_strangers)
{
	struct natpmp_response r;

	CHECK(natpmp_response_decode(&r, kit_hex("008100020000000a")));
	CHECK_INT(r.result, NATPMP_NOT_AUTHORISED);
	CHECK_INT(r.external_port, 0);
	CHECK(!natpmp_response_decode(&r, kit_hex("028100000000000aa2a9138800000e10"))); /* PCP */
	CHECK(!natpmp_response_decode(&r,
				      kit_hex("000100000000000aa2a9138800000e10"))); /* a request */
	CHECK(!natpmp_response_decode(&r, kit_hex("008200000000000aa2a9138800000e10"))); /* TCP */
}
