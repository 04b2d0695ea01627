/*
 * node/dnsbase.h - the resolvers that the host had before us: what a network that names none uses.
 */
#pragma once

#include <stddef.h>

#include "base/ip.h"

enum { DNSBASE_MAX = 8 };

/* The nameserver lines of a resolv.conf; our own service addresses are left out. */
size_t dnsbase_parse(struct bytes text, struct addrport *out, size_t max);
/* Of that file; 0 when it cannot be read. */
size_t dnsbase_read(const char *path, struct addrport *out, size_t max);
