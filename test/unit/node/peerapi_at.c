#include "node/peerapi_at.h"

#include <stdio.h>

#include "kit/kit.h"
#include "maps.h"

#define SERVICES(list) ",\"Hostinfo\":{\"Services\":[" list "]}"
#define FOUR "{\"Proto\":\"peerapi4\",\"Port\":40004}"
#define SIX "{\"Proto\":\"peerapi6\",\"Port\":40006}"

TEST(peerapi_ports_are_where_upstream_looks) /* vectors of ipn/ipnlocal/peerapi_test.go's rule */
{
	static const uint16_t want[PEERAPI_TRIES] = { 59395, 54874, 48237, 64336, 37223 };
	uint8_t six[16] = {
		0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0, [13] = 101, [14] = 102, [15] = 103
	};

	for (unsigned i = 0; i < PEERAPI_TRIES; i++) {
		CHECK_INT(peerapi_port(ip_v4(100, 101, 102, 103), i), want[i]);
		CHECK_INT(peerapi_port(ip_v6_of(six), i), want[i]);
	}
	CHECK_INT(peerapi_port(ip_v4(100, 255, 0, 1), 1), peerapi_port(ip_v4(100, 0, 0, 1), 0));
}

static const char *reached(const char *services)
{
	static char url[PEERAPI_URL_MAX];
	char peer[1024];
	struct addrport at;
	struct netmap *m;
	bool found;

	(void)snprintf(peer, sizeof(peer), MAPS_PEER(2, "", "%s"), services);
	m = maps_make("", peer);
	found = peerapi_of(netmap_self(m), netmap_peer(m, 0), &at);
	netmap_unref(m);
	return found ? peerapi_url(at, url) : "";
}

TEST(peerapi_of_a_peer)
{
	CHECK_STR(reached(""), "");
	CHECK_STR(reached(SERVICES(FOUR "," SIX)), "http://100.64.0.2:40004");
	CHECK_STR(reached(SERVICES(SIX)), ""); /* both have IPv4, so it would be there */
	CHECK_STR(reached(SERVICES("{\"Proto\":\"peerapi4\",\"Port\":0}")), "");
	CHECK_STR(reached(SERVICES("{\"Proto\":\"peerapi4\",\"Port\":65536}")), "");
	CHECK_STR(reached(SERVICES("{\"Proto\":\"peerapi4\",\"Port\":-1}")), "");
}
