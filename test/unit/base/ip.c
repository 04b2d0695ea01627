#include "base/ip.h"

#include "kit/kit.h"

TEST(addresses_round_trip)
{
	static const char *const same[] = {
		"0.0.0.0",
		"100.64.0.1",
		"255.255.255.255",
		"::",
		"::1",
		"fd7a:115c:a1e0::1",
		"1:2:3:4:5:6:7:8",
		"1::8",
		"2001:db8:0:1:1:1:1:1",
		"::ffff:1.2.3.4",
		"1:0:0:2::3",
		"fe80::",
	};
	char out[IP_TEXT_MAX];
	struct ip ip;

	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
		if (CHECK(ip_parse(&ip, bytes_str(same[i]))))
			CHECK_STR(ip_format(ip, out), same[i]);
	}
	CHECK(ip_parse(&ip, bytes_str("FD7A:115C:A1E0:0:0:0:0:1")));
	CHECK_STR(ip_format(ip, out), "fd7a:115c:a1e0::1");
	CHECK(ip_parse(&ip, bytes_str("64:ff9b::192.0.2.33")));
	CHECK_STR(ip_format(ip, out), "64:ff9b::c000:221");
}

TEST(malformed_addresses_are_refused)
{
	static const char *const bad[] = {
		"",
		"1.2.3",
		"1.2.3.4.",
		"01.2.3.4",
		"1.2.3.256",
		"1.2.3.4.5",
		":",
		":::",
		"1:2",
		"1::2::3",
		"12345::",
		"1:2:3:4:5:6:7:8:9",
		"1:2:3:4:5:6:7:8::",
		"fe80::1%eth0",
		" 1.2.3.4",
		"1.2.3.4 ",
		"::1.2.3",
		"1.2.3.4::",
		"g::",
		"::1:",
		"1:2:3:4:5:6:7:1.2.3.4",
	};
	struct ip ip;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (!CHECK(!ip_parse(&ip, bytes_str(bad[i]))))
			CHECK_STR(bad[i], "refused");
}

TEST(prefixes)
{
	struct prefix p, q;
	char out[PREFIX_TEXT_MAX];

	CHECK(prefix_parse(&p, bytes_str("10.1.2.3/8")) && !prefix_is_masked(p));
	CHECK_STR(prefix_format(prefix_masked(p), out), "10.0.0.0/8");
	CHECK(prefix_parse(&q, bytes_str("10.200.0.0/16")) && prefix_is_masked(q));
	CHECK(prefix_covers(p, q) && !prefix_covers(q, p) && prefix_overlaps(q, p));
	CHECK(prefix_contains(q, ip_v4(10, 200, 255, 255)) &&
	      !prefix_contains(q, ip_v4(10, 201, 0, 0)));
	CHECK(prefix_parse(&p, bytes_str("::/0")) && !prefix_contains(p, ip_v4(1, 2, 3, 4)));
	CHECK(!prefix_parse(&p, bytes_str("1.2.3.4/33")) &&
	      !prefix_parse(&p, bytes_str("1.2.3.4")) && !prefix_parse(&p, bytes_str("::/129")) &&
	      !prefix_parse(&p, bytes_str("1.2.3.4/")) &&
	      !prefix_parse(&p, bytes_str("1.2.3.4/08")));
}

TEST(ranges_split_into_prefixes)
{
	static const char *const want[] = { "10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/30",
					    "10.0.0.8/32" };
	char out[PREFIX_TEXT_MAX];
	struct ip_range r;
	struct prefix p;
	bool done = false;

	CHECK(range_parse(&r, bytes_str("10.0.0.1-10.0.0.8")));
	for (size_t i = 0; i < 4; i++) {
		CHECK(range_next_prefix(&r, &p, &done));
		CHECK_STR(prefix_format(p, out), want[i]);
	}
	CHECK(!range_next_prefix(&r, &p, &done));
	done = false;
	CHECK(range_parse(&r, bytes_str("::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")));
	CHECK(range_next_prefix(&r, &p, &done) && p.len == 0 && !range_next_prefix(&r, &p, &done));
	CHECK(!range_parse(&r, bytes_str("10.0.0.2-10.0.0.1")) &&
	      !range_parse(&r, bytes_str("10.0.0.2-::1")));
}

TEST(stepping_stops_at_the_ends)
{
	struct ip ip = ip_v4(255, 255, 255, 255);

	CHECK(!ip_next(&ip) && ip_equal(ip, ip_v4(255, 255, 255, 255)));
	ip = ip_v4(10, 0, 0, 255);
	CHECK(ip_next(&ip) && ip_equal(ip, ip_v4(10, 0, 1, 0)));
	CHECK(ip_prev(&ip) && ip_equal(ip, ip_v4(10, 0, 0, 255)));
	ip = ip_v4(0, 0, 0, 0);
	CHECK(!ip_prev(&ip));
}

TEST(address_and_port)
{
	char out[ADDRPORT_TEXT_MAX];
	struct addrport a;

	CHECK(addrport_parse(&a, bytes_str("[fd00::1]:41641")) && a.port == 41641);
	CHECK_STR(addrport_format(a, out), "[fd00::1]:41641");
	CHECK(addrport_parse(&a, bytes_str("1.2.3.4:0")));
	CHECK_STR(addrport_format(a, out), "1.2.3.4:0");
	CHECK(!addrport_parse(&a, bytes_str("fd00::1:41641")) &&
	      !addrport_parse(&a, bytes_str("1.2.3.4")) &&
	      !addrport_parse(&a, bytes_str("[1.2.3.4]:5")) &&
	      !addrport_parse(&a, bytes_str("1.2.3.4:65536")));
}

TEST(kinds_of_addresses)
{
	struct ip ip;

	CHECK(ip_is_multicast(ip_v4(224, 0, 0, 1)) && ip_is_multicast(ip_v4(239, 255, 255, 255)));
	CHECK(!ip_is_multicast(ip_v4(223, 255, 255, 255)) && !ip_is_multicast(ip_v4(240, 0, 0, 0)));
	CHECK(ip_parse(&ip, bytes_str("ff02::1")) && ip_is_multicast(ip) && !ip_is_link_local(ip));
	CHECK(ip_parse(&ip, bytes_str("febf::1")) && ip_is_link_local(ip) && !ip_is_multicast(ip));
	CHECK(ip_parse(&ip, bytes_str("fec0::1")) && !ip_is_link_local(ip));
	CHECK(ip_is_loopback(ip_v4(127, 9, 9, 9)) && ip_is_private(ip_v4(172, 31, 0, 1)));
	CHECK(!ip_is_private(ip_v4(172, 32, 0, 1)) && ip_is_link_local(ip_v4(169, 254, 1, 1)));
	CHECK(ip_unmap((struct ip){ 6, { [10] = 0xff, 0xff, 1, 2, 3, 4 } }).family == 4);
}
