/* node/lan.h - the networks that this host is part of by itself, beside the tailnet. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/ip.h"

enum { LAN_NETS_MAX = 128 };

struct lan_net {
	struct prefix net;
	struct ip own;
	bool internal; /* never leaves the host, or cannot be routed: loopback, link-local */
};

struct lan {
	struct lan_net v[LAN_NETS_MAX];
	size_t n;
};

/* From the kernel; device is ours and left out. Nothing on failure. */
void lan_read(struct lan *out, const char *device);
/* What lan_read() does with one address: those of a tailnet and networks of one are left out. */
void lan_add(struct lan *lan, struct prefix address, bool loopback);
/* 100.64.0.0/10 and fd7a:115c:a1e0::/48. */
bool lan_is_tailnet(struct ip ip);
