/* Which routes follow from which map and which preferences. */
#include "node/routes_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/mem.h"
#include "kit/kit.h"
#include "maps.h"
#include "node/lan.h"
#include "node/privops.h"

static const char lan_none[] = "";

/* The routes as text: "PREFIX" through the tunnel, "!PREFIX" direct. */
static char *routes_of(struct netmap *map, const char *prefs_json, const char *lan_text, bool ipv6)
{
	static char out[4096];
	struct prefs *prefs = maps_prefs(prefs_json);
	struct lan lan = { 0 };
	struct routes_plan_in in = { map, prefs, &lan, MAPS_NOW, ipv6 };
	struct routes_plan plan;
	size_t n = 0;

	maps_lan(&lan, lan_text);
	routes_plan_make(&plan, &in);
	out[0] = '\0';
	for (size_t i = 0; i < plan.route_count && n < sizeof(out) - 100; i++) {
		char text[PREFIX_TEXT_MAX];

		n += (size_t)snprintf(out + n, sizeof(out) - n, "%s%s%s", i ? " " : "",
				      plan.routes[i].kind == PRIVOPS_ROUTE_THROW ? "!" : "",
				      prefix_format(plan.routes[i].to, text));
	}
	routes_plan_fini(&plan);
	prefs_destroy(prefs);
	return out;
}

#define SERVICES6 "fd7a:115c:a1e0::/48 fd7a:115c:a1e0::53/128"
#define ROUTE_ALL "{\"RouteAllSet\":true,\"RouteAll\":true}"
#define EXIT(rest) "{\"ExitNodeIDSet\":true,\"ExitNodeID\":\"n3\"" rest "}"

TEST(plan_nodes_always_and_the_rest_when_accepted)
{
	struct netmap *m = maps_make("", MAPS_PEER(2, ",\"10.9.0.0/24\"", "") "," MAPS_PEER(
					     3, ",\"0.0.0.0/0\",\"::/0\",\"10.8.0.1/24\"", ""));

	CHECK_STR(routes_of(m, "{}", lan_none, true),
		  "100.64.0.2/32 100.64.0.3/32 100.100.100.100/32 " SERVICES6);
	CHECK_STR(routes_of(m, "{}", lan_none, false),
		  "100.64.0.2/32 100.64.0.3/32 100.100.100.100/32");
	/* Host bits in a prefix: it is nobody's. */
	CHECK_STR(routes_of(m, ROUTE_ALL, lan_none, false),
		  "10.9.0.0/24 100.64.0.2/32 100.64.0.3/32 100.100.100.100/32");
	netmap_unref(m);
}

TEST(plan_nothing_for_peers_that_cannot_be_reached)
{
	struct netmap *m = maps_make(
	    "", MAPS_PEER(2, "", ",\"Expired\":true") "," MAPS_PEER(
		    3, "", ",\"KeyExpiry\":\"2020-01-01T00:00:00Z\"") "," MAPS_PEER(4, "", ""));

	CHECK_STR(routes_of(m, "{}", lan_none, false), "100.64.0.4/32 100.100.100.100/32");
	netmap_unref(m);
}

TEST(plan_exit_node_leads_everything_into_the_tunnel_even_when_it_is_gone)
{
	struct netmap *m = maps_make("", MAPS_PEER(3, ",\"0.0.0.0/0\",\"::/0\"", ""));
	struct netmap *gone = maps_make("", MAPS_PEER(2, "", ""));

	CHECK_STR(routes_of(m, EXIT(""), lan_none, true),
		  "0.0.0.0/0 100.64.0.3/32 100.100.100.100/32 ::/0 " SERVICES6);
	CHECK_STR(routes_of(gone, EXIT(""), lan_none, true),
		  "0.0.0.0/0 100.64.0.2/32 100.100.100.100/32 ::/0 " SERVICES6);
	CHECK_STR(
	    routes_of(gone, "{\"AutoExitNodeSet\":true,\"AutoExitNode\":\"any\"}", lan_none, false),
	    "0.0.0.0/0 100.64.0.2/32 100.100.100.100/32");
	netmap_unref(m);
	netmap_unref(gone);
}

TEST(plan_exit_node_and_our_own_networks)
{
	struct netmap *m = maps_make("", MAPS_PEER(3, ",\"0.0.0.0/0\",\"::/0\"", ""));
	const char *lan = "192.168.1.7/24 fe80::7/64";

	CHECK_STR(routes_of(m, EXIT(""), lan, false),
		  "0.0.0.0/0 100.64.0.3/32 100.100.100.100/32 192.168.1.0/24");
	CHECK_STR(routes_of(m,
			    EXIT(",\"ExitNodeAllowLANAccessSet\":true,"
				 "\"ExitNodeAllowLANAccess\":true"),
			    lan, false),
		  "0.0.0.0/0 100.64.0.3/32 100.100.100.100/32 !192.168.1.0/24");
	/* Link-local never leaves its link. */
	CHECK_STR(routes_of(m, EXIT(""), "fe80::7/64", true),
		  "0.0.0.0/0 100.64.0.3/32 100.100.100.100/32 ::/0 " SERVICES6 " !fe80::/64");
	CHECK_STR(routes_of(m, "{}", lan, false), "100.64.0.3/32 100.100.100.100/32");
	netmap_unref(m);
}

TEST(plan_accepted_routes_never_take_our_own_network)
{
	struct netmap *m =
	    maps_make("", MAPS_PEER(2, ",\"10.9.0.0/24\",\"10.8.0.0/16\",\"10.7.0.5/32\"", ""));

	CHECK_STR(routes_of(m, ROUTE_ALL, "10.9.0.3/24 10.8.1.3/24 10.7.0.1/24", false),
		  "10.7.0.5/32 10.8.0.0/16 !10.8.1.0/24 !10.9.0.0/24 100.64.0.2/32 "
		  "100.100.100.100/32");
	netmap_unref(m);
}

static struct netmap *many(unsigned n, const char *self)
{
	struct netmap *m;
	char *text = mem_alloc((size_t)n * 400);
	size_t at = 0;

	for (unsigned i = 0; i < n; i++)
		at += (size_t)snprintf(
		    text + at, 400,
		    "%s{\"ID\":%u,\"StableID\":\"n%u\",\"Name\":\"p%u.t.\",\"User\":7,"
		    "\"Key\":\"nodekey:%064x\",\"HomeDERP\":1,\"Addresses\":[\"100."
		    "%u.%u.%u/32\"]}",
		    i ? "," : "", i + 2, i + 2, i + 2, i + 2, 64 + ((i + 2) >> 16),
		    (i + 2) >> 8 & 255, (i + 2) & 255);
	m = maps_make(self, text);
	mem_free(text);
	return m;
}

TEST(plan_one_route_for_very_many_nodes)
{
	struct netmap *limit = many(ROUTES_ONE_CGNAT_ABOVE, "");
	struct netmap *above = many(ROUTES_ONE_CGNAT_ABOVE + 1, "");
	struct netmap *asked = many(2, ",\"CapMap\":{\"one-cgnat?v=true\":null}");

	CHECK(!strstr(routes_of(limit, "{}", lan_none, false), "100.64.0.0/10"));
	CHECK_STR(routes_of(above, "{}", lan_none, false), "100.64.0.0/10 100.100.100.100/32");
	CHECK_STR(routes_of(asked, "{}", lan_none, false), "100.64.0.0/10 100.100.100.100/32");
	netmap_unref(limit);
	netmap_unref(above);
	netmap_unref(asked);
}
