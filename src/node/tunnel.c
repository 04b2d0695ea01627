/* node/tunnel.c - see tunnel.h. Peers are in tunnel_peers.c, our own addresses in tunnel_self.c. */
#include "node/tunnel.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "node/netmap.h"
#include "node/prefs.h"
#include "node/privops.h"
#include "node/tunnel_state.h"
#include "part/portmapper.h"
#include "wire/stun.h"

enum {
	WATCH_MS = 1000,         /* how often a busy peer's path is kept alive */
	NETCHECK_MIN_MS = 20000, /* plus up to six seconds */
	NETCHECK_SPREAD_MS = 6000,
	ACTIVE_MS = 45000,
};

/* ---- what the engines want sent ---- */

void tunnel_flush_magic(struct tunnel *t)
{
	struct magic_datagram d;

	while (magic_next_datagram(t->magic, &d)) {
		struct bytes b = bytes_of(d.bytes, d.n);

		if (d.to.kind == MAGIC_DIRECT)
			(void)datapath_send_datagram(t->dp, &d.to.addr, b);
		else if (d.to.kind == MAGIC_RELAY)
			(void)relays_send(t->relays, d.to.region, &d.to.node, b);
	}
	io_timer_at(t->loop, &t->magic_timer, magic_deadline(t->magic));
}

static void on_magic_timer(struct io_timer *timer)
{
	struct tunnel *t = container_of(timer, struct tunnel, magic_timer);

	magic_tick(t->magic, loop_now(t->loop));
	tunnel_flush_magic(t);
}

static struct wg_time wg_now(const struct tunnel *t)
{
	return (struct wg_time){ loop_now(t->loop), wall_now() };
}

/* Not from on_route() itself, which may be called while the machine hands out a datagram. */
static void retry_handshakes(struct tunnel *t)
{
	struct wg_peer_id id;

	list_each_safe (it, &t->retries) {
		struct peer *p = list_entry(it, struct peer, retry);

		list_remove(&p->retry);
		if (wg_peer_of_owner(t->wg, p->owner, &id))
			wg_peer_retry(t->wg, wg_now(t), id);
	}
}

void tunnel_turn(struct tunnel *t)
{
	if (!t->dp)
		return;
	retry_handshakes(t);
	datapath_turn(t->dp, wg_now(t));
	if (t->dp)
		io_timer_at(t->loop, &t->dp_timer, datapath_deadline(t->dp));
}

static void on_dp_timer(struct io_timer *timer)
{
	tunnel_turn(container_of(timer, struct tunnel, dp_timer));
}

static void on_dp_ready(struct io_watch *w, unsigned events)
{
	(void)events;
	tunnel_turn(container_of(w, struct tunnel, dp_watch));
}

/* ---- hooks of the datapath ---- */

static enum datapath_verdict hook_in(void *arg, uint32_t owner, const struct ippkt *pkt,
				     struct bytes packet)
{
	struct tunnel *t = arg;
	enum datapath_verdict v =
	    gate_in(atomic_load_explicit(&t->gate, memory_order_acquire), owner, pkt);

	return v == DATAPATH_PASS && tunnel_is_echo_answer(t, pkt, packet) ? DATAPATH_LOCAL : v;
}

static enum datapath_verdict hook_out(void *arg, uint32_t owner, const struct ippkt *pkt,
				      struct bytes packet)
{
	struct tunnel *t = arg;

	(void)packet;
	return gate_out(atomic_load_explicit(&t->gate, memory_order_acquire), owner, pkt);
}

static bool on_datagram(void *arg, const struct datapath_source *from, struct bytes datagram)
{
	struct tunnel *t = arg;
	struct magic_path path = { .kind = MAGIC_DIRECT, .addr = from->addr };

	switch (magic_classify(datagram)) {
	case MAGIC_DISCO:
		/* Over a relay it comes with its sender, to on_relay_packet(). */
		if (!ip_is_valid(from->addr.ip))
			return true;
		magic_input(t->magic, loop_now(t->loop), &path, datagram);
		tunnel_flush_magic(t);
		return true;
	case MAGIC_STUN:
		netcheck_input(t->netcheck, from->addr, datagram);
		return true;
	case MAGIC_EMPTY:
		return true;
	default:
		return false;
	}
}

static void on_relay(void *arg, uint32_t region, uint32_t owner, const struct bytes *datagrams,
		     size_t n)
{
	struct tunnel *t = arg;
	const struct peer *p = tunnel_peer_at(t, owner);

	for (size_t i = 0; p && i < n; i++)
		(void)relays_send(t->relays, (int)region, &p->key, datagrams[i]);
}

static void on_send(void *arg, uint32_t owner)
{
	struct tunnel *t = arg;
	struct peer *p = tunnel_peer_at(t, owner);

	if (!p)
		return;
	p->last_send = t->last_send = loop_now(t->loop);
	p->watching = false;
	magic_output(t->magic, p->last_send, owner);
	tunnel_flush_magic(t);
	if (!heap_has(&t->watch_timer.node))
		io_timer_in_ms(t->loop, &t->watch_timer, WATCH_MS);
}

void tunnel_note_send(struct tunnel *t, uint32_t owner)
{
	on_send(t, owner);
}

/* Busy peers are asked about again, so that their paths are kept alive while traffic flows. */
static void on_watch_timer(struct io_timer *timer)
{
	struct tunnel *t = container_of(timer, struct tunnel, watch_timer);

	for (uint32_t i = 0; i < t->peer_cap; i++)
		if (t->peers[i] && !t->peers[i]->watching) {
			t->peers[i]->watching = true;
			datapath_watch_send(t->dp, i);
		}
}

static bool add_wg_peer(struct tunnel *t, const struct peer *p)
{
	struct wg_peer_conf conf = { .public_key = p->key, .owner = p->owner, .lazy = true };
	struct wg_peer_id id;
	struct err err;

	if (wg_peer_of_owner(t->wg, p->owner, &id))
		return true;
	if (wg_peer_add(t->wg, &conf, &id, &err) == 0)
		return true;
	log_debug(&t->conf.log, "peer %u: %s", p->owner, err.text);
	return false;
}

static bool on_missing_peer(void *arg, uint32_t owner)
{
	struct tunnel *t = arg;
	const struct peer *p = tunnel_peer_at(t, owner);

	return p && add_wg_peer(t, p);
}

static bool on_unknown_peer(void *arg, const struct key *public_key)
{
	struct tunnel *t = arg;
	const struct peer *p = tunnel_peer_by_key(t, public_key);

	return p && add_wg_peer(t, p);
}

static void on_session(void *arg, struct wg_peer_id id, uint32_t owner)
{
	struct tunnel *t = arg;

	(void)id;
	(void)owner;
	t->conf.on_live(t->conf.arg);
}

static void on_broken(void *arg, const struct err *why)
{
	struct tunnel *t = arg;

	t->conf.on_broken(t->conf.arg, why);
}

static void on_local(void *arg, bool outbound, uint32_t owner, struct bytes packet)
{
	struct tunnel *t = arg;

	if (outbound) {
		if (t->conf.on_service)
			t->conf.on_service(t->conf.arg, packet);
		return;
	}
	tunnel_take_packet(t, owner, packet);
	if (t->conf.on_peer_packet)
		t->conf.on_peer_packet(t->conf.arg, packet);
}

bool tunnel_write_host(struct tunnel *t, struct bytes packet)
{
	return t->dp && datapath_write_tun(t->dp, packet);
}

void tunnel_set_services(struct tunnel *t, const struct addrport *at, size_t n)
{
	t->service_count = n < GATE_SERVICES_MAX ? n : GATE_SERVICES_MAX;
	memcpy(t->services, at, t->service_count * sizeof(*at));
}

bool tunnel_send(struct tunnel *t, struct bytes packet)
{
	bool sent = t->dp && datapath_route_packet(t->dp, wg_now(t), packet);

	if (sent)
		tunnel_turn(t);
	return sent;
}

/* ---- events of paths and relays ---- */

static bool leads_somewhere(const struct datapath_path *p)
{
	return p->addr.ip.family || p->relay;
}

static void on_route(void *arg, uint32_t owner, const struct magic_route *route)
{
	struct tunnel *t = arg;
	struct datapath_path path = { .addr = route->direct,
				      .relay = (uint32_t)route->region,
				      .trusted_until = route->trusted_until };

	const struct datapath_path before = datapath_path_of(t->dp, owner);
	struct peer *p = tunnel_peer_at(t, owner);

	datapath_set_path(t->dp, owner, &path);
	if (p && !leads_somewhere(&before) && leads_somewhere(&path) && list_is_empty(&p->retry)) {
		list_append(&t->retries, &p->retry);
		io_timer_at(t->loop, &t->dp_timer, loop_now(t->loop));
	}
	t->conf.on_live(t->conf.arg);
}

static void on_endpoints_wanted(void *arg)
{
	struct tunnel *t = arg;

	netcheck_run(t->netcheck, false);
}

static void on_ping_result(void *arg, const struct magic_ping_result *r)
{
	struct tunnel *t = arg;
	struct tunnel_ping ping = { .token = r->token, .latency_ns = r->latency_ns };

	if (r->path.kind == MAGIC_NONE)
		ping.latency_ns = -1;
	else if (r->path.kind == MAGIC_DIRECT)
		ping.direct = r->path.addr;
	else
		ping.region = r->path.region;
	t->conf.on_ping(t->conf.arg, &ping);
}

static void on_relay_packet(void *arg, int region, const struct key *from, struct bytes pkt)
{
	struct tunnel *t = arg;
	struct magic_path path = { .kind = MAGIC_RELAY, .region = region, .node = *from };
	struct datapath_source source = { .relay = (uint32_t)region };

	switch (magic_classify(pkt)) {
	case MAGIC_DISCO:
		magic_input(t->magic, loop_now(t->loop), &path, pkt);
		tunnel_flush_magic(t);
		return;
	case MAGIC_WIREGUARD:
		if (tunnel_peer_by_key(t, from) && datapath_inject(t->dp, pkt, &source))
			tunnel_turn(t);
		return;
	default:
		return;
	}
}

static void on_relay_change(void *arg)
{
	struct tunnel *t = arg;

	t->conf.on_live(t->conf.arg);
}

static bool on_socket(void *arg, int fd)
{
	struct tunnel *t = arg;
	struct err err;

	if (t->conf.priv->ops->mark(t->conf.priv, fd, &err) == 0)
		return true;
	log_debug(&t->conf.log, "%s", err.text);
	return true; /* without privileges there are no routes to loop through either */
}

/* ---- netcheck ---- */

static bool netcheck_send(void *arg, const struct addrport *to, struct bytes datagram)
{
	struct tunnel *t = arg;

	if (to->ip.family == 6 && t->udp6.fd < 0)
		return false;
	return datapath_send_datagram(t->dp, to, datagram);
}

static int64_t netcheck_heard(void *arg, int region)
{
	struct tunnel *t = arg;

	return relays_heard_ms(t->relays, region);
}

static void schedule_netcheck(struct tunnel *t)
{
	io_timer_in_ms(t->loop, &t->netcheck_timer,
		       NETCHECK_MIN_MS + (int64_t)rng_below(&t->rng, NETCHECK_SPREAD_MS));
}

static void on_report(void *arg, const struct netcheck_report *report)
{
	struct tunnel *t = arg;

	relays_set_home(t->relays, report->preferred);
	tunnel_update_endpoints(t);
	t->conf.on_netinfo(t->conf.arg, report);
	schedule_netcheck(t);
	portmapper_want(t->ports, t->udp4.port);
}

static void mark_ports_socket(void *arg, int fd)
{
	(void)on_socket(arg, fd);
}

static void on_ports(void *arg)
{
	struct tunnel *t = arg;
	struct portmapper_services s = portmapper_services(t->ports);
	struct netcheck_ports ports = { .checked = s.checked, .pmp = s.pmp, .pcp = s.pcp };
	struct addrport at;

	ports.mapped = portmapper_mapped(t->ports, &at);
	tunnel_update_endpoints(t);
	if (netcheck_set_ports(t->netcheck, ports) && netcheck_last(t->netcheck))
		t->conf.on_netinfo(t->conf.arg, netcheck_last(t->netcheck));
}

/* Idle nodes do not probe: their mappings may close. */
static void on_netcheck_timer(struct io_timer *timer)
{
	struct tunnel *t = container_of(timer, struct tunnel, netcheck_timer);
	bool active = !mono_is_zero(t->last_send) &&
		      mono_since_ms(loop_now(t->loop), t->last_send) < ACTIVE_MS;
	bool homeless = t->map && !netcheck_home(t->netcheck);

	if (active || homeless)
		netcheck_run(t->netcheck, false);
	else
		schedule_netcheck(t);
}

void tunnel_netcheck(struct tunnel *t)
{
	netcheck_run(t->netcheck, true);
}

void tunnel_rebind(struct tunnel *t)
{
	magic_rebind(t->magic, loop_now(t->loop));
	tunnel_flush_magic(t);
	relays_check(t->relays);
	portmapper_rebind(t->ports, t->udp4.port);
	tunnel_update_endpoints(t);
	netcheck_run(t->netcheck, true);
}

/* ---- making and ending it ---- */

static int open_socket(struct tunnel *t, uint8_t family, uint16_t port, struct udp *u,
		       struct err *err)
{
	struct privops_udp want = { .family = family, .port = port };
	int fd;

	if (t->conf.priv->ops->open_udp(t->conf.priv, &want, &fd, err) < 0)
		return -1;
	if (udp_adopt(u, fd, err) < 0) {
		(void)close(fd);
		return -1;
	}
	return 0;
}

/* The port that was asked for, else any; IPv6 on the same one when that is free. */
static int open_sockets(struct tunnel *t, struct err *err)
{
	struct err taken, no_six;

	t->udp4.fd = t->udp6.fd = -1;
	if (open_socket(t, 4, t->conf.port, &t->udp4, &taken) < 0) {
		if (!t->conf.port) {
			*err = taken;
			return -1;
		}
		log_warn(&t->conf.log, "port %u is not free (%s), taking another", t->conf.port,
			 taken.text);
		if (open_socket(t, 4, 0, &t->udp4, err) < 0)
			return -1;
	}
	if (open_socket(t, 6, t->udp4.port, &t->udp6, &no_six) < 0 &&
	    open_socket(t, 6, 0, &t->udp6, &no_six) < 0)
		log_debug(&t->conf.log, "no IPv6: %s", no_six.text);
	return 0;
}

static int open_device(struct tunnel *t, struct err *err)
{
	struct privops_tun want = { .mtu = TUNNEL_MTU };
	int fd;

	t->tun.fd = -1;
	if (t->conf.packets) {
		t->tun = *t->conf.packets;
		t->tun.fd = fcntl(t->conf.packets->fd, F_DUPFD_CLOEXEC, 0);
		return t->tun.fd < 0 ? err_sys(err, "duplicate the packet socket") : 0;
	}
	if (!t->conf.tun_name)
		return 0;
	(void)strncpy(want.name, t->conf.tun_name, sizeof(want.name) - 1);
	if (t->conf.priv->ops->open_tun(t->conf.priv, &want, &fd, err) < 0)
		return -1;
	if (tun_attach(&t->tun, fd, false, false, err) < 0) {
		(void)close(fd);
		return -1;
	}
	return 0;
}

static int make_engines(struct tunnel *t, struct err *err)
{
	struct wg_conf wg = { .private_key = t->conf.node_key,
			      .rng = &t->rng,
			      .mtu = TUNNEL_MTU,
			      .data_threads = t->conf.threads > 0,
			      .on_unknown_peer = on_unknown_peer,
			      .on_session = on_session,
			      .arg = t };
	struct magic_conf magic = { .rng = rng_system(),
				    .on_route = on_route,
				    .on_endpoints_wanted = on_endpoints_wanted,
				    .on_ping_result = on_ping_result,
				    .arg = t };
	struct datapath_conf dp = { .tun = t->tun.fd >= 0 ? &t->tun : NULL,
				    .udp4 = &t->udp4,
				    .udp6 = t->udp6.fd >= 0 ? &t->udp6 : NULL,
				    .mtu = TUNNEL_MTU,
				    .threads = t->conf.threads,
				    .hooks = { .filter_out = hook_out,
					       .filter_in = hook_in,
					       .on_local = on_local,
					       .on_datagram = on_datagram,
					       .on_relay = on_relay,
					       .on_send = on_send,
					       .on_missing_peer = on_missing_peer,
					       .on_broken = on_broken,
					       .arg = t } };

	x25519_public(t->self_key.b, &t->conf.node_key);
	x25519_generate(&magic.disco_private, &t->rng);
	magic.node_key = t->self_key;
	t->magic = magic_create(&magic);
	secret32_wipe(&magic.disco_private);
	t->wg = wg_create(&wg, err);
	secret32_wipe(&wg.private_key);
	if (!t->wg)
		return -1;
	dp.wg = t->wg;
	t->dp = datapath_create(&dp, err);
	if (!t->dp)
		return -1;
	return io_watch_start(t->loop, &t->dp_watch, datapath_fd(t->dp), IO_READ, on_dp_ready, err);
}

static void make_parts(struct tunnel *t)
{
	struct relays_conf relays = { .node_key = t->conf.node_key,
				      .log = t->conf.log,
				      .on_socket = on_socket,
				      .on_packet = on_relay_packet,
				      .on_change = on_relay_change,
				      .arg = t };
	struct netcheck_conf netcheck = { .rng = rng_system(),
					  .log = t->conf.log,
					  .send = netcheck_send,
					  .on_report = on_report,
					  .relay_heard_ms = netcheck_heard,
					  .arg = t };
	struct portmapper_conf ports = {
		.log = t->conf.log, .on_socket = mark_ports_socket, .on_change = on_ports, .arg = t
	};
	uint8_t seed[16];

	relays.log.subsystem = "derp";
	netcheck.log.subsystem = "netcheck";
	ports.log.subsystem = "portmap";
	t->relays = relays_create(t->loop, &relays);
	secret32_wipe(&relays.node_key);
	t->netcheck = netcheck_create(t->loop, &netcheck);
	t->ports = portmapper_create(t->loop, &ports);
	t->rng.fill(&t->rng, seed, sizeof(seed));
	t->flows = filter_flows_create(seed);
	t->rng.fill(&t->rng, seed, sizeof(seed));
	map_init(&t->by_key, tunnel_peer_key, seed);
}

struct tunnel *tunnel_create(struct loop *loop, const struct tunnel_conf *conf, struct err *err)
{
	struct tunnel *t = mem_alloc(sizeof(*t));

	t->loop = loop;
	t->conf = *conf;
	t->rng = rng_system();
	t->udp4.fd = t->udp6.fd = t->tun.fd = -1;
	list_init(&t->retries);
	io_timer_init(&t->magic_timer, on_magic_timer);
	io_timer_init(&t->dp_timer, on_dp_timer);
	io_timer_init(&t->watch_timer, on_watch_timer);
	io_timer_init(&t->netcheck_timer, on_netcheck_timer);
	io_timer_init(&t->ping_timer, tunnel_on_ping_timer);
	list_init(&t->packet_pings);
	t->echo_id = (uint16_t)rng_below(&t->rng, 0x10000);
	make_parts(t);
	if (open_sockets(t, err) < 0 || open_device(t, err) < 0 || make_engines(t, err) < 0) {
		tunnel_destroy(t);
		return NULL;
	}
	tunnel_apply(t, NULL, NULL, NULL);
	return t;
}

static void free_later(void *arg)
{
	struct tunnel *t = arg;

	secret_wipe(t, sizeof(*t));
	mem_free(t);
}

void tunnel_destroy(struct tunnel *t)
{
	if (!t)
		return;
	io_timer_stop(&t->magic_timer);
	io_timer_stop(&t->dp_timer);
	io_timer_stop(&t->watch_timer);
	io_timer_stop(&t->netcheck_timer);
	tunnel_free_pings(t);
	io_watch_stop(&t->dp_watch);
	portmapper_destroy(t->ports);
	netcheck_destroy(t->netcheck);
	relays_destroy(t->relays);
	datapath_destroy(t->dp);
	t->dp = NULL;
	wg_destroy(t->wg);
	magic_destroy(t->magic);
	tunnel_free_peers(t);
	gate_destroy(atomic_load(&t->gate));
	filter_flows_destroy(t->flows);
	tun_close(&t->tun);
	udp_close(&t->udp4);
	udp_close(&t->udp6);
	netmap_unref(t->map);
	loop_defer(t->loop, free_later, t);
}

/* ---- questions ---- */

struct key tunnel_disco_key(const struct tunnel *t)
{
	return magic_disco_key(t->magic);
}

uint16_t tunnel_port(const struct tunnel *t)
{
	return t->udp4.port;
}

const struct netcheck_report *tunnel_report(const struct tunnel *t)
{
	return netcheck_last(t->netcheck);
}

int tunnel_home(const struct tunnel *t)
{
	return relays_home(t->relays);
}

size_t tunnel_relays_up(const struct tunnel *t)
{
	return relays_up_count(t->relays);
}

size_t tunnel_live_peers(const struct tunnel *t)
{
	struct mono now = loop_now(t->loop);
	struct wg_peer_status s;
	struct wg_peer_id id;
	size_t it = 0, live = 0;

	while (wg_peer_next(t->wg, &it, &id))
		live += wg_peer_status(t->wg, now, id, &s) && s.has_session;
	return live;
}

void tunnel_counters(const struct tunnel *t, struct buf *out)
{
	for (int c = 0; c < DATAPATH_COUNTER_COUNT; c++)
		(void)buf_printf(
		    out, "datapath_%s %llu %s\n", datapath_counter_name((enum datapath_counter)c),
		    (unsigned long long)datapath_count(t->dp, (enum datapath_counter)c),
		    datapath_counter_sentence((enum datapath_counter)c));
	for (int v = 0; v < WG_VERDICT_COUNT; v++)
		(void)buf_printf(out, "wg_%d %llu %s\n", v,
				 (unsigned long long)wg_count_verdict(t->wg, (enum wg_verdict)v),
				 wg_verdict_sentence((enum wg_verdict)v));
#define X(name, sentence)                                                                          \
	(void)buf_printf(out, "magic_" #name " %llu %s\n",                                         \
			 (unsigned long long)magic_counters(t->magic)->name, sentence);
	MAGIC_COUNTERS(X)
#undef X
}
