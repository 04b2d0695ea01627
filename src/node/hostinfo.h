/* node/hostinfo.h - what this node says about itself to control. */
#pragma once

#include "base/bytes.h"
#include "part/netcheck.h"

struct prefs;

/* Appends the JSON. report may be NULL: no NetInfo, which means "no news". */
void hostinfo_write(struct buf *out, const struct prefs *prefs,
		    const struct netcheck_report *report, const char *version);
/* The name to register: the preference, else the system's first label. */
void hostinfo_name(const struct prefs *prefs, char *out, size_t size);
