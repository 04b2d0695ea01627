#include "node/served.h"

#include <stdio.h>

#include "base/mem.h"
#include "kit/kit.h"
#include "maps.h"
#include "node/lan.h"

struct served {
	struct ip_range *v;
	size_t n;
};

static struct served serve(const char *routes, const char *lan_text)
{
	char json[512];
	struct netmap *m = maps_make("", "");
	struct lan lan = { 0 };
	struct served s;
	struct prefs *p;

	(void)snprintf(json, sizeof(json), "{\"AdvertiseRoutesSet\":true,\"AdvertiseRoutes\":[%s]}",
		       routes);
	p = maps_prefs(json);
	maps_lan(&lan, lan_text);
	s.v = served_ranges(m, p, &lan, &s.n);
	prefs_destroy(p);
	netmap_unref(m);
	return s;
}

static bool has(const struct served *s, const char *text)
{
	struct ip ip = { 0 };

	CHECK(ip_parse(&ip, bytes_str(text)));
	for (size_t i = 0; i < s->n; i++)
		if (range_contains(s->v[i], ip))
			return true;
	return false;
}

TEST(served_is_our_addresses_and_the_offered_subnets)
{
	struct served s = serve("\"10.9.0.0/24\"", "192.168.1.7/24");

	CHECK(has(&s, "100.64.0.1") && has(&s, "fd7a:115c:a1e0::1"));
	CHECK(has(&s, "10.9.0.0") && has(&s, "10.9.0.255"));
	CHECK(!has(&s, "10.9.1.0") && !has(&s, "192.168.1.7") && !has(&s, "8.8.8.8"));
	mem_free(s.v);
}

TEST(served_exit_node_is_the_internet_without_private_networks)
{
	/* The network of a hosting centre: public addresses, still the router's own. */
	struct served s = serve("\"0.0.0.0/0\",\"::/0\"", "198.51.100.7/24 2001:db8:9::7/64");

	CHECK(has(&s, "8.8.8.8") && has(&s, "0.0.0.0") && has(&s, "2600::1"));
	CHECK(has(&s, "9.255.255.255") && has(&s, "11.0.0.0") && has(&s, "223.255.255.255"));
	CHECK(!has(&s, "10.0.0.0") && !has(&s, "10.255.255.255") && !has(&s, "172.31.0.1"));
	CHECK(!has(&s, "192.168.1.1") && !has(&s, "169.254.169.254") && !has(&s, "224.0.0.1"));
	CHECK(!has(&s, "255.255.255.255") && !has(&s, "100.64.0.9") && !has(&s, "fe80::1"));
	CHECK(!has(&s, "ff02::1") && !has(&s, "fd7a:115c:a1e0::9"));
	CHECK(!has(&s, "198.51.100.1") && !has(&s, "198.51.100.255") && !has(&s, "2001:db8:9::1"));
	CHECK(has(&s, "198.51.100.7") && has(&s, "2001:db8:9::7"));
	CHECK(has(&s, "198.51.99.255") && has(&s, "198.51.101.0") && has(&s, "2001:db8:a::"));
	mem_free(s.v);
}

TEST(served_exit_node_may_offer_its_network_by_itself)
{
	struct served s = serve("\"0.0.0.0/0\",\"10.9.0.0/24\",\"::/0\"", "10.9.0.7/24");

	CHECK(has(&s, "10.9.0.1") && !has(&s, "10.9.1.1") && has(&s, "8.8.8.8"));
	mem_free(s.v);
}
