/* app/weftd/linkmon.c - see linkmon.h. */
#include "app/weftd/linkmon.h"

#include <string.h>

#include "base/bytes.h"
#include "base/err.h"
#include "base/mem.h"
#include "crypto/hash.h"
#include "io/loop.h"
#include "os/rtnl/rtnl.h"

/* A change comes as a burst of messages; this waits for its end. */
enum { SETTLE_MS = 200, PICTURE_MAX = 1 << 20, LINKS_MAX = 256 };

struct linkmon {
	struct loop *loop;
	char own[16];
	void (*on_change)(void *arg);
	void *arg;
	struct rtnl_watch *watch;
	struct io_watch io;
	struct io_timer settle;
	uint8_t picture[32];
};

struct look {
	const struct linkmon *m;
	struct buf text;
	unsigned usable[LINKS_MAX];
	size_t usable_count;
};

static void see_link(void *arg, const struct rtnl_link *l)
{
	struct look *look = arg;

	if (!l->up || !l->running || l->loopback || strcmp(l->name, look->m->own) == 0 ||
	    look->usable_count == LINKS_MAX)
		return;
	look->usable[look->usable_count++] = l->index;
}

static bool is_usable(const struct look *look, unsigned index)
{
	for (size_t i = 0; i < look->usable_count; i++)
		if (look->usable[i] == index)
			return true;
	return false;
}

static void see_address(void *arg, const struct rtnl_addr *a)
{
	struct look *look = arg;
	char text[PREFIX_TEXT_MAX];

	if (is_usable(look, a->index) && a->usable && !a->link_local)
		(void)buf_printf(&look->text, "a %u %s\n", a->index,
				 prefix_format(a->prefix, text));
}

static void see_route(void *arg, const struct rtnl_route *r)
{
	struct look *look = arg;
	char text[IP_TEXT_MAX];

	if (r->dst.len == 0 && is_usable(look, r->index))
		(void)buf_printf(&look->text, "r %u %s %u\n", r->index, ip_format(r->via, text),
				 r->metric);
}

static void take_picture(const struct linkmon *m, uint8_t out[32])
{
	struct look look = { .m = m };
	struct err err;
	struct rtnl *r = rtnl_open(&err);

	buf_init(&look.text, PICTURE_MAX);
	if (r) {
		(void)rtnl_link_list(r, see_link, &look, &err);
		(void)rtnl_addr_list(r, 0, see_address, &look, &err);
		(void)rtnl_route_list(r, 4, RTNL_TABLE_MAIN, see_route, &look, &err);
		(void)rtnl_route_list(r, 6, RTNL_TABLE_MAIN, see_route, &look, &err);
	}
	rtnl_close(r);
	hash_sha256(out, buf_bytes(&look.text));
	buf_fini(&look.text);
}

static void on_settled(struct io_timer *t)
{
	struct linkmon *m = container_of(t, struct linkmon, settle);
	uint8_t now[32];

	take_picture(m, now);
	if (memcmp(now, m->picture, sizeof(now)) == 0)
		return;
	memcpy(m->picture, now, sizeof(now));
	m->on_change(m->arg);
}

static void on_event(void *arg, const struct rtnl_event *e)
{
	(void)arg;
	(void)e;
}

static void on_readable(struct io_watch *w, unsigned events)
{
	struct linkmon *m = container_of(w, struct linkmon, io);

	(void)events;
	(void)rtnl_watch_read(m->watch, on_event, m);
	io_timer_in_ms(m->loop, &m->settle, SETTLE_MS);
}

struct linkmon *linkmon_create(struct loop *loop, const char *own, void (*on_change)(void *arg),
			       void *arg, struct err *err)
{
	struct linkmon *m = mem_alloc(sizeof(*m));

	m->loop = loop;
	m->on_change = on_change;
	m->arg = arg;
	if (own)
		(void)strncpy(m->own, own, sizeof(m->own) - 1);
	io_timer_init(&m->settle, on_settled);
	m->watch = rtnl_watch_open(err);
	if (!m->watch ||
	    io_watch_start(loop, &m->io, rtnl_watch_fd(m->watch), IO_READ, on_readable, err) < 0) {
		linkmon_destroy(m);
		return NULL;
	}
	take_picture(m, m->picture);
	return m;
}

void linkmon_destroy(struct linkmon *m)
{
	if (!m)
		return;
	io_watch_stop(&m->io);
	io_timer_stop(&m->settle);
	rtnl_watch_close(m->watch);
	mem_free(m);
}
