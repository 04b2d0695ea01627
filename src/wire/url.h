/*
 * wire/url.h - http and https URLs, and the parts of a request target (RFC 3986, RFC 9110 4.2).
 *
 * Strict on purpose: what two programs read differently (user info, encoded slashes, control bytes,
 * dot segments above the root) is refused instead of repaired.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

enum { URL_MAX = 8 << 10, URL_HOST_MAX = 253 };

struct url {
	struct bytes scheme;    /* "http", "https", "ws" or "wss", as written in lower case */
	struct bytes host;      /* name or address, no brackets */
	struct bytes authority; /* host and port as written, for Host and :authority */
	struct bytes path;      /* "/" when the URL has none; still encoded */
	struct bytes target;    /* path and query, for a request line; no fragment */
	uint16_t port;          /* the scheme's own when none is written */
	bool tls;
};

/* Everything points into text, except an absent path: that is the constant "/". */
bool url_parse(struct url *url, struct bytes text);

/* "host", "host:port" or "[v6]:port", as in the Host header. */
bool url_authority_is_valid(struct bytes authority);

/*
 * Splits the target of a request line: "/path?query", or the absolute form that proxies send, whose
 * authority then replaces the Host header. "*" yields itself as the path.
 */
bool url_target_split(struct bytes target, struct bytes *authority, struct bytes *path,
		      struct bytes *query);

/* %XX to bytes, and '+' to a space where plus says so. False for a bad escape or no room. */
bool url_percent_decode(struct bytes in, bool plus, struct writer *out);
/* All but unreserved characters become %XX. */
bool url_percent_encode(struct bytes in, struct buf *out);

/*
 * The decoded path with "//", "." and ".." resolved; out holds at least raw.n bytes. False when it
 * does not start with '/', climbs above the root, or hides a slash, a backslash or a control byte
 * behind an escape.
 */
bool url_path_decode(struct bytes raw, struct writer *out);

/* The first value of that name in "a=1&b=2", decoded, with a NUL; false when absent or too long. */
bool url_query_get(struct bytes query, const char *name, char *out, size_t size);
