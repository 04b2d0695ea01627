#include "wire/ippkt.h"

enum {
	V4_HEADER = 20,
	V6_HEADER = 40,
	TCP_HEADER = 20,
	UDP_HEADER = 8,
	SCTP_HEADER = 12,
	ICMP_HEADER = 8,
	TRANSPORT_PORTS = 4,
	V6_EXTENSIONS_MAX = 8, /* nobody sends more; a chain is work for us */
};

enum v6_next {
	V6_HOP_BY_HOP = 0,
	V6_ROUTING = 43,
	V6_FRAGMENT = 44,
	V6_AUTH = 51,
	V6_NONE = 59,
	V6_DESTINATION = 60,
	V6_MOBILITY = 135,
};

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

uint32_t ippkt_length(struct bytes b)
{
	uint32_t n = 0;

	if (b.n >= V4_HEADER && b.p[0] >> 4 == 4) {
		n = be16(b.p + 2);
		if (n < (b.p[0] & 15U) * 4 || (b.p[0] & 15) < 5)
			return 0;
	} else if (b.n >= V6_HEADER && b.p[0] >> 4 == 6) {
		n = V6_HEADER + (uint32_t)be16(b.p + 4);
	}
	return n <= b.n ? n : 0;
}

static struct ip address(const uint8_t *p, uint8_t version)
{
	struct ip ip = { .family = version };

	memcpy(ip.b, p, version == 4 ? 4 : 16);
	return ip;
}

bool ippkt_src(struct ip *src, struct bytes b)
{
	if (ippkt_length(b) == 0)
		return false;
	*src = b.p[0] >> 4 == 4 ? address(b.p + 12, 4) : address(b.p + 8, 6);
	return true;
}

bool ippkt_dst(struct ip *dst, struct bytes b)
{
	if (ippkt_length(b) == 0)
		return false;
	*dst = b.p[0] >> 4 == 4 ? address(b.p + 16, 4) : address(b.p + 24, 6);
	return true;
}

static void walk_v4(struct ippkt *pkt, const uint8_t *p)
{
	uint16_t frag = be16(p + 6);

	pkt->transport = (uint16_t)((p[0] & 15) * 4);
	pkt->has_extensions = pkt->transport > V4_HEADER;
	pkt->proto = p[9];
	pkt->fragment_offset = (uint16_t)((frag & 0x1fff) * 8);
	if (pkt->fragment_offset)
		pkt->fragment = IPPKT_LATER;
	else if (frag & 0x2000)
		pkt->fragment = IPPKT_FIRST;
}

/* Bytes of one extension header at p, of which `left` are there; 0 when it is cut. */
static uint32_t extension_size(uint8_t kind, const uint8_t *p, uint32_t left)
{
	uint32_t n;

	if (left < 8)
		return 0;
	if (kind == V6_FRAGMENT)
		n = 8;
	else if (kind == V6_AUTH)
		n = (p[1] + 2U) * 4;
	else
		n = (p[1] + 1U) * 8;
	return n <= left ? n : 0;
}

static bool is_extension(uint8_t kind)
{
	return kind == V6_HOP_BY_HOP || kind == V6_ROUTING || kind == V6_FRAGMENT ||
	       kind == V6_AUTH || kind == V6_DESTINATION || kind == V6_MOBILITY;
}

static void walk_v6(struct ippkt *pkt, const uint8_t *p)
{
	uint32_t at = V6_HEADER;

	pkt->proto = p[6];
	for (int i = 0; is_extension(pkt->proto) && pkt->fragment != IPPKT_LATER; i++) {
		uint8_t kind = pkt->proto;
		uint32_t n = extension_size(kind, p + at, pkt->length - at);

		if (n == 0 || i == V6_EXTENSIONS_MAX || (kind == V6_FRAGMENT && pkt->fragment)) {
			pkt->proto = IPPKT_UNKNOWN;
			break;
		}
		if (kind == V6_FRAGMENT) {
			uint16_t frag = be16(p + at + 2);

			pkt->fragment_offset = frag & 0xfff8;
			/* An "atomic fragment" (offset 0, no more) is a whole packet: RFC 6946. */
			if (pkt->fragment_offset)
				pkt->fragment = IPPKT_LATER;
			else if (frag & 1)
				pkt->fragment = IPPKT_FIRST;
		} else {
			pkt->has_extensions = true;
		}
		pkt->proto = p[at];
		at += n;
	}
	pkt->transport = (uint16_t)at;
}

static void read_ports(struct ippkt *pkt, const uint8_t *p, uint32_t header)
{
	pkt->has_ports = true;
	pkt->src_port = be16(p);
	pkt->dst_port = be16(p + 2);
	pkt->payload = (uint16_t)(pkt->transport + header);
}

static void walk_transport(struct ippkt *pkt, const uint8_t *p, uint32_t left)
{
	switch (pkt->proto) {
	case IPPKT_TCP:
		if (left < TCP_HEADER || (p[12] >> 4) < 5 || (p[12] >> 4) * 4U > left)
			return;
		read_ports(pkt, p, (p[12] >> 4) * 4U);
		pkt->tcp_flags = p[13];
		return;
	case IPPKT_UDP:
		if (left >= UDP_HEADER)
			read_ports(pkt, p, UDP_HEADER);
		return;
	case IPPKT_SCTP:
		if (left >= SCTP_HEADER)
			read_ports(pkt, p, SCTP_HEADER);
		return;
	case IPPKT_ICMP:
	case IPPKT_ICMP6:
		if (left < ICMP_HEADER || (pkt->proto == IPPKT_ICMP) != (pkt->version == 4))
			return;
		pkt->has_icmp = true;
		pkt->icmp_type = p[0];
		pkt->icmp_code = p[1];
		pkt->payload = (uint16_t)(pkt->transport + ICMP_HEADER);
		return;
	default:
		return;
	}
}

bool ippkt_parse(struct ippkt *pkt, struct bytes b)
{
	*pkt = (struct ippkt){ .length = ippkt_length(b) };
	if (pkt->length == 0 || pkt->length > UINT16_MAX)
		return false;
	pkt->version = b.p[0] >> 4;
	if (pkt->version == 4) {
		pkt->src = address(b.p + 12, 4);
		pkt->dst = address(b.p + 16, 4);
		walk_v4(pkt, b.p);
	} else {
		pkt->src = address(b.p + 8, 6);
		pkt->dst = address(b.p + 24, 6);
		walk_v6(pkt, b.p);
	}
	pkt->payload = pkt->transport;
	if (pkt->fragment != IPPKT_LATER)
		walk_transport(pkt, b.p + pkt->transport, pkt->length - pkt->transport);
	return true;
}
