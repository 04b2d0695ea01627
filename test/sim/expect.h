/* sim/expect.h - what must be true of a city. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/mono.h"

struct city;

/* Whoever may talk was heard, by relay at first, within the bound. */
void expect_connected(struct city *c, int64_t bound_ms);
/* Whoever may talk was heard again since then. */
void expect_heard_since(struct city *c, struct mono since);
/* Pairs whose gateways allow it are direct, at least from who sends; others do not claim to be. */
void expect_paths(struct city *c);
void expect_calm(struct city *c, unsigned most); /* changes of one path */
void expect_calm_again(struct city *c);          /* starts counting anew */
/* Timers, queues and tables are within their bounds now. */
void expect_bounds(struct city *c);
/* Bytes on the heap. */
size_t heap_bytes(void);
