/*
 * part/netcheck.h - which relays are near, and what we look like from outside. STUN only.
 *
 * Probes leave through the caller's sockets, because the point is the NAT mapping of exactly those.
 * Rules: upstream net/netcheck/netcheck.go.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/ip.h"
#include "base/log.h"
#include "base/rand.h"

struct loop;
struct netcheck;
struct tailcfg_derp_map;

enum { NETCHECK_REGIONS_MAX = 256, NETCHECK_SEEN_MAX = 8 };

struct netcheck_region {
	int id;
	int64_t v4_ns, v6_ns; /* 0: no answer */
};

/* What the gateway offers; filled in by who asks it. */
struct netcheck_ports {
	bool checked, mapped, pmp, pcp;
};

struct netcheck_report {
	struct netcheck_region regions[NETCHECK_REGIONS_MAX];
	size_t region_count; /* those that answered */
	int preferred;       /* home relay; 0: none answered */
	bool udp, ipv4, ipv6;
	bool varies_known, varies; /* the NAT gives every destination another address */
	struct addrport seen[NETCHECK_SEEN_MAX]; /* our addresses from outside, most seen first */
	size_t seen_count;
	struct netcheck_ports ports;
};

struct netcheck_conf {
	struct rng rng;
	struct log log;
	/* False: could not be sent. */
	bool (*send)(void *arg, const struct addrport *to, struct bytes datagram);
	/* A report is complete. */
	void (*on_report)(void *arg, const struct netcheck_report *report);
	/* When something last came from that relay, in ms ago; -1: never. For not leaving it. */
	int64_t (*relay_heard_ms)(void *arg, int region);
	void *arg;
};

struct netcheck *netcheck_create(struct loop *loop, const struct netcheck_conf *conf);
void netcheck_destroy(struct netcheck *n);
/* Borrowed until the next call; names without address are resolved. NULL: none. */
void netcheck_set_map(struct netcheck *n, const struct tailcfg_derp_map *map);
/* full: all regions, and the last reports are forgotten where they contradict. No-op while one
 * runs, which then counts as full. */
void netcheck_run(struct netcheck *n, bool full);
bool netcheck_is_running(const struct netcheck *n);
/* A STUN datagram that came in. */
void netcheck_input(struct netcheck *n, struct addrport from, struct bytes datagram);
/* From now on in every report, the last one included. False: nothing changed. */
bool netcheck_set_ports(struct netcheck *n, struct netcheck_ports ports);
/* NULL before the first. */
const struct netcheck_report *netcheck_last(const struct netcheck *n);
int netcheck_home(const struct netcheck *n); /* 0: none */
