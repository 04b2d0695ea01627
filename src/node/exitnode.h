/* node/exitnode.h - which exit node would be a good one? Pure. Upstream: ipn/ipnlocal/local.go
 * (suggestExitNode), net/traffic/traffic.go. */
#pragma once

#include "base/bytes.h"

struct err;
struct netcheck_report;
struct netmap;
struct rng;
struct tailcfg_node;

/*
 * NULL with err ERR_NONE: there is no candidate. NULL with an error: not known yet. previous is the
 * stable ID of the last suggestion (may be empty); report may be NULL.
 */
const struct tailcfg_node *exitnode_suggest(const struct netmap *map,
					    const struct netcheck_report *report,
					    struct bytes previous, struct rng *rng,
					    struct err *err);
