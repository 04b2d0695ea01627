/* app/weftd/linkmon.c - see linkmon.h. What to make of it is decided in linkpicture.c. */
#include "app/weftd/linkmon.h"

#include <string.h>
#include <time.h>

#include "app/weftd/linkpicture.h"
#include "base/err.h"
#include "base/mem.h"
#include "io/loop.h"

enum { RULES_MS = 250 };

struct linkmon {
	struct loop *loop;
	struct linkmon_conf conf;
	char own[16];
	struct rtnl_watch *watch;
	struct io_watch io;
	struct io_timer settle, rules, clock;
	struct mono first; /* event of the burst that is going on; zero: none */
	struct linkpicture_hash picture;
	struct linkpicture_budget budget;
	int64_t awake_ms, all_ms; /* both clocks at the last look */
};

static void see_link(void *arg, const struct rtnl_link *l)
{
	linkpicture_link(arg, l);
}

static void see_address(void *arg, const struct rtnl_addr *a)
{
	linkpicture_addr(arg, a);
}

static void see_route(void *arg, const struct rtnl_route *r)
{
	linkpicture_route(arg, r);
}

static void take_picture(const struct linkmon *m, struct linkpicture_hash *out)
{
	struct linkpicture *p = mem_alloc(sizeof(*p));
	struct err err;
	struct rtnl *r = rtnl_open(&err);

	linkpicture_begin(p, m->own);
	if (r) {
		(void)rtnl_link_list(r, see_link, p, &err);
		(void)rtnl_addr_list(r, 0, see_address, p, &err);
		(void)rtnl_route_list(r, 4, RTNL_TABLE_MAIN, see_route, p, &err);
		(void)rtnl_route_list(r, 6, RTNL_TABLE_MAIN, see_route, p, &err);
	}
	rtnl_close(r);
	linkpicture_end(p, out);
	mem_free(p);
}

static void on_settled(struct io_timer *t)
{
	struct linkmon *m = container_of(t, struct linkmon, settle);
	enum linkpicture_change change;
	struct linkpicture_hash now;

	m->first = (struct mono){ 0 };
	take_picture(m, &now);
	change = linkpicture_compare(&m->picture, &now);
	m->picture = now;
	if (change != LINKPICTURE_SAME)
		m->conf.on_change(m->conf.arg, change == LINKPICTURE_MAJOR);
}

static void on_rules(struct io_timer *t)
{
	struct linkmon *m = container_of(t, struct linkmon, rules);

	if (linkpicture_may_restore(&m->budget, loop_now(m->loop)))
		m->conf.on_rules_gone(m->conf.arg);
	else
		io_timer_in_ms(m->loop, &m->rules, LINKPICTURE_CLOCK_MS);
}

static void on_event(void *arg, const struct rtnl_event *e)
{
	struct linkmon *m = arg;

	if (e->kind == RTNL_RULE_GONE && e->rule_priority >= m->conf.rule_first &&
	    e->rule_priority <= m->conf.rule_last)
		io_timer_in_ms(m->loop, &m->rules, RULES_MS);
}

static void on_readable(struct io_watch *w, unsigned events)
{
	struct linkmon *m = container_of(w, struct linkmon, io);
	struct mono now = loop_now(m->loop);

	(void)events;
	(void)rtnl_watch_read(m->watch, on_event, m);
	if (mono_is_zero(m->first))
		m->first = now;
	io_timer_in_ms(m->loop, &m->settle, linkpicture_settle_ms(mono_since_ms(now, m->first)));
}

static int64_t clock_ms(clockid_t id)
{
	struct timespec t;

	(void)clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* While the machine slept nobody told us anything, and nobody waits for us any more. */
static void on_clock(struct io_timer *t)
{
	struct linkmon *m = container_of(t, struct linkmon, clock);
	int64_t awake = clock_ms(CLOCK_MONOTONIC), all = clock_ms(CLOCK_BOOTTIME);
	bool slept = linkpicture_slept(awake - m->awake_ms, all - m->all_ms);

	m->awake_ms = awake;
	m->all_ms = all;
	io_timer_in_ms(m->loop, &m->clock, LINKPICTURE_CLOCK_MS);
	if (!slept)
		return;
	take_picture(m, &m->picture);
	m->conf.on_change(m->conf.arg, true);
}

struct linkmon *linkmon_create(struct loop *loop, const struct linkmon_conf *conf, struct err *err)
{
	struct linkmon *m = mem_alloc(sizeof(*m));

	m->loop = loop;
	m->conf = *conf;
	if (conf->own)
		(void)strncpy(m->own, conf->own, sizeof(m->own) - 1);
	io_timer_init(&m->settle, on_settled);
	io_timer_init(&m->rules, on_rules);
	io_timer_init(&m->clock, on_clock);
	m->watch = rtnl_watch_open(err);
	if (!m->watch ||
	    io_watch_start(loop, &m->io, rtnl_watch_fd(m->watch), IO_READ, on_readable, err) < 0) {
		linkmon_destroy(m);
		return NULL;
	}
	take_picture(m, &m->picture);
	m->awake_ms = clock_ms(CLOCK_MONOTONIC);
	m->all_ms = clock_ms(CLOCK_BOOTTIME);
	io_timer_in_ms(loop, &m->clock, LINKPICTURE_CLOCK_MS);
	return m;
}

void linkmon_destroy(struct linkmon *m)
{
	if (!m)
		return;
	io_watch_stop(&m->io);
	io_timer_stop(&m->settle);
	io_timer_stop(&m->rules);
	io_timer_stop(&m->clock);
	rtnl_watch_close(m->watch);
	mem_free(m);
}
