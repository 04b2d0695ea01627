/* wire/pcp.h - the Port Control Protocol (RFC 6887), as far as one UDP port of ours needs it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/ip.h"

enum {
	PCP_ANNOUNCE_LEN = 24,
	PCP_MAP_LEN = 60, /* request and answer */
	PCP_MESSAGE_MAX = 1100,
	PCP_NONCE_LEN = 12,
	PCP_OK = 0,
	PCP_NOT_AUTHORISED = 2,
	PCP_ADDRESS_MISMATCH = 12, /* there is a NAT between us and the gateway */
};

struct pcp_map_request {
	struct ip client; /* our address towards the gateway */
	uint8_t nonce[PCP_NONCE_LEN];
	uint16_t internal_port, external_port; /* external 0: any */
	struct ip external;                    /* suggested; no address: any IPv4 */
	uint32_t lifetime_s;                   /* 0: release */
};

enum pcp_kind { PCP_NONE, PCP_ANNOUNCE, PCP_MAP };

struct pcp_response {
	enum pcp_kind kind;
	uint8_t result;
	uint32_t lifetime_s; /* of the mapping, or of the refusal */
	uint32_t epoch_s;
	uint8_t nonce[PCP_NONCE_LEN];
	uint16_t internal_port, external_port;
	struct ip external; /* IPv4 comes out unmapped */
};

size_t pcp_announce_encode(uint8_t out[PCP_ANNOUNCE_LEN], struct ip client);
size_t pcp_map_request_encode(uint8_t out[PCP_MAP_LEN], const struct pcp_map_request *m);
/* False: not an answer of this protocol. With a result other than PCP_OK the body is not read. */
bool pcp_response_decode(struct pcp_response *r, struct bytes msg);
