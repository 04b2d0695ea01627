/*
 * base/ring.h - records of bytes from one thread to another, without locks.
 *
 * One producer, one consumer. A record lies in one piece; what does not fit is refused, never
 * waited for. Head and tail live on cache lines of their own.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct ring {
	_Alignas(128) _Atomic size_t head; /* producer: bytes ever written */
	size_t reserved;
	_Alignas(128) _Atomic size_t tail; /* consumer: bytes ever taken */
	_Alignas(128) uint8_t *p;
	size_t size; /* a power of two */
};

void ring_init(struct ring *r, size_t size);
void ring_fini(struct ring *r);
/* Room for one record of n bytes, NULL when there is none now (or ever: n > size / 2). */
uint8_t *ring_reserve(struct ring *r, size_t n);
void ring_commit(struct ring *r);
/* The oldest record; n == 0: none. Valid until the pop. */
bool ring_peek(struct ring *r, uint8_t **p, size_t *n);
void ring_pop(struct ring *r);
bool ring_is_empty(const struct ring *r);
/* Bytes between head and tail. Ordered after what either side stored before: see
 * part/derp_server/derp_bus.c. */
size_t ring_used(const struct ring *r);
/* Bytes ever written and ever taken: a record is taken once the second number reached what the
 * first one was after its commit. They wrap. */
size_t ring_written(const struct ring *r);
size_t ring_taken(const struct ring *r);
