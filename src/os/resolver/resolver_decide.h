/* os/resolver/resolver_decide.h - from what was seen on the host to how it is told, and why. Pure.
 */
#pragma once

#include <stdbool.h>

#include "os/resolver/resolv_conf.h"
#include "os/resolver/resolver.h"

enum resolvconf_kind {
	RESOLVCONF_ABSENT,
	RESOLVCONF_DEBIAN,
	RESOLVCONF_OPENRESOLV,
	RESOLVCONF_RESOLVECTL, /* resolvectl under that name: takes only real links */
	RESOLVCONF_BROKEN,     /* did not answer */
};

struct resolver_facts {
	bool exists;    /* /etc/resolv.conf, beneath our own change */
	char link[256]; /* what it points at; empty: a file */
	struct resolv_conf file;

	bool mount_point;     /* renames onto it fail */
	bool immutable;       /* chattr +i */
	bool file_writable;   /* or absent */
	bool folder_writable; /* /etc */
	bool can_mount;       /* and others would see it */

	bool resolved;       /* on the bus */
	bool nss_resolve;    /* nsswitch.conf asks it before dns */
	bool waited;         /* long enough for resolved to start */
	char nm_version[24]; /* of NetworkManager on the bus; empty: not there */
	enum resolvconf_kind resolvconf;
};

struct resolver_decision {
	enum resolver_manager manager;
	bool wait; /* manager is RESOLVER_NONE for now */
	bool can_split;
	char why[RESOLVER_WHY_MAX];
};

void resolver_decide(struct resolver_decision *d, const struct resolver_facts *f);

/* What `resolvconf --version` tells about itself. */
enum resolvconf_kind resolvconf_kind_of(int exit_status, struct bytes output);
/* Whether the hosts line of nsswitch.conf asks resolved before the DNS of libc. */
bool nsswitch_has_resolve(struct bytes text);
