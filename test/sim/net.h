/*
 * sim/net.h - the internet between hosts: addresses, NATs, firewalls, loss, delay.
 *
 * Every host sits alone behind its own gateway. A gateway maps and filters as its kind says;
 * packets take the link's delay with jitter and may be lost or overtake each other.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/ip.h"
#include "base/mono.h"

struct world;

enum nat_kind {
	NAT_NONE,     /* public address, everything comes in */
	NAT_FIREWALL, /* public address, only answers come in */
	NAT_EASY,     /* endpoint-independent mapping, filter by address */
	NAT_HARD,     /* a port for each destination, filter by address and port */
	NAT_NO_UDP,   /* no datagram passes */
	NAT_KINDS
};
const char *nat_name(enum nat_kind k);
/* Can two hosts behind these talk without a relay? (transport: which pairs become direct) */
bool nat_pair_is_direct(enum nat_kind a, enum nat_kind b);

struct link {
	unsigned delay_ms, jitter_ms;
	double loss;
};

struct mapping {
	struct addrport remote; /* NAT_EASY: unset */
	uint16_t port;          /* outside */
	struct mono used;
};

struct pinhole {
	struct addrport remote; /* whom we sent to; the port counts for NAT_HARD and firewalls */
	struct mono used;
};

struct gateway {
	enum nat_kind kind;
	struct ip outside;
	struct mapping *maps;
	size_t map_count, map_cap;
	struct pinhole *holes;
	size_t hole_count, hole_cap;
};

enum { INSIDE_PORT = 41641, MAPPING_LIFE_S = 120 };

void gateway_init(struct gateway *g, enum nat_kind kind, struct ip outside);
void gateway_fini(struct gateway *g);
void gateway_restart(struct gateway *g); /* all mappings are lost */
/* An outgoing datagram: opens what it opens, tells what it looks like outside. False: dropped. */
bool gateway_out(struct world *w, struct gateway *g, struct addrport to, struct addrport *seen_as);
/* An incoming one: may it pass? */
bool gateway_in(struct world *w, struct gateway *g, struct addrport from, uint16_t to_port);
