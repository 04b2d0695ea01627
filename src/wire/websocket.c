/*
 * wire/websocket.c - frames (RFC 6455 section 5.2).
 *
 *   off  len  field
 *     0    1  fin 0x80, reserved 0x70, opcode 0x0f
 *     1    1  masked 0x80, length 0x7f: up to 125 as it is,
 *             126: be16 follows (at least 126), 127: be64 follows (at least 65536)
 *     2  0-8  the longer length
 *     .  0/4  mask, when masked
 *
 * Lengths that could have been written shorter are refused, as the RFC demands.
 */
#include "wire/websocket.h"

#include "base/text.h"
#include "crypto/hash.h"

static bool is_known(unsigned opcode)
{
	return opcode <= WEBSOCKET_BINARY ||
	       (opcode >= WEBSOCKET_CLOSE && opcode <= WEBSOCKET_PONG);
}

static bool read_length(struct reader *r, uint8_t small, uint64_t *length)
{
	*length = small;
	if (small < 126)
		return true;
	*length = small == 126 ? read_be16(r) : read_be64(r);
	if (r->bad)
		return true;
	return small == 126 ? *length >= 126 : *length >= 65536 && *length <= INT64_MAX;
}

enum websocket_verdict websocket_header_decode(struct websocket_header *h, struct bytes in,
					       bool masked, size_t *used)
{
	struct reader r = reader_of(in);
	uint8_t first = read_u8(&r), second;

	if (r.bad)
		return WEBSOCKET_MORE;
	*h = (struct websocket_header){ .fin = first & 0x80, .opcode = first & 0x0f };
	if ((first & 0x70) || !is_known(first & 0x0f))
		return WEBSOCKET_BAD;
	second = read_u8(&r);
	if (r.bad)
		return WEBSOCKET_MORE;
	h->masked = second & 0x80;
	if (h->masked != masked)
		return WEBSOCKET_BAD;
	if (h->opcode >= WEBSOCKET_CLOSE && (!h->fin || (second & 0x7f) > WEBSOCKET_CONTROL_MAX))
		return WEBSOCKET_BAD;
	if (!read_length(&r, second & 0x7f, &h->length))
		return WEBSOCKET_BAD;
	if (masked)
		read_copy(&r, h->mask, sizeof(h->mask));
	if (r.bad)
		return WEBSOCKET_MORE;
	*used = in.n - reader_left(&r);
	return WEBSOCKET_FRAME;
}

size_t websocket_header_encode(const struct websocket_header *h, uint8_t out[WEBSOCKET_HEADER_MAX])
{
	struct writer w = writer_of(out, WEBSOCKET_HEADER_MAX);
	uint8_t masked = h->masked ? 0x80 : 0;

	write_u8(&w, (uint8_t)((h->fin ? 0x80 : 0) | h->opcode));
	if (h->length < 126) {
		write_u8(&w, (uint8_t)(masked | h->length));
	} else if (h->length < 65536) {
		write_u8(&w, masked | 126);
		write_be16(&w, (uint16_t)h->length);
	} else {
		write_u8(&w, masked | 127);
		write_be64(&w, h->length);
	}
	if (h->masked)
		write_copy(&w, h->mask, sizeof(h->mask));
	return writer_done(&w);
}

void websocket_mask(uint8_t *p, size_t n, const uint8_t mask[4], uint64_t offset)
{
	for (size_t i = 0; i < n; i++)
		p[i] ^= mask[(offset + i) & 3];
}

bool websocket_accept_key(struct bytes key, char out[WEBSOCKET_ACCEPT_LEN + 1])
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* section 1.3 */
	uint8_t digest[20];
	struct buf raw;
	bool ok;

	buf_init(&raw, 16);
	ok = key.n == WEBSOCKET_KEY_LEN && text_unbase64(BASE64_STD, key, &raw) && raw.n == 16;
	buf_fini(&raw);
	if (!ok)
		return false;
	buf_init(&raw, WEBSOCKET_KEY_LEN + sizeof(guid));
	buf_append(&raw, key);
	buf_append_str(&raw, guid);
	hash_sha1(digest, buf_bytes(&raw));
	text_base64(BASE64_STD, bytes_of(digest, sizeof(digest)), out);
	buf_fini(&raw);
	return true;
}
