/* One frame to packets: see engine/offload/offload.h. */
#include "engine/offload/offload.h"

#include "wire/inetsum.h"
#include "wire/ippkt.h"

enum {
	V4_HEADER = 20,
	V6_HEADER = 40,
	TCP_HEADER = 20,
	UDP_HEADER = 8,
	TCP_CSUM = 16,
	UDP_CSUM = 6
};

void offload_hdr_decode(struct offload_hdr *h, const uint8_t p[OFFLOAD_HDR_LEN])
{
	h->flags = p[0];
	h->gso_type = p[1];
	memcpy(&h->hdr_len, p + 2, 2);
	memcpy(&h->gso_size, p + 4, 2);
	memcpy(&h->csum_start, p + 6, 2);
	memcpy(&h->csum_offset, p + 8, 2);
}

void offload_hdr_encode(const struct offload_hdr *h, uint8_t p[OFFLOAD_HDR_LEN])
{
	p[0] = h->flags;
	p[1] = h->gso_type;
	memcpy(p + 2, &h->hdr_len, 2);
	memcpy(p + 4, &h->gso_size, 2);
	memcpy(p + 6, &h->csum_start, 2);
	memcpy(p + 8, &h->csum_offset, 2);
}

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* Length of the fixed IP header, 0 when it is none or does not fit. */
static uint32_t ip_header(struct bytes b)
{
	uint32_t n = 0;

	if (b.n >= V4_HEADER && b.p[0] >> 4 == 4)
		n = (b.p[0] & 15U) * 4;
	else if (b.n >= V6_HEADER && b.p[0] >> 4 == 6)
		n = V6_HEADER;
	return n >= V4_HEADER && n <= b.n ? n : 0;
}

/* A frame that is one packet, perhaps with an unfinished checksum. */
static bool begin_single(struct offload_split *s, const struct offload_hdr *h, uint32_t ip)
{
	s->count = 1;
	s->segment = s->length;
	if (!(h->flags & OFFLOAD_NEEDS_CSUM))
		return true;
	s->needs_csum = true;
	s->csum_start = h->csum_start;
	s->csum_offset = h->csum_offset;
	return h->csum_start >= ip && (uint32_t)h->csum_start + h->csum_offset + 2 <= s->length;
}

static bool type_fits(uint8_t type, uint8_t version)
{
	return (type == OFFLOAD_TCP4 && version == 4) || (type == OFFLOAD_TCP6 && version == 6) ||
	       type == OFFLOAD_UDP;
}

static bool begin_segments(struct offload_split *s, const struct offload_hdr *h, uint8_t type)
{
	const uint8_t *transport = s->packet + h->csum_start;
	uint32_t left = s->length - h->csum_start, header;

	s->proto = type == OFFLOAD_UDP ? IPPKT_UDP : IPPKT_TCP;
	header = UDP_HEADER;
	if (s->proto == IPPKT_TCP)
		header = left < TCP_HEADER ? 0 : (transport[12] >> 4) * 4U;
	if (header > left || (s->proto == IPPKT_TCP && header < TCP_HEADER) ||
	    h->csum_offset != (s->proto == IPPKT_TCP ? TCP_CSUM : UDP_CSUM))
		return false;
	s->csum_start = h->csum_start;
	s->csum_offset = h->csum_offset;
	s->header = (uint16_t)(h->csum_start + header);
	s->at = s->header;
	s->segment = h->gso_size;
	if (s->segment > s->length - s->header)
		s->segment = s->length - s->header;
	/* Nothing behind the header: one packet all the same, its checksum has to be finished. */
	s->count = s->segment ? (s->length - s->header + s->segment - 1) / s->segment : 1;
	return true;
}

bool offload_split_begin(struct offload_split *s, const struct offload_hdr *h, struct bytes packet)
{
	uint32_t ip = packet.n <= UINT16_MAX ? ip_header(packet) : 0;
	uint8_t type = h->gso_type & (uint8_t)~OFFLOAD_ECN;

	*s = (struct offload_split){ .packet = packet.p, .length = (uint32_t)packet.n };
	if (ip == 0)
		return false;
	if (type == OFFLOAD_NONE)
		return begin_single(s, h, ip);
	/* A super-packet has an unfinished checksum, is of the family its type says, whole. */
	if (!(h->flags & OFFLOAD_NEEDS_CSUM) || h->gso_size == 0 || h->csum_start < ip ||
	    h->csum_start >= packet.n || !type_fits(type, packet.p[0] >> 4))
		return false;
	if (packet.p[0] >> 4 == 4 && (be16(packet.p + 6) & 0x3fff) != 0)
		return false;
	return begin_segments(s, h, type);
}

/* The field holds the sum of the pseudo header: add everything from the transport header on. */
static size_t next_single(struct offload_split *s, uint8_t *out)
{
	if (!s->needs_csum) {
		memcpy(out, s->packet, s->length);
	} else {
		uint8_t *field = out + s->csum_start + s->csum_offset;
		uint16_t sum;

		memcpy(out, s->packet, s->csum_start);
		sum = (uint16_t)~inetsum_fold(inetsum_copy(
		    0, out + s->csum_start, s->packet + s->csum_start, s->length - s->csum_start));
		/* 0 would mean "no checksum" to UDP; the two are the same number to the others. */
		put16(field, sum ? sum : UINT16_MAX);
	}
	return s->length;
}

static void patch_ip(const struct offload_split *s, uint8_t *out, uint32_t length)
{
	if (out[0] >> 4 == 6) {
		put16(out + 4, length - V6_HEADER);
		return;
	}
	put16(out + 2, length);
	put16(out + 4, be16(out + 4) + s->index);
	put16(out + 10, 0);
	put16(out + 10, (uint16_t)~inetsum_fold(inetsum_add(0, out, (out[0] & 15U) * 4)));
}

static void patch_tcp(const struct offload_split *s, uint8_t *tcp, bool last)
{
	uint32_t seq = (uint32_t)be16(tcp + 4) << 16 | be16(tcp + 6);

	seq += s->at - s->header;
	put16(tcp + 4, seq >> 16);
	put16(tcp + 6, seq);
	if (!last)
		tcp[13] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	if (s->index > 0) /* the reaction to congestion is announced once */
		tcp[13] &= (uint8_t)~TCP_CWR;
}

size_t offload_split_next(struct offload_split *s, uint8_t *out)
{
	uint32_t payload = s->length - s->at, length;
	uint8_t *transport = out + s->csum_start, *field = transport + s->csum_offset;
	uint64_t sum;
	uint16_t folded;

	if (s->header == 0) {
		s->index++;
		return next_single(s, out);
	}
	if (payload > s->segment)
		payload = s->segment;
	length = s->header + payload;
	memcpy(out, s->packet, s->header);
	patch_ip(s, out, length);
	if (s->proto == IPPKT_TCP)
		patch_tcp(s, transport, s->index + 1 == s->count);
	else
		put16(transport + 4, length - s->csum_start);
	put16(field, 0);
	sum = inetsum_pseudo(out, s->proto, length - s->csum_start);
	sum = inetsum_add(sum, transport, s->header - s->csum_start);
	sum = inetsum_copy(sum, out + s->header, s->packet + s->at, payload);
	folded = (uint16_t)~inetsum_fold(sum);
	put16(field, folded || s->proto == IPPKT_TCP ? folded : UINT16_MAX);
	s->at += payload;
	s->index++;
	return length;
}
