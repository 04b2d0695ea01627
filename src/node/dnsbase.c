#include "node/dnsbase.h"

#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "io/file.h"

enum { FILE_MAX = 64 << 10, PORT_DNS = 53 };

static bool is_service(struct ip ip)
{
	static const struct ip six = {
		6, { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x53 }
	};

	return ip_equal(ip, ip_v4(100, 100, 100, 100)) || ip_equal(ip, six);
}

/* "nameserver 192.0.2.1"; what has a zone (fe80::1%eth0) is not for us. */
static bool parse_line(struct bytes line, struct ip *ip)
{
	struct bytes rest;

	line = text_trim(line);
	if (!bytes_has_prefix(line, "nameserver"))
		return false;
	rest = bytes_from(line, strlen("nameserver"));
	if (!rest.n || (rest.p[0] != ' ' && rest.p[0] != '\t'))
		return false;
	return ip_parse(ip, text_trim(rest)) && !ip_is_link_local(*ip) && !is_service(*ip);
}

size_t dnsbase_parse(struct bytes text, struct addrport *out, size_t max)
{
	struct bytes line;
	size_t n = 0;

	while (n < max && text_split(&text, '\n', &line)) {
		struct ip ip;

		if (parse_line(line, &ip))
			out[n++] = (struct addrport){ ip, PORT_DNS };
	}
	return n;
}

size_t dnsbase_read(const char *path, struct addrport *out, size_t max)
{
	struct buf text;
	struct err err;
	size_t n = 0;

	if (file_read(path, FILE_MAX, &text, &err) == 0)
		n = dnsbase_parse(buf_bytes(&text), out, max);
	buf_fini(&text);
	return n;
}
