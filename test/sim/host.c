#include "sim/host.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/json.h"
#include "base/map.h"
#include "base/mem.h"
#include "crypto/x25519.h"
#include "wire/inetsum.h"

/* ---- the network ---- */

enum way { BY_UDP, BY_RELAY };

struct flight {
	struct event event;
	enum way way;
	struct host *to;
	uint16_t to_port;
	struct addrport from; /* BY_UDP, as seen outside */
	struct key from_key;  /* BY_RELAY */
	size_t n;
	uint8_t bytes[];
};

static void host_drain(struct host *h);
static void host_input(struct host *h, const struct magic_path *from, uint8_t *p, size_t n);

static void arrive(struct world *w, struct event *e)
{
	struct flight *f = container_of(e, struct flight, event);
	struct magic_path from = { .kind = MAGIC_DIRECT, .addr = f->from };

	if (f->way == BY_RELAY)
		from = (struct magic_path){ .kind = MAGIC_RELAY,
					    .region = REGION,
					    .node = f->from_key };
	if (f->to->up &&
	    (f->way == BY_RELAY || gateway_in(w, &f->to->gateway, f->from, f->to_port)))
		host_input(f->to, &from, f->bytes, f->n);
	mem_free(f);
}

static int64_t flight_ms(struct world *w, const struct link *a, const struct link *b)
{
	return a->delay_ms + b->delay_ms +
	       (int64_t)rng_below(&w->rng, (uint64_t)a->jitter_ms + b->jitter_ms + 1);
}

static struct flight *flight_new(struct host *to, const uint8_t *p, size_t n)
{
	struct flight *f = mem_alloc(sizeof(*f) + n);

	f->event.fire = arrive;
	f->to = to;
	f->n = n;
	memcpy(f->bytes, p, n);
	return f;
}

static void send_udp(struct host *h, struct addrport to, const uint8_t *p, size_t n)
{
	struct city *c = h->city;
	struct host *dst = map_get(&c->by_outside, bytes_of(to.ip.b, 4));
	struct addrport seen_as;
	struct flight *f;

	if (!gateway_out(&c->w, &h->gateway, to, &seen_as) || !dst || dst == h ||
	    world_chance(&c->w, h->link.loss) || world_chance(&c->w, dst->link.loss)) {
		c->lost++;
		return;
	}
	c->direct++;
	f = flight_new(dst, p, n);
	f->from = seen_as;
	f->to_port = to.port;
	world_at(&c->w, &f->event, mono_add_ms(c->w.now, flight_ms(&c->w, &h->link, &dst->link)));
}

/* Relays are TCP: what arrives arrives in order of sending, a lossy link only makes it later. */
static void send_relay(struct host *h, const struct key *to, const uint8_t *p, size_t n)
{
	struct city *c = h->city;
	struct host *dst = map_get(&c->by_key, bytes_of(to->b, 32));
	struct flight *f;

	if (!c->relay_up || !dst || !dst->up || dst->revoked || h->revoked)
		return;
	c->by_relay++;
	f = flight_new(dst, p, n);
	f->way = BY_RELAY;
	f->from_key = h->node_key;
	world_at(
	    &c->w, &f->event,
	    mono_add_ms(c->w.now, h->link.delay_ms + dst->link.delay_ms + 2 * c->relay_delay_ms));
}

/* ---- one node ---- */

struct ip host_ip(uint32_t index)
{
	return ip_v4_of(0x64400000 + 1 + index);
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

static void on_route(void *arg, uint32_t id, const struct magic_route *route)
{
	struct host *h = arg;
	struct peer *p = host_peer(h, id);
	struct world *w = &h->city->w;

	if (!addrport_equal(p->route.direct, route->direct)) {
		p->route_changes += ip_is_valid(p->route.direct.ip);
		p->direct_since = ip_is_valid(route->direct.ip) ? w->now : (struct mono){ 0 };
		world_note(w, ip_is_valid(route->direct.ip) ? "direct" : "relayed", h->index, id);
	}
	p->route = *route;
}

/* STUN takes a round trip; a node behind a hard NAT learns an address that is of no use to others.
 */
static void measured(struct world *w, struct event *e)
{
	struct host *h = container_of(e, struct host, measured);
	struct addrport stun = { ip_v4(198, 51, 100, 1), 3478 }, seen_as;

	h->measuring = false;
	h->endpoint_count = 0;
	if (gateway_out(w, &h->gateway, stun, &seen_as))
		h->endpoints[h->endpoint_count++] = seen_as;
	magic_set_endpoints(h->magic, w->now, h->endpoints, h->endpoint_count);
	if (h->city->control_up)
		world_at(w, &h->told, mono_add_ms(w->now, h->city->control_delay_ms));
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

static void tell_peer(struct host *h, struct host *other)
{
	struct magic_peer_conf conf = { .id = h->index,
					.node_key = h->node_key,
					.disco_key = magic_disco_key(h->magic),
					.region = REGION,
					.endpoints = h->endpoints,
					.endpoint_count = h->endpoint_count };

	if (other->up && !other->revoked && !h->revoked && host_peer(other, h->index))
		magic_peer_set(other->magic, h->city->w.now, &conf);
}

/* Control passes our endpoints on to everyone who may see us. */
static void told(struct world *w, struct event *e)
{
	struct host *h = container_of(e, struct host, told);

	(void)w;
	for (size_t i = 0; i < h->peer_count; i++)
		tell_peer(h, &h->city->hosts[h->peers[i].host]);
}

static bool peer_wanted(struct host *h, uint32_t owner, struct wg_peer_id *id)
{
	struct host *other = &h->city->hosts[owner];
	struct wg_peer_conf conf = { .public_key = other->node_key, .owner = owner, .lazy = true };

	if (!host_peer(h, owner) || other->revoked)
		return false;
	return wg_peer_of_owner(h->wg, owner, id) || wg_peer_add(h->wg, &conf, id, NULL) == 0;
}

static bool on_unknown_peer(void *arg, const struct key *key)
{
	struct host *h = arg;
	struct host *other = map_get(&h->city->by_key, bytes_of(key->b, 32));
	struct wg_peer_id id;

	return other && peer_wanted(h, other->index, &id);
}

static void send_datagram(struct host *h, const struct wg_datagram *d)
{
	struct world *w = &h->city->w;
	struct peer *p = host_peer(h, d->owner);

	if (!p) { /* a cookie: back where the question came from */
		if (ip_is_valid(d->reply_to.addr.ip))
			send_udp(h, d->reply_to.addr, d->p, d->n);
		return;
	}
	magic_output(h->magic, w->now, d->owner);
	if (ip_is_valid(p->route.direct.ip))
		send_udp(h, p->route.direct, d->p, d->n);
	if (!ip_is_valid(p->route.direct.ip) || w->now.ns > p->route.trusted_until.ns)
		send_relay(h, &h->city->hosts[d->owner].node_key, d->p, d->n);
}

static void host_drain(struct host *h)
{
	struct world *w = &h->city->w;
	struct magic_datagram m;
	struct wg_datagram d;

	while (wg_next_datagram(h->wg, &d))
		send_datagram(h, &d);
	while (magic_next_datagram(h->magic, &m)) {
		if (m.to.kind == MAGIC_DIRECT)
			send_udp(h, m.to.addr, m.bytes, m.n);
		else
			send_relay(h, &m.to.node, m.bytes, m.n);
	}
	world_at(w, &h->timer, mono_min(wg_deadline(h->wg), magic_deadline(h->magic)));
}

static void on_timer(struct world *w, struct event *e)
{
	struct host *h = container_of(e, struct host, timer);

	if (!h->up)
		return;
	wg_tick(h->wg, world_time(w));
	magic_tick(h->magic, w->now);
	host_drain(h);
}

/* ---- packets inside the tunnel ---- */

/* IPv4, UDP, then from (4), to (4), sequence (4), check (4). */
static void packet_make(uint8_t out[PACKET_LEN], uint32_t from, uint32_t to, uint32_t seq)
{
	struct writer w = writer_of(out, PACKET_LEN);
	struct ip src = host_ip(from), dst = host_ip(to);

	write_be32(&w, 0x45000000 | PACKET_LEN);
	write_be32(&w, 0);
	write_be32(&w, 64u << 24 | 17u << 16);
	write_copy(&w, src.b, 4);
	write_copy(&w, dst.b, 4);
	write_be16(&w, 7000);
	write_be16(&w, 7001);
	write_be16(&w, PACKET_LEN - 20);
	write_be16(&w, 0);
	write_be32(&w, from);
	write_be32(&w, to);
	write_be32(&w, seq);
	write_be32(&w, from ^ to * 31 ^ seq * 1009);
}

static void check_packet(struct host *h, uint32_t owner, struct bytes packet)
{
	struct world *w = &h->city->w;
	struct reader r = reader_of(bytes_from(packet, 28));
	uint32_t from = read_be32(&r), to = read_be32(&r), seq = read_be32(&r),
		 check = read_be32(&r);
	struct peer *p = host_peer(h, owner);

	if (r.bad || check != (from ^ to * 31 ^ seq * 1009))
		world_violation(w, "host %u got a damaged packet from %u", h->index, owner);
	else if (to != h->index || from != owner)
		world_violation(w, "host %u got a packet of %u for %u from %u", h->index, from, to,
				owner);
	else if (!p || !p->may_receive)
		world_violation(w, "host %u got a packet from %u, which policy denies", h->index,
				owner);
	else if (h->revoked || h->city->hosts[owner].revoked)
		world_violation(w, "host %u heard %u after one of them was revoked", h->index,
				owner);
	else if (seq < p->next_seq && p->delivered > 4096)
		world_violation(w, "host %u got packet %u of %u again", h->index, seq, owner);
	if (!p)
		return;
	if (mono_is_zero(p->first_arrived))
		p->first_arrived = w->now;
	p->next_seq = seq + 1;
	p->delivered++;
	h->city->delivered++;
	world_note(w, "delivered", h->index, owner);
}

static void host_input(struct host *h, const struct magic_path *from, uint8_t *p, size_t n)
{
	struct city *c = h->city;
	struct wg_source source = { .addr = from->addr, .via = from->kind };
	static const struct filter_source anyone;
	struct wg_received got;
	struct ippkt pkt;

	if (magic_classify(bytes_of(p, n)) == MAGIC_DISCO) {
		magic_input(h->magic, c->w.now, from, bytes_of(p, n));
		host_drain(h);
		return;
	}
	if (wg_input(h->wg, world_time(&c->w), &source, p, n, &got) == WG_DELIVER &&
	    ippkt_parse(&pkt, got.packet) && filter_accepts(filter_in(h->filter, &anyone, &pkt)))
		check_packet(h, got.owner, got.packet);
	host_drain(h);
}

void host_attack(struct host *h, struct addrport from, struct bytes datagram)
{
	struct magic_path path = { .kind = MAGIC_DIRECT, .addr = from };
	uint8_t copy[2048];

	memcpy(copy, datagram.p, datagram.n);
	host_input(h, &path, copy, datagram.n);
}

void host_send(struct host *h, uint32_t to)
{
	struct world *w = &h->city->w;
	struct peer *p = host_peer(h, to);
	uint8_t packet[PACKET_LEN];
	struct wg_peer_id id;
	struct ippkt pkt;

	if (!p || !h->up || !peer_wanted(h, to, &id))
		return;
	if (mono_is_zero(p->first_sent))
		p->first_sent = w->now;
	packet_make(packet, h->index, to, (uint32_t)h->city->sent);
	h->city->sent++;
	if (ippkt_parse(&pkt, bytes_of(packet, sizeof(packet))))
		(void)filter_out(h->filter, &pkt);
	(void)wg_output(h->wg, world_time(w), id, bytes_of(packet, sizeof(packet)));
	host_drain(h);
}

bool host_is_direct(struct host *h, uint32_t other)
{
	struct peer *p = host_peer(h, other);

	return p && ip_is_valid(p->route.direct.ip) &&
	       h->city->w.now.ns <= p->route.trusted_until.ns;
}

/* ---- building ---- */

static struct bytes key_of_host(const void *item)
{
	return bytes_of(((const struct host *)item)->node_key.b, 32);
}

static struct bytes outside_of_host(const void *item)
{
	return bytes_of(((const struct host *)item)->gateway.outside.b, 4);
}

void city_init(struct city *c, uint64_t seed, size_t n)
{
	*c = (struct city){ .n = n,
			    .relay_up = true,
			    .control_up = true,
			    .relay_delay_ms = 10,
			    .control_delay_ms = 50 };
	world_init(&c->w, seed);
	map_init(&c->by_key, key_of_host, NULL);
	map_init(&c->by_outside, outside_of_host, NULL);
	c->hosts = mem_alloc(n * sizeof(*c->hosts));
	for (uint32_t i = 0; i < n; i++) {
		struct host *h = &c->hosts[i];

		h->city = c;
		h->index = i;
		h->rng = rng_seeded(rng_u64(&c->w.rng));
		x25519_generate(&h->node_private, &h->rng);
		x25519_public(h->node_key.b, &h->node_private);
		h->gateway.outside = ip_v4_of(0x0b000000 + i);
		h->timer.fire = on_timer;
		h->measured.fire = measured;
		h->told.fire = told;
		(void)map_put(&c->by_key, h);
		(void)map_put(&c->by_outside, h);
	}
}

static struct peer *know(struct host *h, uint32_t other)
{
	struct peer *p = host_peer(h, other);

	if (p)
		return p;
	mem_reserve(h->peers, h->peer_count, h->peer_cap);
	h->peers[h->peer_count++] = (struct peer){ .host = other };
	qsort(h->peers, h->peer_count, sizeof(*h->peers), compare_peers);
	return host_peer(h, other);
}

void city_allow(struct city *c, uint32_t a, uint32_t b)
{
	know(&c->hosts[a], b)->may_send = true;
	know(&c->hosts[b], a)->may_receive = true;
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
	wg_set_allowed(h->wg, h->allowed);
	mem_free(entries);
}

void host_start(struct city *c, uint32_t index, enum nat_kind nat, struct link link)
{
	struct host *h = &c->hosts[index];
	struct magic_conf magic = { .node_key = h->node_key,
				    .on_route = on_route,
				    .on_endpoints_wanted = on_endpoints_wanted,
				    .arg = h };
	struct wg_conf wg = { .private_key = h->node_private,
			      .rng = &h->rng,
			      .on_unknown_peer = on_unknown_peer,
			      .arg = h };

	h->link = link;
	h->gateway.kind = nat;
	magic.rng = rng_seeded(rng_u64(&h->rng));
	x25519_generate(&magic.disco_private, &h->rng);
	h->magic = magic_create(&magic);
	h->wg = wg_create(&wg, NULL);
	make_allowed(h);
	make_filter(h);
	h->up = true;
	for (size_t i = 0; i < h->peer_count; i++) {
		struct host *other = &c->hosts[h->peers[i].host];

		if (!other->up)
			continue;
		tell_peer(other, h); /* the first map */
		tell_peer(h, other);
	}
	measure(h);
	world_note(&c->w, "started", index, nat);
}

void host_moved(struct host *h, enum nat_kind nat)
{
	struct city *c = h->city;

	(void)map_remove(&c->by_outside, outside_of_host(h));
	gateway_fini(&h->gateway);
	gateway_init(&h->gateway, nat, ip_v4_of(0x0c000000 + rng_u32(&c->w.rng) % 0xffffff));
	while (map_get(&c->by_outside, outside_of_host(h)))
		h->gateway.outside = ip_v4_of(0x0c000000 + rng_u32(&c->w.rng) % 0xffffff);
	(void)map_put(&c->by_outside, h);
	world_note(&c->w, "moved", h->index, nat);
	magic_rebind(h->magic, c->w.now);
	measure(h);
	host_drain(h);
}

static void forget(struct host *h, uint32_t other)
{
	struct wg_peer_id id;

	if (!h->up)
		return;
	magic_peer_remove(h->magic, other);
	if (wg_peer_of_owner(h->wg, other, &id))
		(void)wg_peer_remove(h->wg, id);
}

void city_revoke(struct city *c, uint32_t index)
{
	struct host *h = &c->hosts[index];

	h->revoked = true;
	world_note(&c->w, "revoked", index, 0);
	for (size_t i = 0; i < h->peer_count; i++)
		forget(&c->hosts[h->peers[i].host], index);
}

void city_fini(struct city *c)
{
	struct heap_node *node;

	while ((node = heap_first(&c->w.events))) {
		struct event *e = container_of(node, struct event, node);

		heap_remove(&c->w.events, node);
		if (e->fire == arrive)
			mem_free(container_of(e, struct flight, event));
	}
	for (size_t i = 0; i < c->n; i++) {
		struct host *h = &c->hosts[i];

		wg_destroy(h->wg);
		magic_destroy(h->magic);
		wg_allowed_unref(h->allowed);
		filter_unref(h->filter);
		filter_flows_destroy(h->flows);
		gateway_fini(&h->gateway);
		mem_free(h->peers);
	}
	map_fini(&c->by_key);
	map_fini(&c->by_outside);
	mem_free(c->hosts);
	world_fini(&c->w);
}
