/* io/resolve.h - a name to addresses by the system's resolver, off the loop. */
#pragma once

#include <stddef.h>

#include "base/ip.h"

struct err;
struct loop;
struct resolve;

enum { RESOLVE_MAX = 16 };

/*
 * on_done comes once, never from inside this call; the object is gone after it. n 0: err says why.
 * Addresses are in the system's order (RFC 6724). An address as host needs no resolver.
 */
struct resolve *resolve_start(struct loop *loop, const char *host, uint16_t port,
			      void (*on_done)(void *arg, const struct addrport *to, size_t n,
					      const struct err *err),
			      void *arg);
void resolve_cancel(struct resolve *r); /* no on_done; NULL is a no-op */
