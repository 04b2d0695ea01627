/*
 * os/rtnl/rtnl.h - addresses, links, routes and rules, by rtnetlink.
 *
 * Every call is one request and its answer; blocking, but the kernel answers at once. Adding what
 * is there and deleting what is not are successes, so that a configuration can be applied twice.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ip.h"

struct err;
struct rtnl;

struct rtnl *rtnl_open(struct err *err);
void rtnl_close(struct rtnl *r); /* NULL: no-op */

/* --- links --- */

struct rtnl_link {
	unsigned index;
	char name[16];
	bool up;      /* by the administrator */
	bool running; /* and it has a carrier */
	bool loopback;
	uint32_t mtu;
};

/* Only what is not zero is changed. */
struct rtnl_link_change {
	bool up, down;
	uint32_t mtu, queue_length, gso_max_segments;
};

int rtnl_link_change(struct rtnl *r, unsigned index, const struct rtnl_link_change *c,
		     struct err *err);
int rtnl_link_get(struct rtnl *r, unsigned index, struct rtnl_link *out, struct err *err);
int rtnl_link_list(struct rtnl *r, void (*each)(void *arg, const struct rtnl_link *link), void *arg,
		   struct err *err);

/* --- addresses --- */

struct rtnl_addr {
	unsigned index;
	struct prefix prefix; /* the address with its length, host bits set */
	bool link_local;
	bool usable; /* neither tentative nor deprecated nor a duplicate */
};

int rtnl_addr_add(struct rtnl *r, unsigned index, struct prefix addr, struct err *err);
int rtnl_addr_del(struct rtnl *r, unsigned index, struct prefix addr, struct err *err);
/* index 0: of all interfaces */
int rtnl_addr_list(struct rtnl *r, unsigned index,
		   void (*each)(void *arg, const struct rtnl_addr *addr), void *arg,
		   struct err *err);

/* --- routes --- */

enum rtnl_route_kind {
	RTNL_UNICAST, /* through index, perhaps via a gateway */
	RTNL_THROW,   /* the next rule decides */
	RTNL_BLACKHOLE,
	RTNL_UNREACHABLE,
};

enum { RTNL_TABLE_DEFAULT = 253, RTNL_TABLE_MAIN = 254, RTNL_TABLE_LOCAL = 255 };

struct rtnl_route {
	struct prefix dst;
	uint32_t table; /* 0: main */
	enum rtnl_route_kind kind;
	unsigned index;
	struct ip via;    /* no address: directly */
	struct ip source; /* preferred source; no address: the kernel's choice */
	uint32_t metric;  /* 0: none */
	uint8_t protocol; /* who made it (rtnetlink(7)); 0: static */
};

int rtnl_route_add(struct rtnl *r, const struct rtnl_route *route,
		   struct err *err); /* or replaces */
/* ERR_SYSTEM with sys == EEXIST: the table has a route to there. */
int rtnl_route_add_new(struct rtnl *r, const struct rtnl_route *route, struct err *err);
int rtnl_route_del(struct rtnl *r, const struct rtnl_route *route, struct err *err);
/* family 4 or 6; table 0: all */
int rtnl_route_list(struct rtnl *r, uint8_t family, uint32_t table,
		    void (*each)(void *arg, const struct rtnl_route *route), void *arg,
		    struct err *err);
/* The route a packet with that destination and mark takes; ERR_SYSTEM when there is none. */
int rtnl_route_get(struct rtnl *r, struct ip dst, uint32_t mark, struct rtnl_route *out,
		   struct err *err);

/* --- rules --- */

struct rtnl_rule {
	uint8_t family; /* 4 or 6 */
	uint32_t priority;
	uint32_t mark, mask;        /* fwmark; mask 0: any mark matches */
	bool invert;                /* "not" */
	uint32_t table;             /* 0 with unreachable */
	bool unreachable;           /* instead of a table */
	int suppress_prefix_length; /* -1: none. 0: ignore default routes of the table */
};

/* ERR_SYSTEM with sys == EOPNOTSUPP: a kernel without policy routing. */
int rtnl_rule_add(struct rtnl *r, const struct rtnl_rule *rule, struct err *err);
int rtnl_rule_del(struct rtnl *r, const struct rtnl_rule *rule, struct err *err);
int rtnl_rule_list(struct rtnl *r, uint8_t family,
		   void (*each)(void *arg, const struct rtnl_rule *rule), void *arg,
		   struct err *err);

/* --- changes --- */

enum rtnl_event_kind { RTNL_LINK, RTNL_LINK_GONE, RTNL_ADDR, RTNL_ROUTE, RTNL_RULE_GONE };

struct rtnl_event {
	enum rtnl_event_kind kind;
	struct rtnl_link link;  /* RTNL_LINK, RTNL_LINK_GONE */
	struct rtnl_addr addr;  /* RTNL_ADDR: came, changed or went */
	uint32_t rule_priority; /* RTNL_RULE_GONE */
	uint32_t route_table;   /* RTNL_ROUTE */
};

struct rtnl_watch;
struct rtnl_watch *rtnl_watch_open(struct err *err);
void rtnl_watch_close(struct rtnl_watch *w); /* NULL: no-op */
int rtnl_watch_fd(const struct rtnl_watch *w);
/* Everything that is there now. False: events were lost, look at the whole again. */
bool rtnl_watch_read(struct rtnl_watch *w, void (*each)(void *arg, const struct rtnl_event *e),
		     void *arg);
