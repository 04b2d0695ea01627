/* Datagrams on their way: out through the sender's gateways, later in through the receiver's. */
#include "base/mem.h"
#include "sim/host.h"

enum { IP_UDP_LEN = 28 };

struct flight {
	struct event event;
	struct city *city;
	struct host *host;  /* on the sender's own network */
	struct gateway *to; /* or behind this one */
	uint16_t to_port;
	struct addrport from; /* as seen where it arrives */
	size_t n;
	uint8_t bytes[];
};

static struct gateway *gateway_at(struct city *c, struct ip outside)
{
	return map_get(&c->by_outside, bytes_of(outside.b, 4));
}

/* From the outermost gateway to the host, if all let it in. */
static struct host *descend(struct city *c, struct gateway *g, struct addrport from, uint16_t port)
{
	struct addrport inside;

	while (g && gateway_in(&c->w, g, from, port, &inside)) {
		struct host *h = city_neighbour(c, g, inside.ip);

		if (h)
			return inside.port == INSIDE_PORT ? h : NULL;
		g = gateway_at(c, inside.ip);
		port = inside.port;
	}
	return NULL;
}

static void arrive(struct world *w, struct event *e)
{
	struct flight *f = container_of(e, struct flight, event);
	struct magic_path from = { .kind = MAGIC_DIRECT, .addr = f->from };
	struct host *h = f->host ? f->host : descend(f->city, f->to, f->from, f->to_port);

	(void)w;
	if (h && h->up)
		host_input(h, &from, f->bytes, f->n);
	else
		f->city->refused++;
	mem_free(f);
}

/* Where it leaves its own network: another host there, or the gateway it will knock at. */
static bool climb(struct host *h, struct addrport to, struct flight *f)
{
	struct city *c = h->city;
	struct addrport src = { h->inside, INSIDE_PORT };

	f->to_port = to.port;
	f->host = city_neighbour(c, h->gateway, to.ip);
	if (f->host) {
		f->from = src;
		return f->host != h && to.port == INSIDE_PORT;
	}
	for (struct gateway *g = h->gateway; g; g = g->parent) {
		bool back = ip_equal(to.ip, g->outside);

		if ((back && !g->hairpin) || !gateway_out(&c->w, g, src, to, &src))
			return false;
		f->from = src;
		f->to = gateway_at(c, to.ip);
		if (back || (f->to && f->to->parent && f->to->parent == g->parent))
			return true;
	}
	return f->to && !f->to->parent;
}

static struct flight *flight_new(struct city *c, const uint8_t *p, size_t n)
{
	struct flight *f = mem_alloc(sizeof(*f) + n);

	f->event.fire = arrive;
	f->city = c;
	f->n = n;
	memcpy(f->bytes, p, n);
	return f;
}

/* Loses it or lets it arrive in a while. Takes f. */
static void fly(struct host *h, struct flight *f)
{
	struct city *c = h->city;
	uint64_t jitter = (uint64_t)h->link.jitter_ms * 2 + 1;

	c->direct++;
	if (world_chance(&c->w, h->link.loss) || world_chance(&c->w, h->link.loss)) {
		c->lost++;
		mem_free(f);
		return;
	}
	world_at(&c->w, &f->event,
		 mono_add_ms(c->w.now, 2 * (int64_t)h->link.delay_ms +
					   (int64_t)rng_below(&c->w.rng, jitter)));
}

static void overhear(struct city *c, const struct flight *f, struct addrport to)
{
	struct tape *t;

	if (!c->tape || f->host || f->n > sizeof(t->bytes))
		return;
	t = &c->tape[c->tape_count < TAPE_MAX ? c->tape_count++ : rng_below(&c->w.rng, TAPE_MAX)];
	*t = (struct tape){ .from = f->from, .to = to, .n = f->n };
	memcpy(t->bytes, f->bytes, f->n);
}

void host_send_udp(struct host *h, struct addrport to, const uint8_t *p, size_t n)
{
	struct city *c = h->city;
	struct flight *f;
	bool blinks =
	    c->w.fault == FAULT_FLAPPING && h->index % 2 && c->w.now.ns / 1000000000 % 20 > 9;

	if (packet_is_visible(bytes_of(p, n)))
		world_violation(&c->w, "host %u sent a packet for all to read", h->index);
	if (h->link.mtu && n + IP_UDP_LEN > h->link.mtu) {
		c->oversized++;
		return;
	}
	f = flight_new(c, p, n);
	if (!climb(h, to, f) || blinks) {
		mem_free(f);
		return;
	}
	overhear(c, f, to);
	fly(h, f);
}

void host_spoof_udp(struct host *h, struct addrport from, struct addrport to, struct bytes datagram)
{
	struct flight *f = flight_new(h->city, datagram.p, datagram.n);

	f->to = gateway_at(h->city, to.ip);
	f->to_port = to.port;
	f->from = from;
	fly(h, f);
}

bool host_seen_as(struct host *h, struct addrport by, struct addrport *out)
{
	*out = (struct addrport){ h->inside, INSIDE_PORT };
	for (struct gateway *g = h->gateway; g; g = g->parent)
		if (!gateway_out(&h->city->w, g, *out, by, out))
			return false;
	return true;
}

bool udp_owns(const struct event *e)
{
	return e->fire == arrive;
}
