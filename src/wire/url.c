/* wire/url.c - see url.h. */
#include "wire/url.h"

#include "base/ip.h"
#include "base/mem.h"
#include "base/text.h"

static const struct {
	const char *prefix;
	size_t scheme_len;
	uint16_t port;
	bool tls;
} schemes[] = {
	{ "http://", 4, 80, false },
	{ "https://", 5, 443, true },
	{ "ws://", 2, 80, false },
	{ "wss://", 3, 443, true },
};

static bool is_unreserved(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

static bool is_visible(struct bytes b)
{
	for (size_t i = 0; i < b.n; i++)
		if (b.p[i] <= ' ' || b.p[i] >= 0x7f)
			return false;
	return true;
}

/* Position of c, or b.n. */
static size_t find(struct bytes b, uint8_t c)
{
	const uint8_t *at = b.n ? memchr(b.p, c, b.n) : NULL;

	return at ? (size_t)(at - b.p) : b.n;
}

static bool name_is_valid(struct bytes host)
{
	if (!host.n || host.n > URL_HOST_MAX)
		return false;
	for (size_t i = 0; i < host.n; i++)
		if (!is_unreserved(host.p[i]))
			return false;
	return true;
}

/* *port is left alone when the authority names none. */
static bool authority_parse(struct bytes authority, struct bytes *host, uint16_t *port)
{
	struct bytes rest;
	struct ip ip;
	uint64_t n;

	if (authority.n && authority.p[0] == '[') {
		size_t end = find(authority, ']');

		*host = bytes_from(bytes_of(authority.p, end), 1);
		if (end == authority.n || !ip_parse(&ip, *host) || ip.family != 6)
			return false;
		rest = bytes_from(authority, end + 1);
	} else {
		size_t end = find(authority, ':');

		*host = bytes_of(authority.p, end);
		if (!name_is_valid(*host))
			return false;
		rest = bytes_from(authority, end);
	}
	if (!rest.n)
		return true;
	if (rest.p[0] != ':' || !text_u64(bytes_from(rest, 1), 65535, &n) || !n)
		return false;
	*port = (uint16_t)n;
	return true;
}

bool url_authority_is_valid(struct bytes authority)
{
	struct bytes host;
	uint16_t port;

	return authority_parse(authority, &host, &port);
}

bool url_parse(struct url *url, struct bytes text)
{
	struct bytes rest = { NULL, 0 };
	size_t end;

	*url = (struct url){ 0 };
	if (text.n > URL_MAX || !is_visible(text))
		return false;
	for (size_t i = 0; i < array_len(schemes); i++) {
		if (!bytes_has_prefix(text, schemes[i].prefix))
			continue;
		url->scheme = bytes_of(text.p, schemes[i].scheme_len);
		url->port = schemes[i].port;
		url->tls = schemes[i].tls;
		rest = bytes_from(text, strlen(schemes[i].prefix));
	}
	rest = bytes_of(rest.p, find(rest, '#'));
	end = find(bytes_of(rest.p, find(rest, '?')), '/');
	url->authority = bytes_of(rest.p, end);
	url->target = bytes_from(rest, end);
	if (!authority_parse(url->authority, &url->host, &url->port))
		return false;
	if (!url->target.n)
		url->target = bytes_str("/");
	else if (url->target.p[0] != '/')
		return false; /* "http://host?query": nobody writes it, and a request line needs a
				 path */
	url->path = bytes_of(url->target.p, find(url->target, '?'));
	return true;
}

bool url_target_split(struct bytes target, struct bytes *authority, struct bytes *path,
		      struct bytes *query)
{
	size_t end;

	*authority = *query = (struct bytes){ NULL, 0 };
	*path = target;
	if (!target.n || !is_visible(target) || find(target, '#') != target.n)
		return false;
	if (bytes_equal_str(target, "*"))
		return true;
	if (target.p[0] != '/') {
		struct url url;

		if (!url_parse(&url, target))
			return false;
		*authority = url.authority;
		target = url.target;
	}
	end = find(target, '?');
	*path = bytes_of(target.p, end);
	if (end < target.n)
		*query = bytes_from(target, end + 1);
	return true;
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The byte at *i, with its escape resolved; *i moves behind it. -1: bad escape. */
static int decoded_at(struct bytes in, size_t *i)
{
	uint8_t c = in.p[(*i)++];
	int high, low;

	if (c != '%')
		return c;
	if (in.n - *i < 2)
		return -1;
	high = hex_digit(in.p[*i]);
	low = hex_digit(in.p[*i + 1]);
	*i += 2;
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

bool url_percent_decode(struct bytes in, bool plus, struct writer *out)
{
	for (size_t i = 0; i < in.n;) {
		bool is_plus = plus && in.p[i] == '+';
		int c = decoded_at(in, &i);

		if (c < 0)
			return false;
		write_u8(out, is_plus ? ' ' : (uint8_t)c);
	}
	return !out->bad;
}

bool url_percent_encode(struct bytes in, struct buf *out)
{
	for (size_t i = 0; i < in.n; i++) {
		if (is_unreserved(in.p[i]))
			buf_append_u8(out, in.p[i]);
		else
			buf_printf(out, "%%%02X", in.p[i]);
	}
	return !out->bad;
}

/* Takes the segment that was just written, w->p[start..], apart when it is empty or dots. */
static bool segment_end(struct writer *w, size_t start)
{
	struct bytes segment = bytes_from(bytes_of(w->p, w->n), start);

	if (bytes_equal_str(segment, ".") || !segment.n) {
		w->n = start;
		return true;
	}
	if (!bytes_equal_str(segment, ".."))
		return true;
	w->n = start - 1; /* the slash in front of it */
	if (!w->n)
		return false; /* above the root */
	while (w->p[w->n - 1] != '/')
		w->n--;
	return true;
}

bool url_path_decode(struct bytes raw, struct writer *out)
{
	size_t start;

	if (!raw.n || raw.p[0] != '/' || out->n)
		return false;
	write_u8(out, '/');
	start = 1;
	for (size_t i = 1; i < raw.n;) {
		bool escaped = raw.p[i] == '%';
		int c = decoded_at(raw, &i);

		if (c < 0x20 || c == 0x7f || (escaped && (c == '/' || c == '\\')))
			return false;
		if (c != '/') {
			write_u8(out, (uint8_t)c);
			continue;
		}
		if (out->bad || !segment_end(out, start))
			return false;
		if (out->p[out->n - 1] != '/')
			write_u8(out, '/');
		start = out->n;
	}
	return !out->bad && segment_end(out, start);
}

bool url_query_get(struct bytes query, const char *name, char *out, size_t size)
{
	struct bytes pair;
	size_t name_len = strlen(name);

	while (text_split(&query, '&', &pair)) {
		size_t end = find(pair, '=');
		struct writer w = writer_of(out, size);

		if (end != name_len || memcmp(pair.p, name, end) != 0)
			continue;
		if (!url_percent_decode(bytes_from(pair, end + 1), true, &w))
			return false;
		write_u8(&w, 0);
		return !w.bad && strlen(out) + 1 == w.n;
	}
	return false;
}
