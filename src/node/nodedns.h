/*
 * node/nodedns.h - the DNS service of one node: resolver, local services and host, kept in step
 * with map and preferences.
 *
 *   packets to 100.100.100.100 --> part/localnet --> part/dnsd --> resolvers
 *   map, preferences, the host's own resolvers --> dnsconf --> part/dnsd, privops.dns
 */
#pragma once

#include <stdbool.h>

#include "base/bytes.h"
#include "base/log.h"

struct dnsconf;
struct dnsd;
struct loop;
struct microtcp_counters;
struct netmap;
struct netmap_diff;
struct nodedns;
struct prefs;
struct privops;
struct resolver_status;

struct nodedns_conf {
	struct privops *priv; /* borrowed */
	struct log log;
	const char *resolv_conf; /* where the host's resolvers stand; NULL: /etc/resolv.conf */
	/* The host's own resolvers are others now: nodedns_apply() is wanted. */
	void (*on_change)(void *arg);
	/* A packet for the host, from a service address. */
	void (*write)(void *arg, struct bytes packet);
	void *arg;
};

struct nodedns *nodedns_create(struct loop *loop, const struct nodedns_conf *conf);
void nodedns_destroy(struct nodedns *n); /* the host's resolver is given back; NULL is a no-op */

/* map NULL: the node is down. diff (may be NULL) spares work when nothing of ours changed. */
void nodedns_apply(struct nodedns *n, const struct netmap *map, const struct prefs *prefs,
		   const struct netmap_diff *diff);
/* A packet that the host sent to a service address. */
void nodedns_packet(struct nodedns *n, struct bytes packet);

struct dnsd *nodedns_dnsd(const struct nodedns *n);
const struct dnsconf *nodedns_conf(const struct nodedns *n); /* as applied */
/* How the host was told; its texts are for people. serial 0: nothing is known. */
const struct resolver_status *nodedns_host(const struct nodedns *n);
const struct microtcp_counters *nodedns_tcp_counters(const struct nodedns *n);
