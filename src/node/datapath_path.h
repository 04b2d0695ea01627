/*
 * node/datapath_path.h - what every thread may ask about a peer: its path, read without locks.
 *
 * Written by the control thread, and by ingress when paths follow the source, under a sequence
 * number that is odd for one writer at a time; a reader that sees the number move reads again.
 * Entries are made when a path is first set and live as long as the datapath.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "node/datapath.h"

enum { DATAPATH_PATH_WORDS = 5, DATAPATH_CHUNK = 256 };

struct datapath_peer {
	_Atomic uint32_t seq; /* odd: being written */
	_Atomic bool no_gso;  /* a super-datagram was too long for this path */
	_Atomic bool watched; /* tell control when something is sent */
	_Atomic uint64_t words[DATAPATH_PATH_WORDS];
	_Atomic uint64_t source; /* where the last authenticated datagram came from, hashed */
};

struct datapath_peers {
	_Atomic(struct datapath_peer *) chunks[WG_OWNER_MAX / DATAPATH_CHUNK];
};

void datapath_peers_fini(struct datapath_peers *t);
/* NULL: no path was ever set for that owner. Any thread. */
struct datapath_peer *datapath_peer_of(const struct datapath_peers *t, uint32_t owner);
/* The control thread's; NULL only for an owner out of range. */
struct datapath_peer *datapath_peer_make(struct datapath_peers *t, uint32_t owner);

struct datapath_path datapath_peer_path(const struct datapath_peer *p);
void datapath_peer_set_path(struct datapath_peer *p, const struct datapath_path *path);
/* Never 0; equal sources give equal numbers. */
uint64_t datapath_source_hash(const struct datapath_source *s);
