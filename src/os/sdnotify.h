/*
 * os/sdnotify.h - tells the service manager what a daemon is up to (sd_notify(3)): one datagram to
 * $NOTIFY_SOCKET. Not a library for that: it is twenty lines, and libsystemd is 0.8 MB of other
 * things.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define SDNOTIFY_READY "READY=1"
#define SDNOTIFY_STOPPING "STOPPING=1"
#define SDNOTIFY_WATCHDOG "WATCHDOG=1"

/* False when nobody wants to know or the message did not get there. */
bool sdnotify(const char *text);
/* How often to send SDNOTIFY_WATCHDOG, from $WATCHDOG_USEC; 0: nobody watches. */
int64_t sdnotify_watchdog_ms(void);
