/*
 * node/tunnel.h - the data plane of one tailnet: sockets, device, WireGuard, paths, relays, filter.
 *
 *   on the outside   netmap + prefs come in, endpoints and relay choice go out to control
 *   on the inside    datapath <-> wg, magic, relays, netcheck, gate; all joined by callbacks here
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/ip.h"
#include "base/log.h"
#include "base/mono.h"
#include "crypto/keytext.h"
#include "crypto/secret.h"
#include "node/pathwhy.h"
#include "part/netcheck.h"

struct datapath;
struct err;
struct lan;
struct loop;
struct netmap;
struct netmap_diff;
struct prefs;
struct privops;
struct tun;
struct tunnel;

enum { TUNNEL_ENDPOINTS_MAX = 32, TUNNEL_MTU = 1280 };

struct tunnel_endpoint {
	struct addrport at;
	uint8_t type; /* tailcfg.EndpointType: 1 local, 2 stun, 3 portmapped, 4 stun4localport */
};

enum tunnel_ping_kind { TUNNEL_PING_DISCO, TUNNEL_PING_TSMP, TUNNEL_PING_ICMP };

struct tunnel_ping {
	uint64_t token;
	enum tunnel_ping_kind kind;
	uint16_t peerapi_port; /* TSMP: of the peer; 0: none */
	int64_t latency_ns;    /* < 0: no answer */
	struct addrport direct;
	int region; /* through this relay */
};

struct tunnel_conf {
	struct privops *priv;
	const char *tun_name; /* NULL: no device */
	/* Instead of a device: a socket that carries one IP packet per message. Duplicated. */
	const struct tun *packets;
	uint16_t port;         /* 0: any */
	unsigned threads;      /* of the datapath */
	const struct lan *lan; /* borrowed; as of the last look. NULL: not known */
	struct secret32 node_key;
	struct log log;
	/* Our addresses as others may reach us; a fresh list, when its set changed. */
	void (*on_endpoints)(void *arg, const struct tunnel_endpoint *endpoints, size_t n);
	/* Home relay, NAT kind or families changed: for NetInfo. */
	void (*on_netinfo)(void *arg, const struct netcheck_report *report);
	void (*on_live)(void *arg); /* the number of relays or peers that work changed */
	void (*on_ping)(void *arg, const struct tunnel_ping *result);
	void (*on_broken)(void *arg, const struct err *why);
	/* The host sent this packet to one of our service addresses. */
	void (*on_service)(void *arg, struct bytes packet);
	/* A peer sent this packet: TCP to one of tunnel_set_services(), or something between nodes.
	 */
	void (*on_peer_packet)(void *arg, struct bytes packet);
	void *arg;
};

struct tunnel *tunnel_create(struct loop *loop, const struct tunnel_conf *conf, struct err *err);
void tunnel_destroy(struct tunnel *t);
struct key tunnel_disco_key(const struct tunnel *t);
uint16_t tunnel_port(const struct tunnel *t);

/* map NULL: nobody is there and nothing may pass. Takes references of its own. diff (against the
 * map of the call before) may be NULL: everything is looked at. */
void tunnel_apply(struct tunnel *t, const struct netmap *map, const struct prefs *prefs,
		  const struct netmap_diff *diff);
/* The network under us changed. */
void tunnel_rebind(struct tunnel *t);
void tunnel_netcheck(struct tunnel *t);
const struct netcheck_report *tunnel_report(const struct tunnel *t); /* or NULL */
int tunnel_home(const struct tunnel *t);
size_t tunnel_relays_up(const struct tunnel *t);
size_t tunnel_live_peers(const struct tunnel *t);

/* The answer comes by on_ping; false: there is no such peer. */
bool tunnel_ping(struct tunnel *t, int64_t node_id, uint64_t token);

/* Through the tunnel to an address of the peer. False also: too many wait already. */
bool tunnel_ping_inside(struct tunnel *t, int64_t node_id, enum tunnel_ping_kind kind, struct ip to,
			uint64_t token);

struct tunnel_reject { /* what a peer said about the last connection it refused */
	uint8_t proto, reason;
	uint16_t port;
};

struct tunnel_peer_status {
	bool has_session, active;
	enum pathwhy why;
	size_t candidates, answered; /* addresses known; addresses that ever answered */
	struct addrport direct;      /* family 0: relayed */
	int region;                  /* the peer's home */
	int64_t latency_ns;
	uint64_t tx_bytes, rx_bytes;
	int64_t handshake_ms_ago, write_ms_ago; /* -1: never */
	struct tunnel_reject reject;
	int64_t reject_ms_ago; /* -1: never */
};
bool tunnel_peer_status(const struct tunnel *t, int64_t node_id, struct tunnel_peer_status *out);
size_t tunnel_endpoints(const struct tunnel *t, struct tunnel_endpoint *out, size_t max);

/* Gives the host a packet of one of our services. False: there is no device, or it is full. */
bool tunnel_write_host(struct tunnel *t, struct bytes packet);

/* Where, among our own addresses, peers' TCP is for services of this process: at most two. In force
 * from the next tunnel_apply() on. */
void tunnel_set_services(struct tunnel *t, const struct addrport *at, size_t n);
/* A packet of ours, to the peer that has its destination. False: nobody has, or it cannot go. */
bool tunnel_send(struct tunnel *t, struct bytes packet);
/* May this peer send such a packet to us or through us? */
struct ippkt;
bool tunnel_peer_may_send(const struct tunnel *t, int64_t node_id, const struct ippkt *pkt);

/* Counters as "name value sentence" lines. */
struct buf;
void tunnel_counters(const struct tunnel *t, struct buf *out);
