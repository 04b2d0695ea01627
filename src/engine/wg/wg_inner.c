/* The little that the tunnel knows of IP: where a packet ends and who sent it. */
#include "engine/wg/wg_session.h"

enum { IPV4_HEADER = 20, IPV6_HEADER = 40 };

static bool parse4(struct bytes plain, struct bytes *inner, struct ip *source)
{
	struct reader r = reader_of(plain);
	size_t total;

	read_skip(&r, 2);
	total = read_be16(&r);
	read_skip(&r, 8);
	*source = ip_v4_of(read_be32(&r));
	if (r.bad || plain.n < IPV4_HEADER || total < IPV4_HEADER || total > plain.n)
		return false;
	*inner = bytes_of(plain.p, total);
	return true;
}

static bool parse6(struct bytes plain, struct bytes *inner, struct ip *source)
{
	struct reader r = reader_of(plain);
	uint8_t addr[16];
	size_t payload;

	read_skip(&r, 4);
	payload = read_be16(&r);
	read_skip(&r, 2);
	read_copy(&r, addr, sizeof(addr));
	*source = ip_v6_of(addr);
	if (r.bad || plain.n < IPV6_HEADER || payload > plain.n - IPV6_HEADER)
		return false;
	*inner = bytes_of(plain.p, IPV6_HEADER + payload);
	return true;
}

bool wg_inner_parse(struct bytes plain, struct bytes *inner, struct ip *source)
{
	struct reader r = reader_of(plain);

	switch (read_u8(&r) >> 4) {
	case 4:
		return parse4(plain, inner, source);
	case 6:
		return parse6(plain, inner, source);
	default:
		return false;
	}
}
