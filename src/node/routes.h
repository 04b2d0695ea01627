/*
 * node/routes.h - which addresses and routes the host shall have, and who owns which prefix inside.
 *
 * Computed whole from the map and the preferences; what changed since the last time goes to
 * privops.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/ip.h"

struct err;
struct log;
struct netmap;
struct prefs;
struct privops;
struct routes;
struct tailcfg_node;

struct routes *routes_create(struct privops *priv, const struct log *log);
void routes_destroy(struct routes *r); /* takes nothing back: routes_clear() first */
/* map NULL or not wanted: nothing. Goes on after an error; *err is the last one. */
int routes_apply(struct routes *r, const struct netmap *map, const struct prefs *prefs,
		 struct err *err);
void routes_clear(struct routes *r);

/* Whether traffic for this prefix of a peer goes to it, by our preferences. */
bool routes_wants(const struct tailcfg_node *peer, struct prefix p, const struct prefs *prefs);
/* The exit node that the preferences name, by ID or address; NULL: none, or not in the map. */
const struct tailcfg_node *routes_exit_node(const struct netmap *map, const struct prefs *prefs);
bool routes_has_exit_node(const struct prefs *prefs); /* chosen, whether it exists or not */
