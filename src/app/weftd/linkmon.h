/* app/weftd/linkmon.h - did the network under us change? Addresses of usable interfaces and the
 * default routes, looked at when the kernel says that something moved. */
#pragma once

struct err;
struct linkmon;
struct loop;

/* own: our device, which does not count. */
struct linkmon *linkmon_create(struct loop *loop, const char *own, void (*on_change)(void *arg),
			       void *arg, struct err *err);
void linkmon_destroy(struct linkmon *m); /* NULL is a no-op */
