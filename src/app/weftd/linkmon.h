/* app/weftd/linkmon.h - did the network under us change? Addresses of usable interfaces and the
 * default routes, looked at when the kernel says that something moved, and after a sleep. */
#pragma once

#include <stdbool.h>

struct err;
struct linkmon;
struct loop;

struct linkmon_conf {
	const char *own; /* our device, which does not count */
	/* major: paths may be broken. Otherwise only networks of our own came or went. */
	void (*on_change)(void *arg, bool major);
	void (*on_rules_gone)(void *arg); /* somebody removed policy rules of ours */
	unsigned rule_first, rule_last;   /* their priorities */
	void *arg;
};

struct linkmon *linkmon_create(struct loop *loop, const struct linkmon_conf *conf, struct err *err);
void linkmon_destroy(struct linkmon *m); /* NULL is a no-op */
