/*
 * node/routes.h - makes the host follow the plan: addresses, routes, policy rules and firewall.
 *
 *   map, preferences, own networks --routes_plan--> what is wanted --difference--> privops
 */
#pragma once

#include <stdbool.h>

#include "node/routes_plan.h"

struct err;
struct log;
struct privops;
struct privops_firewall;
struct privops_host;
struct routes;

struct routes *routes_create(struct privops *priv, const struct log *log);
void routes_destroy(struct routes *r); /* takes nothing back: routes_clear() first */
/* map NULL or not wanted: nothing. Goes on after an error; *err is the last one. */
int routes_apply(struct routes *r, const struct netmap *map, const struct prefs *prefs,
		 const struct lan *lan, struct err *err);
void routes_clear(struct routes *r);
void routes_look(struct routes *r); /* at the host, anew */
/* Interfaces came or went: the next routes_apply() sets the firewall again where it matters. */
void routes_moved(struct routes *r);
/* Somebody took our policy rules away. */
void routes_restore_rules(struct routes *r);
/* As of the last look. */
const struct privops_host *routes_host(const struct routes *r);

/* Which firewall these preferences want. map NULL: none. rival: see struct privops_host. */
void routes_firewall(struct privops_firewall *out, const struct netmap *map,
		     const struct prefs *prefs, bool rival);
