/*
 * wire/http1_chunked.c - the chunked transfer coding (RFC 9112 section 7.1).
 *
 *   size-in-hex [;extensions] CRLF  bytes CRLF  ...  0 CRLF  [trailers] CRLF
 *
 * One byte at a time outside the data, so how the input was cut cannot change the outcome.
 * Extensions and trailers are checked for control bytes, counted and dropped.
 */
#include "wire/http1.h"

enum state {
	SIZE,
	EXTENSION,
	SIZE_LF,
	DATA,
	DATA_CR,
	DATA_LF,
	TRAILER,
	TRAILER_LF,
	DONE,
	FAILED,
};

enum { SIZE_DIGITS_MAX = 8 };

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		return (c | 0x20) - 'a' + 10;
	return -1;
}

static int size_byte(struct http1_chunked *c, uint8_t byte)
{
	int digit = hex_digit(byte);

	if (digit >= 0) {
		c->left = c->left << 4 | (unsigned)digit;
		return ++c->line > SIZE_DIGITS_MAX ? FAILED : SIZE;
	}
	if (!c->line)
		return FAILED;
	if (byte == '\r')
		return SIZE_LF;
	return byte == ';' ? EXTENSION : FAILED;
}

static int extension_byte(struct http1_chunked *c, uint8_t byte)
{
	if (byte == '\r')
		return SIZE_LF;
	if ((byte < ' ' && byte != '\t') || byte == 0x7f || ++c->line > HTTP1_CHUNK_LINE_MAX)
		return FAILED;
	return EXTENSION;
}

/* line counts the bytes of this trailer line: an empty one ends the body. */
static int trailer_byte(struct http1_chunked *c, uint8_t byte)
{
	if (byte == '\r')
		return TRAILER_LF;
	if ((byte < ' ' && byte != '\t') || byte == 0x7f || ++c->trailers > HTTP1_TRAILER_MAX)
		return FAILED;
	c->line++;
	return TRAILER;
}

static int step(struct http1_chunked *c, uint8_t byte)
{
	bool last;

	switch (c->state) {
	case SIZE:
		return size_byte(c, byte);
	case EXTENSION:
		return extension_byte(c, byte);
	case SIZE_LF:
		c->line = 0;
		if (byte != '\n')
			return FAILED;
		return c->left ? DATA : TRAILER;
	case DATA_CR:
		return byte == '\r' ? DATA_LF : FAILED;
	case DATA_LF:
		c->line = 0;
		return byte == '\n' ? SIZE : FAILED;
	case TRAILER:
		return trailer_byte(c, byte);
	case TRAILER_LF:
		last = !c->line;
		c->line = 0;
		if (byte != '\n')
			return FAILED;
		return last ? DONE : TRAILER;
	default:
		return FAILED;
	}
}

enum http1_verdict http1_chunked_decode(struct http1_chunked *c, struct bytes *in,
					struct bytes *data)
{
	*data = (struct bytes){ NULL, 0 };
	while (in->n && c->state != DONE && c->state != FAILED) {
		if (c->state == DATA) {
			*data = bytes_of(in->p, in->n < c->left ? in->n : (size_t)c->left);
			*in = bytes_from(*in, data->n);
			c->left -= data->n;
			if (!c->left)
				c->state = DATA_CR;
			return HTTP1_MORE;
		}
		c->state = step(c, in->p[0]);
		*in = bytes_from(*in, 1);
	}
	if (c->state == FAILED)
		return HTTP1_BAD;
	return c->state == DONE ? HTTP1_FRAME : HTTP1_MORE;
}

bool http1_chunk_begin(struct buf *out, size_t n)
{
	return buf_printf(out, "%zx\r\n", n);
}

bool http1_chunk_finish(struct buf *out)
{
	return buf_append(out, bytes_of("\r\n", 2));
}

bool http1_chunk_encode(struct buf *out, struct bytes data)
{
	if (!data.n)
		return true;
	http1_chunk_begin(out, data.n);
	buf_append(out, data);
	return http1_chunk_finish(out);
}
