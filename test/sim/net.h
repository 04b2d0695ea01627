/*
 * sim/net.h - gateways between hosts and the internet: NATs, firewalls, one behind another.
 *
 * A gateway maps and filters as its kind says. Several hosts may share one; it may or may not turn
 * packets to its own outside address back (hairpin); it may stand behind another one (double NAT).
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
	unsigned mtu; /* longer datagrams vanish without a word; 0: none do */
};

struct mapping {
	struct addrport inside, remote; /* NAT_EASY: remote is unset */
	uint16_t port;                  /* outside */
	struct mono used;
};

struct pinhole {
	struct addrport inside,
	    remote; /* who sent to whom; remote's port counts but for NAT_EASY */
	struct mono used;
};

struct gateway {
	enum nat_kind kind;
	bool hairpin, forgetful;
	struct gateway *parent; /* NULL: the internet is right outside */
	struct ip outside;
	struct addrport inside; /* NAT_NONE, NAT_FIREWALL: the one host behind it */
	unsigned users;
	struct mapping *maps;
	size_t map_count, map_cap;
	struct pinhole *holes;
	size_t hole_count, hole_cap;
};

enum { INSIDE_PORT = 41641, MAPPING_LIFE_S = 120 };

void gateway_fini(struct gateway *g);
void gateway_restart(struct gateway *g); /* all mappings are lost */
/* An outgoing datagram: opens what it opens, tells what it looks like outside. False: dropped. */
bool gateway_out(struct world *w, struct gateway *g, struct addrport from, struct addrport to,
		 struct addrport *seen_as);
/* An incoming one: may it pass, and to whom? */
bool gateway_in(struct world *w, struct gateway *g, struct addrport from, uint16_t to_port,
		struct addrport *inside);
/* Kind of the whole way out: the hardest gateway on it. */
enum nat_kind gateway_worst(const struct gateway *g);
