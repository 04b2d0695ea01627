#include "node/routes_health.h"

#include <stdio.h>
#include <string.h>

#include "kit/kit.h"
#include "maps.h"
#include "node/privops.h"

static void collect(void *arg, const char *code, const char *sentence)
{
	char *out = arg;
	size_t n = strlen(out);

	CHECK(*sentence);
	(void)snprintf(out + n, 256 - n, "%s%s", n ? " " : "", code);
}

static const char *codes(const char *peers, const char *prefs_json, const struct privops_host *host)
{
	static char out[256];
	struct netmap *m = maps_make("", peers);
	struct prefs *p = maps_prefs(prefs_json);

	out[0] = '\0';
	routes_health(m, p, host, collect, out);
	prefs_destroy(p);
	netmap_unref(m);
	return out;
}

#define ROUTES(list) "{\"AdvertiseRoutesSet\":true,\"AdvertiseRoutes\":[" list "]"

TEST(health_names_what_is_missing_to_forward)
{
	struct privops_host host = { .ipv6 = true };
	struct prefs *p = maps_prefs(ROUTES("\"10.9.0.0/24\"") "}");
	char text[256] = "";

	CHECK(!routes_forwarding_is_on(p, &host, text, sizeof(text)));
	CHECK(strstr(text, "sysctl -w net.ipv4.ip_forward=1") && !strstr(text, "ipv6"));
	host.some4 = true;
	CHECK(!routes_forwarding_is_on(p, &host, text, sizeof(text)));
	CHECK(strstr(text, "on some interfaces") != NULL);
	host.forward4 = true;
	CHECK(routes_forwarding_is_on(p, &host, text, sizeof(text)));
	prefs_destroy(p);
	p = maps_prefs(ROUTES("\"0.0.0.0/0\",\"::/0\"") "}");
	CHECK(!routes_forwarding_is_on(p, &host, text, sizeof(text)));
	CHECK(strstr(text, "sysctl -w net.ipv6.conf.all.forwarding=1") && !strstr(text, "ipv4"));
	host.ipv6 = false; /* what is not there need not forward */
	CHECK(routes_forwarding_is_on(p, &host, text, sizeof(text)));
	prefs_destroy(p);
}

TEST(health_of_routes)
{
	struct privops_host host = { .forward4 = true, .forward6 = true, .ipv6 = true };
	struct privops_host drops = { .forward4 = true,
				      .dropper = "ip filter FORWARD",
				      .device = "weft0" };
	struct privops_host bad = { .rival = "tailscale0" };
	const char *router =
	    MAPS_PEER(2, ",\"10.9.0.0/24\"", ",\"PrimaryRoutes\":[\"10.9.0.0/24\"]");
	const char *exit = "{\"ExitNodeIDSet\":true,\"ExitNodeID\":\"n3\"}";

	CHECK_STR(codes("", "{}", &host), "");
	CHECK_STR(codes(router, "{}", &host), "routes-not-accepted");
	CHECK_STR(codes(router, "{\"RouteAllSet\":true,\"RouteAll\":true}", &host), "");
	CHECK_STR(codes("", ROUTES("\"0.0.0.0/0\",\"::/0\"") ",\"NoSNATSet\":true,\"NoSNAT\":true}",
			&host),
		  "nosnat-with-advertised-exit-node");
	CHECK_STR(codes("", ROUTES("\"10.9.0.0/24\"") "}", &bad), "ip-forwarding-off rival-tunnel");
	CHECK_STR(codes("", "{}", &drops), "");
	CHECK_STR(codes("", ROUTES("\"10.9.0.0/24\"") "}", &drops), "forward-policy-drop");
	CHECK_STR(codes("", exit, &host), "exit-node-unusable");
	CHECK_STR(codes(MAPS_PEER(3, "", ",\"Online\":true"), exit, &host), "exit-node-unusable");
	CHECK_STR(codes(MAPS_PEER(3, ",\"0.0.0.0/0\",\"::/0\"", ",\"Online\":false"), exit, &host),
		  "exit-node-unusable");
	CHECK_STR(codes(MAPS_PEER(3, ",\"0.0.0.0/0\",\"::/0\"", ",\"Online\":true"), exit, &host),
		  "");
}
