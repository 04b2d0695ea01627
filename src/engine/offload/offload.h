/*
 * engine/offload/offload.h - super-packets: one TCP or UDP flow's packets as one frame.
 *
 * The kernel hands a TUN reader up to 64 KiB as one frame behind a virtio header, and takes such
 * frames from a writer. Split makes wire packets of one; a group makes one of wire packets. Both
 * are exact: what a group merges, the kernel splits into the same bytes again (but the IPv4 id of a
 * sender that never counts it, where DF says that nobody needs it).
 *
 *   virtio header, host byte order (linux/virtio_net.h):
 *     off len  field
 *       0   1  flags        1: the checksum field holds the sum of the pseudo header only
 *       1   1  gso type     0 none, 1 TCP/IPv4, 4 TCP/IPv6, 5 UDP; 0x80: ECN, a flag
 *       2   2  hdr_len      not believed: see split
 *       4   2  gso_size     payload of each packet but the last
 *       6   2  csum_start   where the transport header begins
 *       8   2  csum_offset  of the checksum in it
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h> /* struct iovec, a type only */

#include "base/bytes.h"

enum {
	OFFLOAD_HDR_LEN = 10,
	OFFLOAD_NEEDS_CSUM = 1,
	OFFLOAD_NONE = 0,
	OFFLOAD_TCP4 = 1,
	OFFLOAD_TCP6 = 4,
	OFFLOAD_UDP = 5,
	OFFLOAD_ECN = 0x80,
	OFFLOAD_GROUP_MAX = 64, /* packets in one group */
};

struct offload_hdr {
	uint8_t flags, gso_type;
	uint16_t hdr_len, gso_size, csum_start, csum_offset;
};

void offload_hdr_decode(struct offload_hdr *h, const uint8_t p[OFFLOAD_HDR_LEN]);
void offload_hdr_encode(const struct offload_hdr *h, uint8_t p[OFFLOAD_HDR_LEN]);

/* --- one frame to packets --- */

struct offload_split {
	const uint8_t *packet;
	uint32_t length;
	uint32_t at;    /* next payload byte */
	unsigned count; /* packets that will come out */
	unsigned index; /* of the next one */
	uint32_t
	    segment;     /* payload of each but the last; the whole for a frame that is not split */
	uint16_t header; /* IP and transport header; 0: not split */
	uint16_t csum_start, csum_offset;
	uint8_t proto;
	bool needs_csum;
};

/* False when header and packet contradict each other. packet stays borrowed until the last next. */
bool offload_split_begin(struct offload_split *s, const struct offload_hdr *h, struct bytes packet);
/* Length of the largest packet that will come out: all but the last are that long. */
static inline size_t offload_split_size(const struct offload_split *s)
{
	return s->header + s->segment;
}
static inline bool offload_split_done(const struct offload_split *s)
{
	return s->index == s->count;
}
/* Writes the next packet, checksums complete, and returns its length: not more than
 * offload_split_size(). Not to be called when done. */
size_t offload_split_next(struct offload_split *s, uint8_t *out);

/* --- packets to one frame --- */

/* One run of packets of one flow, without copies: iov[0] is the virtio header, then the first
 * packet with its headers, then payloads. */
struct offload_group {
	bool tcp, uso; /* what the device takes */
	bool open;     /* the next packet of the flow may be added */
	bool summed;   /* the first packet's checksum was verified */
	unsigned n;    /* packets */
	uint32_t total;
	uint16_t header, transport;
	uint8_t proto;
	bool push;
	uint32_t next_seq;
	struct iovec iov[1 + OFFLOAD_GROUP_MAX];
	uint8_t hdr[OFFLOAD_HDR_LEN];
	uint8_t saved[120]; /* first headers as they came, for offload_group_single() */
};

void offload_group_init(struct offload_group *g, bool tcp, bool udp);
/* False: it does not belong to the group. Write the group out and add again: an empty group takes
 * everything. The packet is borrowed until offload_group_clear(), its headers may be changed. */
bool offload_group_add(struct offload_group *g, uint8_t *packet, size_t n);
/* Makes the headers say what was merged; how many iovecs to write, iov[0] being the header. */
int offload_group_finish(struct offload_group *g);
/* Packet i as it came, after finish: for a kernel that refused the merged frame. */
struct bytes offload_group_single(struct offload_group *g, unsigned i);
static inline void offload_group_clear(struct offload_group *g)
{
	g->n = 0;
}
