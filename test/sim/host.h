/*
 * sim/host.h - one node made of the real engines: tunnel, path selection, packet filter.
 *
 * What node/ does with sockets and a loop is done here with events. The coordination server is a
 * function call with a delay: it tells who may see whom and passes endpoints on.
 */
#pragma once

#include "base/map.h"
#include "engine/filter/filter.h"
#include "engine/magic/magic.h"
#include "engine/wg/wg.h"
#include "engine/wg/wg_allowed.h"
#include "sim/net.h"
#include "sim/world.h"

struct city;
struct host;

enum { REGION = 900, PACKET_LEN = 28 + 16 };

struct peer {
	uint32_t host;    /* index in the city */
	bool may_send;    /* policy: we may open to it */
	bool may_receive; /* policy: it may open to us */
	struct magic_route route;
	uint32_t next_seq, delivered; /* of packets from it to us */
	struct mono first_sent, first_arrived, direct_since;
	unsigned route_changes;
};

struct host {
	struct city *city;
	uint32_t index;
	bool up, revoked;
	struct rng rng;
	struct key node_key;
	struct secret32 node_private;
	struct wg *wg;
	struct magic *magic;
	struct wg_allowed *allowed;
	struct filter *filter;
	struct filter_flows *flows;
	struct gateway gateway;
	struct link link;
	struct peer *peers; /* sorted by host */
	size_t peer_count, peer_cap;
	struct addrport endpoints[2];
	size_t endpoint_count;
	bool measuring;
	struct event timer, measured, told;
};

struct city {
	struct world w;
	struct host *hosts;
	size_t n;
	struct map by_key, by_outside;
	bool relay_up, control_up;
	unsigned relay_delay_ms, control_delay_ms;
	uint64_t sent, delivered, by_relay, direct, lost;
	struct mono settled_at; /* from here on paths may not flap */
};

struct ip host_ip(uint32_t index); /* inside the tunnel */
void city_init(struct city *c, uint64_t seed, size_t n);
void city_fini(struct city *c);
/* Both must know each other before host_start(). Policy: a may open to b. */
void city_allow(struct city *c, uint32_t a, uint32_t b);
void host_start(struct city *c, uint32_t index, enum nat_kind nat, struct link link);
struct peer *host_peer(struct host *h, uint32_t other);
/* A numbered packet through the tunnel. */
void host_send(struct host *h, uint32_t to);
void host_moved(struct host *h, enum nat_kind nat); /* another network, another address */
void city_revoke(struct city *c, uint32_t index);   /* control takes it out of every map */
bool host_is_direct(struct host *h, uint32_t other);
/* A datagram from nowhere in particular, as a stranger would send it. */
void host_attack(struct host *h, struct addrport from, struct bytes datagram);
