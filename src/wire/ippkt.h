/*
 * wire/ippkt.h - what an inner IP packet says about itself: addresses, protocol, ports, flags.
 *
 * One bounded walk over IPv4 (with options) or IPv6 (with extension headers) to the transport
 * header. A packet whose IP header is broken does not parse at all. A packet whose transport cannot
 * be read (cut header, a later fragment, an extension header nobody knows) parses, but has no
 * ports: has_ports is false and proto tells as much as the IP layer said.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/ip.h"

enum ippkt_proto {
	IPPKT_ICMP = 1,
	IPPKT_TCP = 6,
	IPPKT_UDP = 17,
	IPPKT_ICMP6 = 58,
	IPPKT_TSMP = 99, /* small control messages between nodes, inside the tunnel */
	IPPKT_SCTP = 132,
	/* Reserved by IANA and never valid on a wire: the walk could not name the protocol. */
	IPPKT_UNKNOWN = 255,
};

enum ippkt_tcp_flag {
	TCP_FIN = 0x01,
	TCP_SYN = 0x02,
	TCP_RST = 0x04,
	TCP_PSH = 0x08,
	TCP_ACK = 0x10,
	TCP_URG = 0x20,
	TCP_ECE = 0x40,
	TCP_CWR = 0x80,
};

enum ippkt_fragment {
	IPPKT_WHOLE,
	IPPKT_FIRST, /* more follow; the transport header is in here */
	IPPKT_LATER, /* no transport header; proto is what the IP header names */
};

struct ippkt {
	uint8_t version;          /* 4 or 6 */
	uint8_t proto;            /* enum ippkt_proto or any other number */
	bool has_ports;           /* the whole transport header of TCP, UDP or SCTP was read */
	bool has_extensions;      /* IPv4 options, or IPv6 extension headers other than Fragment */
	uint8_t fragment;         /* enum ippkt_fragment */
	uint16_t fragment_offset; /* bytes */
	uint8_t tcp_flags;        /* 0 unless TCP with has_ports */
	uint8_t icmp_type, icmp_code; /* 0 unless ICMP or ICMPv6; has_icmp */
	bool has_icmp;
	uint16_t src_port, dst_port; /* host order; 0 without has_ports */
	struct ip src, dst;
	uint16_t transport; /* offset of the transport header (or of what could not be read) */
	uint16_t payload;   /* offset behind the transport header; == transport if not understood */
	uint32_t length;    /* of the packet as its IP header says; never beyond the bytes given */
};

/* False when the IP header is cut, contradicts the number of bytes, or is of no known version. */
bool ippkt_parse(struct ippkt *pkt, struct bytes b);

/* The length that the IP header states, 0 when it is not a plausible packet of at most b.n bytes.
 * A tunnel receiver trims its padding with this. */
uint32_t ippkt_length(struct bytes b);
/* The two addresses alone; false under the same conditions as ippkt_length() == 0. */
bool ippkt_src(struct ip *src, struct bytes b);
bool ippkt_dst(struct ip *dst, struct bytes b);

/* TCP SYN without ACK, and so on, for rules that speak of connections. */
static inline bool ippkt_is_tcp_open(const struct ippkt *pkt)
{
	return pkt->proto == IPPKT_TCP && pkt->has_ports &&
	       (pkt->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}
