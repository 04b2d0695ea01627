/* node/routes_health.c - see routes_health.h. */
#include "node/routes_health.h"

#include <stdio.h>

#include "node/netmap.h"
#include "node/prefs.h"
#include "node/privops.h"
#include "node/routes_plan.h"

bool routes_forwarding_is_on(const struct prefs *prefs, const struct privops_host *host, char *out,
			     size_t size)
{
	const struct prefix_list *routes = &prefs->v.advertise_routes;
	bool four = !routes->n, six = !routes->n, some;

	for (size_t i = 0; i < routes->n; i++)
		*(routes->v[i].addr.family == 4 ? &four : &six) = true;
	four = four && !host->forward4;
	six = six && host->ipv6 && !host->forward6;
	if (!four && !six)
		return true;
	some = (four && host->some4) || (six && host->some6);
	(void)snprintf(out, size,
		       "IP forwarding is disabled%s, subnet routing/exit nodes will not work. To "
		       "enable it: sysctl -w%s%s",
		       some ? " on some interfaces" : "", four ? " net.ipv4.ip_forward=1" : "",
		       six ? " net.ipv6.conf.all.forwarding=1" : "");
	return false;
}

static bool offers_exit(const struct prefs *prefs)
{
	for (size_t i = 0; i < prefs->v.advertise_routes.n; i++)
		if (prefs->v.advertise_routes.v[i].len == 0)
			return true;
	return false;
}

/* Somebody offers a network that we could use. */
static bool misses_routes(const struct netmap *map, const struct prefs *prefs)
{
	if (!map || prefs->v.route_all)
		return false;
	for (size_t i = 0; i < netmap_peer_count(map); i++) {
		const struct tailcfg_node *peer = netmap_peer(map, i);

		for (size_t j = 0; j < peer->primary_routes.n; j++)
			if (peer->primary_routes.v[j].len)
				return true;
	}
	return false;
}

static const char *exit_trouble(const struct netmap *map, const struct prefs *prefs)
{
	const struct tailcfg_node *exit = map ? routes_exit_node(map, prefs) : NULL;

	if (!map || !routes_has_exit_node(prefs))
		return NULL;
	if (!exit)
		return "The chosen exit node is not in the network: nothing leaves this host but "
		       "to "
		       "other nodes. To use none: weft set --exit-node=";
	if (!routes_is_exit_option(exit))
		return "The chosen exit node does not offer to be one any more: nothing leaves "
		       "this "
		       "host but to other nodes. To use none: weft set --exit-node=";
	if (exit->online == OPT_FALSE)
		return "The chosen exit node is offline: nothing leaves this host but to other "
		       "nodes "
		       "until it is back. To use none: weft set --exit-node=";
	return NULL;
}

void routes_health(const struct netmap *map, const struct prefs *prefs,
		   const struct privops_host *host, routes_health_fn *each, void *arg)
{
	const char *exit = exit_trouble(map, prefs);
	char text[512];

	if (prefs->v.advertise_routes.n &&
	    !routes_forwarding_is_on(prefs, host, text, sizeof(text)))
		each(arg, "ip-forwarding-off", text);
	if (prefs->v.advertise_routes.n && *host->dropper) {
		(void)snprintf(text, sizeof(text),
			       "The chain '%s' drops what this host forwards: subnet routing/exit "
			       "nodes will not work. To allow it: nft 'insert rule %s iifname %s "
			       "accept; insert rule %s oifname %s accept'",
			       host->dropper, host->dropper, host->device, host->dropper,
			       host->device);
		each(arg, "forward-policy-drop", text);
	}
	if (offers_exit(prefs) && prefs->v.no_snat)
		each(arg, "nosnat-with-advertised-exit-node",
		     "Exit node is advertised, but source NAT is off: answers from the internet "
		     "will not find back. To enable it: weft set --snat-subnet-routes");
	if (exit)
		each(arg, "exit-node-unusable", exit);
	if (*host->rival) {
		(void)snprintf(
		    text, sizeof(text),
		    "The device %.15s has routes in routing table %d, too: stop one of the "
		    "two tunnels, they disturb each other",
		    host->rival, PRIVOPS_ROUTE_TABLE);
		each(arg, "rival-tunnel", text);
	}
	if (misses_routes(map, prefs))
		each(arg, "routes-not-accepted",
		     "Some peers are advertising routes but --accept-routes is false");
}
