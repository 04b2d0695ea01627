/*
 * Packets to one frame: see engine/offload/offload.h.
 *
 * Strict on purpose: whatever splitting could not reproduce is written singly, so that a receiver
 * behind us sees what the sender sent.
 */
#include "engine/offload/offload.h"

#include "wire/inetsum.h"
#include "wire/ippkt.h"

enum {
	V4_HEADER = 20,
	V6_HEADER = 40,
	TCP_HEADER = 20,
	UDP_HEADER = 8,
	TCP_CSUM = 16,
	UDP_CSUM = 6,
	TOTAL_MAX = 65535,
	V4_DONT_FRAGMENT = 0x4000,
};

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)be16(p) << 16 | be16(p + 2);
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* What makes a packet one that can be in a group at all. */
struct shape {
	uint8_t proto;
	uint16_t transport, header;
	uint32_t payload;
};

static bool ip_shape(struct shape *s, const uint8_t *p, size_t n)
{
	if (n >= V4_HEADER && p[0] == 0x45) {
		s->transport = V4_HEADER;
		s->proto = p[9];
		/* Whole: neither more fragments nor an offset nor the reserved bit. */
		return be16(p + 2) == n && (be16(p + 6) & ~V4_DONT_FRAGMENT) == 0;
	}
	if (n >= V6_HEADER && p[0] >> 4 == 6) {
		s->transport = V6_HEADER;
		s->proto = p[6];
		return be16(p + 4) + (size_t)V6_HEADER == n;
	}
	return false;
}

static bool transport_shape(struct shape *s, const uint8_t *t, size_t left)
{
	if (s->proto == IPPKT_TCP) {
		uint32_t header;

		if (left < TCP_HEADER)
			return false;
		header = (t[12] >> 4) * 4U;
		/* ACK, perhaps PSH, nothing else, and no urgent data. */
		if (header < TCP_HEADER || header >= left || (t[13] & ~TCP_PSH) != TCP_ACK ||
		    (t[12] & 15) != 0 || be16(t + 18) != 0)
			return false;
		s->header = (uint16_t)(s->transport + header);
	} else if (s->proto == IPPKT_UDP) {
		if (left <= UDP_HEADER || be16(t + 4) != left || be16(t + UDP_CSUM) == 0)
			return false;
		s->header = (uint16_t)(s->transport + UDP_HEADER);
	} else {
		return false;
	}
	s->payload = (uint32_t)left + s->transport - s->header;
	return true;
}

static bool shape_of(struct shape *s, const uint8_t *p, size_t n)
{
	return n <= TOTAL_MAX && ip_shape(s, p, n) &&
	       transport_shape(s, p + s->transport, n - s->transport);
}

static bool sum_is_right(const struct shape *s, const uint8_t *p)
{
	uint32_t length = s->header - s->transport + s->payload;
	uint64_t sum = inetsum_pseudo(p, s->proto, length);

	return inetsum_fold(inetsum_add(sum, p + s->transport, length)) == UINT16_MAX;
}

/* The IPv4 header's own checksum, which is made anew for the merged frame and so must be right. */
static bool ip_sum_is_right(const uint8_t *p)
{
	return p[0] >> 4 == 6 || inetsum_fold(inetsum_add(0, p, V4_HEADER)) == UINT16_MAX;
}

void offload_group_init(struct offload_group *g, bool tcp, bool udp)
{
	*g = (struct offload_group){ .tcp = tcp, .uso = udp };
}

static void first(struct offload_group *g, uint8_t *packet, size_t n)
{
	struct shape s;

	g->n = 1;
	g->total = (uint32_t)n;
	g->iov[1] = (struct iovec){ packet, n };
	g->open = shape_of(&s, packet, n) && (s.proto == IPPKT_TCP ? g->tcp : g->uso);
	if (!g->open)
		return;
	g->proto = s.proto;
	g->transport = s.transport;
	g->header = s.header;
	g->summed = false;
	g->push = false;
	if (s.proto == IPPKT_TCP) {
		g->next_seq = be32(packet + s.transport + 4) + s.payload;
		g->push = packet[s.transport + 13] & TCP_PSH;
		g->open = !g->push; /* PSH ends a run */
	}
}

static uint32_t segment_of(const struct offload_group *g)
{
	return (uint32_t)g->iov[1].iov_len - g->header;
}

static bool same_ip(const struct offload_group *g, const uint8_t *a, const uint8_t *b)
{
	uint16_t id, other;

	if (a[0] >> 4 == 6) /* version, class and flow label; next header to addresses */
		return memcmp(a, b, 4) == 0 && memcmp(a + 6, b + 6, V6_HEADER - 6) == 0;
	if (memcmp(a, b, 2) != 0 || memcmp(a + 6, b + 6, 4) != 0 || memcmp(a + 12, b + 12, 8) != 0)
		return false;
	id = be16(a + 4);
	other = be16(b + 4);
	if (other == (uint16_t)(id + g->n))
		return true;
	return other == id && (be16(a + 6) & V4_DONT_FRAGMENT);
}

static bool same_transport(const struct offload_group *g, const uint8_t *a, const uint8_t *b)
{
	if (memcmp(a, b, 4) != 0) /* ports */
		return false;
	if (g->proto == IPPKT_UDP)
		return true;
	return be32(b + 4) == g->next_seq && memcmp(a + 8, b + 8, 5) == 0 && /* ack, length */
	       memcmp(a + 14, b + 14, 2) == 0 &&                             /* window */
	       memcmp(a + TCP_HEADER, b + TCP_HEADER,
		      (size_t)g->header - g->transport - TCP_HEADER) == 0;
}

static bool extends(struct offload_group *g, const struct shape *s, const uint8_t *packet)
{
	const uint8_t *head = g->iov[1].iov_base;
	struct shape own = { g->proto, g->transport, g->header, segment_of(g) };

	if (s->proto != g->proto || s->transport != g->transport || s->header != g->header ||
	    s->payload > segment_of(g) || g->total + s->payload > TOTAL_MAX ||
	    (packet[0] ^ head[0]) >> 4 || !same_ip(g, head, packet) ||
	    !same_transport(g, head + g->transport, packet + g->transport))
		return false;
	if (!g->summed) {
		g->summed = true;
		g->open = sum_is_right(&own, head) && ip_sum_is_right(head);
	}
	return g->open && sum_is_right(s, packet) && ip_sum_is_right(packet);
}

bool offload_group_add(struct offload_group *g, uint8_t *packet, size_t n)
{
	struct shape s;

	if (g->n == 0) {
		first(g, packet, n);
		return true;
	}
	if (!g->open || !shape_of(&s, packet, n) || !extends(g, &s, packet))
		return false;
	g->iov[1 + g->n++] = (struct iovec){ packet + g->header, s.payload };
	g->total += s.payload;
	g->next_seq += s.payload;
	if (g->proto == IPPKT_TCP)
		g->push = packet[g->transport + 13] & TCP_PSH;
	g->open = s.payload == segment_of(g) && !g->push && g->n < OFFLOAD_GROUP_MAX;
	return true;
}

int offload_group_finish(struct offload_group *g)
{
	struct offload_hdr h = { 0 };
	uint8_t *p = g->iov[1].iov_base, *t = p + g->transport;

	g->iov[0] = (struct iovec){ g->hdr, sizeof(g->hdr) };
	if (g->n > 1) {
		memcpy(g->saved, p, g->header);
		h.flags = OFFLOAD_NEEDS_CSUM;
		h.gso_type = g->proto == IPPKT_UDP ? OFFLOAD_UDP
			     : p[0] >> 4 == 4      ? OFFLOAD_TCP4
						   : OFFLOAD_TCP6;
		h.hdr_len = g->header;
		h.gso_size = (uint16_t)segment_of(g);
		h.csum_start = g->transport;
		h.csum_offset = g->proto == IPPKT_TCP ? TCP_CSUM : UDP_CSUM;
		if (p[0] >> 4 == 6) {
			put16(p + 4, g->total - V6_HEADER);
		} else {
			put16(p + 2, g->total);
			put16(p + 10, 0);
			put16(p + 10, (uint16_t)~inetsum_fold(inetsum_add(0, p, V4_HEADER)));
		}
		if (g->proto == IPPKT_UDP)
			put16(t + 4, g->total - g->transport);
		else if (g->push)
			t[13] |= TCP_PSH;
		put16(t + h.csum_offset,
		      inetsum_fold(inetsum_pseudo(p, g->proto, g->total - g->transport)));
	}
	offload_hdr_encode(&h, g->hdr);
	return 1 + (int)g->n;
}

struct bytes offload_group_single(struct offload_group *g, unsigned i)
{
	uint8_t *head = g->iov[1].iov_base;

	if (i == 0) {
		if (g->n > 1)
			memcpy(head, g->saved, g->header);
		return bytes_of(head, g->iov[1].iov_len);
	}
	/* Its own headers still stand in front of its payload. */
	return bytes_of((uint8_t *)g->iov[1 + i].iov_base - g->header,
			g->header + g->iov[1 + i].iov_len);
}
