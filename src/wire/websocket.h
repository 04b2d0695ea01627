/*
 * wire/websocket.h - WebSocket frames and handshake values (RFC 6455).
 *
 * Only what carries bytes: binary messages and control frames. No extensions, so the reserved bits
 * are errors.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

enum {
	WEBSOCKET_HEADER_MAX = 14,
	WEBSOCKET_CONTROL_MAX = 125, /* payload of ping, pong and close */
	WEBSOCKET_KEY_LEN = 24,      /* base64 of 16 random bytes */
	WEBSOCKET_ACCEPT_LEN = 28,
};

enum websocket_opcode {
	WEBSOCKET_CONTINUATION = 0,
	WEBSOCKET_TEXT = 1,
	WEBSOCKET_BINARY = 2,
	WEBSOCKET_CLOSE = 8,
	WEBSOCKET_PING = 9,
	WEBSOCKET_PONG = 10,
};

struct websocket_header {
	bool fin, masked;
	enum websocket_opcode opcode;
	uint8_t mask[4];
	uint64_t length; /* of the payload that follows */
};

enum websocket_verdict {
	WEBSOCKET_MORE, /* nothing consumed */
	WEBSOCKET_FRAME,
	WEBSOCKET_BAD,
};

/* A header at the front of in: *used bytes. masked: what this end must see; servers true. */
enum websocket_verdict websocket_header_decode(struct websocket_header *h, struct bytes in,
					       bool masked, size_t *used);
size_t websocket_header_encode(const struct websocket_header *h, uint8_t out[WEBSOCKET_HEADER_MAX]);

/* In place; the same call masks and unmasks. offset: how much of the payload came before p. */
void websocket_mask(uint8_t *p, size_t n, const uint8_t mask[4], uint64_t offset);

/* Sec-WebSocket-Accept for a Sec-WebSocket-Key; false when key is not 16 bytes in base64. */
bool websocket_accept_key(struct bytes key, char out[WEBSOCKET_ACCEPT_LEN + 1]);
