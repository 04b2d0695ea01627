/*
 * node/datapath_ring.h - records of bytes from one thread to another, without locks.
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

struct datapath_ring {
	_Alignas(128) _Atomic size_t head; /* producer: bytes ever written */
	size_t reserved;
	_Alignas(128) _Atomic size_t tail; /* consumer: bytes ever taken */
	_Alignas(128) uint8_t *p;
	size_t size; /* a power of two */
};

void datapath_ring_init(struct datapath_ring *r, size_t size);
void datapath_ring_fini(struct datapath_ring *r);
/* Room for one record of n bytes, NULL when there is none now (or ever: n > size / 2). */
uint8_t *datapath_ring_reserve(struct datapath_ring *r, size_t n);
void datapath_ring_commit(struct datapath_ring *r);
/* The oldest record; n == 0: none. Valid until the pop. */
bool datapath_ring_peek(struct datapath_ring *r, uint8_t **p, size_t *n);
void datapath_ring_pop(struct datapath_ring *r);
bool datapath_ring_is_empty(const struct datapath_ring *r);
