/* Line one: trusted proxies; the others: values of X-Forwarded-For. A stranger's header changes
 * nothing. */
#include "app/control/origin.h"

#include <stdlib.h>

#include "io/httpd.h"

enum { HEADERS_MAX = 8 };

static void require(bool ok)
{
	if (!ok)
		abort();
}

static bool is_listed(const struct origin_proxies *p, struct ip ip)
{
	for (size_t i = 0; i < p->n; i++)
		if (prefix_contains(p->v[i], ip))
			return true;
	return false;
}

static struct bytes line_of(struct bytes *rest)
{
	const uint8_t *end = rest->n ? memchr(rest->p, '\n', rest->n) : NULL;
	struct bytes line = end ? bytes_of(rest->p, (size_t)(end - rest->p)) : *rest;

	*rest = bytes_from(*rest, line.n + (end != NULL));
	return line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct bytes rest = bytes_of(data, n), list = line_of(&rest);
	struct http_header h[HEADERS_MAX];
	struct http_request req = { .headers = h, .peer = { ip_v4(192, 0, 2, 1), 1 } };
	struct origin_proxies p;
	struct addrport at;

	while (rest.n && req.header_count < HEADERS_MAX)
		h[req.header_count++] =
		    (struct http_header){ bytes_str("X-Forwarded-For"), line_of(&rest) };
	if (!origin_parse(&p, list))
		return 0;
	require(p.n <= ORIGIN_PROXIES_MAX);
	at = origin_of(&p, &req);
	require(ip_is_valid(at.ip));
	if (!is_listed(&p, req.peer.ip))
		require(ip_equal(at.ip, req.peer.ip));
	return 0;
}
