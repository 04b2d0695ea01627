#include "wire/http1.h"

#include <stdio.h>

#include "base/arena.h"
#include "base/mem.h"
#include "kit/kit.h"

#define GET "GET / HTTP/1.1\r\nHost: h\r\n"
#define POST "POST / HTTP/1.1\r\nHost: h\r\n"

static enum http1_verdict decode(const char *text, struct http1_head *head, struct arena *arena)
{
	size_t used = 0;
	enum http1_verdict v;

	v = http1_request_decode(head, arena, kit_copy(bytes_str(text)), &used);
	if (v == HTTP1_FRAME)
		CHECK_INT(used, strlen(text));
	return v;
}

/* The status a request is refused with; 0: taken; 1: more is needed. */
static unsigned refused(const char *text)
{
	struct http1_head head;
	struct arena arena;
	enum http1_verdict v;

	arena_init(&arena, 64 << 10);
	v = decode(text, &head, &arena);
	arena_fini(&arena);
	return v == HTTP1_FRAME ? 0 : v == HTTP1_MORE ? 1 : head.refuse;
}

TEST(http1_request)
{
	static const char text[] =
	    "POST /a?b=c HTTP/1.1\r\nHost: example.org:80\r\nX-One:\t two \r\n"
	    "Empty:\r\nContent-Length: 12\r\nConnection: x, Upgrade\r\n"
	    "Expect: 100-Continue\r\n\r\n";
	struct http1_head head;
	struct arena arena;
	struct bytes value;

	arena_init(&arena, 64 << 10);
	CHECK_INT(decode(text, &head, &arena), HTTP1_FRAME);
	CHECK(bytes_equal_str(head.method, "POST") && bytes_equal_str(head.target, "/a?b=c"));
	CHECK(head.version == 11 && head.header_count == 6);
	CHECK(head.framing == HTTP1_LENGTH && head.length == 12);
	CHECK(head.keep_alive && head.upgrade && head.continue_100);
	value = http1_header_get(head.headers, head.header_count, "x-one");
	CHECK(bytes_equal_str(value, "two"));
	value = http1_header_get(head.headers, head.header_count, "empty");
	CHECK(value.p && !value.n);
	CHECK(!http1_header_get(head.headers, head.header_count, "absent").p);
	for (size_t n = 0; n < sizeof(text) - 1; n++) { /* each truncation asks for more */
		size_t used = 77;

		CHECK_INT(http1_request_decode(&head, &arena, kit_copy(bytes_of(text, n)), &used),
			  HTTP1_MORE);
		CHECK_INT(used, 77);
	}
	arena_fini(&arena);
}

TEST(http1_takes_what_is_plain)
{
	CHECK_INT(refused(GET "\r\n"), 0);
	CHECK_INT(refused("\r\n" GET "\r\n"), 0); /* one empty line in front */
	CHECK_INT(refused(GET "Content-Length: 0\r\n\r\n"), 0);
	CHECK_INT(refused(GET "Content-Length: 9223372036854775807\r\n\r\n"), 0);
	CHECK_INT(refused(POST "Transfer-Encoding: Chunked\r\n\r\n"), 0);
	CHECK_INT(refused("GET / HTTP/1.0\r\n\r\n"), 0);
	CHECK_INT(refused("OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"), 0);
	CHECK_INT(refused(GET "Name: caf\xc3\xa9\r\n\r\n"), 0);
}

/* Everything two parsers on one path could frame differently. */
TEST(http1_refuses_smuggling)
{
	CHECK_INT(refused(POST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
	CHECK_INT(refused(POST "Content-Length: 3\r\nContent-Length: 4\r\n\r\n"), 400);
	CHECK_INT(refused(POST "Content-Length: 3\r\nContent-Length: 3\r\n\r\n"), 400);
	CHECK_INT(refused(POST "Content-Length: 3, 3\r\n\r\n"), 400);
	CHECK_INT(refused(POST "Content-Length: +3\r\n\r\n"), 400);
	CHECK_INT(refused(POST "Content-Length: -3\r\n\r\n"), 400);
	CHECK_INT(refused(POST "Content-Length: 0x3\r\n\r\n"), 400);
	CHECK_INT(refused(POST "Content-Length: 03\r\n\r\n"), 400);
	CHECK_INT(refused(POST "Content-Length:\r\n\r\n"), 400);
	CHECK_INT(refused(POST "Content-Length: 9223372036854775808\r\n\r\n"), 400);
	CHECK_INT(refused(POST "Transfer-Encoding: gzip, chunked\r\n\r\n"), 501);
	CHECK_INT(refused(POST "Transfer-Encoding: chunked, identity\r\n\r\n"), 501);
	CHECK_INT(refused(POST "Transfer-Encoding: xchunked\r\n\r\n"), 501);
	CHECK_INT(refused(POST "Transfer-Encoding: \x0b"
			       "chunked\r\n\r\n"),
		  400);
	CHECK_INT(refused(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"),
		  501);
	CHECK_INT(refused("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
	CHECK_INT(refused(POST "Content-Length : 3\r\n\r\n"), 400);
	CHECK_INT(refused(POST " Content-Length: 3\r\n\r\n"), 400);
	CHECK_INT(refused(POST "X: a\r\n folded\r\n\r\n"), 400);
	CHECK_INT(refused(POST "X: a\r\n\tfolded\r\n\r\n"), 400);
	CHECK_INT(refused(POST "X: a\nContent-Length: 3\r\n\r\n"), 400);
	CHECK_INT(refused(POST "X: a\rContent-Length: 3\r\n\r\n"), 400);
	CHECK_INT(refused("GET / HTTP/1.1\nHost: h\n\n"), 400);
	CHECK_INT(refused(POST ": nameless\r\n\r\n"), 400);
	CHECK_INT(refused(POST "no colon\r\n\r\n"), 400);
	CHECK_INT(refused(POST "a(b): c\r\n\r\n"), 400);
}

TEST(http1_refuses_broken_lines)
{
	CHECK_INT(refused("GET /\r\n\r\n"), 400);
	CHECK_INT(refused("GET  / HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
	CHECK_INT(refused("GET / HTTP/1.1 \r\nHost: h\r\n\r\n"), 505);
	CHECK_INT(refused("GET / HTTP/1.2\r\nHost: h\r\n\r\n"), 505);
	CHECK_INT(refused("GET / HTTP/2.0\r\nHost: h\r\n\r\n"), 505);
	CHECK_INT(refused("GET / http/1.1\r\nHost: h\r\n\r\n"), 400);
	CHECK_INT(refused("G@T / HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
	CHECK_INT(refused("GET /\xc3\xa9 HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
	CHECK_INT(refused("GET /\t HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
	CHECK_INT(refused("GET / HTTP/1.1\r\n\r\n"), 400);
	CHECK_INT(refused(GET "Host: h\r\n\r\n"), 400);
	CHECK_INT(refused("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), 400);
	CHECK_INT(refused("GET / HTTP/1.1\r\nHost: h/x\r\n\r\n"), 400);
	CHECK_INT(refused("GET / HTTP/1.1\r\nHost: u@h\r\n\r\n"), 400);
	CHECK_INT(refused(GET "Expect: the moon\r\n\r\n"), 417);
	CHECK_INT(refused("\r\n\r\n" GET "\r\n"), 400);
	CHECK_INT(refused("\x16\x03\x01"), 400); /* at once, not after a timeout */
	CHECK_INT(refused("G\x7fT"), 1);         /* only the whole line tells */
}

TEST(http1_limits)
{
	struct buf text;

	buf_init(&text, 64 << 10);
	for (int extra = 0; extra < 2; extra++) { /* headers: at the limit and one past it */
		buf_clear(&text);
		buf_append_str(&text, GET);
		for (int i = 1; i < HTTP1_HEADERS_MAX + extra; i++)
			buf_printf(&text, "h%d: v\r\n", i);
		buf_append_str(&text, "\r\n");
		CHECK_INT(refused(buf_cstr(&text)), extra ? 431 : 0);
	}
	for (size_t extra = 0; extra < 2; extra++) { /* the whole head */
		buf_clear(&text);
		buf_append_str(&text, GET "x: ");
		while (text.n < HTTP1_HEAD_MAX + extra - 4)
			buf_append_u8(&text, 'x');
		buf_append_str(&text, "\r\n\r\n");
		CHECK_INT(refused(buf_cstr(&text)), extra ? 431 : 0);
	}
	buf_clear(&text);
	buf_append_str(&text, "GET /");
	while (text.n < HTTP1_HEAD_MAX)
		buf_append_u8(&text, 'x');
	CHECK_INT(refused(buf_cstr(&text)), 414);
	buf_fini(&text);
}

TEST(http1_arena_limit_is_an_answer)
{
	struct http1_head head;
	struct arena arena;
	size_t used;

	arena_init(&arena, 16);
	CHECK_INT(http1_request_decode(&head, &arena, bytes_str(GET "\r\n"), &used),
		  HTTP1_TOO_LONG);
	CHECK_INT(head.refuse, 431);
	arena_fini(&arena);
}

static enum http1_framing framing_of(const char *text, bool to_head)
{
	struct http1_head head;
	struct arena arena;
	size_t used;
	enum http1_verdict v;

	arena_init(&arena, 64 << 10);
	v = http1_response_decode(&head, &arena, kit_copy(bytes_str(text)), to_head, &used);
	arena_fini(&arena);
	CHECK_INT(v, HTTP1_FRAME);
	return head.framing;
}

TEST(http1_response)
{
	struct http1_head head;
	struct arena arena;
	size_t used;

	CHECK_INT(framing_of("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", false), HTTP1_LENGTH);
	CHECK_INT(framing_of("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false), HTTP1_NO_BODY);
	CHECK_INT(framing_of("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", true), HTTP1_NO_BODY);
	CHECK_INT(framing_of("HTTP/1.1 304 No\r\nContent-Length: 2\r\n\r\n", false), HTTP1_NO_BODY);
	CHECK_INT(framing_of("HTTP/1.1 204\r\n\r\n", false), HTTP1_NO_BODY);
	CHECK_INT(framing_of("HTTP/1.1 101 Up\r\n\r\n", false), HTTP1_NO_BODY);
	CHECK_INT(framing_of("HTTP/1.0 200 OK\r\n\r\n", false), HTTP1_UNTIL_CLOSE);
	CHECK_INT(framing_of("HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n", false),
		  HTTP1_CHUNKED);
	arena_init(&arena, 64 << 10);
	CHECK_INT(
	    http1_response_decode(&head, &arena, bytes_str("HTTP/1.1 20 OK\r\n\r\n"), false, &used),
	    HTTP1_BAD);
	CHECK_INT(http1_response_decode(&head, &arena, bytes_str("HTTP/1.1 099 OK\r\n\r\n"), false,
					&used),
		  HTTP1_BAD);
	CHECK_INT(
	    http1_response_decode(&head, &arena, bytes_str("ICY 200 OK\r\n\r\n"), false, &used),
	    HTTP1_BAD);
	arena_fini(&arena);
}

TEST(http1_header_encode_cannot_be_broken_out_of)
{
	struct buf out;

	buf_init(&out, 1000);
	CHECK(http1_header_encode(&out, bytes_str("a"), bytes_str("b")));
	CHECK(!http1_header_encode(&out, bytes_str("a"), bytes_str("b\r\nc: d")));
	CHECK(!http1_header_encode(&out, bytes_str("a"), bytes_str("b\nc: d")));
	CHECK(!http1_header_encode(&out, bytes_str("a"), bytes_of("b\0", 2)));
	CHECK(!http1_header_encode(&out, bytes_str("a: b\r\nc"), bytes_str("d")));
	CHECK(!http1_header_encode(&out, bytes_str(""), bytes_str("d")));
	CHECK_STR(buf_cstr(&out), "a: b\r\n");
	buf_fini(&out);
}

TEST(http1_lists)
{
	CHECK(http1_list_has(bytes_str("keep-alive, Upgrade"), "upgrade"));
	CHECK(http1_list_has(bytes_str("upgrade"), "upgrade"));
	CHECK(!http1_list_has(bytes_str("upgrades, x"), "upgrade"));
	CHECK(!http1_list_has(bytes_str(""), "upgrade"));
}

/* Feeds in pieces of `step` bytes; the verdict, with the body in out and what is left in *rest. */
static enum http1_verdict unchunk(const char *text, size_t step, struct buf *out, size_t *rest)
{
	struct http1_chunked c = { 0 };
	struct bytes all = bytes_str(text), data;
	enum http1_verdict v = HTTP1_MORE;

	buf_clear(out);
	while (v == HTTP1_MORE && all.n) {
		struct bytes piece = kit_copy(bytes_of(all.p, all.n < step ? all.n : step));
		size_t before = piece.n;

		do {
			v = http1_chunked_decode(&c, &piece, &data);
			buf_append(out, data);
		} while (v == HTTP1_MORE && piece.n);
		all = bytes_from(all, before - piece.n);
	}
	*rest = all.n;
	return v;
}

static bool unchunks(const char *text, enum http1_verdict want, const char *body, size_t left)
{
	struct buf out;
	size_t rest;
	bool ok = true;

	buf_init(&out, 1 << 20);
	for (size_t step = 1; step <= strlen(text); step++) {
		enum http1_verdict v = unchunk(text, step, &out, &rest);

		ok &= v == want && strcmp(buf_cstr(&out), body) == 0;
		ok &= v != HTTP1_FRAME || rest == left;
	}
	buf_fini(&out);
	return ok;
}

TEST(http1_chunks)
{
	struct buf out;

	CHECK(unchunks("0\r\n\r\n", HTTP1_FRAME, "", 0));
	CHECK(unchunks("5\r\nhello\r\n0\r\n\r\nGET", HTTP1_FRAME, "hello", 3));
	CHECK(unchunks("5;a=b\r\nhello\r\n00A\r\n0123456789\r\n0;x\r\n\r\n", HTTP1_FRAME,
		       "hello0123456789", 0));
	CHECK(unchunks("1\r\na\r\n0\r\nTrailer: yes\r\nMore: too\r\n\r\n", HTTP1_FRAME, "a", 0));
	CHECK(unchunks("5\r\nhel", HTTP1_MORE, "hel", 0));
	CHECK(unchunks("5\r\nhello\r\n0\r\n", HTTP1_MORE, "hello", 0));
	CHECK(unchunks("5\nhello\r\n0\r\n\r\n", HTTP1_BAD, "", 0));
	CHECK(unchunks("5\r\nhelloX\r\n", HTTP1_BAD, "hello", 0));
	CHECK(unchunks("5\r\nhello\n0\r\n\r\n", HTTP1_BAD, "hello", 0));
	CHECK(unchunks("\r\n", HTTP1_BAD, "", 0));
	CHECK(unchunks(" 5\r\nhello", HTTP1_BAD, "", 0));
	CHECK(unchunks("5 \r\nhello", HTTP1_BAD, "", 0));
	CHECK(unchunks("-5\r\nhello", HTTP1_BAD, "", 0));
	CHECK(unchunks("0x5\r\nhello", HTTP1_BAD, "", 0));
	CHECK(unchunks("ffffffff\r\nx", HTTP1_MORE, "x", 0)); /* the limit is the reader's body */
	CHECK(unchunks("fffffffff\r\nx", HTTP1_BAD, "", 0));
	CHECK(unchunks("000000000\r\n", HTTP1_BAD, "", 0));
	CHECK(unchunks("5;\n\r\nhello", HTTP1_BAD, "", 0));
	CHECK(unchunks("0\r\nTrailer\n\r\n", HTTP1_BAD, "", 0));
	buf_init(&out, 1000);
	CHECK(http1_chunk_encode(&out, bytes_str("0123456789abcdefg")));
	CHECK(http1_chunk_encode(&out, bytes_str("")));
	buf_append_str(&out, HTTP1_LAST_CHUNK);
	CHECK_STR(buf_cstr(&out), "11\r\n0123456789abcdefg\r\n0\r\n\r\n");
	buf_fini(&out);
}

/* Lines of a chunk are bounded, at the limit and one past it. */
TEST(http1_chunk_line_limits)
{
	struct buf text, out;
	size_t rest;

	buf_init(&out, 1000);
	buf_init(&text, 16 << 10);
	for (size_t extra = 0; extra < 2; extra++) {
		buf_clear(&text);
		buf_append_str(&text, "0;");
		while (text.n < HTTP1_CHUNK_LINE_MAX + extra + 1)
			buf_append_u8(&text, 'x');
		buf_append_str(&text, "\r\n\r\n");
		CHECK_INT(unchunk(buf_cstr(&text), 7, &out, &rest),
			  extra ? HTTP1_BAD : HTTP1_FRAME);
	}
	for (size_t extra = 0; extra < 2; extra++) {
		buf_clear(&text);
		buf_append_str(&text, "0\r\n");
		while (text.n < HTTP1_TRAILER_MAX + extra + 3)
			buf_append_u8(&text, 'x');
		buf_append_str(&text, "\r\n\r\n");
		CHECK_INT(unchunk(buf_cstr(&text), 100, &out, &rest),
			  extra ? HTTP1_BAD : HTTP1_FRAME);
	}
	buf_fini(&text);
	buf_fini(&out);
}
