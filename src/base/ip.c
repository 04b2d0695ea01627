#include "base/ip.h"

#include <stdio.h>

#include "base/text.h"

struct ip ip_v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
	return (struct ip){ 4, { a, b, c, d } };
}

struct ip ip_v4_of(uint32_t v)
{
	return ip_v4((uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v);
}

struct ip ip_v6_of(const uint8_t b[16])
{
	struct ip ip = { .family = 6 };

	memcpy(ip.b, b, 16);
	return ip;
}

uint32_t ip_v4_u32(struct ip ip)
{
	return (uint32_t)ip.b[0] << 24 | (uint32_t)ip.b[1] << 16 | (uint32_t)ip.b[2] << 8 | ip.b[3];
}

struct ip ip_unmap(struct ip ip)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (ip.family == 6 && memcmp(ip.b, mapped, sizeof(mapped)) == 0)
		return ip_v4(ip.b[12], ip.b[13], ip.b[14], ip.b[15]);
	return ip;
}

int ip_compare(struct ip a, struct ip b)
{
	if (a.family != b.family)
		return a.family < b.family ? -1 : 1;
	return memcmp(a.b, b.b, sizeof(a.b));
}

bool ip_equal(struct ip a, struct ip b)
{
	return ip_compare(a, b) == 0;
}

bool ip_next(struct ip *ip)
{
	struct ip next = *ip;

	for (size_t i = ip_len(*ip); i > 0; i--)
		if (++next.b[i - 1] != 0) {
			*ip = next;
			return true;
		}
	return false;
}

bool ip_prev(struct ip *ip)
{
	struct ip prev = *ip;

	for (size_t i = ip_len(*ip); i > 0; i--)
		if (prev.b[i - 1]-- != 0) {
			*ip = prev;
			return true;
		}
	return false;
}

static bool in(struct ip ip, struct ip net, uint8_t len)
{
	return prefix_contains((struct prefix){ net, len }, ip);
}

bool ip_is_loopback(struct ip ip)
{
	return in(ip, ip_v4(127, 0, 0, 0), 8) || in(ip, (struct ip){ 6, { [15] = 1 } }, 128);
}

/* These two are asked for every packet. */
bool ip_is_link_local(struct ip ip)
{
	if (ip.family == 4)
		return ip.b[0] == 169 && ip.b[1] == 254;
	return ip.family == 6 && ip.b[0] == 0xfe && (ip.b[1] & 0xc0) == 0x80;
}

bool ip_is_multicast(struct ip ip)
{
	if (ip.family == 4)
		return (ip.b[0] & 0xf0) == 0xe0;
	return ip.family == 6 && ip.b[0] == 0xff;
}

bool ip_is_unspecified(struct ip ip)
{
	return ip_equal(ip, ip_v4(0, 0, 0, 0)) || ip_equal(ip, (struct ip){ .family = 6 });
}

bool ip_is_private(struct ip ip)
{
	return in(ip, ip_v4(10, 0, 0, 0), 8) || in(ip, ip_v4(172, 16, 0, 0), 12) ||
	       in(ip, ip_v4(192, 168, 0, 0), 16) || in(ip, (struct ip){ 6, { 0xfc } }, 7);
}

static bool parse_v4(uint8_t out[4], struct bytes text)
{
	struct bytes piece;
	uint64_t v;

	for (int i = 0; i < 4; i++) {
		if (!text_split(&text, '.', &piece) || piece.n > 3 || !text_u64(piece, 255, &v))
			return false;
		out[i] = (uint8_t)v;
	}
	return text.p == NULL;
}

static int hex_group(struct bytes piece)
{
	static const char digits[] = "0123456789abcdef";
	int v = 0;

	if (piece.n < 1 || piece.n > 4)
		return -1;
	for (size_t i = 0; i < piece.n; i++) {
		uint8_t c = piece.p[i];
		const char *at;

		if (c >= 'A' && c <= 'F')
			c |= 0x20;
		at = c ? strchr(digits, c) : NULL;
		if (!at)
			return -1;
		v = v * 16 + (int)(at - digits);
	}
	return v;
}

/* Groups of one side of "::" (or of the whole) into out; -1 when malformed, else bytes written. */
static int parse_groups(uint8_t out[16], struct bytes text, bool v4_tail)
{
	struct bytes piece;
	int n = 0;

	if (!text.n)
		return 0;
	while (text_split(&text, ':', &piece)) {
		int v;

		if (v4_tail && !text.p && n <= 12 && piece.n && memchr(piece.p, '.', piece.n))
			return parse_v4(out + n, piece) ? n + 4 : -1;
		v = hex_group(piece);
		if (v < 0 || n > 14)
			return -1;
		out[n++] = (uint8_t)(v >> 8);
		out[n++] = (uint8_t)v;
	}
	return n;
}

static bool parse_v6(uint8_t out[16], struct bytes text)
{
	const uint8_t *gap = text.n > 1 ? memmem(text.p, text.n, "::", 2) : NULL;
	uint8_t tail[16];
	int head_n, tail_n;

	if (!gap)
		return parse_groups(out, text, true) == 16;
	head_n = parse_groups(out, bytes_of(text.p, (size_t)(gap - text.p)), false);
	tail_n = parse_groups(tail, bytes_from(text, (size_t)(gap - text.p) + 2), true);
	if (head_n < 0 || tail_n < 0 || head_n + tail_n > 14)
		return false;
	memset(out + head_n, 0, 16 - (size_t)head_n);
	memcpy(out + 16 - tail_n, tail, (size_t)tail_n);
	return true;
}

bool ip_parse(struct ip *ip, struct bytes text)
{
	struct ip got = { 0 };

	if (text.n == 0 || text.n >= IP_TEXT_MAX)
		return false;
	got.family = memchr(text.p, ':', text.n) ? 6 : 4;
	if (got.family == 6 ? !parse_v6(got.b, text) : !parse_v4(got.b, text))
		return false;
	*ip = got;
	return true;
}

static unsigned group(const struct ip *ip, int i)
{
	return (unsigned)ip->b[2 * i] << 8 | ip->b[2 * i + 1];
}

/* The longest run of two or more zero groups, the first of equals (RFC 5952, 4.2). */
static int longest_gap(const struct ip *ip, int *len)
{
	int best = -1;

	*len = 1;
	for (int i = 0; i < 8; i++) {
		int n = 0;

		while (i + n < 8 && group(ip, i + n) == 0)
			n++;
		if (n > *len) {
			*len = n;
			best = i;
		}
		i += n;
	}
	return best;
}

static void format_v6(const struct ip *ip, char *out)
{
	int gap_len, gap = longest_gap(ip, &gap_len);
	size_t n = 0;

	for (int i = 0; i < 8; i++) {
		if (i == gap) {
			n += (size_t)snprintf(out + n, IP_TEXT_MAX - n, "::");
			i += gap_len - 1;
			continue;
		}
		if (i > 0 && i != gap + gap_len)
			out[n++] = ':';
		n += (size_t)snprintf(out + n, IP_TEXT_MAX - n, "%x", group(ip, i));
	}
}

const char *ip_format(struct ip ip, char out[IP_TEXT_MAX])
{
	struct ip v4 = ip_unmap(ip);

	out[0] = '\0';
	if (ip.family == 4)
		(void)snprintf(out, IP_TEXT_MAX, "%u.%u.%u.%u", ip.b[0], ip.b[1], ip.b[2], ip.b[3]);
	else if (v4.family == 4)
		(void)snprintf(out, IP_TEXT_MAX, "::ffff:%u.%u.%u.%u", v4.b[0], v4.b[1], v4.b[2],
			       v4.b[3]);
	else if (ip.family == 6)
		format_v6(&ip, out);
	return out;
}

bool prefix_parse(struct prefix *p, struct bytes text)
{
	struct bytes addr;
	struct prefix got;
	uint64_t len;

	if (!text_split(&text, '/', &addr) || !text.p || !ip_parse(&got.addr, addr) ||
	    !text_u64(text, ip_bits(got.addr), &len))
		return false;
	got.len = (uint8_t)len;
	*p = got;
	return true;
}

const char *prefix_format(struct prefix p, char out[PREFIX_TEXT_MAX])
{
	char ip[IP_TEXT_MAX];

	(void)snprintf(out, PREFIX_TEXT_MAX, "%s/%u", ip_format(p.addr, ip), p.len);
	return out;
}

struct prefix prefix_of(struct ip ip)
{
	return (struct prefix){ ip, ip_bits(ip) };
}

/* Clears (or sets) the bits of ip behind the first len. */
static struct ip fill_tail(struct ip ip, unsigned len, bool ones)
{
	for (unsigned i = 0; i < ip_len(ip); i++) {
		unsigned keep = len > 8 * i ? len - 8 * i : 0;
		uint8_t mask = keep >= 8 ? 0xff : (uint8_t)(0xff00 >> keep);

		ip.b[i] = (uint8_t)(ones ? ip.b[i] | (uint8_t)~mask : ip.b[i] & mask);
	}
	return ip;
}

struct prefix prefix_masked(struct prefix p)
{
	return (struct prefix){ fill_tail(p.addr, p.len, false), p.len };
}

bool prefix_is_masked(struct prefix p)
{
	return ip_equal(fill_tail(p.addr, p.len, false), p.addr);
}

bool prefix_is_single(struct prefix p)
{
	return p.addr.family && p.len == ip_bits(p.addr);
}

bool prefix_contains(struct prefix p, struct ip ip)
{
	unsigned whole = p.len / 8, rest = p.len % 8;

	if (!ip.family || ip.family != p.addr.family || memcmp(ip.b, p.addr.b, whole) != 0)
		return false;
	return rest == 0 || (ip.b[whole] ^ p.addr.b[whole]) >> (8 - rest) == 0;
}

bool prefix_covers(struct prefix outer, struct prefix inner)
{
	return outer.len <= inner.len && prefix_contains(outer, inner.addr);
}

bool prefix_overlaps(struct prefix a, struct prefix b)
{
	return prefix_covers(a, b) || prefix_covers(b, a);
}

int prefix_compare(struct prefix a, struct prefix b)
{
	int c = ip_compare(a.addr, b.addr);

	return c ? c : (int)a.len - (int)b.len;
}

bool prefix_equal(struct prefix a, struct prefix b)
{
	return prefix_compare(a, b) == 0;
}

struct ip_range prefix_range(struct prefix p)
{
	return (struct ip_range){ fill_tail(p.addr, p.len, false), fill_tail(p.addr, p.len, true) };
}

bool range_parse(struct ip_range *r, struct bytes text)
{
	struct ip_range got;
	struct bytes first;

	if (!text_split(&text, '-', &first) || !text.p || !ip_parse(&got.first, first) ||
	    !ip_parse(&got.last, text) || got.first.family != got.last.family ||
	    ip_compare(got.first, got.last) > 0)
		return false;
	*r = got;
	return true;
}

const char *range_format(struct ip_range r, char out[RANGE_TEXT_MAX])
{
	char first[IP_TEXT_MAX], last[IP_TEXT_MAX];

	(void)snprintf(out, RANGE_TEXT_MAX, "%s-%s", ip_format(r.first, first),
		       ip_format(r.last, last));
	return out;
}

bool range_contains(struct ip_range r, struct ip ip)
{
	return ip.family == r.first.family && ip_compare(r.first, ip) <= 0 &&
	       ip_compare(ip, r.last) <= 0;
}

bool range_next_prefix(struct ip_range *r, struct prefix *out, bool *done)
{
	struct prefix p = prefix_of(r->first);
	struct ip next;

	if (*done)
		return false;
	while (p.len > 0) {
		struct prefix wider = { p.addr, (uint8_t)(p.len - 1) };

		if (!prefix_is_masked(wider) || ip_compare(prefix_range(wider).last, r->last) > 0)
			break;
		p = wider;
	}
	*out = p;
	next = prefix_range(p).last;
	if (ip_equal(next, r->last) || !ip_next(&next))
		*done = true;
	else
		r->first = next;
	return true;
}

bool addrport_parse(struct addrport *a, struct bytes text)
{
	bool v6 = text.n && text.p[0] == '[';
	const uint8_t *sep = text.n ? memrchr(text.p, ':', text.n) : NULL;
	struct addrport got;
	struct bytes host;
	uint64_t port;

	if (!sep)
		return false;
	host = bytes_of(text.p, (size_t)(sep - text.p));
	if (!text_u64(bytes_from(text, host.n + 1), UINT16_MAX, &port))
		return false;
	if (v6) {
		if (host.n < 2 || host.p[host.n - 1] != ']')
			return false;
		host = bytes_of(host.p + 1, host.n - 2);
	}
	if (!ip_parse(&got.ip, host) || (got.ip.family == 6) != v6)
		return false;
	got.port = (uint16_t)port;
	*a = got;
	return true;
}

const char *addrport_format(struct addrport a, char out[ADDRPORT_TEXT_MAX])
{
	char ip[IP_TEXT_MAX];

	(void)snprintf(out, ADDRPORT_TEXT_MAX, a.ip.family == 6 ? "[%s]:%u" : "%s:%u",
		       ip_format(a.ip, ip), a.port);
	return out;
}

bool addrport_equal(struct addrport a, struct addrport b)
{
	return a.port == b.port && ip_equal(a.ip, b.ip);
}
