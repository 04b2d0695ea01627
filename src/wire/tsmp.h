/*
 * wire/tsmp.h - small messages between nodes, inside the tunnel, right behind the IP header
 * (upstream: net/packet/tsmp.go).
 *
 *   '!'  proto u8, reason u8, source port be16, destination port be16, maybe flags u8
 *        a connection of ours was refused; the ports are those of the refused packet
 *   'p'  8 bytes                        ping
 *   'o'  the same 8 bytes, port be16    pong, with the PeerAPI port (0: none)
 *   'a'  disco key                      advertisement
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/ip.h"
#include "crypto/keytext.h"

enum tsmp_type { TSMP_REJECT = '!', TSMP_PING = 'p', TSMP_PONG = 'o', TSMP_DISCO = 'a' };
enum tsmp_flag { TSMP_MAYBE_BROKEN = 1 }; /* of a reject: go on, but say this if it fails */

enum { TSMP_DATA_LEN = 8, TSMP_PACKET_MAX = 40 + 1 + 32 };

struct tsmp {
	enum tsmp_type type;
	uint8_t data[TSMP_DATA_LEN]; /* ping, pong */
	uint16_t peerapi_port;       /* pong; 0: none */
	uint8_t proto, flags;        /* reject */
	uint8_t reason; /* reject: 'A' rules, 'S' shields, 'F' forwarding, 'W' firewall */
	uint16_t src_port, dst_port; /* reject */
	struct key disco;
};

/* What stands behind the IP header. False: cut, or of a type nobody knows. Longer is accepted. */
bool tsmp_decode(struct tsmp *m, struct bytes payload);
/* A whole packet; both addresses are of one family. Returns its length. */
size_t tsmp_encode(uint8_t packet[TSMP_PACKET_MAX], const struct tsmp *m, struct ip src,
		   struct ip dst);
/* "its rules do not allow it"; never NULL. */
const char *tsmp_reason_sentence(uint8_t reason);
