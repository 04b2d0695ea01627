/*
 * One turn is one uv_run(), wrapped: libuv waits and reports fds, signals and finished work; the
 * timers and deferred calls are ours and run after it. uv_run() never runs by itself for longer, so
 * the order of a turn is written down in loop_turn() and nowhere else.
 *
 * libuv closes handles asynchronously, its owners vanish at once: everything libuv points at is a
 * heap block of this file that forgets its owner first and is freed by the close callback.
 */
#include "io/loop.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <uv.h>

#include "base/err.h"
#include "base/list.h"
#include "base/mem.h"
#include "io/loop_uv.h"

enum { SLEEP_MAX_MS = 3600 * 1000, DEFER_ROUNDS = 4 };

struct call {
	void (*fn)(void *arg);
	void *arg;
};

struct calls {
	struct call *v;
	size_t n, cap;
};

struct signal_watch {
	uv_signal_t uv;
	struct list node;
	struct loop *loop;
	void (*fn)(void *arg, int signo);
	void *arg;
};

struct loop {
	uv_loop_t uv;
	uv_timer_t timer; /* wakes uv_run() for the first deadline of our heap; does nothing else */
	uv_async_t async;
	struct heap timers;
	struct calls deferred;
	struct list signals;
	struct mono now;
	bool in_turn, awake, stop;
	/* Protects posted only; nothing else is taken or called while it is held. */
	pthread_mutex_t lock;
	struct calls posted;
};

uv_loop_t *loop_uv(struct loop *loop)
{
	return &loop->uv;
}

void loop_wake(struct loop *loop)
{
	if (loop->awake)
		return;
	loop->awake = true;
	loop->now = mono_now();
}

int loop_uv_err(struct err *err, int status, const char *what)
{
	errno = -status;
	return err_sys(err, "%s", what);
}

/* ---- calls ---- */

static void calls_add(struct calls *c, void (*fn)(void *arg), void *arg)
{
	mem_reserve(c->v, c->n, c->cap);
	c->v[c->n++] = (struct call){ fn, arg };
}

/* Takes what is there now: calls that are added meanwhile wait for the next run. */
static void calls_run(struct calls *c)
{
	struct calls batch = *c;

	*c = (struct calls){ 0 };
	for (size_t i = 0; i < batch.n; i++)
		batch.v[i].fn(batch.v[i].arg);
	if (c->v) {
		mem_free(batch.v);
		return;
	}
	*c = (struct calls){ batch.v, 0, batch.cap }; /* the memory goes on being used */
}

void loop_defer(struct loop *loop, void (*fn)(void *arg), void *arg)
{
	calls_add(&loop->deferred, fn, arg);
}

void loop_free_later(struct loop *loop, void *p)
{
	if (p)
		loop_defer(loop, mem_free, p);
}

void loop_post(struct loop *loop, void (*fn)(void *arg), void *arg)
{
	pthread_mutex_lock(&loop->lock);
	calls_add(&loop->posted, fn, arg);
	pthread_mutex_unlock(&loop->lock);
	uv_async_send(&loop->async);
}

static size_t run_posted(struct loop *loop)
{
	struct calls batch;

	pthread_mutex_lock(&loop->lock);
	batch = loop->posted;
	loop->posted = (struct calls){ 0 };
	pthread_mutex_unlock(&loop->lock);
	for (size_t i = 0; i < batch.n; i++)
		batch.v[i].fn(batch.v[i].arg);
	mem_free(batch.v);
	return batch.n;
}

static void on_async(uv_async_t *async)
{
	struct loop *loop = container_of(async, struct loop, async);

	loop_wake(loop);
	(void)run_posted(loop);
}

/* ---- the turn ---- */

struct loop *loop_create(struct err *err)
{
	struct loop *loop = mem_alloc(sizeof(*loop));
	int status = uv_loop_init(&loop->uv);

	if (status < 0) {
		loop_uv_err(err, status, "create event loop");
		mem_free(loop);
		return NULL;
	}
	heap_init(&loop->timers);
	list_init(&loop->signals);
	pthread_mutex_init(&loop->lock, NULL);
	uv_timer_init(&loop->uv, &loop->timer);
	status = uv_async_init(&loop->uv, &loop->async, on_async);
	if (status < 0) {
		loop_uv_err(err, status, "create event loop");
		uv_close((uv_handle_t *)&loop->timer, NULL);
		uv_run(&loop->uv, UV_RUN_DEFAULT);
		uv_loop_close(&loop->uv);
		pthread_mutex_destroy(&loop->lock);
		mem_free(loop);
		return NULL;
	}
	return loop;
}

static void on_deadline(uv_timer_t *timer)
{
	(void)timer;
}

/* Arms the wake-up for the first deadline; false when there is something to do at once. */
static bool may_sleep(struct loop *loop)
{
	struct heap_node *first = heap_first(&loop->timers);
	int64_t ms;

	if (loop->deferred.n || loop->stop)
		return false;
	uv_timer_stop(&loop->timer);
	if (!first || first->at.ns == MONO_NEVER.ns)
		return true;
	ms = (first->at.ns - mono_now().ns + 999999) / 1000000;
	if (ms <= 0)
		return false;
	uv_update_time(&loop->uv);
	uv_timer_start(&loop->timer, on_deadline, ms < SLEEP_MAX_MS ? (uint64_t)ms : SLEEP_MAX_MS,
		       0);
	return true;
}

static void fire_timers(struct loop *loop)
{
	/* A timer that arms itself for now fires again in the next turn, not for ever in this. */
	for (size_t left = loop->timers.n; left; left--) {
		struct heap_node *node = heap_pop_due(&loop->timers, loop->now);
		struct io_timer *t;

		if (!node)
			return;
		t = container_of(node, struct io_timer, node);
		t->on_fire(t);
	}
}

void loop_turn(struct loop *loop, bool wait)
{
	assert(!loop->in_turn);
	wait = may_sleep(loop) && wait;
	loop->in_turn = true;
	loop->awake = false;
	uv_run(&loop->uv, wait ? UV_RUN_ONCE : UV_RUN_NOWAIT);
	loop_wake(loop);
	fire_timers(loop);
	/* A stack hands down what it queued layer by layer: TLS, then TCP, in one turn. */
	for (int i = 0; i < DEFER_ROUNDS && loop->deferred.n; i++)
		calls_run(&loop->deferred);
	loop->in_turn = false;
}

void loop_run(struct loop *loop)
{
	while (!loop->stop)
		loop_turn(loop, true);
	loop->stop = false;
}

void loop_stop(struct loop *loop)
{
	loop->stop = true;
}

struct mono loop_now(const struct loop *loop)
{
	return loop->in_turn && loop->awake ? loop->now : mono_now();
}

static void free_signal(uv_handle_t *handle)
{
	mem_free(container_of((uv_signal_t *)handle, struct signal_watch, uv));
}

/* A watcher that was forgotten is a leak for the sanitizer to find, not a reason to wait for ever.
 */
static void forget_watcher(uv_handle_t *handle, void *arg)
{
	(void)arg;
	if (handle->type == UV_POLL)
		uv_unref(handle);
}

void loop_destroy(struct loop *loop)
{
	if (!loop)
		return;
	assert(!loop->in_turn);
	for (struct list *node; (node = list_pop(&loop->signals));)
		uv_close((uv_handle_t *)&list_entry(node, struct signal_watch, node)->uv,
			 free_signal);
	uv_close((uv_handle_t *)&loop->timer, NULL);
	uv_walk(&loop->uv, forget_watcher, NULL);
	/* Not counted, so that uv_run() returns when the last request is back. */
	uv_unref((uv_handle_t *)&loop->async);
	do {
		uv_run(&loop->uv, UV_RUN_DEFAULT);
		calls_run(&loop->deferred);
	} while (run_posted(loop) || loop->deferred.n || uv_loop_alive(&loop->uv));
	uv_close((uv_handle_t *)&loop->async, NULL);
	uv_run(&loop->uv, UV_RUN_DEFAULT);
	uv_loop_close(&loop->uv);
	heap_fini(&loop->timers);
	mem_free(loop->deferred.v);
	mem_free(loop->posted.v);
	pthread_mutex_destroy(&loop->lock);
	mem_free(loop);
}

/* ---- timers ---- */

void io_timer_init(struct io_timer *t, void (*on_fire)(struct io_timer *t))
{
	*t = (struct io_timer){ .on_fire = on_fire };
}

void io_timer_at(struct loop *loop, struct io_timer *t, struct mono deadline)
{
	if (deadline.ns == MONO_NEVER.ns) {
		io_timer_stop(t);
		return;
	}
	t->loop = loop;
	heap_set(&loop->timers, &t->node, deadline);
}

void io_timer_in_ms(struct loop *loop, struct io_timer *t, int64_t ms)
{
	io_timer_at(loop, t, mono_add_ms(loop_now(loop), ms));
}

void io_timer_stop(struct io_timer *t)
{
	if (t->loop)
		heap_remove(&t->loop->timers, &t->node);
}

/* ---- watchers ---- */

struct watch_handle {
	uv_poll_t uv;
	struct loop *loop;
	struct io_watch *watch; /* NULL: stopped, closing */
	unsigned events;
};

static void on_poll(uv_poll_t *poll, int status, int events);

static void poll_for(struct watch_handle *h)
{
	int mask =
	    (h->events & IO_READ ? UV_READABLE : 0) | (h->events & IO_WRITE ? UV_WRITABLE : 0);

	if (mask)
		uv_poll_start(&h->uv, mask, on_poll);
	else
		uv_poll_stop(&h->uv);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct watch_handle *h = container_of(poll, struct watch_handle, uv);
	struct io_watch *w = h->watch;
	unsigned ready =
	    (events & UV_READABLE ? IO_READ : 0u) | (events & UV_WRITABLE ? IO_WRITE : 0u);

	loop_wake(h->loop);
	if (!w)
		return;
	if (status < 0) {
		/* libuv stops after an error on the fd; its owner finds out which by trying. */
		ready = h->events;
		poll_for(h);
	}
	w->on_ready(w, ready);
}

static void free_watch(uv_handle_t *handle)
{
	mem_free(container_of((uv_poll_t *)handle, struct watch_handle, uv));
}

int io_watch_start(struct loop *loop, struct io_watch *w, int fd, unsigned events,
		   void (*on_ready)(struct io_watch *w, unsigned events), struct err *err)
{
	struct watch_handle *h = mem_alloc(sizeof(*h));
	int status = uv_poll_init(&loop->uv, &h->uv, fd);

	if (status < 0) {
		mem_free(h);
		return loop_uv_err(err, status, "watch file descriptor");
	}
	h->loop = loop;
	h->watch = w;
	h->events = events;
	*w = (struct io_watch){ h, on_ready };
	if (events)
		poll_for(h);
	return 0;
}

void io_watch_events(struct io_watch *w, unsigned events)
{
	struct watch_handle *h = w->handle;

	if (!h || h->events == events)
		return;
	h->events = events;
	poll_for(h);
}

void io_watch_stop(struct io_watch *w)
{
	struct watch_handle *h = w->handle;

	if (!h)
		return;
	w->handle = NULL;
	h->watch = NULL;
	uv_close((uv_handle_t *)&h->uv, free_watch);
}

/* ---- signals ---- */

static void on_signal(uv_signal_t *uv, int signo)
{
	struct signal_watch *s = container_of(uv, struct signal_watch, uv);

	loop_wake(s->loop);
	s->fn(s->arg, signo);
}

int loop_on_signal(struct loop *loop, int signo, void (*fn)(void *arg, int signo), void *arg,
		   struct err *err)
{
	struct signal_watch *s = mem_alloc(sizeof(*s));
	int status = uv_signal_init(&loop->uv, &s->uv);

	if (status < 0) {
		mem_free(s);
		return loop_uv_err(err, status, "watch signal");
	}
	s->loop = loop;
	s->fn = fn;
	s->arg = arg;
	status = uv_signal_start(&s->uv, on_signal, signo);
	if (status < 0) {
		uv_close((uv_handle_t *)&s->uv, free_signal);
		return loop_uv_err(err, status, "watch signal");
	}
	list_append(&loop->signals, &s->node);
	return 0;
}
