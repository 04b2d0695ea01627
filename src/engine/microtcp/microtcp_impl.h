/* engine/microtcp/microtcp_impl.h - shared by the files of this engine. */
#pragma once

#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "engine/microtcp/microtcp.h"
#include "wire/ippkt.h"

enum {
	TCP_HEADER_LEN = 20,
	TCP_SUM_AT = 16,
	CONN_KEY = 2 * 19,
};

/* Serial numbers (RFC 9293 3.4). */
static inline bool seq_lt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}
static inline bool seq_le(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) <= 0;
}

enum conn_state {
	CONN_DEAD, /* only its memory is left */
	CONN_SYN_RECEIVED,
	CONN_ESTABLISHED,
	CONN_FIN_WAIT_1, /* our end is sent, or waits behind data */
	CONN_FIN_WAIT_2,
	CONN_CLOSING, /* both ends are sent, ours is not acknowledged */
	CONN_TIME_WAIT,
	CONN_CLOSE_WAIT,
	CONN_LAST_ACK,
};

struct segment {
	struct addrport local, peer;
	uint32_t seq, ack;
	uint8_t flags;
	uint16_t window;
	struct bytes data;
	uint16_t mss; /* of a SYN; 0: not said */
	int scale;    /* of a SYN; -1: not said */
};

/* False: malformed, or its checksum is wrong. */
bool segment_decode(struct segment *s, struct bytes packet);

/* What goes out, in front of data that stands at its place already. */
struct outgoing {
	const struct addrport *local, *peer;
	uint32_t seq, ack;
	uint8_t flags;
	uint16_t window;
	uint16_t mss; /* with SYN */
	bool scale;   /* with SYN: say that we understand scaling; ours is 0 */
	struct bytes data;
};
/* packet has room for MICROTCP_PACKET_MAX. */
struct bytes segment_encode(const struct outgoing *o, uint8_t *packet);

struct microtcp_conn {
	struct microtcp *t;
	struct list ready; /* t->ready: has something to send */
	struct heap_node timer;
	uint8_t key[CONN_KEY];
	struct addrport local, peer;
	void *owner; /* NULL: nobody is interested (any more) */
	enum conn_state state;
	bool paused, end_owed; /* on_end waits behind rx */

	/* out: tx.p[0] has the number tx_seq; our end comes behind the last byte */
	struct buf tx;
	uint32_t tx_seq, una, next, max; /* next falls back to una when the timer runs out */
	uint32_t window;
	uint8_t scale;
	bool peer_scales, finished, ack_due, resend, probe;
	uint16_t mss;
	uint32_t cwnd, ssthresh, recover;
	unsigned dup_acks, retries;
	int64_t rto_ms, srtt_ns, rttvar_ns;
	uint32_t timed_seq; /* its acknowledgement is awaited */
	struct mono timed_at;

	/* in */
	uint32_t rcv_next;
	struct buf rx; /* while paused */
};

struct reset {
	struct addrport local, peer;
	uint32_t seq, ack;
	uint8_t flags;
};

struct source {
	struct ip ip;
	unsigned count;
};

struct microtcp {
	struct microtcp_conf conf;
	struct map conns, sources;
	struct heap timers;
	struct list ready, dead;
	struct reset resets[MICROTCP_RESETS_MAX];
	size_t reset_at, reset_count;
	struct microtcp_counters counters;
	uint8_t packet[MICROTCP_PACKET_MAX];
};

/* microtcp_send.c */

void conn_ready(struct microtcp_conn *c);
/* False: nothing to say now. */
bool conn_next_segment(struct microtcp_conn *c, struct mono now, struct outgoing *o);
void conn_acknowledged(struct microtcp_conn *c, struct mono now, const struct segment *s);
/* Arms the timer that the state wants. */
void conn_arm(struct microtcp_conn *c, struct mono now);
/* Time to send again; false: it was tried often enough. */
bool conn_retransmit(struct microtcp_conn *c, struct mono now);
bool conn_is_all_acknowledged(const struct microtcp_conn *c); /* our end included */
