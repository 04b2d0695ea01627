/*
 * node/privops.h - everything that needs root, behind one small face.
 *
 * The engine parses what strangers send and must not be able to do any of this by itself. It asks
 * with plain structs of fixed size: no pointers, no text but names that were validated here, so a
 * request can travel to a helper process as it is. Calls return when the work is done; each is a
 * few system calls long. privops_local does them in this process, privops_remote asks the helper.
 *
 * A new operation is: its struct, its member of struct privops_ops, its function in
 * privops_local.c, and, when the member has the usual form (a pointer to its struct), one line in
 * PRIVOPS_STRUCT_OPS with NAME_is_valid() in privops_table.c, or in PRIVOPS_ANSWER_OPS when it only
 * asks. The rest is made from that line.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ip.h"
#include "os/resolver/resolver.h"

struct err;
struct privops;

enum {
	PRIVOPS_NAME_MAX = 16,
	PRIVOPS_CHAIN_MAX = 80, /* "family table chain" */
	PRIVOPS_DOMAIN_MAX = 254,
	PRIVOPS_DOMAINS_MAX = 16,
	PRIVOPS_SERVERS_MAX = 4,
	PRIVOPS_MARK = 0x80000,       /* on every socket of the daemon: not through the tunnel */
	PRIVOPS_MARK_MASK = 0xff0000, /* the bits of a mark that are ours */
	PRIVOPS_ROUTE_TABLE = 52,
	PRIVOPS_RULE_BASE = 5200,
	PRIVOPS_ROUTE_PROTOCOL = 87, /* who made a route (rtnetlink(7)): nobody else uses it */
};

/* Opens the device, sets its MTU and brings it up. name: letters, digits, '-', '_', '.'. */
struct privops_tun {
	char name[PRIVOPS_NAME_MAX];
	uint32_t mtu;
};

/* A marked UDP socket on the wildcard address. */
struct privops_udp {
	uint8_t family; /* 4 or 6 */
	uint16_t port;  /* 0: the kernel chooses */
};

struct privops_address {
	struct prefix addr;
	bool add;
};

enum privops_route_kind {
	PRIVOPS_ROUTE_TUNNEL, /* to the device, in our table */
	PRIVOPS_ROUTE_THROW,  /* back to the host's own routes */
};

struct privops_route {
	struct prefix to; /* no host bits */
	uint8_t kind;     /* enum privops_route_kind */
	bool add;
};

enum privops_firewall_mode { /* numbers of the preference NetfilterMode */
			     PRIVOPS_FIREWALL_OFF = 0,
			     PRIVOPS_FIREWALL_NODIVERT = 1, /* chains that nothing calls */
			     PRIVOPS_FIREWALL_ON = 2,
};

/* The rules of os/nft; off takes them back. */
struct privops_firewall {
	uint8_t mode; /* enum privops_firewall_mode */
	bool snat, stateful, drop_spoofed, keep_marks;
};

/* An answer: what the host's kernel is set up for. */
struct privops_host {
	bool ipv6;
	bool forward4, forward6;         /* IP forwarding is on */
	bool some4, some6;               /* on some interfaces only */
	char dropper[PRIVOPS_CHAIN_MAX]; /* a chain that drops what is forwarded; "": none */
	char device[PRIVOPS_NAME_MAX];   /* ours */
	char rival[PRIVOPS_NAME_MAX];    /* somebody else's device in our routing table; "": none */
};

/* What the host's resolver shall be told; server_count 0: take everything back. */
struct privops_dns {
	uint8_t server_count, search_count, match_count;
	bool override_all; /* all names, not only the matching ones */
	struct ip servers[PRIVOPS_SERVERS_MAX];
	char search[PRIVOPS_DOMAINS_MAX][PRIVOPS_DOMAIN_MAX];
	char match[PRIVOPS_DOMAINS_MAX][PRIVOPS_DOMAIN_MAX];
};

enum privops_notice { PRIVOPS_READY, PRIVOPS_STOPPING, PRIVOPS_ALIVE };

/* For the service manager. Also proves that both halves of the daemon are well. */
struct privops_notify {
	uint8_t what; /* enum privops_notice */
};

/* An answer: who does all this. */
struct privops_about {
	int32_t pid;
};

// clang-format off
/* member of struct privops_ops, its number, what it takes */
#define PRIVOPS_STRUCT_OPS(X) \
	X(address, ADDRESS, struct privops_address) \
	X(route, ROUTE, struct privops_route) \
	X(dns, DNS, struct privops_dns) \
	X(firewall, FIREWALL, struct privops_firewall) \
	X(notify, NOTIFY, struct privops_notify)

/* Likewise, for a member that takes nothing and fills in a struct. */
#define PRIVOPS_ANSWER_OPS(X) \
	X(about, ABOUT, struct privops_about) \
	X(host, HOST, struct privops_host) \
	X(dns_status, DNS_STATUS, struct resolver_status)
// clang-format on

struct privops_ops {
	/* The new descriptor is the caller's. */
	int (*open_tun)(struct privops *p, const struct privops_tun *want, int *fd,
			struct err *err);
	int (*open_udp)(struct privops *p, const struct privops_udp *want, int *fd,
			struct err *err);
	/* Marks a socket that the caller opened (TCP to relays and control). */
	int (*mark)(struct privops *p, int fd, struct err *err);
	int (*address)(struct privops *p, const struct privops_address *a, struct err *err);
	int (*route)(struct privops *p, const struct privops_route *r, struct err *err);
	/* The policy rules that lead unmarked traffic into our table. */
	int (*rules)(struct privops *p, bool on, struct err *err);
	int (*firewall)(struct privops *p, const struct privops_firewall *f, struct err *err);
	int (*host)(struct privops *p, struct privops_host *out, struct err *err);
	/* Accepted, not done: the outcome is in dns_status. */
	int (*dns)(struct privops *p, const struct privops_dns *dns, struct err *err);
	int (*notify)(struct privops *p, const struct privops_notify *n, struct err *err);
	int (*about)(struct privops *p, struct privops_about *out, struct err *err);
	/* Who manages the host's resolver, why that was chosen, and what it uses without us. */
	int (*dns_status)(struct privops *p, struct resolver_status *out, struct err *err);
	/* An eventfd, readable when dns_status has news. The new descriptor is the caller's. */
	int (*dns_watch)(struct privops *p, int *fd, struct err *err);
	/* Takes back what is left of all of the above; also after a crash of an earlier process. */
	void (*restore)(struct privops *p);
	void (*destroy)(struct privops *p);
};

/* The head of every implementation. */
struct privops {
	const struct privops_ops *ops;
};

/* In this process, with its own privileges. */
struct privops *privops_local_create(struct err *err);
/* For a node inside a process without privileges: devices are refused, the rest is left undone. */
struct privops *privops_none_create(void);
void privops_destroy(struct privops *p); /* NULL is a no-op; restores only the resolver */

/* 1-15 characters of those above, not "." or "..": what both sides check. */
bool privops_name_is_valid(const char *name);
/* Labels of letters, digits, '-' and '_', up to 253 characters, no trailing dot. */
bool privops_domain_is_valid(const char *name);
