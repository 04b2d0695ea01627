#include "wire/ipbuild.h"

#include <string.h>

#include "wire/inetsum.h"
#include "wire/ippkt.h"

enum { HOPS = 64, UDP_SUM_AT = 6, DONT_FRAGMENT = 0x4000 };

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put_header4(uint8_t *p, struct ip src, struct ip dst, uint8_t proto, size_t total,
			uint32_t flags)
{
	struct writer w = writer_of(p, 20);

	write_be16(&w, 0x4500);
	write_be16(&w, (uint16_t)total);
	write_be32(&w, flags); /* id 0 */
	write_u8(&w, HOPS);
	write_u8(&w, proto);
	write_be16(&w, 0);
	write_copy(&w, src.b, 4);
	write_copy(&w, dst.b, 4);
	put16(p + 10, (uint16_t)~inetsum_fold(inetsum_add(0, p, 20)));
}

static void put_header6(uint8_t *p, struct ip src, struct ip dst, uint8_t proto, size_t n)
{
	struct writer w = writer_of(p, 40);

	write_be32(&w, 0x60000000);
	write_be16(&w, (uint16_t)n);
	write_u8(&w, proto);
	write_u8(&w, HOPS);
	write_copy(&w, src.b, 16);
	write_copy(&w, dst.b, 16);
}

size_t ipbuild(uint8_t *packet, struct ip src, struct ip dst, uint8_t proto, size_t n,
	       size_t sum_at)
{
	size_t head = ipbuild_header_len(src);
	uint16_t sum;

	if (src.family == 4)
		put_header4(packet, src, dst, proto, head + n, DONT_FRAGMENT);
	else
		put_header6(packet, src, dst, proto, n);
	put16(packet + head + sum_at, 0);
	sum = (uint16_t)~inetsum_fold(
	    inetsum_add(inetsum_pseudo(packet, proto, (uint32_t)n), packet + head, n));
	/* A sum of zero says "no sum" in UDP (RFC 768). */
	put16(packet + head + sum_at, sum || proto != IPPKT_UDP ? sum : 0xffff);
	return head + n;
}

size_t ipbuild_bare(uint8_t *packet, struct ip src, struct ip dst, uint8_t proto, size_t n)
{
	size_t head = ipbuild_header_len(src);

	if (src.family == 4)
		put_header4(packet, src, dst, proto, head + n, 0);
	else
		put_header6(packet, src, dst, proto, n);
	return head + n;
}

size_t ipbuild_udp(uint8_t *packet, size_t cap, const struct addrport *src,
		   const struct addrport *dst, struct bytes data)
{
	size_t head = ipbuild_header_len(src->ip), n = IPBUILD_UDP_LEN + data.n;
	struct writer w;

	if (src->ip.family != dst->ip.family || head + n > cap || head + n > UINT16_MAX)
		return 0;
	w = writer_of(packet + head, n);
	write_be16(&w, src->port);
	write_be16(&w, dst->port);
	write_be16(&w, (uint16_t)n);
	write_be16(&w, 0);
	write_bytes(&w, data);
	return ipbuild(packet, src->ip, dst->ip, IPPKT_UDP, n, UDP_SUM_AT);
}
