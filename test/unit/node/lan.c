#include "node/lan.h"

#include "kit/kit.h"
#include "maps.h"

TEST(lan_leaves_out_what_is_no_network_of_ours)
{
	struct lan lan = { 0 };

	maps_lan(&lan,
		 "192.168.1.7/24 192.168.1.7/24 100.64.0.9/10 fd7a:115c:a1e0::9/64 10.0.0.1/32 "
		 "2001:db8::1/128 fe80::1/64 192.168.1.8/24");
	CHECK_INT(lan.n, 3);
	CHECK(prefix_equal(lan.v[0].net, maps_prefix("192.168.1.0/24")) && !lan.v[0].internal);
	CHECK(lan.v[1].internal); /* link-local */
	CHECK(ip_equal(lan.v[2].own, ip_v4(192, 168, 1, 8)));
	lan_add(&lan, maps_prefix("172.17.0.1/16"), true);
	CHECK(lan.v[3].internal);
}

TEST(lan_has_a_limit)
{
	struct lan lan = { 0 };

	for (unsigned i = 0; i < LAN_NETS_MAX + 5; i++)
		lan_add(&lan, (struct prefix){ ip_v4(10, (uint8_t)(i >> 8), (uint8_t)i, 1), 24 },
			false);
	CHECK_INT(lan.n, LAN_NETS_MAX);
}
