/*
 * Heads and chunks. However the input is cut, the outcome is the same: fed whole and byte by byte,
 * the same verdict comes after the same number of bytes.
 */
#include "wire/http1.h"

#include <stdlib.h>

#include "base/arena.h"

static void require(bool ok)
{
	if (!ok)
		abort();
}

enum which { REQUEST, RESPONSE };

static enum http1_verdict head_of(enum which which, struct bytes in, struct http1_head *head,
				  struct arena *arena, size_t *used)
{
	arena_reset(arena);
	return which == REQUEST ? http1_request_decode(head, arena, in, used)
				: http1_response_decode(head, arena, in, false, used);
}

static void check_head(const struct http1_head *head)
{
	for (size_t i = 0; i < head->header_count; i++) {
		require(http1_is_token(head->headers[i].name));
		require(http1_is_value(head->headers[i].value));
	}
	require(head->framing != HTTP1_LENGTH || head->length > 0);
}

static void heads(enum which which, struct bytes in)
{
	struct http1_head whole, piece;
	struct arena arena;
	size_t used = 0, used_piece = 0;
	enum http1_verdict v, w = HTTP1_MORE;

	arena_init(&arena, 64 << 10);
	v = head_of(which, in, &whole, &arena, &used);
	if (v == HTTP1_FRAME)
		check_head(&whole);
	for (size_t n = 0; n <= in.n && w == HTTP1_MORE; n++)
		w = head_of(which, bytes_of(in.p, n), &piece, &arena, &used_piece);
	require(v == w && used == used_piece);
	arena_fini(&arena);
}

static enum http1_verdict unchunk(struct bytes in, size_t step, struct buf *out, size_t *used)
{
	struct http1_chunked c = { 0 };
	enum http1_verdict v = HTTP1_MORE;
	struct bytes data;

	*used = 0;
	while (v == HTTP1_MORE && *used < in.n) {
		struct bytes piece = bytes_from(in, *used);
		size_t before;

		piece.n = piece.n < step ? piece.n : step;
		before = piece.n;
		do {
			v = http1_chunked_decode(&c, &piece, &data);
			buf_append(out, data);
		} while (v == HTTP1_MORE && piece.n);
		*used += before - piece.n;
	}
	return v;
}

static void chunks(struct bytes in)
{
	struct buf a, b;
	size_t used_a, used_b;
	enum http1_verdict v, w;

	buf_init(&a, 1 << 20);
	buf_init(&b, 1 << 20);
	v = unchunk(in, SIZE_MAX, &a, &used_a);
	w = unchunk(in, 1, &b, &used_b);
	require(v == w && used_a == used_b && bytes_equal(buf_bytes(&a), buf_bytes(&b)));
	buf_fini(&a);
	buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct bytes in = bytes_from(bytes_of(data, n), 1);

	if (!n)
		return 0;
	if (data[0] % 3 == 2)
		chunks(in);
	else
		heads(data[0] % 3 ? RESPONSE : REQUEST, bytes_of(in.p, in.n < 4096 ? in.n : 4096));
	return 0;
}
