/*
 * wire/stun.h - the binding request and its answer (RFC 5389; upstream: net/stun/stun.go).
 *
 * Nodes send one exact form of 40 bytes and servers of this network family answer nothing else. We
 * also read what ordinary tools send, and say which of the two it was.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/ip.h"

enum {
	STUN_HEADER_LEN = 20,
	STUN_TXID_LEN = 12,
	STUN_REQUEST_LEN = 40,
	STUN_RESPONSE_MAX = 44,
	STUN_ERROR_MAX = 48,
	STUN_UNKNOWN_MAX = 4, /* unknown attributes that an error names */
	STUN_MESSAGE_MAX = 1280,
	STUN_PORT = 3478,
};

struct stun_txid {
	uint8_t b[STUN_TXID_LEN];
};

enum stun_request {
	STUN_NO_REQUEST, /* not a binding request, or broken: never answered */
	STUN_TAILNODE,   /* the exact form, SOFTWARE "tailnode" and a correct FINGERPRINT */
	STUN_PLAIN,      /* any other well-formed binding request */
	STUN_UNKNOWN,    /* plain, and it demands attributes that we do not know */
};

struct stun_unknown {
	uint16_t types[STUN_UNKNOWN_MAX];
	size_t n;
};

/* Header test for a socket that carries other things too: binding requests and successes. */
bool stun_is(struct bytes msg);

/* unknown (may be NULL) is filled for STUN_UNKNOWN. */
enum stun_request stun_request_decode(struct bytes msg, struct stun_txid *txid,
				      struct stun_unknown *unknown);
size_t stun_request_encode(uint8_t out[STUN_REQUEST_LEN], const struct stun_txid *txid);

/* IPv4 always leaves as family 1; both forms are read. */
size_t stun_response_encode(uint8_t out[STUN_RESPONSE_MAX], const struct stun_txid *txid,
			    struct addrport seen);
bool stun_response_decode(struct bytes msg, struct stun_txid *txid, struct addrport *seen);

/* 420 Unknown Attribute. */
size_t stun_error_encode(uint8_t out[STUN_ERROR_MAX], const struct stun_txid *txid,
			 const struct stun_unknown *unknown);
