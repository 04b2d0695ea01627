/*
 * node/gate.h - the packet filter as the data threads see it: one immutable snapshot of rules and
 * of who is who, swapped whole.
 */
#pragma once

#include <stdatomic.h>

#include "engine/filter/filter.h"
#include "node/datapath.h"

struct gate; /* immutable */
struct lan;
struct log;
struct netmap;
struct prefs;

enum { GATE_SERVICES_MAX = 2 };

struct gate_peer {                       /* by owner number */
	const struct tailcfg_node *node; /* NULL: nobody */
};

/* Rules that cannot be read block; no map blocks everything. lan may be NULL. */
struct gate *gate_create(const struct netmap *map, const struct prefs *prefs, const struct lan *lan,
			 const struct gate_peer *peers, size_t peer_count,
			 struct filter_flows *flows, const struct log *log);
void gate_destroy(struct gate *g); /* NULL is a no-op */
/* TCP to these addresses is for a service of this node, whatever the rules say: it decides by
 * itself. Before data threads see g; what is beyond GATE_SERVICES_MAX is left out. */
void gate_serve(struct gate *g, const struct addrport *at, size_t n);
/* What the filter must know of the sending peer. */
struct filter_source gate_source(const struct filter *f, const struct tailcfg_node *n);
size_t gate_rule_count(const struct gate *g);

/* By the rules alone; for whoever forwards on behalf of a peer. */
bool gate_allows(const struct gate *g, uint32_t owner, const struct ippkt *pkt);

/* For data threads. */
enum datapath_verdict gate_in(const struct gate *g, uint32_t owner, const struct ippkt *pkt);
enum datapath_verdict gate_out(const struct gate *g, uint32_t owner, const struct ippkt *pkt);
