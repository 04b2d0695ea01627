/* test/unit/io/support.h - an owner above a stream that writes down what it hears. */
#pragma once

#include "base/bytes.h"
#include "base/err.h"
#include "io/loop.h"
#include "io/stream.h"

struct ear {
	struct stream *s;
	struct buf got;
	unsigned opens, drains, closes;
	struct err why;
	bool destroy_on_data, destroy_on_close, destroy_on_open, pause_on_data;
};

void ear_init(struct ear *e, struct stream *s); /* listens to s, owns it */
void ear_fini(struct ear *e);                   /* destroys the stream */

/* Turns until *count reaches at_least; false after twenty seconds. */
bool turn_until(struct loop *loop, const unsigned *count, unsigned at_least);
bool turn_until_n(struct loop *loop, const size_t *count, size_t at_least);
struct loop *test_loop(void);
/* Numbers that show every lost, doubled or swapped byte. */
void fill_pattern(uint8_t *p, size_t n, uint64_t offset);
