/* node/privops_remote.h - the two ends of the socket between the engine and its helper. */
#pragma once

#include <stdint.h>

#include "base/bytes.h"

struct err;
struct privops;

/* Engine: asks the helper at the other end of sock, which it takes. */
struct privops *privops_remote_create(int sock);

/* Helper: what an engine may have, whatever it asks for. From the command line, not the network. */
struct privops_limits {
	char device[16]; /* the one name; "": none */
	uint16_t port;   /* the only port below 1024 that may be had; 0: none */
};

/*
 * Helper: one request from sock, done by `local`, and its answer. 1: done; 0: the engine is gone;
 * -1: the engine speaks nonsense and must be ended.
 */
int privops_serve(struct privops *local, int sock, const struct privops_limits *limits,
		  struct err *err);
