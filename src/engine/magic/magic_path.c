/* The parts of path choice that need no state: what a datagram is, which address is better. */
#include "engine/magic/magic.h"

#include "wire/disco.h"

enum { STUN_HEAD = 20, GENEVE_HEAD = 8 };

enum magic_class magic_classify(struct bytes d)
{
	static const uint8_t cookie[] = { 0x21, 0x12, 0xa4, 0x42 };

	if (!d.n)
		return MAGIC_EMPTY;
	if (d.n >= STUN_HEAD && (d.p[0] & 0xc0) == 0 && d.p[1] == 0x01 &&
	    memcmp(d.p + 4, cookie, sizeof(cookie)) == 0)
		return MAGIC_STUN;
	/* WireGuard has zero bytes at 1 to 3, so the protocol number 0x7a.. cannot be its. */
	if (d.n >= GENEVE_HEAD && (d.p[0] & 0xc0) == 0 && (d.p[1] & 0x3f) == 0 && d.p[2] == 0x7a &&
	    (d.p[3] == 0x11 || d.p[3] == 0x12) && d.p[7] == 0)
		return MAGIC_GENEVE;
	return disco_is_envelope(d) ? MAGIC_DISCO : MAGIC_WIREGUARD;
}

static int locality(struct ip ip)
{
	if (ip_is_loopback(ip))
		return 50;
	if (ip_is_link_local(ip))
		return 30;
	return ip_is_private(ip) ? 20 : 0;
}

/* The faster of the two gets up to 99 points, the nearer network some more, IPv6 ten. */
static int points(const struct magic_score *mine, const struct magic_score *other)
{
	int p = locality(mine->addr.ip) + (mine->addr.ip.family == 6 ? 10 : 0);

	if (mine->latency_ns < other->latency_ns && other->latency_ns > 0)
		p += (int)(100 - 100 * mine->latency_ns / other->latency_ns);
	return p;
}

bool magic_is_better(const struct magic_score *a, const struct magic_score *b)
{
	int ap, bp;

	if (!ip_is_valid(a->addr.ip) || addrport_equal(a->addr, b->addr))
		return false;
	if (!ip_is_valid(b->addr.ip))
		return true;
	ap = points(a, b);
	bp = points(b, a);
	if (ap <= 1 && bp == 0) /* not worth a change */
		return false;
	return ap > bp;
}
