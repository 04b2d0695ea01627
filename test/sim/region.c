#include "sim/region.h"

#include "base/mem.h"
#include "crypto/box.h"
#include "crypto/x25519.h"
#include "sim/host.h"

enum { WAITING_MAX = 64 << 10, FRAME_MAX = 4096, BYTES_PER_MS = 12500 };

/* A piece of the stream; without bytes: the connection is being opened. */
struct chunk {
	struct event event;
	struct wire *wire;
	unsigned generation;
	size_t n;
	uint8_t bytes[];
};

static void region_pump(struct region *r);
static void write_out(struct wire *w);

static int64_t way_ms(const struct wire *w)
{
	const struct host *h = w->host;
	unsigned far = host_nearest(h) == w->region->id ? 1 : 3;
	struct world *world = &h->city->w;

	return h->link.delay_ms + (int64_t)far * h->city->relay_delay_ms +
	       (world_chance(world, h->link.loss) ? 200 : 0);
}

static void send_chunk(struct wire *w, struct mono *last,
		       void (*fire)(struct world *world, struct event *e), struct bytes data)
{
	struct world *world = &w->host->city->w;
	struct mono at = mono_add_ms(world->now, way_ms(w) + (int64_t)(data.n / BYTES_PER_MS));
	struct chunk *c = mem_alloc(sizeof(*c) + data.n);

	c->event.fire = fire;
	c->wire = w;
	c->generation = w->generation;
	c->n = data.n;
	if (data.n)
		memcpy(c->bytes, data.p, data.n);
	if (at.ns <= last->ns)
		at.ns = last->ns + 1;
	*last = at;
	world_at(world, &c->event, at);
}

/* ---- at the relay ---- */

static void take_at_relay(struct wire *w, struct bytes data)
{
	struct region *r = w->region;
	struct mono now = r->city->w.now;
	struct derp_frame f;
	unsigned generation = w->generation;

	derp_reader_feed(&w->up, data);
	while (w->generation == generation && derp_reader_next(&w->up, &f) == DERP_PARSE_FRAME)
		if (relay_input(r->relay, now, w->id, &f) == RELAY_CLOSE) {
			world_violation(&r->city->w, "relay %d closed host %u: %s", r->id,
					w->host->index, relay_close_reason(r->relay, w->id));
			wire_close(w);
		}
}

static void at_relay(struct world *world, struct event *e)
{
	struct chunk *c = container_of(e, struct chunk, event);
	struct wire *w = c->wire;
	struct region *r = w->region;

	if (c->generation == w->generation) {
		if (!c->n) {
			w->id = relay_accept(r->relay, world->now,
					     (struct addrport){ w->host->inside, 40000 }, false);
			relay_bind(r->relay, w->id, w);
		} else {
			take_at_relay(w, bytes_of(c->bytes, c->n));
		}
		region_pump(r);
	}
	mem_free(c);
}

/* ---- at the host ---- */

static void greet(struct wire *w, const struct key *server)
{
	struct host *h = w->host;
	struct derp_client_info info = { .key = h->node_key, .version = DERP_VERSION };
	uint8_t frame[FRAME_MAX], nonce[BOX_NONCE_LEN];
	struct writer out = writer_of(frame, sizeof(frame));
	struct secret32 shared;

	if (!box_shared(&shared, &h->node_private, server->b))
		return;
	h->rng.fill(&h->rng, nonce, sizeof(nonce));
	derp_put_client_info(&out, &info, &shared, nonce);
	derp_put_note_preferred(&out, h->home == w->region->id);
	send_chunk(w, &w->up_at, at_relay, bytes_of(frame, out.n));
	w->ready = true;
	if (w->waiting.n)
		send_chunk(w, &w->up_at, at_relay, buf_bytes(&w->waiting));
	buf_clear(&w->waiting);
}

static void take_at_host(struct wire *w, const struct derp_frame *f)
{
	uint8_t copy[2048];
	struct key from;
	struct bytes payload;

	if (f->type == DERP_SERVER_KEY && derp_get_server_key(f->body, &from))
		greet(w, &from);
	if (f->type != DERP_RECV_PACKET || !derp_get_packet(f->body, &from, &payload) ||
	    payload.n > sizeof(copy))
		return;
	w->used = w->host->city->w.now;
	memcpy(copy, payload.p, payload.n);
	host_input_relayed(w->host, w->region->id, &from, copy, payload.n);
}

static void at_host(struct world *world, struct event *e)
{
	struct chunk *c = container_of(e, struct chunk, event);
	struct wire *w = c->wire;
	struct derp_frame f;

	(void)world;
	if (c->generation == w->generation) {
		w->in_flight -= c->n;
		derp_reader_feed(&w->down, bytes_of(c->bytes, c->n));
		while (c->generation == w->generation &&
		       derp_reader_next(&w->down, &f) == DERP_PARSE_FRAME)
			take_at_host(w, &f);
		if (c->generation == w->generation && w->more)
			write_out(w);
	}
	mem_free(c);
}

/* ---- what the engine wants ---- */

static void write_out(struct wire *w)
{
	struct region *r = w->region;
	struct buf out;

	if (r->city->w.fault == FAULT_DEAF_RELAY && w->host->index == 1)
		return;
	buf_init(&out, 1 << 20);
	w->more = true;
	while (w->more && w->in_flight < SOCKET_BYTES) {
		w->more = relay_output(r->relay, r->city->w.now, w->id, &out, 16 << 10);
		if (!out.n)
			break;
		w->in_flight += out.n;
		send_chunk(w, &w->down_at, at_host, buf_bytes(&out));
		buf_clear(&out);
	}
	buf_fini(&out);
}

/* Relays ask control who may connect. */
static bool is_welcome(const struct wire *w)
{
	return !w->host->city->control.records[w->host->index].revoked;
}

static void region_pump(struct region *r)
{
	struct world *world = &r->city->w;
	unsigned wants;
	uint64_t id;

	while ((id = relay_next(r->relay, &wants))) {
		struct wire *w = relay_user(r->relay, id);

		if (!w)
			continue;
		if (wants & RELAY_WANT_ADMISSION)
			relay_admit(r->relay, world->now, id, is_welcome(w));
		if (wants & RELAY_WANT_OUTPUT)
			write_out(w);
		if (wants & RELAY_WANT_CLOSE)
			wire_close(w);
	}
	world_at(world, &r->timer, relay_deadline(r->relay));
}

static void on_relay_timer(struct world *world, struct event *e)
{
	struct region *r = container_of(e, struct region, timer);

	relay_tick(r->relay, world->now);
	region_pump(r);
}

/* ---- regions ---- */

static void relay_start(struct region *r)
{
	struct relay_conf conf = { .rng = &r->rng };

	x25519_generate(&conf.private_key, &r->rng);
	r->relay = relay_create(&conf);
	r->up = true;
}

void region_init(struct region *r, struct city *c, int id)
{
	*r = (struct region){ .city = c, .id = id, .rng = rng_seeded(rng_u64(&c->w.rng)) };
	r->timer.fire = on_relay_timer;
	relay_start(r);
}

void region_fini(struct region *r)
{
	relay_destroy(r->relay);
	r->relay = NULL;
}

void region_set_up(struct region *r, bool up)
{
	struct city *c = r->city;

	if (up == r->up)
		return;
	world_note(&c->w, up ? "region up" : "region down", (uint64_t)r->id, 0);
	if (up) {
		relay_start(r);
	} else {
		r->up = false;
		for (size_t i = 0; i < c->n; i++)
			if (c->hosts[i].up)
				wire_close(&c->hosts[i].wires[r->id - 1]);
		world_cancel(&c->w, &r->timer);
		region_fini(r);
	}
	for (size_t i = 0; i < c->n; i++)
		host_regions_changed(&c->hosts[i]);
}

void region_expel(struct region *r, const struct key *key)
{
	if (!r->up)
		return;
	relay_expel_key(r->relay, key);
	region_pump(r);
}

bool region_owns(const struct event *e)
{
	return e->fire == at_relay || e->fire == at_host;
}

size_t region_queued(const struct region *r)
{
	struct relay_stats stats;

	if (!r->up)
		return 0;
	relay_stats(r->relay, &stats);
	return stats.queued_bytes;
}

/* ---- connections ---- */

static void on_idle(struct world *world, struct event *e)
{
	struct wire *w = container_of(e, struct wire, idle);
	struct mono due = mono_add_s(w->used, WIRE_IDLE_S);

	if (!w->open || w->host->home == w->region->id)
		return;
	if (mono_reached(world->now, due))
		wire_close(w);
	else
		world_at(world, e, due);
}

void wire_init(struct wire *w, struct host *h, struct region *r)
{
	*w = (struct wire){ .host = h, .region = r };
	w->idle.fire = on_idle;
	buf_init(&w->waiting, WAITING_MAX);
}

void wire_open(struct wire *w)
{
	struct world *world = &w->host->city->w;

	w->used = world->now;
	if (w->open || !w->region->up || !w->host->up)
		return;
	w->open = true;
	w->up_at = w->down_at = world->now;
	derp_reader_init(&w->up, derp_take_by_server);
	derp_reader_init(&w->down, derp_take_by_client);
	send_chunk(w, &w->up_at, at_relay, (struct bytes){ 0 });
	if (w->host->home != w->region->id)
		world_at(world, &w->idle, mono_add_s(world->now, WIRE_IDLE_S));
}

void wire_close(struct wire *w)
{
	struct region *r = w->region;

	if (!w->open)
		return;
	w->open = w->ready = w->more = false;
	w->generation++;
	w->in_flight = 0;
	derp_reader_fini(&w->up);
	derp_reader_fini(&w->down);
	buf_clear(&w->waiting);
	world_cancel(&r->city->w, &w->idle);
	if (w->id && r->relay)
		relay_remove(r->relay, r->city->w.now, w->id);
	w->id = 0;
	if (w->host->home == r->id)
		host_lost_home(w->host);
}

void wire_send(struct wire *w, const struct key *to, struct bytes payload)
{
	uint8_t frame[FRAME_MAX];
	struct writer out = writer_of(frame, sizeof(frame));

	wire_open(w);
	if (!w->open)
		return;
	derp_put_packet(&out, DERP_SEND_PACKET, to, payload);
	if (out.bad)
		return;
	if (w->ready)
		send_chunk(w, &w->up_at, at_relay, bytes_of(frame, out.n));
	else
		(void)buf_append(&w->waiting, bytes_of(frame, out.n));
}
