/*
 * node/routes_plan.h - from map and preferences to the addresses and routes that the host shall
 * have. Pure: the same answer for the same question.
 *
 *   peers' addresses       always
 *   default routes         of the chosen exit node; while one is chosen they lead into the tunnel
 *                          even if it is gone, so that nothing leaves beside it
 *   other routes of peers  with accept-routes
 *   our own networks       stay direct (throw), but for those that the exit node shall hide
 *
 * Upstream: net/routemanager, ipn/ipnlocal/local.go (routerConfigLocked). Different on purpose: an
 * accepted route never takes a network away that the host is part of itself.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"
#include "base/wall.h"

struct lan;
struct netmap;
struct prefs;
struct tailcfg_node;

enum { ROUTES_ONE_CGNAT_ABOVE = 10000 }; /* peers; then one route for all of 100.64.0.0/10 */

struct routes_plan_in {
	const struct netmap *map;
	const struct prefs *prefs;
	const struct lan *lan;
	struct wall now;
	bool ipv6; /* the host has it */
};

struct planned_route {
	struct prefix to;
	uint8_t kind; /* enum privops_route_kind */
};

struct routes_plan { /* both sorted, without doubles */
	struct prefix *addresses;
	struct planned_route *routes;
	size_t address_count, route_count;
	size_t address_cap, route_cap;
};

void routes_plan_make(struct routes_plan *out, const struct routes_plan_in *in);
void routes_plan_fini(struct routes_plan *p);
int routes_plan_compare(const void *a, const void *b); /* two struct planned_route */

/* Whether traffic for this prefix of a peer goes to it, by our preferences. */
bool routes_wants(const struct tailcfg_node *peer, struct prefix p, const struct prefs *prefs);
/* The exit node that the preferences name, by ID or address; NULL: none, or not in the map. */
const struct tailcfg_node *routes_exit_node(const struct netmap *map, const struct prefs *prefs);
bool routes_has_exit_node(const struct prefs *prefs); /* chosen, whether it exists or not */
bool routes_is_exit_option(const struct tailcfg_node *peer);
