/*
 * node/peerapi_at.h - where nodes serve each other: the port a node takes, and what its Hostinfo
 * says about it. Pure; upstream: ipn/ipnlocal/peerapi.go, listen().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"

struct tailcfg_node;

enum { PEERAPI_TRIES = 5, PEERAPI_URL_MAX = 7 + ADDRPORT_TEXT_MAX + 1 };

/* The port of the try 0 .. PEERAPI_TRIES - 1 at this address. */
uint16_t peerapi_port(struct ip ip, unsigned attempt);

/* What the node says under that name in Hostinfo.Services; 0: nothing, or no port. */
uint16_t peerapi_service(const struct tailcfg_node *n, const char *proto);
/* Of one family, 4 or 6. False: it has none. */
bool peerapi_of_family(const struct tailcfg_node *n, uint8_t family, struct addrport *out);
/* As self reaches it: over IPv4 when both have that. */
bool peerapi_of(const struct tailcfg_node *self, const struct tailcfg_node *peer,
		struct addrport *out);
/* "http://100.64.0.1:40000" */
const char *peerapi_url(struct addrport at, char out[PEERAPI_URL_MAX]);
