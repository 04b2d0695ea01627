/* Receiving many datagrams in one call: see io/udp.h. */
#include <errno.h>
#include <netinet/udp.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "io/udp.h"

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum { HEADROOM = 64, MERGED_SLOT = 65536, CONTROL = CMSG_SPACE(sizeof(int)) * 2 };

union address {
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

struct udp_vector {
	unsigned n;
	size_t slot_bytes; /* stride, headroom included */
	size_t mapped;
	uint8_t *memory; /* mapped, so that only pages datagrams reached are ever resident */
	uint32_t overflows;
	struct mmsghdr *msgs;
	struct iovec *iov;
	union address *from;
	uint8_t (*control)[CONTROL];
	struct udp_slot *slots;
};

struct udp_vector *udp_vector_create(bool gro, unsigned slots)
{
	struct udp_vector *v = mem_alloc(sizeof(*v));

	v->n = slots ? slots : gro ? UDP_VECTOR : UDP_PLAIN_VECTOR;
	v->slot_bytes = HEADROOM + (gro ? (size_t)MERGED_SLOT : UDP_PLAIN_SLOT);
	v->mapped = v->n * v->slot_bytes;
	v->memory =
	    mmap(NULL, v->mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (v->memory == MAP_FAILED) {
		mem_free(v);
		return NULL;
	}
	v->msgs = mem_alloc(v->n * sizeof(*v->msgs));
	v->iov = mem_alloc(v->n * sizeof(*v->iov));
	v->from = mem_alloc(v->n * sizeof(*v->from));
	v->control = mem_alloc(v->n * sizeof(*v->control));
	v->slots = mem_alloc(v->n * sizeof(*v->slots));
	return v;
}

void udp_vector_destroy(struct udp_vector *v)
{
	if (!v)
		return;
	(void)munmap(v->memory, v->mapped);
	mem_free(v->msgs);
	mem_free(v->iov);
	mem_free(v->from);
	mem_free(v->control);
	mem_free(v->slots);
	mem_free(v);
}

size_t udp_vector_bytes(const struct udp_vector *v)
{
	return v->mapped;
}

struct udp_slot *udp_vector_slot(struct udp_vector *v, unsigned i)
{
	return &v->slots[i];
}

uint32_t udp_vector_overflows(const struct udp_vector *v)
{
	return v->overflows;
}

static void arm(struct udp_vector *v)
{
	for (unsigned i = 0; i < v->n; i++) {
		v->iov[i] = (struct iovec){ v->memory + i * v->slot_bytes + HEADROOM,
					    v->slot_bytes - HEADROOM };
		v->msgs[i].msg_hdr = (struct msghdr){ .msg_name = &v->from[i],
						      .msg_namelen = sizeof(v->from[i]),
						      .msg_iov = &v->iov[i],
						      .msg_iovlen = 1,
						      .msg_control = v->control[i],
						      .msg_controllen = CONTROL };
	}
}

static void read_control(struct udp_vector *v, struct msghdr *msg, struct udp_slot *slot)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		int segment;

		if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
			memcpy(&segment, CMSG_DATA(c), sizeof(segment));
			if (segment > 0 && (size_t)segment < slot->n)
				slot->segment = (size_t)segment;
		} else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) {
			memcpy(&v->overflows, CMSG_DATA(c), sizeof(v->overflows));
		}
	}
}

static void read_slot(struct udp_vector *v, unsigned i, uint8_t family)
{
	struct udp_slot *slot = &v->slots[i];

	slot->p = v->iov[i].iov_base;
	slot->n = slot->segment = v->msgs[i].msg_len;
	slot->from = (struct addrport){ .ip.family = family };
	if (family == 4) {
		memcpy(slot->from.ip.b, &v->from[i].in.sin_addr, 4);
		slot->from.port = ntohs(v->from[i].in.sin_port);
	} else {
		memcpy(slot->from.ip.b, &v->from[i].in6.sin6_addr, 16);
		slot->from.port = ntohs(v->from[i].in6.sin6_port);
	}
	read_control(v, &v->msgs[i].msg_hdr, slot);
}

int udp_receive(struct udp *u, struct udp_vector *v)
{
	int n;

	arm(v);
	v->overflows = 0;
	do
		n = recvmmsg(u->fd, v->msgs, v->n, MSG_DONTWAIT, NULL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EBADF || errno == ENOTSOCK || errno == EFAULT || errno == EINVAL
			   ? -1
			   : 0;
	for (int i = 0; i < n; i++)
		read_slot(v, (unsigned)i, u->family);
	return n;
}
