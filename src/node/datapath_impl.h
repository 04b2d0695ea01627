/*
 * node/datapath_impl.h - what the files of the datapath share. See node/datapath.h for the picture.
 *
 * Ownership: a struct datapath_thread belongs to the thread that runs it (or to the control thread
 * while there are no threads); what others may touch in it is atomic or a ring. The fds are
 * borrowed. Threads never allocate.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/ring.h"
#include "crypto/aeadvec.h"
#include "engine/offload/offload.h"
#include "engine/wg/wg_session.h"
#include "io/udp.h"
#include "node/datapath.h"
#include "node/datapath_path.h"
#include "os/tun.h"

enum {
	GENEVE_LEN = 8,
	GENEVE_WIREGUARD = 0x7a12,
	DATAPATH_BUDGET = 64,        /* reads or receives before others get their turn */
	DATAPATH_RUNS = 64,          /* runs in one egress batch */
	DATAPATH_FLUSH_PACKETS = 40, /* a full super-packet is worth sending now */
	DATAPATH_SLAB = 128 << 10,
};

enum datapath_msg_kind {
	MSG_NOTICE,   /* WireGuard wants to look at the owner's session */
	MSG_SEND,     /* a watched owner was sent to */
	MSG_SOURCE,   /* an owner's datagrams come from elsewhere now */
	MSG_DATAGRAM, /* not WireGuard data */
	MSG_PACKET,   /* no session yet */
	MSG_LOCAL,    /* for a service of this node */
	MSG_RELAY,    /* a run of datagrams for a relay */
	MSG_INJECT,   /* control to ingress: as if received */
	MSG_BROKEN,   /* a device or socket is unusable */
};

struct datapath_msg {
	uint8_t kind; /* enum datapath_msg_kind */
	bool outbound;
	uint32_t owner;
	uint32_t segment; /* MSG_RELAY: length of all datagrams but the last */
	uint32_t relay;
	int error; /* MSG_BROKEN: errno */
	const char *what;
	struct datapath_source from;
};

struct datapath_thread {
	struct datapath *dp;
	pthread_t id;
	bool running;
	int wake; /* eventfd */
	/* Even: at rest, holds no pointer to anything that control publishes. */
	_Alignas(64) _Atomic uint64_t epoch;
	_Atomic bool sleeping;
	struct ring to_control;
	struct aeadvec *aead;
	struct aeadvec_pkt pkts[AEADVEC_MAX];
	struct mono now; /* coarse, of this batch */
	bool broken;
	bool told; /* control has new messages of this batch */
	_Alignas(64) _Atomic uint64_t counters[DATAPATH_COUNTER_COUNT];
};

/* Consecutive packets of one peer in the slab. */
struct egress_run {
	uint32_t owner;
	struct wg_session *session;
	struct datapath_peer *peer;
	struct datapath_path path;
	uint8_t *p; /* of its first datagram */
	unsigned first, count;
};

struct egress {
	struct datapath_thread t;
	uint8_t *slab, *frame;
	size_t used; /* of the slab */
	unsigned packets, runs;
	struct egress_run run[DATAPATH_RUNS];
	uint16_t
	    head[AEADVEC_MAX]; /* bytes before the text of each packet: 16, or 24 with Geneve */
	/* The last lookup: traffic comes in runs. */
	struct wg_allowed *cached_in;
	struct ip cached_dst;
	uint32_t cached_owner;
};

struct ingress_meta {
	struct wg_session *session;
	unsigned source;
};

struct ingress {
	struct datapath_thread t;
	struct udp_vector *vector;
	unsigned slots;
	struct ring injected; /* control is the producer */
	struct offload_group group;
	unsigned refused; /* merged frames in a row that the kernel did not take */
	unsigned packets;
	struct ingress_meta meta[AEADVEC_MAX];
	struct datapath_source sources[2 * UDP_PLAIN_VECTOR]; /* of this batch */
	unsigned source_count;
	uint32_t overflows[2];
	/* The last source check that passed. */
	struct wg_allowed *cached_in;
	struct ip cached_src;
	uint32_t cached_owner;
};

struct quiet {
	struct list link;
	void (*fn)(void *arg);
	void *arg;
	uint64_t epochs[2];
	bool rested;     /* both threads did; what they told before lies below heads */
	size_t heads[2]; /* of the rings to control */
};

struct datapath {
	struct datapath_conf conf;
	struct tun tun; /* fd -1: none */
	struct egress *out;
	struct ingress *in;
	struct datapath_peers peers;
	_Atomic(struct wg_allowed *) allowed;
	_Atomic bool stop;
	_Atomic bool never_equal_tail;
	bool coalesce;
	_Atomic bool coalesce_off; /* the kernel refused merged frames */
	int epoll, wake;
	_Atomic bool sleeping; /* the control thread: set before its last look at the rings */
	struct list quiets;
	uint64_t reclaiming; /* generation that waits for quiet; 0: none */
	size_t buffer_bytes;
	_Atomic uint64_t counters[DATAPATH_COUNTER_COUNT]; /* the control thread's shard */
	bool broken;
};

/* Single writer: no locked instruction. */
static inline void datapath_add(_Atomic uint64_t *counters, enum datapath_counter c, uint64_t n)
{
	atomic_store_explicit(&counters[c],
			      atomic_load_explicit(&counters[c], memory_order_relaxed) + n,
			      memory_order_relaxed);
}

/* datapath_thread.c */
void datapath_thread_init(struct datapath_thread *t, struct datapath *dp, size_t ring_bytes);
void datapath_thread_fini(struct datapath_thread *t);
void datapath_thread_wake(struct datapath_thread *t);
/* Between these two pointers may be taken from what control publishes. */
void datapath_batch_begin(struct datapath_thread *t);
void datapath_batch_end(struct datapath_thread *t); /* also tells control when there is something */
/* A message for control with room for n bytes behind it; NULL, counted, when its ring is full. */
struct datapath_msg *datapath_tell(struct datapath_thread *t, enum datapath_msg_kind kind, size_t n,
				   uint8_t **data);
void datapath_told(struct datapath_thread *t);
void datapath_tell_owner(struct datapath_thread *t, enum datapath_msg_kind kind, uint32_t owner);
void datapath_tell_broken(struct datapath_thread *t, const char *what, int error);
void datapath_start(struct datapath *dp);
void datapath_stop(struct datapath *dp);

/* datapath.c, datapath_control.c */
void datapath_hear(struct datapath *dp);
void datapath_again(struct datapath *dp);                  /* another turn, soon */
void datapath_run_quiet(struct datapath *dp, bool at_end); /* at_end: all of them */
void datapath_unwatch(struct datapath *dp); /* the fds of a datapath without threads */

/* datapath_egress.c, datapath_ingress.c: a turn is one batch, true when there may be more. */
bool datapath_egress_turn(struct egress *e);
bool datapath_ingress_turn(struct ingress *in);
struct udp *datapath_udp_for(const struct datapath *dp, const struct addrport *to);

/* A Geneve header in front of WireGuard (transport: RFC 8926 without options). */
static inline void datapath_geneve(uint8_t h[GENEVE_LEN], uint32_t vni)
{
	const uint8_t head[GENEVE_LEN] = { 0,
					   0,
					   GENEVE_WIREGUARD >> 8,
					   GENEVE_WIREGUARD & 0xff,
					   (uint8_t)(vni >> 16),
					   (uint8_t)(vni >> 8),
					   (uint8_t)vni,
					   0 };

	for (int i = 0; i < GENEVE_LEN; i++)
		h[i] = head[i];
}
