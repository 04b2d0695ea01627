/* sim/scenario.h - what happens in a city, and what must be true afterwards. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct city;

struct scenario {
	const char *name, *sentence;
	void (*run)(struct city *c);
	size_t shrink; /* long ones take fewer hosts: nodes / shrink; 0: all */
};

extern const struct scenario scenarios[];
extern const size_t scenario_count;
