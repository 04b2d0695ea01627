/*
 * engine/relay/relay_state.h - what the files of this folder share; for nobody else.
 *
 *   conn   one connection: an inbound client (or mesh member), an outbound link, or a sibling
 *   peer   one key: the connections that hold it here, the links and siblings that announce it
 *   route  link or sibling announces peer
 *   trail  peer has sent to conn, which hears when the peer leaves
 *
 * A peer exists while it has a connection or a route; trails from it die with it.
 */
#pragma once

#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "base/rand.h"
#include "engine/relay/bucket.h"
#include "engine/relay/relay.h"
#include "engine/relay/relay_queue.h"

enum conn_state {
	CONN_GREETING,  /* ServerKey is out, ClientInfo is not in */
	CONN_ADMISSION, /* the key is proven; somebody decides */
	CONN_UP,
	CONN_LINK,    /* outbound, to another relay */
	CONN_SIBLING, /* another shard of this relay */
	CONN_CLOSING,
};

/* Between siblings only, in the flags of PeerPresent, as reason of PeerGone and as frame type. */
enum {
	RELAY_PRESENT_REMOTE = 0x80, /* not at the sibling: at a relay that it has a link to */
	RELAY_GONE_REMOTE = 0xe0,
	RELAY_FORWARD_LAST = 0xe1, /* a ForwardPacket that came from another relay */
};

/* Lives from the greeting to the answer. */
struct greeting {
	struct derp_client_info info;
	struct secret32 shared;
};

struct peer {
	struct key key;
	struct list conns;  /* the active one first, the others by their last sign of life */
	struct list routes; /* the one in use first: siblings that have it before all others */
	struct list trails;
	bool away; /* connected here, but a sibling has heard from it later */
};

struct route {
	struct peer *peer;
	struct conn *link;
	struct list in_peer, in_link;
	struct addrport from; /* what a sibling told, for those who watch this shard */
	uint8_t flags;
	bool via_link;
	bool remote; /* a sibling knows a link to it, and does not have it itself */
};

/* Who hands over a packet decides where it may go: none travels in circles. */
enum origin { FROM_CLIENT, FROM_RELAY, FROM_SIBLING, FROM_SIBLING_LAST };

struct trail_id {
	uint64_t conn;
	struct key src;
};

struct trail {
	struct trail_id id;
	struct peer *src;
	struct conn *dst;
	struct list in_src, in_dst;
};

struct conn {
	uint64_t id;
	void *user;
	enum conn_state state;
	unsigned wants;
	struct list attention;
	struct heap_node timer;
	struct mono keepalive_at, resume_at, close_at; /* MONO_NEVER when not set */
	struct key key;
	struct addrport from;
	struct peer *peer;    /* CONN_UP */
	struct list in_peer;  /* peer->conns */
	struct list watching; /* relay->watchers, or relay->siblings */
	struct list routes;   /* CONN_LINK, CONN_SIBLING */
	struct list trails;   /* of those who have sent to us */
	struct greeting *greeting;
	struct relay_queue queue;
	struct buf notices; /* small frames: they go before packets */
	size_t notices_sent;
	struct bucket rate, not_here;
	uint64_t packets_in, bytes_in, packets_out, bytes_out;
	const char *close_reason;
	uint8_t pong[DERP_PING_LEN];
	bool has_pong, has_keepalive;
	bool mesh, prober, not_ideal, home, knows_restarting, holding, output_said;
};

struct slot {
	struct conn *conn;
	uint32_t generation;
	uint32_t next_free; /* slot + 1 */
};

struct relay {
	struct relay_conf conf;
	struct key key;
	struct slot *slots;
	size_t slot_count, slot_cap;
	uint32_t free_slot; /* slot + 1 */
	struct map peers, trails;
	struct heap timers;
	struct list attention, watchers, siblings;
	size_t sibling_count;
	struct relay_flows flows;
	struct bucket_shared own_total, *total;
	struct relay_stats stats; /* the counters; sizes are filled in when asked */
	uint32_t try_for_ms;
	bool has_mesh, draining;
};

/* relay.c */
void conn_want(struct relay *r, struct conn *c, unsigned wants);
void conn_close(struct relay *r, struct conn *c, const char *reason);
/* Room for a small frame; false, and counted, when the connection hears too much already. */
bool conn_notice(struct relay *r, struct conn *c, struct bytes frame);
struct conn *conn_of(const struct relay *r, uint64_t id);

/* relay_peer.c */
void peers_init(struct relay *r);
void peers_fini(struct relay *r);
struct peer *peer_find(const struct relay *r, const struct key *key);
void peer_join(struct relay *r, struct conn *c); /* c is up: takes the place of older ones */
void peer_leave(struct relay *r, struct conn *c);
void peer_activate(struct relay *r, struct conn *c); /* the last to send is the one who hears */
uint8_t peer_present_flags(const struct conn *c);
void peer_watch(struct relay *r, struct conn *c);
/* Which connection gets what is for p; NULL: none. */
struct conn *peer_target(const struct peer *p, enum origin origin);
void route_add(struct relay *r, struct conn *link, const struct derp_present *present);
void route_remove(struct relay *r, struct conn *link, const struct key *key, bool remote);
void routes_drop(struct relay *r, struct conn *link);
void trail_note(struct relay *r, const struct key *src, struct conn *dst);
void trails_drop(struct relay *r, struct conn *dst);

/* relay_sibling.c */
void siblings_tell_present(struct relay *r, const struct conn *c);
void siblings_tell_remote(struct relay *r, const struct key *key, bool here);
void siblings_tell_gone(struct relay *r, const struct key *key);
void siblings_close_peer(struct relay *r, const struct key *key);
void sibling_frame(struct relay *r, struct conn *c, struct mono now, const struct derp_frame *f);

/* relay.c, for relay_sibling.c */
void relay_forward(struct relay *r, struct mono now, const struct key *src, const struct key *dst,
		   struct bytes payload, enum origin origin);
void relay_close_peer(struct relay *r, const struct key *key);
struct conn *conn_create(struct relay *r, enum conn_state state);
