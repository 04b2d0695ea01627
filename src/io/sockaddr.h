/* io/sockaddr.h - struct addrport as the kernel wants it, and back. */
#pragma once

#include <sys/socket.h>

#include "base/ip.h"

/* Returns the length; 0 when a has no address. */
socklen_t sockaddr_of(struct addrport a, struct sockaddr_storage *out);
/* No address (family 0) for what is neither IPv4 nor IPv6; mapped IPv4 comes out as IPv4. */
struct addrport sockaddr_addrport(const struct sockaddr_storage *sa);
