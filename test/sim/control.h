/*
 * sim/control.h - the coordination server as hosts see it: it knows what each host last said and
 * tells those who may see it, after a delay. While it is down nothing is heard and nothing told;
 * afterwards every host says again what it has to say and gets everything anew.
 */
#pragma once

#include "base/ip.h"
#include "crypto/keytext.h"
#include "sim/world.h"

struct city;
struct host;

enum { ENDPOINTS_MAX = 2 };

struct record {
	struct key node_key, disco_key;
	int region;
	struct addrport endpoints[ENDPOINTS_MAX];
	size_t endpoint_count;
	bool known, revoked;
};

struct control {
	struct city *city;
	struct record *records;
	bool up;
	unsigned delay_ms;
};

void control_init(struct control *k, struct city *c);
void control_fini(struct control *k);
/* The host's own record as it is now goes out; again after an outage. */
void control_update(struct control *k, uint32_t index);
void control_join(struct control *k, uint32_t index); /* the first map: all its peers */
void control_revoke(struct control *k, uint32_t index);
void control_set_up(struct control *k, bool up);
bool control_owns(const struct event *e);
