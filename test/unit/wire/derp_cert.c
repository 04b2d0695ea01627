#include "wire/derp_cert.h"

#include "kit/kit.h"

TEST(derp_cert_carries_the_key)
{
	struct key server, got = { { 0 } };
	uint8_t der[DERP_CERT_MAX];
	size_t n;

	memcpy(server.b,
	       kit_hex("1cf579aba45a10ba1d1ef06d91fca2aa9ed0a1150515653155405d0b18cb9a67").p, 32);
	n = derp_cert_encode(der, &server, wall_from_s(1700000000));
	CHECK(n > 100 && n < 600);
	CHECK(derp_cert_is(bytes_of(der, n)));
	CHECK(derp_cert_decode(kit_copy(bytes_of(der, n)), &got) && key_equal(&server, &got));
	for (size_t i = 0; i < n; i += 7)
		CHECK(!derp_cert_is(kit_copy(bytes_of(der, i))));
}

TEST(derp_cert_of_another_version_is_no_use)
{
	struct key server = { { 1 } }, got;
	uint8_t der[DERP_CERT_MAX];
	size_t n = derp_cert_encode(der, &server, wall_from_s(1700000000)), at = 0;

	/* serial number: 02 01 02 right behind the version, a0 03 02 01 02 */
	while (at + 8 < n && memcmp(der + at, "\xa0\x03\x02\x01\x02\x02\x01\x02", 8) != 0)
		at++;
	CHECK(at + 8 < n);
	der[at + 7] = 1;
	CHECK(derp_cert_is(bytes_of(der, n)) && !derp_cert_decode(bytes_of(der, n), &got));
}
