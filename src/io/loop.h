/*
 * io/loop.h - one thread, one loop, one `now` per turn. A face to libuv.
 *
 * A turn: fds, timers, deferred calls, sleep until the next deadline. Watchers and timers are
 * embedded by value in their owner; a callback may stop and free its own object, the loop never
 * touches it after calling it. Only loop_post() may be called from another thread.
 */
#pragma once

#include <stdbool.h>

#include "base/heap.h"
#include "base/mono.h"

struct err;
struct loop;

struct loop *loop_create(struct err *err);
/*
 * NULL is a no-op; every watcher and timer was stopped before. Waits for work that is already
 * running in the pool and makes the deferred calls that are left.
 */
void loop_destroy(struct loop *loop);
void loop_run(struct loop *loop); /* until loop_stop() */
void loop_stop(struct loop *loop);
/* One turn; waits for something to happen when wait is true. For tests. */
void loop_turn(struct loop *loop, bool wait);
struct mono loop_now(const struct loop *loop); /* outside a turn: the clock */

/*
 * Runs fn at the end of this turn, in the order of the calls; from inside a deferred call, after
 * it, in this turn or the next. There is no cancel: whoever may vanish keeps its memory by
 * loop_free_later(), which queues behind, and fn looks at a flag.
 */
void loop_defer(struct loop *loop, void (*fn)(void *arg), void *arg);
/* A deferred mem_free(p): for objects that may be on the call stack or have deferred calls. */
void loop_free_later(struct loop *loop, void *p);
/* From any thread: runs fn in the loop's thread, soon. */
void loop_post(struct loop *loop, void (*fn)(void *arg), void *arg);

struct io_timer {
	struct heap_node node;
	struct loop *loop; /* NULL until armed */
	void (*on_fire)(struct io_timer *t);
};

void io_timer_init(struct io_timer *t, void (*on_fire)(struct io_timer *t));
/* (Re)arms; MONO_NEVER stops. One shot. */
void io_timer_at(struct loop *loop, struct io_timer *t, struct mono deadline);
void io_timer_in_ms(struct loop *loop, struct io_timer *t, int64_t ms);
void io_timer_stop(struct io_timer *t); /* no-op when not armed */

enum io_event { IO_READ = 1, IO_WRITE = 2 };

/* Born zeroed. An error or hang-up on the fd comes as the events that were asked for. */
struct io_watch {
	void *handle; /* libuv's, on the heap because it closes later than its owner */
	void (*on_ready)(struct io_watch *w, unsigned events);
};

/* events 0 only registers. The fd stays the caller's: stop first, then close it. */
int io_watch_start(struct loop *loop, struct io_watch *w, int fd, unsigned events,
		   void (*on_ready)(struct io_watch *w, unsigned events), struct err *err);
void io_watch_events(struct io_watch *w, unsigned events);
void io_watch_stop(struct io_watch *w); /* no-op when not started */

/* Signals become calls in the loop. */
int loop_on_signal(struct loop *loop, int signo, void (*fn)(void *arg, int signo), void *arg,
		   struct err *err);
