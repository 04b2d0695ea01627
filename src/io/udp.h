/*
 * io/udp.h - one UDP socket with everything Linux has to move many datagrams at once.
 *
 * Segmentation (UDP_SEGMENT) and merging (UDP_GRO) are probed when the socket is opened or adopted
 * and are switched off again when sending shows that they do not work. A datapath thread may send
 * while another receives; nothing here is locked because the kernel does that.
 */
#pragma once

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/bytes.h"
#include "base/ip.h"

struct err;

enum {
	UDP_BUFFER_BYTES = 7 << 20, /* what is asked for; less costs throughput */
	UDP_GSO_SEGMENTS = 64,      /* newer kernels take 128; older ones not */
	UDP_GSO_BYTES = 65507,      /* payload of a super-datagram, IPv4's limit for both */
	UDP_VECTOR = 16,            /* slots of one receive call with merging */
	UDP_PLAIN_VECTOR = 64,      /* slots without */
	UDP_PLAIN_SLOT = 2048,
};

struct udp_conf {
	uint8_t family;      /* 4 or 6; IPv6 sockets are never dual-stack */
	struct ip bind;      /* no address: any */
	uint16_t port;       /* 0: the kernel chooses */
	uint32_t mark;       /* SO_MARK; 0: none */
	size_t buffer_bytes; /* 0: UDP_BUFFER_BYTES */
	bool no_gso, no_gro; /* for tests and people in trouble */
	bool never_fragment; /* path MTU probing is on */
};

struct udp {
	int fd; /* -1: not open */
	uint8_t family;
	uint16_t port;    /* really bound */
	bool gro;         /* datagrams may come merged */
	_Atomic bool gso; /* cleared for good by EIO: the device cannot sum */
	size_t rcvbuf;    /* granted */
};

/* Needs privileges only for marks and large buffers. *u is written whole on success. */
int udp_open(struct udp *u, const struct udp_conf *conf, struct err *err);
/* Takes a socket that someone else opened (a privileged parent): reads back what it can do. */
int udp_adopt(struct udp *u, int fd, struct err *err);
void udp_close(struct udp *u); /* no-op when not open */
int udp_set_mark(struct udp *u, uint32_t mark, struct err *err);

enum udp_sent {
	UDP_SENT,
	UDP_FULL,        /* queue full, even after a short wait: dropped */
	UDP_TOO_LONG,    /* does not fit the path's MTU */
	UDP_NO_ROUTE,    /* nobody there: unreachable, no address, interface down */
	UDP_REFUSED,     /* EPERM: a local firewall said no */
	UDP_SEND_FAILED, /* any other error */
};

enum udp_sent udp_send(struct udp *u, const struct addrport *to, const void *p, size_t n);

/*
 * A run of datagrams for one address, back to back in memory: all of `segment` bytes, the last one
 * perhaps shorter. Falls back to single datagrams where segmentation does not work: for the whole
 * socket on EIO, for this run when *too_long comes back true (then ask with no_gso for that path).
 */
struct udp_run {
	const struct addrport *to;
	const uint8_t *p;
	size_t n;
	size_t segment;
	bool no_gso;
};
struct udp_run_result {
	enum udp_sent sent; /* the worst of its datagrams */
	unsigned datagrams; /* that left */
	bool too_long;      /* EMSGSIZE for the super-datagram: this path takes none */
};
struct udp_run_result udp_send_run(struct udp *u, const struct udp_run *run);

/* Receiving: a vector of slots that belongs to one thread. */
struct udp_slot {
	uint8_t *p; /* headroom lies before it */
	size_t n;
	size_t segment; /* n when it was not merged */
	struct addrport from;
};

struct udp_vector;
struct udp_vector *udp_vector_create(bool gro, unsigned slots); /* slots 0: the default */
void udp_vector_destroy(struct udp_vector *v);
size_t udp_vector_bytes(const struct udp_vector *v);
/* Slots filled, 0 when there is nothing; -1 with errno when the socket is unusable. Errors that
 * belong to datagrams sent earlier (ICMP) are swallowed. */
int udp_receive(struct udp *u, struct udp_vector *v);
struct udp_slot *udp_vector_slot(struct udp_vector *v, unsigned i);
uint32_t
udp_vector_overflows(const struct udp_vector *v); /* of the last call, SO_RXQ_OVFL: lost so far */
