/*
 * node/peerapi.h - what this node serves its peers at its own tailnet addresses, over HTTP.
 *
 *   packets of peers --> part/localnet --> io/httpd --+--> a greeting, which answers pings
 *                                                     '--> /dns-query --> part/dnsd (exit nodes)
 *
 * There is no kernel socket, so that nothing but the tunnel leads here. WireGuard proved that a
 * packet's source is the peer's, and that address says who asks. See doc/design/dns.md.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/ip.h"
#include "base/log.h"

struct dnsd;
struct loop;
struct netmap;
struct peerapi;
struct prefs;

enum {
	PEERAPI_ADDRESSES_MAX = 2,
	PEERAPI_VISITORS_MAX = 384,   /* connections */
	PEERAPI_VISITORS_OF_ONE = 64, /* of those, from one peer: it may ask one question on each */
};

struct peerapi_conf {
	struct log log;
	struct dnsd *dnsd; /* borrowed */
	/* Keep our ports from the host's programs: packets for them do not reach the host. */
	bool reserve;
	/* May this peer, from that address, send packets to the internet through us? */
	bool (*may_exit)(void *arg, int64_t node_id, struct ip from);
	/* A packet of ours, to a peer. Borrowed. */
	void (*send)(void *arg, struct bytes packet);
	void *arg;
};

struct peerapi *peerapi_create(struct loop *loop, const struct peerapi_conf *conf);
void peerapi_destroy(struct peerapi *p); /* NULL is a no-op */

/* map NULL: nobody is served. True: our addresses or ports are others than before. */
bool peerapi_apply(struct peerapi *p, const struct netmap *map, const struct prefs *prefs);
/* Where it is; *n addresses, the first one IPv4 if there is one. */
const struct addrport *peerapi_at(const struct peerapi *p, size_t *n);
/* A packet that came from a peer; what is not for us is ignored. */
void peerapi_packet(struct peerapi *p, struct bytes packet);

/* Does the node offer itself as exit node? Whether it was approved is the map's word. */
bool peerapi_offers_exit(const struct prefs *prefs);
