/*
 * part/localnet.h - services of this node at addresses that no kernel socket has: packets on one
 * side, streams and datagrams on the other.
 *
 *   packets from the tunnel -> engine/microtcp -> struct stream -> whoever serves
 *                           -> UDP -----------------------------> whoever answers
 *
 * TCP services get an ordinary stream, so that everything that runs over io/tcp runs here too.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/ip.h"

struct localnet;
struct loop;
struct microtcp_counters;
struct stream;

struct localnet_conf {
	unsigned mtu; /* 0: 1280 */
	/* A packet of ours, for whoever its destination belongs to. Borrowed. */
	void (*send)(void *arg, struct bytes packet);
	/* Is there a TCP service at local for this peer? NULL: there is none. */
	bool (*on_ask)(void *arg, const struct addrport *local, const struct addrport *peer);
	/* Takes s, which is open. */
	void (*on_stream)(void *arg, struct stream *s, const struct addrport *local,
			  const struct addrport *peer);
	void (*on_datagram)(void *arg, const struct addrport *local, const struct addrport *peer,
			    struct bytes data);
	void *arg;
};

struct localnet *localnet_create(struct loop *loop, const struct localnet_conf *conf);
void localnet_destroy(struct localnet *l); /* its streams report a close; NULL is a no-op */

/* A whole IP packet for a service. False: neither TCP nor UDP, or broken; nothing was done. */
bool localnet_input(struct localnet *l, struct bytes packet);
/* False: longer than UDP can be. */
bool localnet_send_datagram(struct localnet *l, const struct addrport *local,
			    const struct addrport *peer, struct bytes data);
const struct microtcp_counters *localnet_counters(const struct localnet *l);
