/*
 * node/served.h - which destinations packets from the tunnel may have: our addresses and what we
 * advertise. The packet filter's rules come on top.
 *
 * An exit node serves the internet and not the networks that it is part of: those must be
 * advertised by themselves. Upstream: ipn/ipnlocal/local.go (shrinkDefaultRoute).
 */
#pragma once

#include <stddef.h>

#include "base/ip.h"

struct lan;
struct netmap;
struct prefs;

/* lan may be NULL. mem_free() it. */
struct ip_range *served_ranges(const struct netmap *map, const struct prefs *prefs,
			       const struct lan *lan, size_t *n);
