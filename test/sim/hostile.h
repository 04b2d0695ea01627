/* sim/hostile.h - those who wish a city ill. */
#pragma once

struct city;

void hostile(struct city *c);      /* strangers: noise and forgeries */
void hostile_peer(struct city *c); /* one who is known: replays, forged discovery, lies */
