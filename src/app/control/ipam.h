/*
 * app/control/ipam.h - addresses of nodes.
 *
 * IPv4 counts through 100.64.0.0/10 with a cursor that only moves forward, so an address is not
 * used again soon after its node has gone; blocks that others use are left out. IPv6 is
 * fd7a:115c:a1e0:: with the IPv4 address in its last four bytes: one allocation serves both.
 */
#pragma once

#include <stdbool.h>

#include "base/ip.h"

/* Moves *cursor (an IPv4 address, 0 at first) to the next free one. False when all are used. */
bool ipam_next(uint32_t *cursor, bool (*is_used)(void *arg, struct ip v4), void *arg, struct ip *v4,
	       struct ip *v6);
struct ip ipam_v6_of(struct ip v4);
bool ipam_is_ours(struct ip ip); /* an address that a node may have */
