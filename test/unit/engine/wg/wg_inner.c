#include "engine/wg/wg_session.h"

#include "kit/kit.h"

TEST(padding_fills_to_16_but_not_beyond_the_mtu)
{
	CHECK_INT(wg_padded(0, 1280), 0);
	CHECK_INT(wg_padded(1, 1280), 16);
	CHECK_INT(wg_padded(16, 1280), 16);
	CHECK_INT(wg_padded(1265, 1280), 1280);
	CHECK_INT(wg_padded(1280, 1280), 1280);
	CHECK_INT(wg_padded(1275, 1278), 1278);
	CHECK_INT(wg_padded(1278, 1278), 1278);
	CHECK_INT(wg_padded(1400, 1280), 1400); /* larger than the MTU: as it is */
}

static bool parse(const char *hex, size_t *n, struct ip *source)
{
	struct bytes inner;
	bool ok = wg_inner_parse(kit_hex(hex), &inner, source);

	*n = ok ? inner.n : 0;
	return ok;
}

#define V4_REST "0000000040633dfb6440000164400002"
#define V6_REST                                                                                    \
	"3a40"                                                                                     \
	"fd7a115ca1e000000000000000000001"                                                         \
	"fd7a115ca1e000000000000000000002"

TEST(inner_packets_end_where_their_header_says)
{
	struct ip source;
	size_t n;

	CHECK(parse("45000014" V4_REST, &n, &source) && n == 20);
	CHECK(ip_equal(source, ip_v4(100, 64, 0, 1)));
	CHECK(parse("45000016" V4_REST "aabb0000", &n, &source) && n == 22);
	CHECK(!parse("45000015" V4_REST, &n, &source)); /* one byte is missing */
	CHECK(!parse("45000013" V4_REST, &n, &source)); /* shorter than its header */
	CHECK(parse("60000000"
		    "0001" V6_REST "aa00",
		    &n, &source));
	CHECK(n == 41 && source.family == 6 && source.b[0] == 0xfd && source.b[15] == 1);
	CHECK(!parse("60000000"
		     "0003" V6_REST "aa00",
		     &n, &source));
}

TEST(what_is_no_ip_packet_is_refused)
{
	const char *v4 = "45000014" V4_REST, *v6 = "600000000000" V6_REST;
	struct bytes inner, b;
	struct ip source;
	size_t n;

	CHECK(!parse("55000014" V4_REST, &n, &source));
	b = kit_hex(v4);
	for (n = 0; n < b.n; n++)
		CHECK(!wg_inner_parse(kit_copy(bytes_of(b.p, n)), &inner, &source));
	b = kit_hex(v6);
	for (n = 0; n < b.n; n++)
		CHECK(!wg_inner_parse(kit_copy(bytes_of(b.p, n)), &inner, &source));
	CHECK(wg_inner_parse(b, &inner, &source));
}
