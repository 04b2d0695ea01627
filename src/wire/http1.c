/*
 * wire/http1.c - heads.
 *
 *   GET /path?query HTTP/1.1 CRLF        HTTP/1.1 200 OK CRLF
 *   name: value CRLF
 *   ...
 *   CRLF
 *
 * The end of the head is looked for first; only a whole head is copied and taken apart, so that a
 * refusal does not depend on how the bytes were cut into reads.
 */
#include "wire/http1.h"

#include "base/arena.h"
#include "base/mem.h"
#include "base/text.h"
#include "wire/url.h"

static bool is_token_char(uint8_t c)
{
	if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))
		return true;
	return c && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

bool http1_is_token(struct bytes name)
{
	for (size_t i = 0; i < name.n; i++)
		if (!is_token_char(name.p[i]))
			return false;
	return name.n > 0;
}

bool http1_is_value(struct bytes value)
{
	for (size_t i = 0; i < value.n; i++)
		if ((value.p[i] < ' ' && value.p[i] != '\t') || value.p[i] == 0x7f)
			return false;
	return true;
}

static enum http1_verdict refuse(struct http1_head *head, unsigned status, const char *why)
{
	head->refuse = status;
	head->why = why;
	return status == 431 || status == 414 ? HTTP1_TOO_LONG : HTTP1_BAD;
}

/* The length of the head with its empty line; looks at no byte past HTTP1_HEAD_MAX. */
static enum http1_verdict find_end(struct http1_head *head, struct bytes in, size_t *end)
{
	size_t n = in.n < HTTP1_HEAD_MAX ? in.n : HTTP1_HEAD_MAX;
	size_t line = 0, lines = 0;

	for (size_t i = 0; i < n; i++) {
		uint8_t c = in.p[i];

		if (c >= ' ' || c == '\t')
			continue;
		if (c == '\r') {
			if (i + 1 < n && in.p[i + 1] != '\n')
				return refuse(head, 400, "a CR without LF");
			continue;
		}
		if (c != '\n')
			return refuse(head, 400, "a control byte in the head");
		if (!i || in.p[i - 1] != '\r')
			return refuse(head, 400, "a line that ends without CR");
		if (i == line + 1) {
			*end = i + 1;
			return HTTP1_FRAME;
		}
		line = i + 1;
		if (++lines > HTTP1_HEADERS_MAX + 1)
			return refuse(head, 431, "too many header lines");
	}
	if (in.n < HTTP1_HEAD_MAX)
		return HTTP1_MORE;
	return lines ? refuse(head, 431, "the head is too long")
		     : refuse(head, 414, "the request line is too long");
}

/* The next line without its CRLF. */
static struct bytes take_line(struct bytes *rest)
{
	struct bytes line = { NULL, 0 };

	text_split(rest, '\n', &line);
	return bytes_of(line.p, line.n ? line.n - 1 : 0);
}

static void lower(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] >= 'A' && p[i] <= 'Z')
			p[i] = (uint8_t)(p[i] + ('a' - 'A'));
}

/* The lines up to the empty one. text is the writable copy that rest points into. */
static bool take_headers(struct http1_head *head, uint8_t *text, struct bytes rest)
{
	for (;;) {
		struct bytes line = take_line(&rest), name = { line.p, 0 };

		if (!line.n)
			return true;
		if (!text_split(&line, ':', &name) || !line.p || !http1_is_token(name))
			return false; /* also folded lines: they start with white space */
		line = text_trim(line);
		if (!http1_is_value(line) || head->header_count == HTTP1_HEADERS_MAX)
			return false;
		lower(text + (name.p - text), name.n);
		head->headers[head->header_count++] = (struct http_header){ name, line };
	}
}

static bool take_version(struct bytes text, unsigned *version)
{
	if (bytes_equal_str(text, "HTTP/1.1"))
		*version = 11;
	else if (bytes_equal_str(text, "HTTP/1.0"))
		*version = 10;
	else
		return false;
	return true;
}

/* How often a header occurs; *value is the last one. */
static unsigned count_of(const struct http1_head *head, const char *name, struct bytes *value)
{
	unsigned n = 0;

	for (size_t i = 0; i < head->header_count; i++) {
		if (!bytes_equal_str(head->headers[i].name, name))
			continue;
		*value = head->headers[i].value;
		n++;
	}
	return n;
}

/* RFC 9112 section 6.3, with every ambiguous case refused. */
static enum http1_verdict take_framing(struct http1_head *head)
{
	struct bytes length = { NULL, 0 }, coding = { NULL, 0 };
	unsigned lengths = count_of(head, "content-length", &length);
	unsigned codings = count_of(head, "transfer-encoding", &coding);

	if (lengths > 1)
		return refuse(head, 400, "more than one Content-Length");
	if (codings && lengths)
		return refuse(head, 400, "Content-Length beside Transfer-Encoding");
	if (codings && head->version == 10)
		return refuse(head, 400, "Transfer-Encoding in HTTP/1.0");
	if (codings) {
		if (codings > 1 || !bytes_equal_nocase(coding, bytes_str("chunked")))
			return refuse(head, 501, "a transfer coding other than chunked");
		head->framing = HTTP1_CHUNKED;
	} else if (lengths) {
		if (!text_u64(length, INT64_MAX, &head->length))
			return refuse(head, 400, "a Content-Length that is no number");
		head->framing = head->length ? HTTP1_LENGTH : HTTP1_NO_BODY;
	}
	return HTTP1_FRAME;
}

static void take_connection(struct http1_head *head)
{
	bool close = false, keep = false;

	for (size_t i = 0; i < head->header_count; i++) {
		if (!bytes_equal_str(head->headers[i].name, "connection"))
			continue;
		close |= http1_list_has(head->headers[i].value, "close");
		keep |= http1_list_has(head->headers[i].value, "keep-alive");
		head->upgrade |= http1_list_has(head->headers[i].value, "upgrade");
	}
	head->keep_alive = !close && (head->version == 11 || keep);
}

static enum http1_verdict take_request_line(struct http1_head *head, struct bytes line)
{
	struct bytes rest = line, version = { NULL, 0 };

	if (!text_split(&rest, ' ', &head->method) || !text_split(&rest, ' ', &head->target))
		return refuse(head, 400, "a request line of fewer than three words");
	version = rest;
	if (!http1_is_token(head->method) || head->method.n > HTTP1_METHOD_MAX)
		return refuse(head, 400, "a method that is no token");
	if (!take_version(version, &head->version))
		return bytes_has_prefix(version, "HTTP/")
			   ? refuse(head, 505, "an HTTP version other than 1.0 and 1.1")
			   : refuse(head, 400, "a request line without a version");
	for (size_t i = 0; i < head->target.n; i++)
		if (head->target.p[i] <= ' ' || head->target.p[i] >= 0x7f)
			return refuse(head, 400, "a byte that no target may hold");
	return head->target.n ? HTTP1_FRAME : refuse(head, 400, "an empty target");
}

static enum http1_verdict check_host(struct http1_head *head)
{
	struct bytes host = { NULL, 0 };
	unsigned hosts = count_of(head, "host", &host);

	if (hosts > 1 || (!hosts && head->version == 11))
		return refuse(head, 400, "not exactly one Host");
	if (host.n && !url_authority_is_valid(host))
		return refuse(head, 400, "a Host that is no name");
	return HTTP1_FRAME;
}

/* Copies the head once it is whole; *text is the copy, *lines all of it. */
static enum http1_verdict take_copy(struct http1_head *head, struct arena *arena, struct bytes in,
				    size_t *used, uint8_t **text)
{
	enum http1_verdict v;

	*head = (struct http1_head){ 0 };
	v = find_end(head, in, used);
	if (v != HTTP1_FRAME)
		return v;
	*text = arena_alloc(arena, *used);
	if (!*text)
		return refuse(head, 431, "no memory for the head");
	memcpy(*text, in.p, *used);
	return HTTP1_FRAME;
}

enum http1_verdict http1_request_decode(struct http1_head *head, struct arena *arena,
					struct bytes in, size_t *used)
{
	/* One empty line in front is forgiven (RFC 9112 section 2.2). */
	size_t skip = in.n >= 2 && in.p[0] == '\r' && in.p[1] == '\n' ? 2 : 0;
	struct bytes rest, expect = { NULL, 0 };
	uint8_t *text;
	size_t n = 0;
	enum http1_verdict v = take_copy(head, arena, bytes_from(in, skip), &n, &text);

	if (v != HTTP1_FRAME)
		return v;
	rest = bytes_of(text, n);
	v = take_request_line(head, take_line(&rest));
	if (v != HTTP1_FRAME)
		return v;
	if (!take_headers(head, text, rest))
		return refuse(head, 400, "a header line that is none");
	v = take_framing(head);
	if (v != HTTP1_FRAME)
		return v;
	v = check_host(head);
	if (v != HTTP1_FRAME)
		return v;
	take_connection(head);
	if (count_of(head, "expect", &expect) && head->version == 11) {
		if (!bytes_equal_nocase(expect, bytes_str("100-continue")))
			return refuse(head, 417, "an expectation other than 100-continue");
		head->continue_100 = head->framing != HTTP1_NO_BODY;
	}
	*used = n + skip;
	return HTTP1_FRAME;
}

static bool take_status_line(struct http1_head *head, struct bytes line)
{
	struct bytes word;
	uint64_t status;

	if (!text_split(&line, ' ', &word) || !take_version(word, &head->version))
		return false;
	if (!text_split(&line, ' ', &word) || word.n != 3 || !text_u64(word, 999, &status))
		return false;
	head->status = (unsigned)status;
	return status >= 100;
}

enum http1_verdict http1_response_decode(struct http1_head *head, struct arena *arena,
					 struct bytes in, bool to_head, size_t *used)
{
	struct bytes rest, ignored;
	uint8_t *text;
	size_t n = 0;
	enum http1_verdict v = take_copy(head, arena, in, &n, &text);
	bool empty;

	if (v != HTTP1_FRAME)
		return v;
	rest = bytes_of(text, n);
	if (!take_status_line(head, take_line(&rest)))
		return refuse(head, 0, "a status line that is none");
	if (!take_headers(head, text, rest))
		return refuse(head, 0, "a header line that is none");
	v = take_framing(head);
	if (v != HTTP1_FRAME)
		return v;
	take_connection(head);
	empty = to_head || head->status < 200 || head->status == 204 || head->status == 304;
	if (empty) {
		head->framing = HTTP1_NO_BODY;
	} else if (head->framing == HTTP1_NO_BODY && !count_of(head, "content-length", &ignored)) {
		head->framing = HTTP1_UNTIL_CLOSE;
		head->keep_alive = false;
	}
	*used = n;
	return HTTP1_FRAME;
}

struct bytes http1_header_get(const struct http_header *headers, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (bytes_equal_str(headers[i].name, name))
			return headers[i].value;
	return (struct bytes){ NULL, 0 };
}

bool http1_list_has(struct bytes list, const char *token)
{
	struct bytes piece;

	while (text_split(&list, ',', &piece))
		if (bytes_equal_nocase(text_trim(piece), bytes_str(token)))
			return true;
	return false;
}

bool http1_header_encode(struct buf *out, struct bytes name, struct bytes value)
{
	if (!http1_is_token(name) || !http1_is_value(value))
		return false;
	buf_append(out, name);
	buf_append(out, bytes_of(": ", 2));
	buf_append(out, value);
	return buf_append(out, bytes_of("\r\n", 2));
}

const char *http1_reason(unsigned status)
{
	static const struct {
		unsigned status;
		const char *reason;
	} reasons[] = {
		{ 100, "Continue" },
		{ 101, "Switching Protocols" },
		{ 200, "OK" },
		{ 201, "Created" },
		{ 202, "Accepted" },
		{ 204, "No Content" },
		{ 206, "Partial Content" },
		{ 301, "Moved Permanently" },
		{ 302, "Found" },
		{ 303, "See Other" },
		{ 304, "Not Modified" },
		{ 307, "Temporary Redirect" },
		{ 308, "Permanent Redirect" },
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 408, "Request Timeout" },
		{ 409, "Conflict" },
		{ 410, "Gone" },
		{ 411, "Length Required" },
		{ 412, "Precondition Failed" },
		{ 413, "Content Too Large" },
		{ 414, "URI Too Long" },
		{ 415, "Unsupported Media Type" },
		{ 416, "Range Not Satisfiable" },
		{ 417, "Expectation Failed" },
		{ 421, "Misdirected Request" },
		{ 422, "Unprocessable Content" },
		{ 423, "Locked" },
		{ 426, "Upgrade Required" },
		{ 428, "Precondition Required" },
		{ 429, "Too Many Requests" },
		{ 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" },
		{ 501, "Not Implemented" },
		{ 502, "Bad Gateway" },
		{ 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" },
		{ 505, "HTTP Version Not Supported" },
		{ 507, "Insufficient Storage" },
	};

	for (size_t i = 0; i < array_len(reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "";
}
