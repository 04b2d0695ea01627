/* Protocols, port lists, and the split of "selector:ports". */
#include "engine/policy/policy_parse.h"

#include <stdio.h>

#include "base/text.h"

static const struct {
	const char *name;
	int number;
} protos[] = {
	{ "icmp", 1 },  { "icmpv4", 1 }, { "igmp", 2 }, { "ipv4", 4 },       { "ip-in-ip", 4 },
	{ "tcp", 6 },   { "egp", 8 },    { "igp", 9 },  { "udp", 17 },       { "dccp", 33 },
	{ "gre", 47 },  { "esp", 50 },   { "ah", 51 },  { "ipv6-icmp", 58 }, { "icmpv6", 58 },
	{ "tsmp", 99 }, { "sctp", 132 }, { "fc", 133 },
};

bool policy_proto_has_ports(int proto)
{
	return proto < 0 || proto == 6 || proto == 17 || proto == 132;
}

bool policy_proto(struct bytes text, bool allow_star, int *proto, const char **why,
		  char whybuf[160])
{
	uint64_t n;

	*why = whybuf;
	*proto = -1;
	if (!text.n || (allow_star && bytes_equal_str(text, "*")))
		return true;
	for (size_t i = 0; i < array_len(protos); i++)
		if (bytes_equal_nocase(text, bytes_str(protos[i].name))) {
			*proto = protos[i].number;
			return true;
		}
	if (bytes_equal_str(text, "*"))
		*why = "proto name \"*\" not known; use protocol number 0-255 or protocol name "
		       "(icmp, tcp, udp, etc.)";
	else if (text.p[0] == '0')
		(void)snprintf(whybuf, 160, "leading 0 not permitted in protocol number: \"%.*s\"",
			       BYTES_FMT(bytes_of(text.p, text.n < 20 ? text.n : 20)));
	else if (!text_u64(text, UINT32_MAX, &n))
		(void)snprintf(whybuf, 160,
			       "invalid protocol number: \"%.*s\" must be a known protocol name or "
			       "valid protocol number 0-255",
			       BYTES_FMT(bytes_of(text.p, text.n < 40 ? text.n : 40)));
	else if (n > 255)
		(void)snprintf(whybuf, 160, "protocol number out of range (0-255): %llu",
			       (unsigned long long)n);
	else {
		*proto = (int)n;
		return true;
	}
	return false;
}

static bool all_digits(struct bytes b)
{
	for (size_t i = 0; i < b.n; i++)
		if (b.p[i] < '0' || b.p[i] > '9')
			return false;
	return b.n > 0;
}

/* One side of a range: NULL, or what is wrong with it. */
static const char *port_number(struct bytes text, const char *not_a_number, uint16_t *out)
{
	uint64_t v = 0;
	struct bytes digits = text;

	if (digits.n && digits.p[0] == '-')
		digits = bytes_from(digits, 1);
	if (!all_digits(digits))
		return not_a_number;
	for (size_t i = 0; i < digits.n && v <= UINT16_MAX; i++)
		v = v * 10 + (digits.p[i] - '0');
	if (v > UINT16_MAX || (digits.n != text.n && v))
		return "port number out of range";
	*out = (uint16_t)v;
	return NULL;
}

static const char *port_item(struct bytes item, struct port_range *out)
{
	const uint8_t *dash = item.n > 1 ? memchr(item.p + 1, '-', item.n - 1) : NULL;
	struct bytes first = item, last;
	const char *why;

	if (bytes_equal_str(item, "*")) {
		*out = (struct port_range){ 0, UINT16_MAX };
		return NULL;
	}
	if (!dash) {
		why = port_number(item, "invalid first integer", &out->first);
		out->last = out->first;
		if (!why && out->first == 0)
			why = "first port must be >0, or use '*' for wildcard";
		return why;
	}
	first.n = (size_t)(dash - item.p);
	last = bytes_from(item, first.n + 1);
	if (last.n && memchr(last.p, '-', last.n))
		return "invalid port range format";
	why = port_number(first, "invalid first integer", &out->first);
	if (!why)
		why = port_number(last, "invalid last integer", &out->last);
	if (!why && out->first > out->last)
		why = "invalid port range: first port is greater than last port";
	return why;
}

bool policy_ports(struct policy *p, struct bytes text, struct port_range **out, uint32_t *n,
		  char why[160])
{
	struct bytes rest = text, item;
	uint32_t count = 1;

	for (size_t i = 0; i < text.n; i++)
		count += text.p[i] == ',';
	*out = policy_alloc(p, count, sizeof(**out));
	*n = 0;
	if (!text.n) {
		(void)snprintf(why, 160, "port range \"\": invalid first integer");
		return false;
	}
	while (text_split(&rest, ',', &item)) {
		const char *what = port_item(item, &(*out)[(*n)++]);

		if (what) {
			if (item.n > 60)
				item.n = 60;
			(void)snprintf(why, 160, "port range \"%.*s\": %s", BYTES_FMT(item), what);
			return false;
		}
	}
	return true;
}

static bool split_bracketed(struct bytes text, struct bytes *host, struct bytes *ports,
			    char why[160])
{
	const uint8_t *close = text.p ? memchr(text.p, ']', text.n) : NULL, *colon;
	struct bytes inner, rest;
	struct prefix p;

	if (!close) {
		(void)snprintf(why, 160, "square brackets are only valid around IPv6 addresses");
		return false;
	}
	inner = bytes_of(text.p + 1, (size_t)(close - text.p) - 1);
	rest = bytes_from(text, (size_t)(close - text.p) + 1);
	if (!policy_address(inner, &p) || p.addr.family != 6) {
		if (inner.n > 60)
			inner.n = 60;
		(void)snprintf(why, 160,
			       "square brackets are only valid around IPv6 addresses: \"%.*s\"",
			       BYTES_FMT(inner));
		return false;
	}
	colon = rest.p && rest.n ? memchr(rest.p, ':', rest.n) : NULL;
	if (!colon) {
		(void)snprintf(why, 160,
			       "input must contain a colon character separating destination and "
			       "port");
		return false;
	}
	*host = inner;
	if (rest.p[0] == '/') { /* [v6]/len:ports; the brackets stay, the parser skips them */
		size_t n = (size_t)(colon - rest.p);

		*host = bytes_of(text.p, inner.n + 2 + n);
		rest = bytes_from(rest, n);
	}
	*ports = bytes_from(rest, 1);
	return rest.p[0] == ':';
}

bool policy_split_port(struct bytes text, struct bytes *host, struct bytes *ports, char why[160])
{
	const uint8_t *colon = text.p ? memrchr(text.p, ':', text.n) : NULL;

	(void)snprintf(why, 160, "hostport must contain a colon");
	if (text.p && text.n && text.p[0] == '[')
		return split_bracketed(text, host, ports, why);
	if (!colon)
		return false;
	if (colon == text.p) {
		(void)snprintf(why, 160, "input cannot start with a colon character");
		return false;
	}
	if (colon == text.p + text.n - 1) {
		(void)snprintf(why, 160, "input cannot end with a colon character");
		return false;
	}
	*host = bytes_of(text.p, (size_t)(colon - text.p));
	*ports = bytes_from(text, host->n + 1);
	return true;
}
