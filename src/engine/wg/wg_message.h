/* engine/wg/wg_message.h - the four messages as bytes. All integers are little-endian. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

enum {
	WG_INITIATION = 1,
	WG_RESPONSE = 2,
	WG_COOKIE_REPLY = 3,
	WG_TRANSPORT = 4,

	WG_INITIATION_LEN = 148,
	WG_RESPONSE_LEN = 92,
	WG_COOKIE_REPLY_LEN = 64,
	WG_TRANSPORT_MIN = 32,
	WG_MAC_LEN = 16,
	WG_TIMESTAMP_LEN = 12,
};

struct wg_initiation {
	uint32_t sender;
	uint8_t ephemeral[32];
	uint8_t sealed_static[32 + 16];
	uint8_t sealed_timestamp[WG_TIMESTAMP_LEN + 16];
};

struct wg_response {
	uint32_t sender, receiver;
	uint8_t ephemeral[32];
	uint8_t sealed_empty[16];
};

struct wg_cookie_reply {
	uint32_t receiver;
	uint8_t nonce[24];
	uint8_t sealed_cookie[16 + 16];
};

/* 1-4, or 0: not a message of this protocol. */
unsigned wg_message_type(struct bytes datagram);

/* The encoders leave both macs zero: see wg_cookie_stamp(). The decoders take whole datagrams. */
void wg_initiation_encode(const struct wg_initiation *m, uint8_t out[WG_INITIATION_LEN]);
bool wg_initiation_decode(struct wg_initiation *m, struct bytes datagram);
void wg_response_encode(const struct wg_response *m, uint8_t out[WG_RESPONSE_LEN]);
bool wg_response_decode(struct wg_response *m, struct bytes datagram);
void wg_cookie_reply_encode(const struct wg_cookie_reply *m, uint8_t out[WG_COOKIE_REPLY_LEN]);
bool wg_cookie_reply_decode(struct wg_cookie_reply *m, struct bytes datagram);
