/* engine/magic/magic_peer.h - the state of one peer; inside the engine only. */
#pragma once

#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "engine/magic/magic.h"
#include "wire/disco.h"

enum {
	SESSION_ACTIVE_S = 45, /* without a send for so long a peer is left alone */
	HEARTBEAT_S = 3,
	TRUST_MS = 6500, /* two lost pongs are tolerated */
	PING_TIMEOUT_S = 5,
	DISCOVERY_INTERVAL_S = 5, /* per candidate */
	UPGRADE_INTERVAL_S =
	    60, /* seek a faster path that often when this one is slower than 5 ms */
	GOOD_ENOUGH_NS = 5000000,
	ENDPOINTS_FRESH_S = 27,
	PING_SOURCE_LIFE_S = 45,
	SEEKING_S = 10, /* then an answer is overdue: the other side was told and pinged us, too */
	CANDIDATES_MAX = 100,
	PINGS_MAX = 256,  /* outstanding, per peer */
	QUEUE_MAX = 8192, /* datagrams waiting for magic_next_datagram() */
};

/* Why an address is believed to be the peer's. Without any reason it is forgotten. */
enum candidate_source { FROM_MAP = 1, FROM_CALL_ME_MAYBE = 2, FROM_PING = 4 };

struct candidate {
	struct addrport addr;
	unsigned sources;
	struct mono last_ping;     /* ours to it */
	struct mono last_got_ping; /* its to us */
	struct mono last_back;     /* ours in answer to one of its */
	uint8_t last_txid[DISCO_TXID_LEN];
	int64_t latency_ns; /* 0: never ponged */
};

enum ping_purpose { PING_DISCOVERY, PING_HEARTBEAT, PING_PERSON };

struct sent_ping {
	uint8_t txid[DISCO_TXID_LEN];
	struct magic_path to;
	struct mono at;
	enum ping_purpose purpose;
	uint64_t token;
	struct heap_node timeout;
	struct list link; /* in its peer */
	struct magic_peer *peer;
};

/* A disco key may belong to several peers: one machine seen through several accounts. */
struct disco_key {
	struct key key;
	struct secret32 shared;
	struct list peers;
};

struct magic_peer {
	struct magic *m;
	uint32_t id;
	struct key node_key;
	struct disco_key *disco; /* NULL: cannot do disco */
	struct list disco_link;
	struct candidate *candidates;
	size_t n, cap;
	struct magic_route route;
	int64_t best_latency_ns;
	struct mono direct_since;
	struct mono last_send, last_full_ping, last_call_me_maybe;
	struct mono seeking_since; /* without a trusted path; zero: not seeking */
	bool wants_call_me_maybe;  /* as soon as our endpoints are fresh */
	struct heap_node heartbeat;
	struct list pings;
	size_t ping_count;
	uint64_t person_token; /* the CLI ping under way; 0: none */
};

struct queued {
	struct list link;
	struct magic_datagram d;
};

struct magic {
	struct magic_conf conf;
	struct key disco_public;
	struct map peers, node_keys, disco_keys, pings;
	struct heap heartbeats, timeouts;
	struct list queue;
	size_t queued;
	struct addrport endpoints[DISCO_ENDPOINTS_MAX];
	size_t endpoint_count;
	struct mono endpoints_at;
	struct magic_counters counters;
};

/* magic_send.c */
void magic_send_body(struct magic *m, const struct magic_path *to, const struct disco_key *key,
		     struct bytes body);
bool magic_send_ping(struct magic_peer *p, struct mono now, const struct magic_path *to,
		     enum ping_purpose purpose, uint64_t token);
void magic_forget_ping(struct sent_ping *ping);
void magic_forget_pings(struct magic_peer *p); /* a person who waits is told */
void magic_send_call_me_maybe(struct magic_peer *p);

/* magic_peer.c */
struct candidate *magic_candidate(struct magic_peer *p, struct addrport addr);
struct candidate *magic_candidate_add(struct magic_peer *p, struct mono now, struct addrport addr,
				      enum candidate_source source);
void magic_peer_candidates(struct magic_peer *p, struct mono now, const struct addrport *list,
			   size_t n, enum candidate_source source);
void magic_peer_sending(struct magic_peer *p, struct mono now);
void magic_peer_heartbeat(struct magic_peer *p, struct mono now);
void magic_peer_pong(struct magic_peer *p, struct mono now, const struct sent_ping *ping);
void magic_peer_ping_lost(struct magic_peer *p, struct mono now, const struct sent_ping *ping);
void magic_peer_forget_best(struct magic_peer *p);
/* A fresh ping of the peer came from c. */
void magic_peer_heard(struct magic_peer *p, struct mono now, struct candidate *c);
void magic_peer_ping_now(struct magic_peer *p,
			 struct mono now); /* all candidates, no call-me-maybe */
void magic_peer_person(struct magic_peer *p, struct mono now, uint64_t token);
void magic_peer_changed(struct magic_peer *p); /* tells on_route */
enum magic_why magic_peer_why(const struct magic_peer *p, struct mono now);
