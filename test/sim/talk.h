/* sim/talk.h - how a city is filled and what its hosts do all day. */
#pragma once

#include "sim/net.h"

struct city;

extern const struct link good, lossy;

/* Everyone knows some fifty others, half of them only in one direction. */
void befriend(struct city *c);
enum nat_kind some_nat(struct city *c);
/* Friends, and every host up behind a gateway of its own. */
void populate(struct city *c, struct link link);
/* Every allowed pair sends a packet a second (every talk_every seconds). */
void talk(struct city *c, unsigned seconds);
