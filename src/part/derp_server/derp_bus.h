/*
 * part/derp_server/derp_bus.h - several derp_servers, each on a loop of its own thread, as one
 * relay.
 *
 * Between every two of them lies a ring for each direction: bounded, without locks. Who finds a
 * ring filled to its mark keeps the rest in its engine, where flows take turns, and is called when
 * there is room. A thread that sleeps is woken at most once for all that came meanwhile.
 *
 * Made, joined and destroyed by one thread while the others do not run.
 */
#pragma once

#include <stddef.h>

struct derp_bus;
struct derp_server;
struct loop;

enum { DERP_BUS_MAX = 128 };

struct derp_bus *derp_bus_create(size_t members);
/* Member i of the bus; all join before the first client. The server's conf is that of the others.
 */
void derp_bus_join(struct derp_bus *b, size_t i, struct loop *loop, struct derp_server *server);
/* The servers are about to be destroyed: wake-ups that are still under way come to nothing. */
void derp_bus_stop(struct derp_bus *b);
void derp_bus_destroy(struct derp_bus *b); /* after their loops; NULL is a no-op */
