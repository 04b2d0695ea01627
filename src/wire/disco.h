/*
 * wire/disco.h - path discovery messages: the sealed envelope and what is inside it.
 *
 * Envelope: magic (6), sender's disco key (32), nonce (24), NaCl box of [type, version, payload].
 * All integers big-endian; addresses are 16 bytes with IPv4 mapped. Upstream: disco/disco.go.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/ip.h"
#include "crypto/keytext.h"

struct secret32;

enum {
	DISCO_MAGIC_LEN = 6,
	DISCO_HEAD_LEN = DISCO_MAGIC_LEN + 32,
	DISCO_ENVELOPE_LEN = DISCO_HEAD_LEN + 24 + 16, /* around type, version, payload */
	DISCO_TXID_LEN = 12,
	DISCO_ENDPOINTS_MAX = 100,
	DISCO_PING_LEN = 2 + DISCO_TXID_LEN + 32, /* unpadded body */
	DISCO_MESSAGE_MAX = DISCO_ENVELOPE_LEN + 2 + 18 * DISCO_ENDPOINTS_MAX,
};

enum disco_type {
	DISCO_PING = 0x01,
	DISCO_PONG = 0x02,
	DISCO_CALL_ME_MAYBE = 0x03,
	/* 0x04 to 0x09 belong to UDP peer relays, which this node does not use yet: ignored as
	   unknown */
};

struct disco_ping {
	uint8_t txid[DISCO_TXID_LEN];
	bool has_node_key;
	struct key node_key;
	size_t padding;
};

struct disco_pong {
	uint8_t txid[DISCO_TXID_LEN];
	struct addrport src; /* where the ping came from, as its receiver saw it */
};

struct disco_call_me_maybe {
	size_t n;
	struct addrport endpoints[DISCO_ENDPOINTS_MAX];
};

/* Is this datagram an envelope? Cheap; says nothing about who made it. */
bool disco_is_envelope(struct bytes datagram);
struct key disco_sender(struct bytes datagram); /* of an envelope */
/* Opens the box with the pair's shared key into body (at least datagram.n bytes); 0: not authentic.
 */
size_t disco_open(uint8_t *body, struct bytes datagram, const struct secret32 *shared);
/* out holds body.n + DISCO_ENVELOPE_LEN bytes; returns that. */
size_t disco_seal(uint8_t *out, const struct key *sender, const struct secret32 *shared,
		  const uint8_t nonce[24], struct bytes body);

/* Bodies, with their two bytes of type and version. Encoders return the length, 0 when out is
 * small. */
bool disco_ping_decode(struct disco_ping *ping, struct bytes body);
size_t disco_ping_encode(const struct disco_ping *ping, uint8_t *out, size_t size);
bool disco_pong_decode(struct disco_pong *pong, struct bytes body);
size_t disco_pong_encode(const struct disco_pong *pong, uint8_t *out, size_t size);
bool disco_call_me_maybe_decode(struct disco_call_me_maybe *cmm, struct bytes body);
size_t disco_call_me_maybe_encode(const struct disco_call_me_maybe *cmm, uint8_t *out, size_t size);
