/*
 * os/resolver/resolver.h - makes the host ask us for names, and takes that back.
 *
 * Looks at who manages /etc/resolv.conf, chooses how to be heard, carries it out in a thread of its
 * own (D-Bus, child processes and disks may block), watches, and says what it did and why.
 * All structs are plain and of fixed size, so that they can travel to another process as they are.
 * Design: doc/design/resolver.md
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ip.h"

struct err;
struct log;
struct resolver;

enum {
	RESOLVER_SERVERS_MAX = 4,
	RESOLVER_DOMAINS_MAX = 16,
	RESOLVER_DOMAIN_MAX = 254, /* with the NUL */
	RESOLVER_UPSTREAMS_MAX = 8,
	RESOLVER_UPSTREAM_SEARCH_MAX = 6, /* what libc took for decades */
	RESOLVER_WHY_MAX = 512,
	RESOLVER_TROUBLE_MAX = 256,
};

/* What the host's resolver shall be told; server_count 0: take everything back. */
struct resolver_want {
	uint32_t index; /* of our device; only systemd-resolved needs it */
	uint8_t server_count, search_count, match_count;
	bool override_all; /* all names, not only the matching ones */
	struct ip servers[RESOLVER_SERVERS_MAX];
	char search[RESOLVER_DOMAINS_MAX][RESOLVER_DOMAIN_MAX];
	char match[RESOLVER_DOMAINS_MAX][RESOLVER_DOMAIN_MAX];
};

/* What the host uses, or would use, without us. */
struct resolver_upstreams {
	uint8_t count, search_count;
	struct ip servers[RESOLVER_UPSTREAMS_MAX];
	char search[RESOLVER_UPSTREAM_SEARCH_MAX][RESOLVER_DOMAIN_MAX];
};

enum resolver_manager {
	RESOLVER_NONE,
	RESOLVER_RESOLVED,
	RESOLVER_RESOLVCONF, /* Debian's */
	RESOLVER_OPENRESOLV,
	RESOLVER_FILE,     /* replaced by rename */
	RESOLVER_IN_PLACE, /* the file is a mount point: written into */
	RESOLVER_MOUNT,    /* the file cannot be written: ours is mounted over it */
	RESOLVER_MANAGERS,
};

enum resolver_state {
	RESOLVER_OFF,     /* nothing is wanted, nothing is set */
	RESOLVER_WAITING, /* for systemd-resolved, at boot */
	RESOLVER_SET,
	RESOLVER_FAILED,  /* see trouble; tried again by itself where that can help */
	RESOLVER_YIELDED, /* another program kept rewriting the file; tried again later */
	RESOLVER_STATES,
};

struct resolver_status {
	uint32_t serial;            /* grows with every change; 0: has not looked yet */
	uint8_t manager;            /* enum resolver_manager: what looking chose, also while off */
	uint8_t state;              /* enum resolver_state */
	bool in_effect;             /* what was wanted last is set */
	bool can_split;             /* asks us for the matching names only */
	uint32_t foreign;           /* times another program changed the file while it was ours */
	char why[RESOLVER_WHY_MAX]; /* sentences: how manager was chosen */
	char trouble[RESOLVER_TROUBLE_MAX]; /* a sentence, or empty */
	struct resolver_upstreams upstreams;
};

/* All may be left zero. */
struct resolver_conf {
	const char *root;             /* before /etc, /run and the rest; "" but in tests */
	const char *state_dir;        /* behind root; default /run/weft */
	const char *resolvconf;       /* the program, as it is; default: looked for */
	bool ignore_bus;              /* as on a host without D-Bus */
	const struct log *log;        /* copied; may be NULL */
	void (*on_change)(void *arg); /* in the resolver's thread: the status has changed */
	void *arg;
};

/* Takes back what a killed process left, looks at the host and starts watching. */
struct resolver *resolver_create(const struct resolver_conf *conf, struct err *err);
/* Takes everything back; returns when that is done, within seconds. NULL is a no-op. */
void resolver_destroy(struct resolver *r);
/* Copies want and returns; the outcome is in the status. */
void resolver_set(struct resolver *r, const struct resolver_want *want);
void resolver_get_status(struct resolver *r, struct resolver_status *out);
/*
 * An eventfd, readable when the status has changed since it was last read. Stays the resolver's;
 * one reader.
 */
int resolver_fd(const struct resolver *r);
/* Without a resolver: takes back what a killed process left. False when something could not be. */
bool resolver_recover(const struct resolver_conf *conf, struct err *err);

const char *resolver_manager_name(uint8_t manager); /* "systemd-resolved", "file", ... */
const char *resolver_state_name(uint8_t state);
