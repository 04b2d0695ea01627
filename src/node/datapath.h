/*
 * node/datapath.h - packets between TUN device and UDP sockets, in batches, through WireGuard.
 *
 *              egress thread                                      ingress thread
 *   TUN -> split -> lookup -> filter_out -> seal -> UDP    UDP -> open -> filter_in -> merge -> TUN
 *              |   |                                         |     |
 *              +---+--- rings of copies, one eventfd --------+-----+
 *                                 control thread (the caller)
 *               handshakes, relays, STUN and disco, local services, paths, peers
 *
 * The caller's thread is the control thread. It owns the WireGuard machine, makes every call below
 * and gets every callback except the two filters. It watches datapath_fd() for reading and calls
 * datapath_turn() when it is readable, at datapath_deadline(), and after it changed peers. With
 * conf.threads == 0 there are no other threads: datapath_turn() then does their work as well.
 *
 * Peers are small numbers ("owners") that the caller chose in wg_peer_add().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/ip.h"
#include "base/mono.h"
#include "engine/wg/wg.h"
#include "engine/wg/wg_allowed.h"
#include "wire/ippkt.h"

struct datapath;
struct err;
struct tun;
struct udp;

/* Where datagrams for a peer go. Zero: nowhere (they are counted and dropped). */
struct datapath_path {
	struct addrport addr; /* family 0: no UDP */
	uint32_t vni;         /* with addr: behind a Geneve header to a peer relay; 0: direct */
	uint32_t relay;       /* relay region; 0: none */
	/* With both an address and a relay, datagrams go both ways from then on: the address is not
	 * confirmed (any more). MONO_NEVER: the address alone; zero: both at once. */
	struct mono trusted_until;
};

/* Where a datagram came from. */
struct datapath_source {
	struct addrport addr; /* family 0: not by UDP */
	uint32_t vni;
	uint32_t relay;
};

enum datapath_verdict {
	DATAPATH_PASS,
	DATAPATH_DROP,  /* counted as filtered */
	DATAPATH_LOCAL, /* goes to on_local, copied; not to the peer or the TUN device */
};

struct datapath_hooks {
	/*
	 * Called by the data threads, both at once: no locks worth the name, no allocation, no
	 * calls into the datapath. pkt is parsed; `packet` may be a super-packet of one flow (out)
	 * and must not be changed. NULL: everything passes. An outbound packet has been routed
	 * already; owner is WG_OWNER_NONE when nobody owns the destination (only LOCAL has an
	 * effect then).
	 */
	enum datapath_verdict (*filter_out)(void *arg, uint32_t owner, const struct ippkt *pkt,
					    struct bytes packet);
	enum datapath_verdict (*filter_in)(void *arg, uint32_t owner, const struct ippkt *pkt,
					   struct bytes packet);

	/* The rest runs on the control thread inside datapath_turn(). Any may be NULL. */

	/* A packet that a filter called LOCAL; without TUN device every packet that came in. */
	void (*on_local)(void *arg, bool outbound, uint32_t owner, struct bytes packet);
	/* Any datagram that is not WireGuard data, before the machine sees it. True: it was STUN or
	 * disco (magic_classify) and is done with. A Geneve header is still in front. */
	bool (*on_datagram)(void *arg, const struct datapath_source *from, struct bytes datagram);
	/* Datagrams for a relay region, one call per run. */
	void (*on_relay)(void *arg, uint32_t relay, uint32_t owner, const struct bytes *datagrams,
			 size_t n);
	/* An authenticated datagram came from somewhere else than the last one of that peer. */
	void (*on_source)(void *arg, uint32_t owner, const struct datapath_source *from);
	/* Something was sent to a peer after datapath_watch_send(); once. */
	void (*on_send)(void *arg, uint32_t owner);
	/* Packets wait for an owner that WireGuard does not know: wg_peer_add() it now, answer
	 * true. */
	bool (*on_missing_peer)(void *arg, uint32_t owner);
	/* The TUN device or a socket is gone for good; the datapath has stopped. */
	void (*on_broken)(void *arg, const struct err *why);
	void *arg;
};

struct datapath_conf {
	struct wg *wg;           /* with data_threads set when threads > 0 */
	const struct tun *tun;   /* copied, the fd is borrowed; NULL: no device, see on_local */
	struct udp *udp4, *udp6; /* borrowed; either may be NULL */
	unsigned mtu;            /* of the inside; 0: 1280 */
	unsigned threads;        /* 0: none; 2: one per direction */
	bool no_coalesce;        /* write single packets to the device */
	bool never_equal_tail;   /* peers with Linux 7.0.0 to 7.1.4 */
	/* Plain WireGuard: a peer's path is where its last datagram came from, before that is
	 * delivered, so that an answer to it goes there. Off: on_source decides. */
	bool follow_source;
	const char *crypto;  /* provider by name; NULL: the fastest */
	size_t memory_bytes; /* for buffers, all threads; 0: from the size of the machine */
	struct datapath_hooks hooks;
};

/* How many data threads suit this machine: 0 on one core or little memory, else 2. */
unsigned datapath_threads_wanted(void);

struct datapath *datapath_create(const struct datapath_conf *conf, struct err *err);
/* Stops and joins the threads. fds, sockets and the machine stay the caller's. NULL: no-op. */
void datapath_destroy(struct datapath *dp);

int datapath_fd(const struct datapath *dp);
struct mono datapath_deadline(const struct datapath *dp);
/* What the data threads left for us, WireGuard's timers and its datagrams, frees what is due. */
void datapath_turn(struct datapath *dp, struct wg_time now);

/* --- peers and paths --- */

/* Routes and source checks in one snapshot; takes a reference of its own. Also handed to wg. */
void datapath_set_allowed(struct datapath *dp, struct wg_allowed *allowed);
void datapath_set_path(struct datapath *dp, uint32_t owner, const struct datapath_path *path);
struct datapath_path datapath_path_of(const struct datapath *dp, uint32_t owner);
/* on_send() at the next packet for it. */
void datapath_watch_send(struct datapath *dp, uint32_t owner);
/* Forgets path and source of an owner, before its number is used for another peer. */
void datapath_forget(struct datapath *dp, uint32_t owner);

/* --- datagrams and packets from the control thread --- */

/* As if it had been received: from a relay, or from a test. Copies. False: queue full, dropped. */
bool datapath_inject(struct datapath *dp, struct bytes datagram,
		     const struct datapath_source *from);
/* Sends a packet of ours (DNS answer, TSMP) to a peer through the tunnel. */
bool datapath_send_packet(struct datapath *dp, struct wg_time now, uint32_t owner,
			  struct bytes packet);
/* The same, routed by its destination address; filter_out is not asked. */
bool datapath_route_packet(struct datapath *dp, struct wg_time now, struct bytes packet);
/* Gives a packet to the host through the TUN device, as answer of a local service. */
bool datapath_write_tun(struct datapath *dp, struct bytes packet);
/* A bare datagram (disco, STUN), behind a Geneve header when vni is not 0 (protocol 0x7a11 and the
 * control bit are the caller's: then vni is 0 and the header is in the datagram already). */
bool datapath_send_datagram(struct datapath *dp, const struct addrport *to, struct bytes datagram);

/* --- changes while it runs; the threads pause for it --- */

void datapath_set_sockets(struct datapath *dp, struct udp *udp4, struct udp *udp6);
void datapath_set_tun(struct datapath *dp, const struct tun *tun); /* NULL: none */
void datapath_set_mtu(struct datapath *dp, unsigned mtu);          /* also handed to wg */
void datapath_set_never_equal_tail(struct datapath *dp, bool on);
/* Runs fn(arg) on the control thread once no data thread can hold what was unpublished before, and
 * every message in which one named it was taken: for snapshots of filters that hooks read, and for
 * owners that shall be given to other peers. At the latest when the datapath is destroyed. */
void datapath_when_quiet(struct datapath *dp, void (*fn)(void *arg), void *arg);

/* --- what happened --- */

#define DATAPATH_COUNTERS(X)                                                                       \
	X(TUN_READS, "frames read from the TUN device")                                            \
	X(TUN_PACKETS_OUT, "packets read from the TUN device, after splitting")                    \
	X(TUN_WRITES, "frames written to the TUN device")                                          \
	X(TUN_PACKETS_IN, "packets written to the TUN device, before merging")                     \
	X(UDP_SENDS, "send calls")                                                                 \
	X(UDP_DATAGRAMS_OUT, "datagrams sent")                                                     \
	X(UDP_BYTES_OUT, "bytes sent")                                                             \
	X(UDP_RECEIVES, "receive calls that found something")                                      \
	X(UDP_DATAGRAMS_IN, "datagrams received")                                                  \
	X(UDP_BYTES_IN, "bytes received")                                                          \
	X(UDP_OVERFLOW, "datagrams lost because the socket's queue was full")                      \
	X(TO_CONTROL, "messages for the control thread")                                           \
	X(RELAYED_OUT, "datagrams handed to relays")                                               \
	X(RELAYED_IN, "datagrams taken from relays")                                               \
	X(LOCAL_PACKETS, "packets for services of this node")                                      \
	X(KEEPALIVES_IN, "keepalives received")                                                    \
	X(PAUSES, "waits for a full socket queue")                                                 \
	X(GSO_OFF, "paths or sockets that lost segmentation")                                      \
	X(DROP_TUN_FRAME, "frames from the device with a bad virtio or IP header")                 \
	X(DROP_NO_PEER, "packets to addresses nobody owns")                                        \
	X(DROP_FILTER_OUT, "outbound packets refused by the filter")                               \
	X(DROP_FILTER_IN, "inbound packets refused by the filter")                                 \
	X(DROP_NO_PATH, "datagrams for peers that cannot be reached yet")                          \
	X(DROP_SEND_FULL, "datagrams dropped because the socket's queue stayed full")              \
	X(DROP_SEND_LONG, "datagrams longer than the path allows")                                 \
	X(DROP_SEND_ERROR, "datagrams the kernel would not send")                                  \
	X(DROP_CONTROL_FULL, "messages dropped because the control thread is behind")              \
	X(DROP_LENGTH, "datagrams too short or too long")                                          \
	X(DROP_INDEX, "datagrams with an unknown receiver index")                                  \
	X(DROP_EXPIRED, "datagrams of a session older than 180 s")                                 \
	X(DROP_AUTH, "datagrams that did not verify")                                              \
	X(DROP_REPLAY, "datagrams that were replayed or too late")                                 \
	X(DROP_INNER, "inner packets that are no IP packet")                                       \
	X(DROP_SOURCE, "inner packets from a source their peer does not own")                      \
	X(DROP_TUN_DOWN, "packets dropped because the interface was down")                         \
	X(DROP_TUN_WRITE, "packets the TUN device would not take")

enum datapath_counter {
#define DATAPATH_COUNTER_ENUM(name, sentence) DATAPATH_##name,
	DATAPATH_COUNTERS(DATAPATH_COUNTER_ENUM)
#undef DATAPATH_COUNTER_ENUM
	    DATAPATH_COUNTER_COUNT
};

uint64_t datapath_count(const struct datapath *dp, enum datapath_counter c);
const char *datapath_counter_name(enum datapath_counter c);
const char *datapath_counter_sentence(enum datapath_counter c);

/* What the probes found; for `status`. */
struct datapath_features {
	const char *crypto;
	bool tun_vnet, tun_tso, tun_uso, coalesce;
	bool udp4_gso, udp4_gro, udp6_gso, udp6_gro;
	unsigned threads;
	size_t buffer_bytes;
};
struct datapath_features datapath_features(const struct datapath *dp);
