/*
 * wire/http1.h - HTTP/1.1 messages as bytes (RFC 9112): heads, body framing, chunks.
 *
 * Strict on purpose. Whatever two parsers on one path could frame differently (request smuggling)
 * is refused: a length beside a transfer coding, a repeated length, folded lines, a bare LF, a
 * space before the colon, codings other than chunked.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct arena;

enum http1_limits {
	HTTP1_HEAD_MAX = 16 << 10,
	HTTP1_HEADERS_MAX = 64,
	HTTP1_METHOD_MAX = 20,
	HTTP1_CHUNK_LINE_MAX = 256,
	HTTP1_TRAILER_MAX = 4 << 10,
};

struct http_header {
	struct bytes name; /* lower case */
	struct bytes value;
};

enum http1_verdict {
	HTTP1_MORE, /* nothing consumed: feed more */
	HTTP1_FRAME,
	HTTP1_TOO_LONG,
	HTTP1_BAD,
};

enum http1_framing {
	HTTP1_NO_BODY,
	HTTP1_LENGTH,
	HTTP1_CHUNKED,
	HTTP1_UNTIL_CLOSE, /* responses only */
};

struct http1_head {
	unsigned version;            /* 10 or 11 */
	struct bytes method, target; /* of a request */
	unsigned status;             /* of a response */
	struct http_header headers[HTTP1_HEADERS_MAX];
	size_t header_count;
	enum http1_framing framing;
	uint64_t length;   /* with HTTP1_LENGTH */
	bool keep_alive;   /* the connection may carry another message */
	bool upgrade;      /* Connection names upgrade; the protocol is in the header */
	bool continue_100; /* the client waits for 100 before it sends its body */
	/* After HTTP1_BAD and HTTP1_TOO_LONG: what to answer a request with, and why. */
	unsigned refuse;
	const char *why;
};

/*
 * A whole head at the front of in: *used bytes, copied to the arena, which the head points into.
 * The limit of the arena is the caller's; its end is HTTP1_TOO_LONG.
 */
enum http1_verdict http1_request_decode(struct http1_head *head, struct arena *arena,
					struct bytes in, size_t *used);
/* to_head: the answer to a HEAD request has no body, whatever its headers say. */
enum http1_verdict http1_response_decode(struct http1_head *head, struct arena *arena,
					 struct bytes in, bool to_head, size_t *used);
struct bytes http1_header_get(const struct http_header *headers, size_t n, const char *name);
/* Whether a comma list holds that token, letters of either case. */
bool http1_list_has(struct bytes list, const char *token);

bool http1_is_token(struct bytes name);
bool http1_is_value(struct bytes value); /* no control byte but the tab */

/* "name: value\r\n"; false, nothing written, when either could break the head. */
bool http1_header_encode(struct buf *out, struct bytes name, struct bytes value);
const char *http1_reason(unsigned status); /* "" when unknown */

/* ---- chunked bodies ---- */

struct http1_chunked {
	int state;         /* all zero: in front of the first chunk */
	unsigned line;     /* bytes of the line so far */
	unsigned trailers; /* bytes of all trailers so far */
	uint64_t left;     /* of this chunk */
};

/*
 * Takes from the front of *in up to the next piece of the body, which lands in *data (borrowed from
 * in). MORE: call again while in is not empty. FRAME: the body is over, in holds what follows it.
 */
enum http1_verdict http1_chunked_decode(struct http1_chunked *c, struct bytes *in,
					struct bytes *data);
/* One chunk; an empty one would end the body and writes nothing. */
bool http1_chunk_encode(struct buf *out, struct bytes data);
/* Around n > 0 bytes that take another way. */
bool http1_chunk_begin(struct buf *out, size_t n);
bool http1_chunk_finish(struct buf *out);
#define HTTP1_LAST_CHUNK "0\r\n\r\n"
