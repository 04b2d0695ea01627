/*
 * wire/ipbuild.h - a plain IP header in front of what we say ourselves: no options, hop limit 64.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"

enum { IPBUILD_HEADER_MAX = 40, IPBUILD_UDP_LEN = 8 };

static inline size_t ipbuild_header_len(struct ip ip)
{
	return ip.family == 4 ? 20 : 40;
}

/*
 * The transport header and its data, n bytes, stand behind the room for the IP header already.
 * Writes that header and the checksum, which is sum_at bytes into the transport header. Both
 * addresses are of one family. Returns the length of the packet.
 */
size_t ipbuild(uint8_t *packet, struct ip src, struct ip dst, uint8_t proto, size_t n,
	       size_t sum_at);
/* The same for a transport without a checksum; n bytes stand behind the room already. Such packets
 * may be fragmented: upstream writes them without "don't fragment". */
size_t ipbuild_bare(uint8_t *packet, struct ip src, struct ip dst, uint8_t proto, size_t n);
/* A whole UDP packet; 0: it does not fit into cap or into UDP. */
size_t ipbuild_udp(uint8_t *packet, size_t cap, const struct addrport *src,
		   const struct addrport *dst, struct bytes data);
