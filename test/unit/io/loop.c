#include "io/loop.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "kit/kit.h"
#include "support.h"

struct order {
	char text[32];
	size_t n;
	struct loop *loop;
};

struct lettered {
	struct io_timer timer;
	struct order *order;
	char letter;
};

static void note(struct order *o, char letter)
{
	if (o->n < sizeof(o->text) - 1)
		o->text[o->n++] = letter;
}

static void note_timer(struct io_timer *t)
{
	struct lettered *l = container_of(t, struct lettered, timer);

	note(l->order, l->letter);
}

static struct lettered lettered(struct order *o, char letter)
{
	struct lettered l = { .order = o, .letter = letter };

	io_timer_init(&l.timer, note_timer);
	return l;
}

TEST(loop_timers_fire_in_order_of_deadline)
{
	struct order o = { .loop = test_loop() };
	struct lettered a = lettered(&o, 'a'), b = lettered(&o, 'b'), c = lettered(&o, 'c'),
			d = lettered(&o, 'd');
	struct mono now = loop_now(o.loop);

	io_timer_at(o.loop, &c.timer, mono_add_ms(now, 3));
	io_timer_at(o.loop, &a.timer, mono_add_ms(now, 1));
	io_timer_at(o.loop, &d.timer, mono_add_ms(now, 1));
	io_timer_at(o.loop, &b.timer, mono_add_ms(now, 2));
	io_timer_stop(&d.timer);
	io_timer_stop(&d.timer);
	turn_until_n(o.loop, &o.n, 3);
	CHECK_STR(o.text, "abc");
	CHECK(mono_since_ms(mono_now(), now) >= 3);
	loop_destroy(o.loop);
}

TEST(loop_sleeps_until_the_first_deadline_and_not_before_it)
{
	struct order o = { .loop = test_loop() };
	struct lettered a = lettered(&o, 'a'), far = lettered(&o, 'f');
	struct mono start = mono_now();
	unsigned turns = 0;

	io_timer_in_ms(o.loop, &far.timer, 3600 * 1000);
	io_timer_in_ms(o.loop, &a.timer, 5);
	while (o.n < 1 && turns < 100) {
		loop_turn(o.loop, true);
		turns++;
	}
	CHECK_STR(o.text, "a");
	CHECK(turns <= 3); /* asleep, not spinning */
	CHECK(mono_since_ms(mono_now(), start) >= 5);
	io_timer_at(o.loop, &far.timer, MONO_NEVER);
	CHECK(!heap_has(&far.timer.node));
	loop_destroy(o.loop);
}

static void rearm_now(struct io_timer *t)
{
	struct lettered *l = container_of(t, struct lettered, timer);

	note(l->order, l->letter);
	io_timer_in_ms(l->order->loop, t, 0);
}

TEST(loop_timer_that_rearms_for_now_leaves_the_turn)
{
	struct order o = { .loop = test_loop() };
	struct lettered a = lettered(&o, 'a');

	a.timer.on_fire = rearm_now;
	io_timer_in_ms(o.loop, &a.timer, 0);
	loop_turn(o.loop, true);
	CHECK_STR(o.text, "a");
	loop_turn(o.loop, true);
	CHECK_STR(o.text, "aa");
	io_timer_stop(&a.timer);
	loop_destroy(o.loop);
}

static void free_self(struct io_timer *t)
{
	struct lettered *l = container_of(t, struct lettered, timer);

	note(l->order, 'x');
	mem_free(l);
}

TEST(loop_timer_may_free_its_owner)
{
	struct order o = { .loop = test_loop() };
	struct lettered *l = mem_alloc(sizeof(*l));

	*l = lettered(&o, 'a');
	l->timer.on_fire = free_self;
	io_timer_in_ms(o.loop, &l->timer, 0);
	loop_turn(o.loop, true);
	CHECK_STR(o.text, "x");
	loop_destroy(o.loop);
}

static void defer_c(void *arg)
{
	note(arg, 'c');
}

static void defer_a(void *arg)
{
	struct order *o = arg;

	note(o, 'a');
	loop_defer(o->loop, defer_c, o);
}

static void defer_b(void *arg)
{
	note(arg, 'b');
}

TEST(loop_defers_in_order_and_nested_calls_behind)
{
	struct order o = { .loop = test_loop() };

	loop_defer(o.loop, defer_a, &o);
	loop_defer(o.loop, defer_b, &o);
	loop_turn(o.loop, true); /* does not sleep: there is work */
	CHECK_STR(o.text, "abc");
	loop_destroy(o.loop);
}

static void defer_again(void *arg)
{
	struct order *o = arg;

	note(o, 'x');
	if (o->n < 20)
		loop_defer(o->loop, defer_again, o);
}

TEST(loop_call_that_defers_itself_leaves_the_turn)
{
	struct order o = { .loop = test_loop() };
	size_t after_one;

	loop_defer(o.loop, defer_again, &o);
	loop_turn(o.loop, true);
	after_one = o.n;
	CHECK(after_one >= 1 && after_one < 10);
	loop_turn(o.loop, true);
	CHECK(o.n > after_one);
	loop_destroy(o.loop);
	CHECK_INT(o.n, 20);
}

TEST(loop_destroy_makes_the_calls_that_are_left)
{
	struct order o = { .loop = test_loop() };

	loop_defer(o.loop, defer_a, &o);
	loop_free_later(o.loop, mem_alloc(10)); /* a leak if it were forgotten */
	loop_destroy(o.loop);
	CHECK_STR(o.text, "ac");
}

/* ---- from other threads ---- */

enum { THREADS = 4, POSTS = 1000 };

struct poster {
	struct loop *loop;
	unsigned *count;
	unsigned from;
	unsigned next[THREADS];
	bool out_of_order;
};

struct posted {
	struct poster *poster;
	unsigned thread, number;
};

struct post_thread {
	struct poster *poster;
	unsigned thread;
};

static void take_post(void *arg)
{
	struct posted *p = arg;

	if (p->poster->next[p->thread]++ != p->number)
		p->poster->out_of_order = true;
	(*p->poster->count)++;
	mem_free(p);
}

static void *post_many(void *arg)
{
	struct post_thread *t = arg;

	for (unsigned i = 0; i < POSTS; i++) {
		struct posted *p = mem_alloc(sizeof(*p));

		*p = (struct posted){ t->poster, t->thread, i };
		loop_post(t->poster->loop, take_post, p);
	}
	return NULL;
}

TEST(loop_post_from_many_threads_keeps_each_ones_order)
{
	unsigned count = 0;
	struct poster poster = { .loop = test_loop(), .count = &count };
	struct post_thread args[THREADS];
	pthread_t threads[THREADS];

	for (unsigned i = 0; i < THREADS; i++) {
		args[i] = (struct post_thread){ &poster, i };
		pthread_create(&threads[i], NULL, post_many, &args[i]);
	}
	CHECK(turn_until(poster.loop, &count, THREADS * POSTS));
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	CHECK_INT(count, THREADS * POSTS);
	CHECK(!poster.out_of_order);
	loop_destroy(poster.loop);
}

static void stop_loop(void *arg)
{
	loop_stop(arg);
}

static void *post_stop(void *arg)
{
	loop_post(arg, stop_loop, arg);
	return NULL;
}

TEST(loop_post_wakes_a_sleeping_loop)
{
	struct loop *loop = test_loop();
	pthread_t thread;

	pthread_create(&thread, NULL, post_stop, loop);
	loop_run(loop); /* would never return */
	pthread_join(thread, NULL);
	loop_destroy(loop);
}

/* ---- watchers ---- */

struct pipe_end {
	struct io_watch watch;
	int fd[2];
	unsigned ready, events;
	bool free_self;
};

static void on_pipe(struct io_watch *w, unsigned events)
{
	struct pipe_end *p = container_of(w, struct pipe_end, watch);

	p->ready++;
	p->events = events;
	if (p->free_self) {
		io_watch_stop(w);
		(void)close(p->fd[0]);
		(void)close(p->fd[1]);
		mem_free(p);
	}
}

TEST(loop_watch_reports_what_was_asked_for)
{
	struct loop *loop = test_loop();
	struct pipe_end p = { 0 };

	CHECK(pipe(p.fd) == 0);
	CHECK(io_watch_start(loop, &p.watch, p.fd[0], 0, on_pipe, NULL) == 0);
	CHECK(write(p.fd[1], "x", 1) == 1);
	loop_turn(loop, false);
	CHECK_INT(p.ready, 0);
	io_watch_events(&p.watch, IO_READ);
	loop_turn(loop, false);
	CHECK_INT(p.ready, 1);
	CHECK_INT(p.events, IO_READ);
	io_watch_stop(&p.watch);
	io_watch_stop(&p.watch);
	loop_turn(loop, false);
	CHECK_INT(p.ready, 1);
	(void)close(p.fd[0]);
	(void)close(p.fd[1]);
	loop_destroy(loop);
}

TEST(loop_watch_owner_may_free_itself)
{
	struct loop *loop = test_loop();
	struct pipe_end *p = mem_alloc(sizeof(*p));

	CHECK(pipe(p->fd) == 0);
	p->free_self = true;
	CHECK(io_watch_start(loop, &p->watch, p->fd[0], IO_READ, on_pipe, NULL) == 0);
	CHECK(write(p->fd[1], "x", 1) == 1);
	loop_turn(loop, true);
	loop_turn(loop, false);
	loop_destroy(loop);
}

TEST(loop_watch_hang_up_comes_as_readable)
{
	struct loop *loop = test_loop();
	struct pipe_end p = { 0 };

	CHECK(pipe(p.fd) == 0);
	CHECK(io_watch_start(loop, &p.watch, p.fd[0], IO_READ, on_pipe, NULL) == 0);
	(void)close(p.fd[1]);
	loop_turn(loop, true);
	CHECK_INT(p.events, IO_READ);
	io_watch_stop(&p.watch);
	(void)close(p.fd[0]);
	loop_destroy(loop);
}

TEST(loop_watch_refuses_what_cannot_be_polled)
{
	struct loop *loop = test_loop();
	struct io_watch w = { 0 };
	struct err err = { 0 };

	CHECK(io_watch_start(loop, &w, -1, IO_READ, on_pipe, &err) == -1);
	CHECK_STR(err.text, "watch file descriptor: Bad file descriptor");
	io_watch_stop(&w);
	loop_destroy(loop);
}

static void on_signal(void *arg, int signo)
{
	*(unsigned *)arg = (unsigned)signo;
}

TEST(loop_signal_becomes_a_call)
{
	struct loop *loop = test_loop();
	unsigned got = 0;

	CHECK(loop_on_signal(loop, SIGUSR1, on_signal, &got, NULL) == 0);
	(void)kill(getpid(), SIGUSR1);
	CHECK(turn_until(loop, &got, SIGUSR1));
	loop_destroy(loop);
}
