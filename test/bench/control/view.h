/*
 * bench/control/view.h - what a simulated node knows of its network: just enough of the map frames
 * to say when news has arrived.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/ip.h"

struct arena;
struct err;

struct view_peer {
	int64_t id;
	uint16_t port; /* of the first endpoint, 0: none */
	bool online;
};

struct view {
	int64_t self_id;
	struct ip self_v4;
	uint64_t filters;        /* frames that brought filter rules */
	struct view_peer *peers; /* sorted by id */
	size_t n, cap, n_online;
};

/* json: one decompressed frame. The arena is reset. -1: no such frame; the view is rubbish then. */
int view_apply(struct view *v, struct arena *arena, struct bytes json, struct err *err);
const struct view_peer *view_peer(const struct view *v, int64_t id); /* NULL: unknown */
void view_fini(struct view *v);                                      /* leaves an empty one */
