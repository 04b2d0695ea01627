#include "app/control/origin.h"

#include "base/text.h"
#include "io/httpd.h"

enum { HOPS_MAX = 32 };

static bool is_separator(uint8_t c)
{
	return c == ' ' || c == ',' || c == '\t';
}

bool origin_parse(struct origin_proxies *p, struct bytes text)
{
	size_t at = 0;

	*p = (struct origin_proxies){ 0 };
	while (at < text.n) {
		size_t from = at;
		struct bytes word;
		struct ip ip;

		while (at < text.n && !is_separator(text.p[at]))
			at++;
		word = bytes_of(text.p + from, at - from);
		at++;
		if (!word.n)
			continue;
		if (p->n == ORIGIN_PROXIES_MAX)
			return false;
		if (ip_parse(&ip, word))
			p->v[p->n++] = prefix_of(ip);
		else if (prefix_parse(&p->v[p->n], word))
			p->n++;
		else
			return false;
	}
	return true;
}

static bool is_trusted(const struct origin_proxies *p, struct ip ip)
{
	for (size_t i = 0; i < p->n; i++)
		if (prefix_contains(p->v[i], ip))
			return true;
	return false;
}

/* The last of the comma-separated words; takes it away. */
static struct bytes pop_word(struct bytes *list)
{
	size_t at = list->n;
	struct bytes word;

	while (at && list->p[at - 1] != ',')
		at--;
	word = text_trim(bytes_from(*list, at));
	list->n = at ? at - 1 : 0;
	return word;
}

/* "192.0.2.1", and with a port as some proxies write it. */
static bool hop_parse(struct addrport *hop, struct bytes word)
{
	struct ip ip;

	if (ip_parse(&ip, word)) {
		*hop = (struct addrport){ ip_unmap(ip), 0 };
		return true;
	}
	if (!addrport_parse(hop, word))
		return false;
	hop->ip = ip_unmap(hop->ip);
	return true;
}

struct addrport origin_of(const struct origin_proxies *p, const struct http_request *req)
{
	struct addrport at = req->peer, hop;
	size_t hops = 0;

	for (size_t i = req->header_count; i-- > 0 && p->n;) {
		struct bytes list = req->headers[i].value;

		if (!bytes_equal_nocase(req->headers[i].name, bytes_str("x-forwarded-for")))
			continue;
		while (list.n) {
			struct bytes word;

			if (!is_trusted(p, ip_unmap(at.ip)) || ++hops > HOPS_MAX)
				return at;
			word = pop_word(&list);
			if (!hop_parse(&hop, word))
				return at;
			at = hop;
		}
	}
	return at;
}
