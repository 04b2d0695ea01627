/* part/portmapper.c - see portmapper.h. */
#include "part/portmapper.h"

#include "base/err.h"
#include "base/mem.h"
#include "engine/portmap/portmap.h"
#include "io/loop.h"
#include "io/udp.h"
#include "os/rtnl/rtnl.h"

enum { SLOTS = 4, ROUNDS = 4, BUFFER_BYTES = 64 << 10 };

struct portmapper {
	struct loop *loop;
	struct portmapper_conf conf;
	struct portmap *engine;
	struct udp udp; /* opened when there is a gateway to ask */
	struct udp_vector *vector;
	struct io_watch watch;
	struct io_timer timer;
	struct addrport told; /* in the log */
};

static void flush(struct portmapper *p)
{
	struct portmap_datagram d;

	while (portmap_next_datagram(p->engine, &d))
		if (p->udp.fd >= 0)
			(void)udp_send(&p->udp, &d.to, d.bytes, d.n);
	io_timer_at(p->loop, &p->timer, portmap_deadline(p->engine));
}

static void on_timer(struct io_timer *timer)
{
	struct portmapper *p = container_of(timer, struct portmapper, timer);

	portmap_tick(p->engine, loop_now(p->loop));
	flush(p);
}

static void on_ready(struct io_watch *w, unsigned events)
{
	struct portmapper *p = container_of(w, struct portmapper, watch);
	int n = SLOTS;

	(void)events;
	for (int round = 0; round < ROUNDS && n > 0; round++) {
		n = udp_receive(&p->udp, p->vector);
		for (int i = 0; i < n; i++) {
			const struct udp_slot *s = udp_vector_slot(p->vector, (unsigned)i);

			portmap_input(p->engine, loop_now(p->loop), s->from, bytes_of(s->p, s->n));
		}
	}
	flush(p);
}

static bool open_socket(struct portmapper *p)
{
	struct udp_conf conf = {
		.family = 4, .buffer_bytes = BUFFER_BYTES, .no_gso = true, .no_gro = true
	};
	struct err err;

	if (p->udp.fd >= 0)
		return true;
	if (udp_open(&p->udp, &conf, &err) < 0) {
		p->udp.fd = -1;
		log_debug(&p->conf.log, "no socket: %s", err.text);
		return false;
	}
	if (p->conf.on_socket)
		p->conf.on_socket(p->conf.arg, p->udp.fd);
	p->vector = udp_vector_create(false, SLOTS);
	if (io_watch_start(p->loop, &p->watch, p->udp.fd, IO_READ, on_ready, &err) == 0)
		return true;
	log_debug(&p->conf.log, "%s", err.text);
	udp_close(&p->udp);
	udp_vector_destroy(p->vector);
	p->vector = NULL;
	return false;
}

/* ---- where the gateway is ---- */

struct search {
	struct rtnl_route best; /* the default route with the lowest metric */
	bool found;
	struct ip self;
};

static void each_route(void *arg, const struct rtnl_route *r)
{
	struct search *s = arg;

	if (r->kind != RTNL_UNICAST || r->dst.len || !ip_is_valid(r->via))
		return;
	if (s->found && s->best.metric <= r->metric)
		return;
	s->best = *r;
	s->found = true;
}

/* The address in the gateway's own network, not just any of the host. */
static void each_address(void *arg, const struct rtnl_addr *a)
{
	struct search *s = arg;

	if (a->index == s->best.index && prefix_contains(a->prefix, s->best.via) &&
	    !ip_is_valid(s->self))
		s->self = a->prefix.addr;
}

static void find_gateway(struct portmapper *p, uint16_t port)
{
	struct search s = { 0 };
	struct err err;
	struct rtnl *r = rtnl_open(&err);

	if (r) {
		(void)rtnl_route_list(r, 4, RTNL_TABLE_MAIN, each_route, &s, &err);
		if (s.found)
			(void)rtnl_addr_list(r, s.best.index, each_address, &s, &err);
		rtnl_close(r);
	}
	if (!ip_is_valid(s.self))
		s.best.via = (struct ip){ 0 };
	portmap_set_gateway(p->engine, s.best.via, s.self, port);
}

void portmapper_want(struct portmapper *p, uint16_t port)
{
	find_gateway(p, port);
	if (open_socket(p))
		portmap_want(p->engine, loop_now(p->loop));
	flush(p);
}

void portmapper_rebind(struct portmapper *p, uint16_t port)
{
	find_gateway(p, port);
	if (open_socket(p))
		portmap_rebind(p->engine, loop_now(p->loop));
	flush(p);
}

bool portmapper_mapped(const struct portmapper *p, struct addrport *out)
{
	return portmap_mapped(p->engine, out);
}

struct portmapper_services portmapper_services(const struct portmapper *p)
{
	struct portmap_services s = portmap_services(p->engine);

	return (struct portmapper_services){ s.checked, s.pmp, s.pcp };
}

static void on_change(void *arg)
{
	struct portmapper *p = arg;
	char text[ADDRPORT_TEXT_MAX];
	struct addrport at;
	bool mapped = portmap_mapped(p->engine, &at);

	if (!addrport_equal(at, p->told)) {
		p->told = at;
		if (mapped)
			log_info(&p->conf.log, "gateway maps %s to us", addrport_format(at, text));
		else
			log_info(&p->conf.log, "gateway maps no port to us any more");
	}
	p->conf.on_change(p->conf.arg);
}

struct portmapper *portmapper_create(struct loop *loop, const struct portmapper_conf *conf)
{
	struct portmapper *p = mem_alloc(sizeof(*p));
	struct portmap_conf engine = { .rng = rng_system(), .on_change = on_change, .arg = p };

	p->loop = loop;
	p->conf = *conf;
	p->udp.fd = -1;
	p->engine = portmap_create(&engine);
	io_timer_init(&p->timer, on_timer);
	return p;
}

void portmapper_destroy(struct portmapper *p)
{
	if (!p)
		return;
	portmap_release(p->engine);
	flush(p);
	io_timer_stop(&p->timer);
	io_watch_stop(&p->watch);
	udp_close(&p->udp);
	udp_vector_destroy(p->vector);
	portmap_destroy(p->engine);
	loop_free_later(p->loop, p);
}
