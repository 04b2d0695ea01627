/*
 * part/control_client/control_frames.h - the map stream as frames: length, zstd, JSON.
 *
 *   le32 n | n bytes: one self-contained zstd frame of one MapResponse
 *
 * Pure: bytes in, decoded frames out. Inside control_client only.
 */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/bytes.h"

struct err;
struct tailcfg_map_response;

enum {
	CONTROL_FRAME_MAX = 32 << 20, /* compressed; some 100 000 peers */
	CONTROL_PLAIN_MAX = 128 << 20,
};

struct control_frames {
	struct buf in;
	bool plain; /* frames are JSON as it is */
};

void control_frames_init(struct control_frames *f, bool plain);
void control_frames_fini(struct control_frames *f);
void control_frames_input(struct control_frames *f, struct bytes data);
/* 1: a frame, in *arena (initialised here; the caller ends it); 0: more bytes are needed; -1. */
int control_frames_next(struct control_frames *f, struct arena *arena,
			struct tailcfg_map_response *out, struct err *err);
/* One zstd frame to bytes. */
int control_unzstd(struct bytes in, size_t max, struct buf *out, struct err *err);
