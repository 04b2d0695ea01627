/* node/routes_health.h - what is wrong with routes and exit nodes, one sentence each. Pure. */
#pragma once

#include <stdbool.h>

#include "base/bytes.h"

struct netmap;
struct prefs;
struct privops_host;

typedef void routes_health_fn(void *arg, const char *code, const char *sentence);

/* map may be NULL. Codes are upstream's where it has one (health/warnings.go). */
void routes_health(const struct netmap *map, const struct prefs *prefs,
		   const struct privops_host *host, routes_health_fn *each, void *arg);
/* Whether the host forwards what these preferences offer; without an offer: anything. False: out
 * has the sentence with the command that mends it. */
bool routes_forwarding_is_on(const struct prefs *prefs, const struct privops_host *host, char *out,
			     size_t size);
