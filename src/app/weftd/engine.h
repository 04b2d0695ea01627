/*
 * app/weftd/engine.h - the half of the daemon that talks to others: node, LocalAPI, watch over
 * links. It fences itself in before it reads anything.
 */
#pragma once

#include <stdbool.h>

struct err;
struct log_sink;
struct privops;
struct weftd_options;

struct engine_conf {
	const struct weftd_options *options;
	struct log_sink *sink;
	struct privops *priv; /* borrowed */
	int listener;         /* LocalAPI; taken */
};

int engine_run(const struct engine_conf *conf, struct err *err);
