#include "sim/host.h"

#include <stdlib.h>
#include <time.h>

#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "crypto/x25519.h"

enum { WALL_START_S = 1700000000 };

struct ip host_ip(uint32_t index)
{
	return ip_v4_of(0x64400000 + 1 + index);
}

struct wg_time host_time(const struct host *h)
{
	struct mono now = h->city->w.now;

	return (struct wg_time){ now, { WALL_START_S * 1000000000LL + now.ns + h->clock_off_ns } };
}

static int compare_peers(const void *a, const void *b)
{
	uint32_t x = ((const struct peer *)a)->host, y = ((const struct peer *)b)->host;

	return (x > y) - (x < y);
}

struct peer *host_peer(struct host *h, uint32_t other)
{
	struct peer key = { .host = other };

	return h->peer_count ? bsearch(&key, h->peers, h->peer_count, sizeof(key), compare_peers)
			     : NULL;
}

bool host_is_direct(struct host *h, uint32_t other)
{
	struct peer *p = host_peer(h, other);

	return p && ip_is_valid(p->route.direct.ip) &&
	       h->city->w.now.ns <= p->route.trusted_until.ns;
}

/* ---- paths ---- */

/* Nobody talks a host into sending another's packets to a third address. */
static void check_route(struct host *h, const struct peer *p, struct ip direct)
{
	const struct host *other = &h->city->hosts[p->host];
	const struct gateway *g;

	if (ip_equal(direct, other->inside))
		return;
	for (g = other->gateway; g; g = g->parent)
		if (ip_equal(direct, g->outside))
			return;
	/* It may just have moved: pongs from the old address are still under way. */
	g = map_get(&h->city->by_outside, bytes_of(direct.b, 4));
	if (!g || g->users)
		world_violation(&h->city->w, "host %u was led astray on its way to %u", h->index,
				p->host);
}

static void on_route(void *arg, uint32_t id, const struct magic_route *route)
{
	struct host *h = arg;
	struct peer *p = host_peer(h, id);
	struct world *w = &h->city->w;

	if (!addrport_equal(p->route.direct, route->direct)) {
		p->route_changes += ip_is_valid(p->route.direct.ip);
		if (ip_is_valid(route->direct.ip))
			check_route(h, p, route->direct.ip);
		world_note(w, ip_is_valid(route->direct.ip) ? "direct" : "relayed", h->index, id);
	}
	p->route = *route;
}

static void add_endpoint(struct host *h, struct addrport a)
{
	h->endpoints[h->endpoint_count++] = a;
}

/* STUN takes a round trip; a node behind a hard NAT learns an address that is of no use to others.
 */
static void measured(struct world *w, struct event *e)
{
	struct host *h = container_of(e, struct host, measured);
	struct addrport stun = { ip_v4(198, 51, 100, 1), 3478 }, seen_as;

	h->measuring = false;
	if (!h->up)
		return;
	h->endpoint_count = 0;
	if (h->gateway->users > 1)
		add_endpoint(h, (struct addrport){ h->inside, INSIDE_PORT });
	if (host_seen_as(h, stun, &seen_as))
		add_endpoint(h, seen_as);
	magic_set_endpoints(h->magic, w->now, h->endpoints, h->endpoint_count);
	control_update(&h->city->control, h->index);
	host_drain(h);
}

static void measure(struct host *h)
{
	if (h->measuring)
		return;
	h->measuring = true;
	world_at(&h->city->w, &h->measured, mono_add_ms(h->city->w.now, 2 * h->link.delay_ms + 20));
}

static void on_endpoints_wanted(void *arg)
{
	measure(arg);
}

/* ---- home relay ---- */

int host_nearest(const struct host *h)
{
	return 1 + (int)(h->index % REGIONS);
}

static void choose_home(struct host *h)
{
	int best = 0;

	for (int i = 0; i < REGIONS && !best; i++) {
		const struct region *r = &h->city->regions[(host_nearest(h) - 1 + i) % REGIONS];

		best = r->up ? r->id : 0;
	}
	if (!best || best == h->home) {
		if (best)
			wire_open(&h->wires[best - 1]);
		return;
	}
	world_note(&h->city->w, "home", h->index, (uint64_t)best);
	h->home = best;
	wire_open(&h->wires[best - 1]);
	control_update(&h->city->control, h->index);
}

static void rehome(struct world *w, struct event *e)
{
	struct host *h = container_of(e, struct host, rehome);

	(void)w;
	h->rehoming = false;
	if (h->up)
		choose_home(h);
}

static void rehome_in(struct host *h, int64_t ms)
{
	if (h->rehoming || !h->up)
		return;
	h->rehoming = true;
	world_at(&h->city->w, &h->rehome, mono_add_ms(h->city->w.now, ms));
}

void host_regions_changed(struct host *h)
{
	rehome_in(h, 500 + (int64_t)rng_below(&h->rng, 3000));
}

void host_lost_home(struct host *h)
{
	if (h->revoked)
		return; /* it was told to log in again */
	rehome_in(h, 1000);
}

/* ---- what control says ---- */

void host_record(const struct host *h, struct record *out)
{
	*out = (struct record){ .node_key = h->node_key,
				.disco_key = magic_disco_key(h->magic),
				.region = h->home,
				.endpoint_count = h->endpoint_count,
				.known = true };
	memcpy(out->endpoints, h->endpoints, sizeof(out->endpoints));
}

static void forget_tunnel(struct host *h, uint32_t other)
{
	struct wg_peer_id id;

	if (wg_peer_of_owner(h->wg, other, &id))
		(void)wg_peer_remove(h->wg, id);
}

void host_learn(struct host *h, uint32_t about, const struct record *r)
{
	struct peer *p = host_peer(h, about);
	struct magic_peer_conf conf = { .id = about,
					.node_key = r->node_key,
					.disco_key = r->disco_key,
					.region = r->region,
					.endpoints = r->endpoints,
					.endpoint_count = r->endpoint_count };

	if (!p || !h->up || !r->known)
		return;
	if (r->revoked || (p->known && !key_equal(&p->key, &r->node_key)))
		forget_tunnel(h, about);
	p->known = !r->revoked;
	p->key = r->node_key;
	if (r->revoked)
		magic_peer_remove(h->magic, about);
	else
		magic_peer_set(h->magic, h->city->w.now, &conf);
	host_drain(h);
}

static bool on_unknown_peer(void *arg, const struct key *key)
{
	struct host *h = arg;

	for (size_t i = 0; i < h->peer_count; i++) {
		const struct peer *p = &h->peers[i];
		struct wg_peer_conf conf = { .public_key = *key, .owner = p->host, .lazy = true };
		struct wg_peer_id id;

		if (p->known && key_equal(&p->key, key))
			return wg_peer_of_owner(h->wg, p->host, &id) ||
			       wg_peer_add(h->wg, &conf, &id, NULL) == 0;
	}
	return false;
}

/* ---- out ---- */

static void send_relay(struct host *h, int region, const struct key *to, const uint8_t *p, size_t n)
{
	struct city *c = h->city;

	if (packet_is_visible(bytes_of(p, n)))
		world_violation(&c->w, "host %u sent a packet for all to read", h->index);
	if (region < 1 || region > REGIONS)
		return;
	c->by_relay++;
	h->wires[region - 1].used = c->w.now;
	wire_send(&h->wires[region - 1], to, bytes_of(p, n));
}

static void send_datagram(struct host *h, const struct wg_datagram *d)
{
	struct world *w = &h->city->w;
	struct peer *p = host_peer(h, d->owner);

	if (!p) { /* a cookie: back where the question came from */
		if (ip_is_valid(d->reply_to.addr.ip))
			host_send_udp(h, d->reply_to.addr, d->p, d->n);
		return;
	}
	magic_output(h->magic, w->now, d->owner);
	if (ip_is_valid(p->route.direct.ip))
		host_send_udp(h, p->route.direct, d->p, d->n);
	if (!ip_is_valid(p->route.direct.ip) || w->now.ns > p->route.trusted_until.ns)
		send_relay(h, p->route.region, &p->key, d->p, d->n);
}

void host_drain(struct host *h)
{
	struct world *w = &h->city->w;
	struct magic_datagram m;
	struct wg_datagram d;
	struct mono next;

	while (wg_next_datagram(h->wg, &d))
		send_datagram(h, &d);
	while (magic_next_datagram(h->magic, &m)) {
		if (m.to.kind == MAGIC_DIRECT)
			host_send_udp(h, m.to.addr, m.bytes, m.n);
		else
			send_relay(h, m.to.region, &m.to.node, m.bytes, m.n);
	}
	next = mono_min(wg_deadline(h->wg), magic_deadline(h->magic));
	if (w->fault == FAULT_TIMER_STORM)
		next = mono_min(next, mono_add_s(w->now, 1));
	if (next.ns == MONO_NEVER.ns)
		world_cancel(w, &h->timer);
	else if (!heap_has(&h->timer.node) || h->timer.node.at.ns != next.ns)
		world_at(w, &h->timer, next);
}

static void on_timer(struct world *w, struct event *e)
{
	struct host *h = container_of(e, struct host, timer);

	if (!h->up)
		return;
	wg_tick(h->wg, host_time(h));
	magic_tick(h->magic, w->now);
	host_drain(h);
}

/* ---- in ---- */

/* Mistakes made on purpose between the tunnel and whoever takes its packets. */
static void deliver(struct host *h, uint32_t owner, struct bytes packet)
{
	struct city *c = h->city;
	bool now = c->delivered == 100;
	struct timespec real;

	if (now && c->w.fault == FAULT_WRONG_HOST)
		h = &c->hosts[(h->index + 1) % c->n];
	if (now && c->w.fault == FAULT_WRONG_OWNER)
		owner = h->peers[h->peers[0].host == owner].host;
	if (now && c->w.fault == FAULT_DAMAGE)
		((uint8_t *)(uintptr_t)packet.p)[30] ^= 1;
	if (now && c->w.fault == FAULT_TWICE)
		host_check_packet(h, owner, packet);
	if (c->w.fault == FAULT_WALL_CLOCK && clock_gettime(CLOCK_MONOTONIC, &real) == 0)
		world_note(&c->w, "clock", (uint64_t)real.tv_nsec, 0);
	host_check_packet(h, owner, packet);
}

void host_input(struct host *h, const struct magic_path *from, uint8_t *p, size_t n)
{
	struct city *c = h->city;
	struct wg_source source = { .addr = from->addr, .via = from->kind };
	static const struct filter_source anyone;
	bool open = c->w.fault == FAULT_NO_FILTER && h->index == 0;
	struct wg_received got;
	struct ippkt pkt;

	if (magic_classify(bytes_of(p, n)) == MAGIC_DISCO)
		magic_input(h->magic, c->w.now, from, bytes_of(p, n));
	else if (wg_input(h->wg, host_time(h), &source, p, n, &got) == WG_DELIVER &&
		 ippkt_parse(&pkt, got.packet) &&
		 (filter_accepts(filter_in(h->filter, &anyone, &pkt)) || open))
		deliver(h, got.owner, got.packet);
	host_drain(h);
}

void host_input_relayed(struct host *h, int region, const struct key *from, uint8_t *p, size_t n)
{
	struct magic_path path = { .kind = MAGIC_RELAY, .region = region, .node = *from };

	host_input(h, &path, p, n);
}

void host_attack(struct host *h, struct addrport from, struct bytes datagram)
{
	struct magic_path path = { .kind = MAGIC_DIRECT, .addr = from };
	uint8_t copy[2048];

	memcpy(copy, datagram.p, datagram.n);
	host_input(h, &path, copy, datagram.n);
}

/* ---- life ---- */

static void on_session(void *arg, struct wg_peer_id peer, uint32_t owner)
{
	struct host *h = arg;

	(void)peer;
	(void)owner;
	if (h->city->w.fault == FAULT_LEAK) {
		void **lost = mem_alloc(2000);

		*lost = h; /* nobody will ever free it, but for the end of the city */
		mem_reserve(h->city->leaked, h->city->leaked_count, h->city->leaked_cap);
		h->city->leaked[h->city->leaked_count++] = lost;
	}
}

static void make_filter(struct host *h)
{
	struct ip_range local = { host_ip(h->index), host_ip(h->index) };
	struct filter_conf conf = { .local = &local, .local_count = 1, .list_count = 1 };
	const struct json *list;
	struct arena arena;
	struct buf text;
	struct err err;
	char ip[IP_TEXT_MAX];
	uint8_t seed[16];

	buf_init(&text, 1 << 20);
	arena_init(&arena, 1 << 24);
	(void)buf_append_str(&text, "[{\"SrcIPs\":[");
	for (size_t i = 0, n = 0; i < h->peer_count; i++)
		if (h->peers[i].may_receive)
			(void)buf_printf(&text, "%s\"%s\"", n++ ? "," : "",
					 ip_format(host_ip(h->peers[i].host), ip));
	(void)buf_append_str(
	    &text, "],\"DstPorts\":[{\"IP\":\"*\",\"Ports\":{\"First\":0,\"Last\":65535}}]}]");
	list = json_parse(&arena, buf_bytes(&text), 0, &err);
	conf.lists = &list;
	h->rng.fill(&h->rng, seed, sizeof(seed));
	h->flows = filter_flows_create(seed);
	conf.flows = h->flows;
	h->filter = filter_create(&conf, NULL, &err);
	arena_fini(&arena);
	buf_fini(&text);
}

static void make_allowed(struct host *h)
{
	struct wg_allowed_entry *entries = mem_alloc((h->peer_count + 1) * sizeof(*entries));

	for (size_t i = 0; i < h->peer_count; i++)
		entries[i] = (struct wg_allowed_entry){ prefix_of(host_ip(h->peers[i].host)),
							h->peers[i].host };
	h->allowed = wg_allowed_create(entries, h->peer_count);
	mem_free(entries);
}

static void make_engines(struct host *h)
{
	struct magic_conf magic = { .node_key = h->node_key,
				    .disco_private = h->disco_private,
				    .rng = rng_seeded(rng_u64(&h->rng)),
				    .on_route = on_route,
				    .on_endpoints_wanted = on_endpoints_wanted,
				    .arg = h };
	struct wg_conf wg = { .private_key = h->node_private,
			      .rng = &h->rng,
			      .clock_floor = h->clock_floor,
			      .on_unknown_peer = on_unknown_peer,
			      .on_session = on_session,
			      .arg = h };

	h->magic = magic_create(&magic);
	h->wg = wg_create(&wg, NULL);
	wg_set_allowed(h->wg, h->allowed);
}

void host_start(struct host *h, struct gateway *g, struct link link)
{
	struct city *c = h->city;

	h->timer.fire = on_timer;
	h->measured.fire = measured;
	h->rehome.fire = rehome;
	h->link = link;
	h->gateway = g;
	g->users++;
	g->inside = (struct addrport){ h->inside, INSIDE_PORT };
	make_allowed(h);
	make_filter(h);
	make_engines(h);
	h->up = true;
	world_note(&c->w, "started", h->index, gateway_worst(g));
	choose_home(h);
	control_join(&c->control, h->index);
	measure(h);
}

static void drop_engines(struct host *h)
{
	for (int i = 0; i < REGIONS; i++)
		wire_close(&h->wires[i]);
	h->clock_floor =
	    h->city->w.fault == FAULT_CLOCK_FLOOR ? (struct wall){ 0 } : wg_clock(h->wg);
	wg_destroy(h->wg);
	magic_destroy(h->magic);
	h->endpoint_count = 0;
	for (size_t i = 0; i < h->peer_count; i++) {
		h->peers[i].known = false;
		h->peers[i].route = (struct magic_route){ 0 };
	}
}

static void back_up(struct host *h)
{
	make_engines(h);
	choose_home(h);
	control_join(&h->city->control, h->index);
	measure(h);
	host_drain(h);
}

void host_restart(struct host *h)
{
	world_note(&h->city->w, "restarted", h->index, 0);
	drop_engines(h);
	x25519_generate(&h->disco_private, &h->rng); /* it lives as long as the process */
	back_up(h);
}

void host_rotate(struct host *h)
{
	world_note(&h->city->w, "rotated", h->index, 0);
	drop_engines(h);
	x25519_generate(&h->node_private, &h->rng);
	x25519_public(h->node_key.b, &h->node_private);
	back_up(h);
}

void host_moved(struct host *h, struct gateway *g)
{
	struct city *c = h->city;

	h->gateway->users--;
	h->gateway = g;
	g->users++;
	g->inside = (struct addrport){ h->inside, INSIDE_PORT };
	world_note(&c->w, "moved", h->index, gateway_worst(g));
	for (int i = 0; i < REGIONS; i++) /* connections do not survive a new address */
		wire_close(&h->wires[i]);
	choose_home(h);
	magic_rebind(h->magic, c->w.now);
	measure(h);
	host_drain(h);
}
