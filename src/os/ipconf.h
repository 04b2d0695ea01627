/* os/ipconf.h - what the kernel's switches say about IP: read, and changed in one place only. */
#pragma once

#include <stdbool.h>

struct err;

struct ipconf {
	bool ipv6;               /* there, and not switched off */
	bool forward4, forward6; /* between all interfaces */
	bool some4, some6;       /* only between some */
};

void ipconf_look(struct ipconf *out);

/* Interfaces whose reverse path check is strict and does not look at marks. */
void ipconf_strict(void (*each)(void *arg, const char *interface), void *arg);
/* Whether that check of an interface looks at the marks of packets (src_valid_mark). */
int ipconf_set_mark_check(const char *interface, bool on, struct err *err);
