/* base/ip.h - IP addresses, prefixes, ranges and address:port pairs as values. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct ip {
	uint8_t family; /* 0: no address; 4 or 6 */
	uint8_t b[16];  /* IPv4 uses the first four; the rest is zero */
};

struct prefix {
	struct ip addr; /* host bits may be set: see prefix_is_masked */
	uint8_t len;
};

struct ip_range {
	struct ip first, last; /* inclusive, one family, first <= last */
};

struct addrport {
	struct ip ip;
	uint16_t port;
};

enum { IP_TEXT_MAX = 46, PREFIX_TEXT_MAX = 50, ADDRPORT_TEXT_MAX = 54, RANGE_TEXT_MAX = 93 };

struct ip ip_v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d);
struct ip ip_v4_of(uint32_t host_order);
struct ip ip_v6_of(const uint8_t b[16]); /* stays IPv6 even when it maps an IPv4 address */
uint32_t ip_v4_u32(struct ip ip);        /* host order */
static inline uint8_t ip_bits(struct ip ip)
{
	return ip.family == 4 ? 32 : 128;
}
static inline size_t ip_len(struct ip ip)
{
	return ip.family == 4 ? 4 : 16;
}
static inline bool ip_is_valid(struct ip ip)
{
	return ip.family != 0;
}
struct ip ip_unmap(struct ip ip); /* ::ffff:a.b.c.d becomes a.b.c.d */

/* IPv4 sorts before IPv6. */
int ip_compare(struct ip a, struct ip b);
bool ip_equal(struct ip a, struct ip b);
bool ip_next(struct ip *ip); /* false, unchanged, past the last address of the family */
bool ip_prev(struct ip *ip);
bool ip_is_loopback(struct ip ip);
bool ip_is_link_local(struct ip ip);
bool ip_is_multicast(struct ip ip);
bool ip_is_unspecified(struct ip ip);
bool ip_is_private(struct ip ip); /* RFC 1918 and fc00::/7 */

/* Strict: no leading zeroes in IPv4, no zones, nothing before or after. */
bool ip_parse(struct ip *ip, struct bytes text);
const char *ip_format(struct ip ip, char out[IP_TEXT_MAX]); /* RFC 5952; "" for no address */

bool prefix_parse(struct prefix *p, struct bytes text); /* needs the /len */
const char *prefix_format(struct prefix p, char out[PREFIX_TEXT_MAX]);
struct prefix prefix_of(struct ip ip); /* /32 or /128 */
struct prefix prefix_masked(struct prefix p);
bool prefix_is_masked(struct prefix p);
bool prefix_is_single(struct prefix p);
bool prefix_contains(struct prefix p, struct ip ip);
bool prefix_covers(struct prefix outer, struct prefix inner);
bool prefix_overlaps(struct prefix a, struct prefix b);
int prefix_compare(struct prefix a, struct prefix b); /* by address, then shorter first */
bool prefix_equal(struct prefix a, struct prefix b);
struct ip_range prefix_range(struct prefix p);

bool range_parse(struct ip_range *r, struct bytes text); /* "a-b" */
const char *range_format(struct ip_range r, char out[RANGE_TEXT_MAX]);
bool range_contains(struct ip_range r, struct ip ip);
/* The largest prefix that starts at r->first and fits; takes it off r. False when r is used up. */
bool range_next_prefix(struct ip_range *r, struct prefix *out, bool *done);

bool addrport_parse(struct addrport *a, struct bytes text); /* "1.2.3.4:5", "[::1]:5" */
const char *addrport_format(struct addrport a, char out[ADDRPORT_TEXT_MAX]);
bool addrport_equal(struct addrport a, struct addrport b);
