/* part/derp_server/derp_server_state.h - shared by the files of this folder alone. */
#pragma once

#include "base/list.h"
#include "base/log.h"
#include "base/rand.h"
#include "io/loop.h"
#include "part/derp_server/derp_server.h"

struct derp_server {
	struct loop *loop;
	struct derp_server_conf conf;
	struct prefix *proxies;
	struct log silent;
	const struct log *log;
	struct rng rng;
	struct relay *relay;
	struct list siblings;
	struct list ports, waiting; /* waiting: blocked or saying goodbye, oldest first */
	struct io_timer timer, patience;
	struct buf out;
	struct mono started;
	uint64_t slow_closed, bad_frames, upgrades, websockets;
	void (*on_idle)(void *arg);
	void *on_idle_arg;
	bool pump_due, pumping, destroyed;
};
