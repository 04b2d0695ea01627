/* app/libweft/weft_impl.h - what an embedded node holds; for the files of this folder only. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"
#include "node/node.h"
#include "os/tun.h"

enum { WEFT_URL_MAX = 2048 };

struct weft {
	pthread_mutex_t lock; /* guards everything down to the next comment */
	pthread_cond_t changed;
	_Atomic bool started; /* also read without the lock */
	bool ready, failed, closing;
	unsigned waiters;
	enum node_state state;
	char url[WEFT_URL_MAX];
	char why[512]; /* what the node complains about */
	struct err err;

	/* Set before the thread starts, read by it. */
	char *state_dir, *control_url, *auth_key, *hostname, *ca_file;
	bool ephemeral;
	uint16_t port;
	int log_fd;
	int packets[2]; /* ours, the caller's */

	/* The thread's own. */
	pthread_t thread;
	struct log_sink sink;
	struct tun device;
	struct loop *loop;
	struct privops *priv;
	struct node *node;
	struct node_listener listener;
};

/* Stores the sentence; -1. */
int weft_fail(struct weft *w, const struct err *err);

/* A question that the node's thread answers while the caller waits. */
struct weft_ask {
	struct weft *w;
	int (*answer)(struct weft *w, void *arg, struct err *err);
	void *arg;
	bool done;
	int result;
	struct err err;
};
/* -1 when the node does not run, or the answer was. */
int weft_ask(struct weft *w, int (*answer)(struct weft *w, void *arg, struct err *err), void *arg);
