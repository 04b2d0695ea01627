/*
 * wire/derp_cert.h - the extra certificate that names a relay's key (upstream: derpserver).
 *
 * A relay appends it to its TLS chain: common name "derpkey" and 64 hex digits, serial number the
 * protocol version, self-signed by a throw-away Ed25519 key. A client that finds it under TLS 1.3
 * knows the key before the first byte and saves a round trip. It proves nothing by itself: the
 * chain and the sealed greeting do.
 */
#pragma once

#include <stdbool.h>

#include "base/bytes.h"
#include "base/wall.h"
#include "crypto/keytext.h"

enum { DERP_CERT_MAX = 1024, DERP_CERT_DAYS = 30 };

/* Valid from 30 days before now to 30 days after. Returns the length, 0 on failure. */
size_t derp_cert_encode(uint8_t out[DERP_CERT_MAX], const struct key *server, struct wall now);
/* False for every other certificate and for other protocol versions. */
bool derp_cert_decode(struct bytes der, struct key *server);
/* Whether it is one at all: pinned chains are counted without it. */
bool derp_cert_is(struct bytes der);
