/* node/tunnel_state.h - what a tunnel holds; for the files tunnel*.c only. */
#pragma once

#include <stdatomic.h>

#include "base/list.h"
#include "base/map.h"
#include "base/rand.h"
#include "crypto/x25519.h"
#include "engine/magic/magic.h"
#include "engine/wg/wg.h"
#include "io/loop.h"
#include "io/udp.h"
#include "node/datapath.h"
#include "node/gate.h"
#include "node/relays.h"
#include "node/tunnel.h"
#include "os/tun.h"

struct portmapper;
struct tailcfg_node;

struct peer { /* somebody we may talk to: not expired, with a disco key or a relay */
	uint32_t owner;
	int64_t id;
	struct key key, disco;
	struct list retry; /* in tunnel.retries: its first way out has just appeared */
	bool watching;     /* the datapath will tell us about the next packet to it */
	struct mono last_send;
	struct tunnel_reject reject;
	struct mono rejected_at;
};

struct tunnel {
	struct loop *loop;
	struct tunnel_conf conf;
	struct rng rng;
	struct key self_key;
	struct udp udp4, udp6;
	struct tun tun;
	struct wg *wg;
	struct magic *magic;
	struct datapath *dp;
	struct relays *relays;
	struct netcheck *netcheck;
	struct portmapper *ports;
	struct filter_flows *flows;
	_Atomic(struct gate *) gate;
	struct addrport services[GATE_SERVICES_MAX];
	size_t service_count;
	struct io_watch dp_watch;
	struct io_timer dp_timer, magic_timer, watch_timer, netcheck_timer;
	struct mono last_send;
	struct list retries; /* of peers */

	struct netmap *map;  /* as applied, or NULL */
	struct peer **peers; /* by owner number; NULL: free */
	uint32_t peer_cap;
	uint32_t *free_owners; /* a queue, so that a number rests before it is used again */
	size_t free_count, free_cap;
	struct map by_key;
	struct map by_id;

	struct list packet_pings; /* oldest first */
	size_t ping_count;
	uint16_t echo_id;    /* of our echo requests: the host has others */
	_Atomic(int) echoes; /* wait; data threads look */
	struct io_timer ping_timer;

	struct tunnel_endpoint endpoints[TUNNEL_ENDPOINTS_MAX];
	size_t endpoint_count;
};

void tunnel_turn(struct tunnel *t);
void tunnel_flush_magic(struct tunnel *t);

struct peer *tunnel_peer_at(const struct tunnel *t, uint32_t owner);
struct peer *tunnel_peer_by_key(const struct tunnel *t, const struct key *key);
struct peer *tunnel_peer_by_id(const struct tunnel *t, int64_t id);
struct bytes tunnel_peer_key(const void *item); /* for by_key */
void tunnel_free_peers(struct tunnel *t);

/* tunnel_ping.c */
void tunnel_note_send(struct tunnel *t, uint32_t owner); /* we sent something to this peer */
void tunnel_on_ping_timer(struct io_timer *timer);
void tunnel_free_pings(struct tunnel *t); /* nobody is told */
/* For data threads. */
bool tunnel_is_echo_answer(const struct tunnel *t, const struct ippkt *pkt, struct bytes packet);
void tunnel_take_packet(struct tunnel *t, uint32_t owner, struct bytes packet);

void tunnel_update_endpoints(struct tunnel *t);
