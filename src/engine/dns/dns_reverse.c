/* Names that are addresses: reverse lookups and 4via6. */
#include "engine/dns/dns_zone.h"

#include "base/text.h"

static int nibble(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool reverse_v4(struct bytes name, struct ip *ip)
{
	uint64_t octet;

	*ip = ip_v4(0, 0, 0, 0);
	for (int i = 3; i >= 0; i--, name = dnsname_parent(name)) {
		if (!text_u64(dnsname_label(name), 255, &octet))
			return false;
		ip->b[i] = (uint8_t)octet;
	}
	return bytes_equal_nocase(name, bytes_of("\7in-addr\4arpa", 14));
}

static bool reverse_v6(struct bytes name, struct ip *ip)
{
	uint8_t b[16] = { 0 };

	for (int i = 31; i >= 0; i--, name = dnsname_parent(name)) {
		struct bytes label = dnsname_label(name);
		int v = label.n == 1 ? nibble(label.p[0]) : -1;

		if (v < 0)
			return false;
		b[i / 2] |= (uint8_t)(i & 1 ? v : v << 4);
	}
	*ip = ip_unmap(ip_v6_of(b));
	return bytes_equal_nocase(name, bytes_of("\3ip6\4arpa", 10));
}

bool dns_reverse_parse(const struct dnsname *name, struct ip *ip)
{
	return reverse_v4(dnsname_bytes(name), ip) || reverse_v6(dnsname_bytes(name), ip);
}

/* Decimal, 0x, 0o, 0b; 32 bits. */
static bool site_parse(struct bytes text, uint32_t *site)
{
	unsigned base = 10;
	uint64_t v = 0;

	if (text.n > 2 && text.p[0] == '0') {
		uint8_t kind = text.p[1] | 0x20;

		base = kind == 'x' ? 16 : kind == 'o' ? 8 : kind == 'b' ? 2 : 10;
		if (base != 10)
			text = bytes_from(text, 2);
	}
	for (size_t i = 0; i < text.n; i++) {
		int d = nibble(text.p[i]);

		if (d < 0 || (unsigned)d >= base)
			return false;
		v = v * base + (unsigned)d;
		if (v > UINT32_MAX)
			return false;
	}
	*site = (uint32_t)v;
	return text.n > 0;
}

bool dns_via_parse(struct bytes label, struct ip *ip)
{
	uint8_t b[16] = { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0, 0x0b, 0x1a };
	struct bytes piece;
	uint64_t octet;
	uint32_t site;

	for (int i = 0; i < 4; i++) {
		if (!text_split(&label, '-', &piece) || !text_u64(piece, 255, &octet))
			return false;
		b[12 + i] = (uint8_t)octet;
	}
	if (!text_split(&label, '-', &piece) || !bytes_equal_nocase(piece, bytes_str("via")) ||
	    !site_parse(label, &site))
		return false;
	for (int i = 0; i < 4; i++)
		b[8 + i] = (uint8_t)(site >> (24 - 8 * i));
	*ip = ip_v6_of(b);
	return true;
}
