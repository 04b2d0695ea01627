/*
 * wire/ts2021.h - frames of the Noise channel between a node and its control server
 * (upstream: control/controlbase/messages.go, control/ts2021/conn.go).
 *
 *   initiation  version be16 | 1 | be16 = 96 | ephemeral 32 | sealed machine key 48 | tag 16
 *   response    2 | be16 = 48 | ephemeral 32 | tag 16
 *   error       3 | be16 n | n bytes of text, not authenticated
 *   record      4 | be16 n | n bytes of ciphertext
 *
 * Only the initiation has something before its type byte. It travels in an HTTP header.
 *
 * The early payload stands in the decrypted stream of the server, before its first HTTP/2 byte:
 *   ff ff ff 'T' 'S' | be32 n | n bytes of JSON (tailcfg_early_noise)
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

enum {
	TS2021_INITIATION_LEN = 101,
	TS2021_RESPONSE_LEN = 51,
	TS2021_HEADER_LEN = 3,
	TS2021_RECORD_MAX = 4096, /* header included */
	TS2021_TAG_LEN = 16,
	TS2021_PLAIN_MAX = TS2021_RECORD_MAX - TS2021_HEADER_LEN - TS2021_TAG_LEN,
	TS2021_EARLY_HEADER_LEN = 9,
	TS2021_EARLY_MAX = 1024, /* what the strictest client reads */
};

enum ts2021_type {
	TS2021_INITIATION = 1,
	TS2021_RESPONSE = 2,
	TS2021_ERROR = 3,
	TS2021_RECORD = 4,
};

#define TS2021_HEADER "x-tailscale-handshake"
#define TS2021_UPGRADE "tailscale-control-protocol"

struct ts2021_initiation {
	uint16_t version; /* the node's capability version */
	uint8_t ephemeral[32];
	uint8_t sealed_key[48];
	uint8_t tag[16];
};

/* msg is exactly the message; any other length is malformed. */
bool ts2021_initiation_decode(struct ts2021_initiation *i, struct bytes msg);
void ts2021_initiation_encode(const struct ts2021_initiation *i,
			      uint8_t out[TS2021_INITIATION_LEN]);

struct ts2021_response {
	uint8_t ephemeral[32];
	uint8_t tag[16];
};
bool ts2021_response_decode(struct ts2021_response *r, struct bytes msg);
void ts2021_response_encode(const struct ts2021_response *r, uint8_t out[TS2021_RESPONSE_LEN]);

enum ts2021_split { TS2021_MORE, TS2021_FRAME, TS2021_BAD };

struct ts2021_frame {
	uint8_t type;
	struct bytes body;
	size_t size; /* header and body */
};

/*
 * The frame at the front of in: a response, an error or a record. BAD: no such type, or a length
 * that no frame of that type has; it is found out before anyone waits for the body.
 */
enum ts2021_split ts2021_frame_split(struct ts2021_frame *f, struct bytes in);

/* header: at least 9 bytes. False without the magic: they are HTTP/2 then. */
bool ts2021_early_decode(struct bytes header, uint32_t *json_len);
void ts2021_early_encode(uint32_t json_len, uint8_t out[TS2021_EARLY_HEADER_LEN]);
