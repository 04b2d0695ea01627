#include "part/dnsd/dnsd_provider.h"

#include <stdio.h>

#include "base/mem.h"

/* One service: its addresses, as text, end with NULL. */
struct service {
	const char *host, *path;
	const char *addresses[5];
};

#define QUERY "/dns-query"

// clang-format off
static const struct service services[] = {
	{ "cloudflare-dns.com", QUERY, { "1.1.1.1", "1.0.0.1", "2606:4700:4700::1111", "2606:4700:4700::1001" } },
	{ "security.cloudflare-dns.com", QUERY, { "1.1.1.2", "1.0.0.2", "2606:4700:4700::1112", "2606:4700:4700::1002" } },
	{ "family.cloudflare-dns.com", QUERY, { "1.1.1.3", "1.0.0.3", "2606:4700:4700::1113", "2606:4700:4700::1003" } },
	{ "dns.google", QUERY, { "8.8.8.8", "8.8.4.4", "2001:4860:4860::8888", "2001:4860:4860::8844" } },
	{ "dns.quad9.net", QUERY, { "9.9.9.9", "149.112.112.112", "2620:fe::fe", "2620:fe::fe:9" } },
	{ "dns10.quad9.net", QUERY, { "9.9.9.10", "149.112.112.10", "2620:fe::10", "2620:fe::fe:10" } },
	{ "dns11.quad9.net", QUERY, { "9.9.9.11", "149.112.112.11", "2620:fe::11", "2620:fe::fe:11" } },
	{ "dns.mullvad.net", QUERY, { "194.242.2.2", "2a07:e340::2" } },
	{ "adblock.dns.mullvad.net", QUERY, { "194.242.2.3", "2a07:e340::3" } },
	{ "base.dns.mullvad.net", QUERY, { "194.242.2.4", "2a07:e340::4" } },
	{ "extended.dns.mullvad.net", QUERY, { "194.242.2.5", "2a07:e340::5" } },
	{ "family.dns.mullvad.net", QUERY, { "194.242.2.6", "2a07:e340::6" } },
	{ "all.dns.mullvad.net", QUERY, { "194.242.2.9", "2a07:e340::9" } },
	{ "wikimedia-dns.org", QUERY, { "185.71.138.138", "2001:67c:930::1" } },
	{ "freedns.controld.com", "/p0", { "76.76.2.0", "76.76.10.0", "2606:1a40::", "2606:1a40:1::" } },
	{ "freedns.controld.com", "/p1", { "76.76.2.1", "76.76.10.1", "2606:1a40::1", "2606:1a40:1::1" } },
	{ "freedns.controld.com", "/p2", { "76.76.2.2", "76.76.10.2", "2606:1a40::2", "2606:1a40:1::2" } },
	{ "freedns.controld.com", "/p3", { "76.76.2.3", "76.76.10.3", "2606:1a40::3", "2606:1a40:1::3" } },
	{ "private.canadianshield.cira.ca", QUERY, { "149.112.121.10", "149.112.122.10", "2620:10a:80bb::10", "2620:10a:80bc::10" } },
	{ "protected.canadianshield.cira.ca", QUERY, { "149.112.121.20", "149.112.122.20", "2620:10a:80bb::20", "2620:10a:80bc::20" } },
	{ "family.canadianshield.cira.ca", QUERY, { "149.112.121.30", "149.112.122.30", "2620:10a:80bb::30", "2620:10a:80bc::30" } },
};
// clang-format on

/*
 * NextDNS: the profile stands in the address, the last digits of it are the path. Asked in the
 * clear from an address it does not know, it would answer without the profile.
 */
static bool is_nextdns(struct ip ip)
{
	return ip.family == 6 && ip.b[0] == 0x2a && ip.b[1] == 0x07 && ip.b[2] == 0xa8 &&
	       (ip.b[3] == 0xc0 || ip.b[3] == 0xc1) && !(ip.b[4] & 0x80);
}

static bool take_nextdns(struct ip ip, struct dnsd_provider *out)
{
	uint64_t profile = 0;

	for (int i = 10; i < 16; i++)
		profile = profile << 8 | ip.b[i];
	*out = (struct dnsd_provider){ .host = "dns.nextdns.io", .https_only = true };
	(void)snprintf(out->path, sizeof(out->path), "/%llx", (unsigned long long)profile);
	return profile != 0;
}

static bool has_address(const struct service *s, struct ip ip)
{
	for (size_t i = 0; i < array_len(s->addresses) && s->addresses[i]; i++) {
		struct ip one;

		if (ip_parse(&one, bytes_str(s->addresses[i])) && ip_equal(one, ip))
			return true;
	}
	return false;
}

bool dnsd_provider_of(struct ip ip, struct dnsd_provider *out)
{
	if (is_nextdns(ip))
		return take_nextdns(ip, out);
	for (size_t i = 0; i < array_len(services); i++) {
		if (!has_address(&services[i], ip))
			continue;
		*out = (struct dnsd_provider){ .host = services[i].host };
		(void)snprintf(out->path, sizeof(out->path), "%s", services[i].path);
		return true;
	}
	return false;
}

static size_t nextdns_addresses(struct bytes path, struct ip *out, size_t max)
{
	static const uint8_t nets[2][4] = { { 0x2a, 0x07, 0xa8, 0xc0 },
					    { 0x2a, 0x07, 0xa8, 0xc1 } };
	uint64_t profile = 0;
	size_t n = 0;

	if (path.n < 2 || path.n > 13 || path.p[0] != '/')
		return 0;
	for (size_t i = 1; i < path.n; i++) {
		uint8_t c = path.p[i];

		if (c >= '0' && c <= '9')
			profile = profile << 4 | (uint8_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			profile = profile << 4 | (uint8_t)(c - 'a' + 10);
		else
			return 0;
	}
	for (; n < 2 && n < max; n++) {
		uint8_t b[16] = { 0 };

		memcpy(b, nets[n], 4);
		for (int i = 0; i < 6; i++)
			b[15 - i] = (uint8_t)(profile >> (8 * i));
		out[n] = ip_v6_of(b);
	}
	return n;
}

size_t dnsd_provider_addresses(struct bytes host, struct bytes path, struct ip *out, size_t max)
{
	size_t n = 0;

	if (bytes_equal_str(host, "dns.nextdns.io"))
		return nextdns_addresses(path, out, max);
	for (size_t i = 0; i < array_len(services); i++) {
		if (!bytes_equal_str(host, services[i].host) ||
		    !bytes_equal_str(path, services[i].path))
			continue;
		for (size_t j = 0; services[i].addresses[j] && n < max; j++)
			n += ip_parse(&out[n], bytes_str(services[i].addresses[j]));
	}
	return n;
}
