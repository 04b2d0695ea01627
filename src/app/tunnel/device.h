/*
 * app/tunnel/device.h - one WireGuard interface: what is configured, and the datapath that runs it.
 *
 * Peers are kept here in the order they came, as `wg show` prints them; the machine and the
 * datapath get owners (small numbers) and snapshots. Changes are collected and published by
 * device_commit(), so that a configuration of thousands of peers costs one snapshot.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "app/tunnel/owners.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/rand.h"
#include "crypto/keytext.h"
#include "crypto/secret.h"
#include "engine/wg/wg.h"
#include "engine/wg/wg_allowed.h"
#include "io/udp.h"
#include "node/datapath.h"
#include "os/tun.h"

struct err;
struct tunnel_conf;

enum { DEVICE_MTU = 1420, DEVICE_PEERS_MAX = 100000 };

struct device_conf {
	const char *name;
	unsigned mtu; /* 0: DEVICE_MTU */
	struct log *log;
	const char *crypto;
	int threads; /* -1: what suits the machine */
	size_t memory_bytes;
	bool plain_tun, no_tso, no_uso, no_gso, no_gro, no_coalesce, never_equal_tail;
	bool no_tun; /* for tests of what is configured: packets go nowhere */
	void (*on_broken)(void *arg, const struct err *why);
	void *arg;
};

struct device_allowed {
	struct list link; /* of its peer */
	struct prefix prefix;
	struct device_peer *peer;
};

struct device_peer {
	struct list link; /* of the device */
	struct key public_key;
	struct secret32 psk;
	struct addrport endpoint; /* family 0: not known */
	uint16_t keepalive_s;
	uint32_t owner;
	struct wg_peer_id id; /* none: not in the machine, for want of a private key */
	struct list allowed;
};

struct device {
	struct device_conf conf;
	struct rng rng;
	struct tun tun;
	struct udp udp4, udp6;
	uint16_t listen_port; /* bound */
	uint32_t fwmark;
	unsigned mtu;
	struct secret32 private_key;
	struct key public_key;
	struct wg *wg;
	struct datapath *datapath;
	struct list peers;
	size_t peer_count;
	struct map by_key, by_prefix;
	struct device_peer **by_owner;
	uint32_t owner_cap;
	struct owners owners;
	struct wg_allowed_set *allowed;
	bool allowed_changed;
};

struct device *device_create(const struct device_conf *conf, struct err *err);
void device_destroy(struct device *d); /* NULL: no-op */

int device_set_private_key(struct device *d, const struct secret32 *key, struct err *err);
/* 0: any. Keeps the old sockets when the new port cannot be had. */
int device_set_port(struct device *d, uint16_t port, struct err *err);
int device_set_fwmark(struct device *d, uint32_t mark, struct err *err);
void device_set_mtu(struct device *d, unsigned mtu); /* somebody changed the interface's */

struct device_peer *device_peer_find(struct device *d, const struct key *public_key);
/* Also finds. NULL: our own key, a bad one, or too many. */
struct device_peer *device_peer_add(struct device *d, const struct key *public_key,
				    struct err *err);
void device_peer_remove(struct device *d, struct device_peer *p);
void device_remove_peers(struct device *d);
int device_peer_set_psk(struct device *d, struct device_peer *p, const struct secret32 *psk,
			struct err *err);
void device_peer_set_endpoint(struct device *d, struct device_peer *p,
			      const struct addrport *endpoint);
void device_peer_set_keepalive(struct device *d, struct device_peer *p, uint16_t seconds);
/* A prefix belongs to one peer: the last one it was given to. */
void device_peer_allow(struct device *d, struct device_peer *p, struct prefix prefix);
void device_peer_disallow(struct device *d, struct device_peer *p, struct prefix prefix);
void device_peer_disallow_all(struct device *d, struct device_peer *p);
void device_commit(struct device *d);

/* Timers and messages: see datapath_turn(). */
void device_turn(struct device *d);
