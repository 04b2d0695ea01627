/*
 * part/portmapper.h - engine/portmap joined to a socket and to the routes of this host.
 *
 * The gateway is that of the default route; asked again each time something is wanted, so that
 * nobody has to tell. A gateway that is no private IPv4 address is left in peace.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ip.h"
#include "base/log.h"

struct loop;
struct portmapper;

struct portmapper_conf {
	struct log log;
	/* For the mark that keeps our traffic out of our own routes. NULL: none. */
	void (*on_socket)(void *arg, int fd);
	/* What is mapped, or what the gateway can do. Not from inside destroy. */
	void (*on_change)(void *arg);
	void *arg;
};

struct portmapper *portmapper_create(struct loop *loop, const struct portmapper_conf *conf);
/* Gives the mapping back. NULL is a no-op. */
void portmapper_destroy(struct portmapper *p);

/* This local port should be reachable; cheap, for every time addresses are gathered. */
void portmapper_want(struct portmapper *p, uint16_t port);
/* The network under us changed. */
void portmapper_rebind(struct portmapper *p, uint16_t port);

/* False: nothing is mapped. */
bool portmapper_mapped(const struct portmapper *p, struct addrport *out);
struct portmapper_services {
	bool checked, pmp, pcp;
};
struct portmapper_services portmapper_services(const struct portmapper *p);
