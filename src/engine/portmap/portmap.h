/*
 * engine/portmap/portmap.h - one UDP port of ours, opened on the gateway and kept open.
 *
 * Talks NAT-PMP and PCP to port 5351 of the gateway and nobody else. The caller names the gateway,
 * asks with portmap_want() as often as it likes, and learns by on_change what the world may use.
 * Rules and times: upstream net/portmapper/portmapper.go.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/ip.h"
#include "base/mono.h"
#include "base/rand.h"

struct portmap;

struct portmap_conf {
	struct rng rng;
	void (*on_change)(void *arg); /* what is mapped, or what the gateway can do */
	void *arg;
};

struct portmap *portmap_create(const struct portmap_conf *conf);
void portmap_destroy(struct portmap *p);

/* Another gateway, address or port than before: all is forgotten. A gateway that is no private IPv4
 * address is not asked anything. */
void portmap_set_gateway(struct portmap *p, struct ip gateway, struct ip self, uint16_t port);
/* A mapping is wanted: probes unless there is one, or the last probe was just now. */
void portmap_want(struct portmap *p, struct mono now);
/* The network may be another one behind the same addresses: what is mapped must be confirmed now.
 */
void portmap_rebind(struct portmap *p, struct mono now);
/* Gives the mapping back; what is queued then says so to the gateway. */
void portmap_release(struct portmap *p);

void portmap_input(struct portmap *p, struct mono now, struct addrport from, struct bytes msg);
enum { PORTMAP_DATAGRAM_MAX = 60 };
struct portmap_datagram {
	struct addrport to;
	uint8_t bytes[PORTMAP_DATAGRAM_MAX];
	size_t n;
};
bool portmap_next_datagram(struct portmap *p, struct portmap_datagram *out);
struct mono portmap_deadline(const struct portmap *p);
void portmap_tick(struct portmap *p, struct mono now);

/* False: nothing is mapped. */
bool portmap_mapped(const struct portmap *p, struct addrport *out);

struct portmap_services {
	bool checked; /* a probe of this gateway is over */
	bool pmp, pcp;
};
struct portmap_services portmap_services(const struct portmap *p);
