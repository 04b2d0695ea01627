/*
 * node/pathwhy.h - why a peer is reached through a relay, and what to do about it. Pure.
 *
 *   engine/magic (what pings told) + our netcheck + what the peer says of its network -> one reason
 */
#pragma once

#include <stdbool.h>

#include "engine/magic/magic.h"

struct netcheck_report;
struct tailcfg_netinfo;

/* clang-format off */
#define PATHWHYS(X)                                                                               \
	X(DIRECT,     "direct",      "the way is direct", "")                                     \
	X(IDLE,       "idle",        "nothing was sent lately",                                   \
	  "Send something, `weft ping` will do: a direct way is looked for with the first packet.") \
	X(OFFLINE,    "offline",     "it is offline",                                             \
	  "Start the daemon there, or look at its network.")                                     \
	X(NO_DISCO,   "no-disco",    "it cannot look for direct ways", "")                        \
	X(NO_UDP,     "no-udp",      "UDP does not get out here",                                 \
	  "Let this host send UDP to the internet (any destination port) and receive the answers.") \
	X(PEER_NO_UDP, "peer-no-udp", "UDP does not get out there",                               \
	  "Let that host send UDP to the internet (any destination port) and receive the answers.") \
	X(SEEKING,    "seeking",     "still looking for a direct way", "Try again in ten seconds.") \
	X(HARD_BOTH,  "hard-nat-both", "hard NAT on both sides",                                  \
	  "Forward the daemon's UDP port to one of the two hosts, or give one a public address.") \
	X(HARD_HERE,  "hard-nat",    "hard NAT here, and no answer yet",                          \
	  "Forward the daemon's UDP port to this host, or open it on the other side's firewall.") \
	X(HARD_THERE, "hard-nat-peer", "hard NAT there, and no answer yet",                       \
	  "Forward the daemon's UDP port to that host, or open it on this side's firewall.")      \
	X(NO_ADDRESS, "no-address",  "no address of it is known",                                 \
	  "Wait until it has reported its addresses, or look at its daemon's log.")               \
	X(NO_ANSWER,  "no-answer",   "no answer yet from any of its addresses",                   \
	  "A firewall on the way drops UDP: let the daemon's UDP port in on one side.")           \
	X(NO_PUBLIC,  "no-public-address", "no public address of it is known, and no answer yet",  \
	  "UDP may not get out there: look at `weft netcheck` on the other node.")                \
	X(LOST,       "lost",        "its address stopped answering",                             \
	  "The other side moved, or a NAT forgot us; a new way is being looked for.")
/* clang-format on */

enum pathwhy {
#define X(name, code, sentence, advice) PATHWHY_##name,
	PATHWHYS(X)
#undef X
};

struct pathwhy_facts {
	enum magic_why pings;
	bool offline;                         /* control says so */
	bool no_public;                       /* all its addresses are of private networks */
	const struct netcheck_report *ours;   /* NULL: not known */
	const struct tailcfg_netinfo *theirs; /* NULL: not known */
};

enum pathwhy pathwhy_of(const struct pathwhy_facts *facts);
const char *pathwhy_code(enum pathwhy w);     /* for programs */
const char *pathwhy_sentence(enum pathwhy w); /* "no answer yet from any of its addresses" */
const char *pathwhy_advice(enum pathwhy w);   /* ""; a whole sentence */
