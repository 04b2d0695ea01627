/*
 * node/dnsconf.h - map and preferences, translated into what the resolver answers, whom it asks,
 * and what the host's own resolver shall be told. Pure; upstream: ipn/ipnlocal/node_backend.go,
 * dnsConfigForNetmap.
 */
#pragma once

#include "base/arena.h"
#include "base/wall.h"
#include "engine/dns/dns.h"
#include "node/privops.h"
#include "part/dnsd/dnsd.h"

struct netmap;
struct prefs;

struct dnsconf {
	struct arena arena; /* of all below */
	struct dns_conf engine;
	struct dnsd_upstream *upstreams; /* of those resolvers that are not plain and outside */
	size_t upstream_count, upstream_cap;
	struct privops_dns os;
	bool through_exit; /* an exit node is asked for everything else */
	size_t skipped;    /* resolvers and records that this node cannot use */
};

/*
 * map NULL: nothing is known, everything goes to the host's own resolvers. base: those; used where
 * the network names none. Never NULL.
 */
struct dnsconf *dnsconf_create(const struct netmap *map, const struct prefs *prefs,
			       const struct addrport *base, size_t base_count, struct wall now);
void dnsconf_destroy(struct dnsconf *c); /* NULL is a no-op */
