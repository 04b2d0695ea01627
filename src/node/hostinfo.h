/* node/hostinfo.h - what this node says about itself to control. */
#pragma once

#include "base/bytes.h"
#include "base/ip.h"
#include "part/netcheck.h"

struct prefs;

struct hostinfo_more {
	const char *version;
	const struct netcheck_report *report; /* NULL: no NetInfo, which means "no news" */
	const struct addrport *peerapi;       /* at most one of each family */
	size_t peerapi_count;
};

/* Appends the JSON. */
void hostinfo_write(struct buf *out, const struct prefs *prefs, const struct hostinfo_more *more);
/* The name to register: the preference, else the system's first label. */
void hostinfo_name(const struct prefs *prefs, char *out, size_t size);
