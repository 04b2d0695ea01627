/* wire/natpmp.h - NAT-PMP (RFC 6886): asking a gateway for its public address and for a UDP port.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/ip.h"

enum {
	NATPMP_PORT = 5351, /* of the gateway; PCP answers there, too */
	NATPMP_ADDRESS_REQUEST_LEN = 2,
	NATPMP_MAP_REQUEST_LEN = 12,
	NATPMP_OK = 0,
	NATPMP_UNSUPPORTED_VERSION = 1,
	NATPMP_NOT_AUTHORISED = 2,
};

struct natpmp_map_request {
	uint16_t internal_port, external_port; /* external 0: any */
	uint32_t lifetime_s;                   /* 0: release */
};

enum natpmp_kind { NATPMP_NONE, NATPMP_ADDRESS, NATPMP_MAP };

struct natpmp_response {
	enum natpmp_kind kind;
	uint16_t result;
	uint32_t epoch_s; /* since the gateway started to remember */
	struct ip address;
	uint16_t internal_port, external_port;
	uint32_t lifetime_s;
};

size_t natpmp_address_request_encode(uint8_t out[NATPMP_ADDRESS_REQUEST_LEN]);
size_t natpmp_map_request_encode(uint8_t out[NATPMP_MAP_REQUEST_LEN],
				 const struct natpmp_map_request *m);
/* False: not an answer of this protocol. With a result other than NATPMP_OK only that is filled. */
bool natpmp_response_decode(struct natpmp_response *r, struct bytes msg);
