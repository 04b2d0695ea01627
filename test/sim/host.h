/*
 * sim/host.h - one node made of the real engines: tunnel, path selection, packet filter.
 *
 * What node/ does with sockets and a loop is done here with events.
 */
#pragma once

#include "base/map.h"
#include "engine/filter/filter.h"
#include "engine/magic/magic.h"
#include "engine/wg/wg.h"
#include "engine/wg/wg_allowed.h"
#include "sim/control.h"
#include "sim/net.h"
#include "sim/region.h"
#include "sim/world.h"

struct city;

struct peer {
	uint32_t host;    /* index in the city */
	bool may_send;    /* policy: we may open to it */
	bool may_receive; /* policy: it may open to us */
	bool known;       /* control has told us of it */
	struct key key;
	struct magic_route route;
	uint32_t sent;           /* packets numbered so far */
	uint32_t top, delivered; /* highest number that came from it; how many did */
	uint64_t seen;           /* bit i: number top - i came */
	struct mono first_sent, first_arrived, last_arrived;
	unsigned route_changes;
};

struct host {
	struct city *city;
	uint32_t index;
	bool up, revoked, unsaid;
	struct mono revoked_at;
	struct rng rng;
	struct ip inside; /* on its own network */
	struct key node_key;
	struct secret32 node_private, disco_private;
	struct wall clock_floor;
	int64_t clock_off_ns; /* how wrong its wall clock is */
	struct wg *wg;
	struct magic *magic;
	struct wg_allowed *allowed;
	struct filter *filter;
	struct filter_flows *flows;
	struct gateway *gateway;
	struct link link;
	struct wire wires[REGIONS];
	int home;           /* region; 0: none */
	struct peer *peers; /* sorted by host */
	size_t peer_count, peer_cap;
	struct addrport endpoints[ENDPOINTS_MAX];
	size_t endpoint_count;
	bool measuring, rehoming;
	struct event timer, measured, rehome;
};

/* A datagram that somebody overheard, as it arrived. */
struct tape {
	struct addrport from, to;
	size_t n;
	uint8_t bytes[1500];
};

enum { TAPE_MAX = 256 };

struct city {
	struct world w;
	struct host *hosts;
	size_t n;
	struct map by_outside;
	struct gateway **gateways;
	size_t gateway_count, gateway_cap;
	struct region regions[REGIONS];
	struct control control;
	unsigned relay_delay_ms;
	unsigned talk_every; /* each pair sends in one second of so many */
	size_t packet_len;
	bool settled;      /* the start is over: planted faults of control begin */
	struct tape *tape; /* NULL: nobody listens */
	size_t tape_count;
	void **leaked; /* planted */
	size_t leaked_count, leaked_cap;
	uint64_t sent, delivered, by_relay, direct, lost, oversized, refused;
};

/* city.c */
void city_init(struct city *c, uint64_t seed, size_t n);
void city_fini(struct city *c);
/* Both must know each other before host_start(). Policy: a may open to b. */
void city_allow(struct city *c, uint32_t a, uint32_t b);
/* a believes to know b, b has never heard of a. */
void city_pretend(struct city *c, uint32_t a, uint32_t b);
struct gateway *city_gateway(struct city *c, enum nat_kind kind, struct gateway *parent);
void city_revoke(struct city *c, uint32_t index); /* control takes it out of every map */
bool city_pair_is_direct(struct city *c, uint32_t a, uint32_t b);
struct host *city_neighbour(struct city *c, const struct gateway *g, struct ip ip);

/* host.c */
struct ip host_ip(uint32_t index); /* inside the tunnel */
struct wg_time host_time(const struct host *h);
void host_start(struct host *h, struct gateway *g, struct link link);
void host_restart(struct host *h);                  /* same keys, no memory but the clock floor */
void host_rotate(struct host *h);                   /* a new node key */
void host_moved(struct host *h, struct gateway *g); /* another network, another address */
struct peer *host_peer(struct host *h, uint32_t other);
bool host_is_direct(struct host *h, uint32_t other);
void host_record(const struct host *h, struct record *out);
void host_learn(struct host *h, uint32_t about, const struct record *r);
int host_nearest(const struct host *h); /* region it would like, whether up or not */
void host_regions_changed(struct host *h);
void host_lost_home(struct host *h);
void host_drain(struct host *h);
void host_input_relayed(struct host *h, int region, const struct key *from, uint8_t *p, size_t n);
void host_input(struct host *h, const struct magic_path *from, uint8_t *p, size_t n);
/* A datagram from nowhere in particular, as a stranger would send it. */
void host_attack(struct host *h, struct addrport from, struct bytes datagram);

/* packet.c */
enum { PACKET_MIN = 28 + 24, PACKET_MAX = 1280 };
/* A numbered packet through the tunnel. */
void host_send(struct host *h, uint32_t to);
void host_check_packet(struct host *h, uint32_t owner, struct bytes packet);
bool packet_is_visible(struct bytes datagram); /* a packet of ours lies open in it */

/* udp.c */
void host_send_udp(struct host *h, struct addrport to, const uint8_t *p, size_t n);
bool host_seen_as(struct host *h, struct addrport by, struct addrport *out);
/* Another sender's copy of a datagram: from is where the network says it came from. */
void host_spoof_udp(struct host *h, struct addrport from, struct addrport to,
		    struct bytes datagram);
bool udp_owns(const struct event *e);
