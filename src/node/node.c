/* node/node.c - see node.h. One function, update(), makes the world follow what is wanted. */
#include "node/node.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "crypto/x25519.h"
#include "io/loop.h"
#include "node/exitnode.h"
#include "node/hostinfo.h"
#include "node/lan.h"
#include "node/netmap.h"
#include "node/nodedns.h"
#include "node/peerapi.h"
#include "node/prefs.h"
#include "node/privops.h"
#include "node/routes.h"
#include "node/state.h"
#include "part/control_client/control_client.h"
#include "part/noise_stream.h"
#include "wire/ippkt.h"
#include "wire/tailcfg_register.h"

enum {
	SAVE_MAP_MS = 10 * 1000,
	MAP_JSON_MAX = 128 << 20,
	HOSTINFO_MAX = 256 << 10,
	URL_TEXT_MAX = 2048,
};

#define DEFAULT_CONTROL_URL "https://controlplane.tailscale.com"

struct node {
	struct loop *loop;
	struct node_conf conf;
	struct log log;
	struct rng rng;
	struct state *state;
	enum node_state now;
	struct control_client *control;
	char control_url[URL_TEXT_MAX]; /* of the client above */
	struct tunnel *tunnel;
	bool tunnel_broken; /* on_broken() came; replaced at the next change */
	struct routes *routes;
	struct lan lan;
	struct nodedns *dns;
	struct peerapi *peerapi;
	struct netmap *map;
	bool map_stale, map_applied;
	bool auth_blocked; /* control waits for a person */
	bool login_wanted; /* somebody asked for a login that has not ended */
	bool key_login;    /* ... with an auth key, and nothing was said against it yet */
	bool online, destroyed;
	char auth_url[URL_TEXT_MAX];
	char error[512];
	struct io_timer save_map, expiry;
	struct list listeners, pings;
	uint64_t next_token;
	void (*logout_done)(void *arg, const struct err *err);
	void *logout_arg;
};

static void update(struct node *n);
static void send_hostinfo(struct node *n);

const char *node_state_name(enum node_state s)
{
	switch (s) {
	case NODE_NEEDS_LOGIN:
		return "NeedsLogin";
	case NODE_NEEDS_MACHINE_AUTH:
		return "NeedsMachineAuth";
	case NODE_STOPPED:
		return "Stopped";
	case NODE_STARTING:
		return "Starting";
	case NODE_RUNNING:
		return "Running";
	default:
		return "NoState";
	}
}

/* ---- events ---- */

static void tell(struct node *n, unsigned events)
{
	list_each_safe (it, &n->listeners) {
		struct node_listener *l = list_entry(it, struct node_listener, node);

		l->on_event(l, events);
	}
}

void node_listen(struct node *n, struct node_listener *l)
{
	list_append(&n->listeners, &l->node);
}

void node_unlisten(struct node_listener *l)
{
	list_remove(&l->node);
}

static void set_error(struct node *n, const char *text)
{
	if (!strcmp(n->error, text))
		return;
	(void)snprintf(n->error, sizeof(n->error), "%s", text);
	if (*text)
		tell(n, NODE_EVENT_ERROR);
}

static void save(struct node *n)
{
	struct err err;

	if (state_save(n->state, &err) < 0) {
		log_error(&n->log, "state was not saved: %s", err.text);
		set_error(n, err.text);
	}
}

/* ---- the state ---- */

static bool is_expired(const struct node *n)
{
	return n->map && netmap_node_is_expired(n->map, netmap_self(n->map), wall_now());
}

static bool is_live(const struct node *n)
{
	return n->tunnel && (tunnel_relays_up(n->tunnel) || tunnel_live_peers(n->tunnel));
}

/* upstream: ipn/ipnlocal/local.go, nextState */
static enum node_state next_state(const struct node *n)
{
	const struct prefs_values *v = &state_prefs(n->state)->v;
	bool key = node_has_key(n);

	if (!v->want_running && !v->logged_out && key)
		return NODE_STOPPED;
	if (!n->map) {
		if (n->auth_blocked || v->logged_out || (!key && !n->login_wanted))
			return NODE_NEEDS_LOGIN;
		return n->now == NODE_STOPPED || key ? NODE_STARTING : NODE_NEEDS_LOGIN;
	}
	if (!v->want_running)
		return key ? NODE_STOPPED : NODE_NEEDS_LOGIN;
	if (is_expired(n) || !key)
		return NODE_NEEDS_LOGIN;
	if (!netmap_self(n->map)->machine_authorized)
		return NODE_NEEDS_MACHINE_AUTH;
	if (n->now == NODE_NEEDS_MACHINE_AUTH)
		return NODE_STARTING;
	if (n->now == NODE_RUNNING)
		return NODE_RUNNING;
	return is_live(n) ? NODE_RUNNING : NODE_STARTING;
}

static void set_state(struct node *n, enum node_state next)
{
	if (next == n->now)
		return;
	log_info(&n->log, "state %s -> %s", node_state_name(n->now), node_state_name(next));
	n->now = next; /* the only assignment */
	if (next == NODE_RUNNING)
		n->error[0] = '\0';
	tell(n, NODE_EVENT_STATE);
}

/* ---- map to tunnel and routes ---- */

static bool may_pass(const struct node *n)
{
	return n->map && (n->now == NODE_STARTING || n->now == NODE_RUNNING);
}

/*
 * The exit node as an ID: an address becomes one when its node appears, "auto" takes what would be
 * suggested and keeps what it has as long as that is the best there is.
 */
static void settle_exit_node(struct node *n)
{
	struct prefs_values v = state_prefs(n->state)->v;
	const struct tailcfg_node *exit = NULL;
	struct prefs *fresh;
	struct err err;

	if (!n->map)
		return;
	if (v.auto_exit_node.n)
		exit = node_suggest_exit(n, &err);
	else if (!v.exit_node_id.n && ip_is_valid(v.exit_node_ip))
		exit = netmap_node_by_ip(n->map, v.exit_node_ip);
	if (!exit || bytes_equal(exit->stable_id, v.exit_node_id))
		return;
	v.exit_node_id = exit->stable_id;
	v.exit_node_ip = (struct ip){ 0 };
	fresh = prefs_with(state_prefs(n->state), &v);
	if (!fresh)
		return;
	state_set_prefs(n->state, fresh);
	save(n);
	log_info(&n->log, "exit node is %.*s", BYTES_FMT(netmap_node_label(exit)));
	tell(n, NODE_EVENT_PREFS);
}

static void deferred_hostinfo(void *arg)
{
	struct node *n = arg;

	if (!n->destroyed)
		send_hostinfo(n);
}

static void apply_peerapi(struct node *n, const struct netmap *map, const struct prefs *prefs)
{
	const struct addrport *at;
	size_t count;

	if (peerapi_apply(n->peerapi, map, prefs))
		loop_defer(n->loop, deferred_hostinfo, n); /* control is on the stack, perhaps */
	at = peerapi_at(n->peerapi, &count);
	tunnel_set_services(n->tunnel, at, count);
}

/* diff NULL: everything. */
static void apply_map(struct node *n, const struct netmap_diff *diff)
{
	const struct netmap *map = may_pass(n) ? n->map : NULL;
	const struct prefs *prefs = state_prefs(n->state);
	struct err err = { 0 };

	if (!n->tunnel)
		return;
	/* A diff is only good when the map before was applied. */
	if (!n->map_applied || !map)
		diff = NULL;
	apply_peerapi(n, map, prefs);
	tunnel_apply(n->tunnel, map, prefs, diff);
	nodedns_apply(n->dns, map, prefs, diff);
	n->map_applied = map != NULL;
	if (n->conf.tun_name && routes_apply(n->routes, map, prefs, &n->lan, &err) < 0)
		set_error(n, err.text);
}

static void arm_expiry(struct node *n)
{
	struct wall now = wall_now();
	int64_t ms;

	if (!n->map)
		return;
	ms = (netmap_next_expiry(n->map, now).ns - now.ns) / 1000000;
	/* Once a day is often enough to look again. */
	io_timer_in_ms(n->loop, &n->expiry, ms > 86400000 ? 86400000 : ms + 50);
}

static void on_expiry(struct io_timer *t)
{
	struct node *n = container_of(t, struct node, expiry);

	update(n);
	apply_map(n, NULL);
	arm_expiry(n);
}

static void save_map(struct node *n)
{
	struct buf json;
	struct err err;

	if (!n->map || n->map_stale)
		return;
	buf_init(&json, MAP_JSON_MAX);
	if (netmap_encode(n->map, &json) &&
	    state_save_map(n->state, buf_bytes(&json), &n->rng, &err) < 0)
		log_warn(&n->log, "map was not saved: %s", err.text);
	buf_fini(&json);
}

static void on_save_map(struct io_timer *t)
{
	save_map(container_of(t, struct node, save_map));
}

static void load_map(struct node *n)
{
	struct buf json;
	struct err err;

	if (state_load_map(n->state, &json, &err) == 0) {
		n->map = netmap_decode(buf_bytes(&json), wall_now(), &err);
		n->map_stale = n->map != NULL;
	}
	buf_fini(&json);
	if (n->map)
		log_info(&n->log, "map of last time loaded, %zu peers, until control is heard",
			 netmap_peer_count(n->map));
	else if (err.code != ERR_NONE)
		log_warn(&n->log, "map of last time is of no use: %s", err.text);
}

/* ---- the tunnel ---- */

static void send_hostinfo(struct node *n)
{
	struct hostinfo_more more = { .version = n->conf.version,
				      .report = n->tunnel ? tunnel_report(n->tunnel) : NULL };
	struct buf json;

	if (!n->control)
		return;
	more.peerapi = peerapi_at(n->peerapi, &more.peerapi_count);
	buf_init(&json, HOSTINFO_MAX);
	hostinfo_write(&json, state_prefs(n->state), &more);
	control_client_set_hostinfo(n->control, buf_bytes(&json));
	buf_fini(&json);
}

static void send_endpoints(struct node *n)
{
	struct tunnel_endpoint from[TUNNEL_ENDPOINTS_MAX];
	struct control_endpoint to[TUNNEL_ENDPOINTS_MAX];
	struct key disco;
	size_t count;

	if (!n->control || !n->tunnel)
		return;
	count = tunnel_endpoints(n->tunnel, from, TUNNEL_ENDPOINTS_MAX);
	for (size_t i = 0; i < count; i++)
		to[i] = (struct control_endpoint){ from[i].at, from[i].type };
	disco = tunnel_disco_key(n->tunnel);
	control_client_set_endpoints(n->control, &disco, to, count);
}

static void on_endpoints(void *arg, const struct tunnel_endpoint *endpoints, size_t count)
{
	(void)endpoints;
	(void)count;
	send_endpoints(arg);
}

static void on_netinfo(void *arg, const struct netcheck_report *report)
{
	struct node *n = arg;

	(void)report;
	send_hostinfo(n);
	/* Now it is known what is near. */
	if (state_prefs(n->state)->v.auto_exit_node.n && !state_prefs(n->state)->v.exit_node_id.n) {
		settle_exit_node(n);
		if (state_prefs(n->state)->v.exit_node_id.n)
			apply_map(n, NULL);
	}
}

static void deferred_update(void *arg)
{
	struct node *n = arg;

	if (!n->destroyed)
		update(n);
}

static void on_live(void *arg)
{
	struct node *n = arg;

	if (n->now == NODE_STARTING)
		loop_defer(n->loop, deferred_update, n);
}

static void on_ping(void *arg, const struct tunnel_ping *r)
{
	struct node *n = arg;

	list_each_safe (it, &n->pings) {
		struct node_ping *p = list_entry(it, struct node_ping, node);

		if (p->token != r->token)
			continue;
		list_remove(&p->node);
		p->on_result(p, r);
		return;
	}
}

static void on_broken(void *arg, const struct err *why)
{
	struct node *n = arg;

	log_error(&n->log, "tunnel broke: %s", why->text);
	set_error(n, why->text);
	n->tunnel_broken = true;
	loop_defer(n->loop, deferred_update, n);
}

static void on_service(void *arg, struct bytes packet)
{
	struct node *n = arg;

	nodedns_packet(n->dns, packet);
}

static void on_peer_packet(void *arg, struct bytes packet)
{
	struct node *n = arg;

	peerapi_packet(n->peerapi, packet);
}

static void send_to_peer(void *arg, struct bytes packet)
{
	struct node *n = arg;

	if (n->tunnel)
		(void)tunnel_send(n->tunnel, packet);
}

/*
 * Would a connection from there to a resolver on the internet pass the rules? Asked with an address
 * that no policy names alone (upstream: ipn/ipnlocal/peerapi.go, replyToDNSQueries).
 */
static bool may_exit(void *arg, int64_t node_id, struct ip from)
{
	static const uint8_t six[16] = { 0x20 };
	struct node *n = arg;
	struct ippkt open = { .version = from.family,
			      .proto = IPPKT_TCP,
			      .has_ports = true,
			      .tcp_flags = TCP_SYN,
			      .dst_port = 53,
			      .src = from };

	open.dst = from.family == 4 ? ip_v4(0, 0, 0, 0) : ip_v6_of(six);
	return n->tunnel && tunnel_peer_may_send(n->tunnel, node_id, &open);
}

static void on_dns_change(void *arg)
{
	struct node *n = arg;

	nodedns_apply(n->dns, n->map_applied ? n->map : NULL, state_prefs(n->state), NULL);
}

static void write_host(void *arg, struct bytes packet)
{
	struct node *n = arg;

	if (n->tunnel)
		(void)tunnel_write_host(n->tunnel, packet);
}

static void drop_tunnel(struct node *n)
{
	if (!n->tunnel)
		return;
	nodedns_apply(n->dns, NULL, state_prefs(n->state), NULL);
	(void)peerapi_apply(n->peerapi, NULL, state_prefs(n->state));
	routes_clear(n->routes);
	tunnel_destroy(n->tunnel);
	n->tunnel = NULL;
	n->tunnel_broken = false;
	n->map_applied = false;
}

static void make_tunnel(struct node *n)
{
	struct tunnel_conf conf = { .priv = n->conf.priv,
				    .tun_name = n->conf.tun_name,
				    .packets = n->conf.packets,
				    .port = n->conf.port,
				    .threads = n->conf.threads,
				    .lan = &n->lan,
				    .node_key = *state_node_key(n->state),
				    .log = log_of(n->conf.sink, "tunnel", NULL),
				    .on_endpoints = on_endpoints,
				    .on_netinfo = on_netinfo,
				    .on_live = on_live,
				    .on_ping = on_ping,
				    .on_broken = on_broken,
				    .on_service = on_service,
				    .on_peer_packet = on_peer_packet,
				    .arg = n };
	struct err err = { 0 };

	lan_read(&n->lan, n->conf.tun_name);
	n->tunnel = tunnel_create(n->loop, &conf, &err);
	secret32_wipe(&conf.node_key);
	if (!n->tunnel) {
		log_error(&n->log, "tunnel was not made: %s", err.text);
		set_error(n, err.text);
		return;
	}
	send_endpoints(n);
}

/* ---- the control client ---- */

static void on_control_state(void *arg, enum control_state s)
{
	struct node *n = arg;

	n->online = s == CONTROL_STREAMING;
	if (n->online)
		n->error[0] = '\0';
	loop_defer(n->loop, deferred_update, n);
}

static void on_auth_url(void *arg, const char *url)
{
	struct node *n = arg;

	(void)snprintf(n->auth_url, sizeof(n->auth_url), "%s", url);
	n->auth_blocked = *url != '\0';
	if (*url) {
		log_info(&n->log, "login URL: %s", url);
		tell(n, NODE_EVENT_URL);
	}
	loop_defer(n->loop, deferred_update, n);
}

static void on_control_error(void *arg, const char *text)
{
	struct node *n = arg;

	n->key_login = false;
	set_error(n, text);
}

static void take_user(struct node *n, const struct tailcfg_register_response *who)
{
	struct state_profile *p = state_profile(n->state);
	struct tailcfg_user_profile user = { 0 };
	struct json_out o;
	struct buf json;

	if (who->login) {
		user.id = who->login->id;
		user.login_name = who->login->login_name;
		user.display_name = who->login->display_name;
		user.profile_pic_url = who->login->profile_pic_url;
	}
	if (who->user)
		user.id = who->user->id;
	buf_init(&json, 64 << 10);
	json_out_init(&o, &json);
	schema_encode(&o, &tailcfg_user_profile_schema, &user);
	state_set_text(&p->user, buf_bytes(&json));
	state_set_text(&p->login_name, user.login_name);
	buf_fini(&json);
}

static void on_login(void *arg, const struct control_keys *keys,
		     const struct tailcfg_register_response *who)
{
	struct node *n = arg;
	struct prefs_values v = state_prefs(n->state)->v;
	bool new_key =
	    !secret_equal(state_node_key(n->state), &keys->node, sizeof(struct secret32));

	*state_node_key(n->state) = keys->node;
	*state_old_node_key(n->state) = keys->old_node;
	take_user(n, who);
	n->auth_blocked = false;
	v.logged_out = false;
	if (n->login_wanted)
		v.want_running = true;
	n->login_wanted = n->key_login = false;
	state_set_prefs(n->state, prefs_with(state_prefs(n->state), &v));
	save(n);
	if (new_key) {
		drop_tunnel(n);
		netmap_unref(n->map);
		n->map = NULL;
	}
	log_info(&n->log, "logged in as %s", state_profile(n->state)->login_name);
	update(n);
	tell(n, NODE_EVENT_LOGIN | NODE_EVENT_PREFS);
}

static void take_identity(struct node *n)
{
	struct state_profile *p = state_profile(n->state);
	const struct tailcfg_node *self = netmap_self(n->map);
	struct bytes domain = netmap_domain(n->map), suffix = netmap_node_suffix(self);

	if (bytes_equal_str(self->stable_id, p->stable_id) && bytes_equal_str(domain, p->domain) &&
	    bytes_equal_str(suffix, p->magic_suffix))
		return;
	state_set_text(&p->stable_id, self->stable_id);
	state_set_text(&p->domain, domain);
	state_set_text(&p->magic_suffix, suffix);
	save(n);
}

static int on_map(void *arg, bool first, const struct tailcfg_map_response *frame, struct err *err)
{
	struct node *n = arg;
	struct netmap *old = n->map, *map = netmap_apply(old, first, frame, wall_now(), err);
	struct netmap_diff diff;

	if (!map)
		return -1;
	netmap_diff(old, map, &diff);
	n->map = map;
	n->map_stale = false;
	set_state(n, next_state(n));
	settle_exit_node(n);
	apply_map(n, &diff);
	netmap_diff_fini(&diff);
	netmap_unref(old);
	take_identity(n);
	arm_expiry(n);
	if (!heap_has(&n->save_map.node))
		io_timer_in_ms(n->loop, &n->save_map, SAVE_MAP_MS);
	update(n);
	tell(n, NODE_EVENT_MAP);
	return 0;
}

static void forget_login(struct node *n)
{
	struct prefs_values v = state_prefs(n->state)->v;
	struct state_profile *p = state_profile(n->state);

	v.logged_out = true;
	v.want_running = false;
	secret32_wipe(state_node_key(n->state));
	state_set_text(&p->stable_id, bytes_str(""));
	state_set_text(&p->user, bytes_str(""));
	state_set_text(&p->login_name, bytes_str(""));
	state_set_prefs(n->state, prefs_with(state_prefs(n->state), &v));
	state_forget_map(n->state);
	save(n);
	io_timer_stop(&n->save_map);
	drop_tunnel(n);
	netmap_unref(n->map);
	n->map = NULL;
	n->auth_url[0] = '\0';
	n->error[0] = '\0';
	n->auth_blocked = n->login_wanted = false;
}

static void on_logout(void *arg, const struct err *err)
{
	struct node *n = arg;
	void (*done)(void *, const struct err *) = n->logout_done;

	n->logout_done = NULL;
	forget_login(n);
	update(n);
	tell(n, NODE_EVENT_PREFS);
	if (done)
		done(n->logout_arg, err);
}

static bool on_control_socket(void *arg, int fd)
{
	struct node *n = arg;
	struct err err;

	(void)n->conf.priv->ops->mark(n->conf.priv, fd, &err);
	return true;
}

static struct stream *noise_over(struct stream *below, struct ts2021 *channel)
{
	return noise_stream_client(below, channel, NULL, NULL);
}

static void url_of(const struct prefs *prefs, char out[URL_TEXT_MAX])
{
	if (!prefs->v.control_url.n || !bytes_to_cstr(prefs->v.control_url, out, URL_TEXT_MAX))
		(void)snprintf(out, URL_TEXT_MAX, "%s", DEFAULT_CONTROL_URL);
}

static int make_control(struct node *n, struct err *err)
{
	struct control_client_conf conf = { .url = n->control_url,
					    .ca_file = n->conf.ca_file,
					    .machine = *state_machine_key(n->state),
					    .keys = { *state_node_key(n->state),
						      *state_old_node_key(n->state) },
					    .rng = rng_system(),
					    .log = log_of(n->conf.sink, "control", NULL),
					    .ephemeral = n->conf.ephemeral,
					    .noise = noise_over,
					    .on_socket = on_control_socket,
					    .on_state = on_control_state,
					    .on_auth_url = on_auth_url,
					    .on_error = on_control_error,
					    .on_login = on_login,
					    .on_map = on_map,
					    .on_logout = on_logout,
					    .arg = n };

	ed25519_public(conf.nl_key.b, state_nl_key(n->state));
	n->control = control_client_create(n->loop, &conf, err);
	secret_wipe(&conf.machine, sizeof(conf.machine));
	secret_wipe(&conf.keys, sizeof(conf.keys));
	if (!n->control)
		return -1;
	send_hostinfo(n);
	send_endpoints(n);
	return 0;
}

static void drop_control(struct node *n)
{
	control_client_destroy(n->control);
	n->control = NULL;
	n->online = false;
}

/* A client for the server that the preferences name. */
static int need_control(struct node *n, struct err *err)
{
	char url[URL_TEXT_MAX];

	url_of(state_prefs(n->state), url);
	if (n->control && !strcmp(url, n->control_url))
		return 0;
	drop_control(n);
	(void)snprintf(n->control_url, sizeof(n->control_url), "%s", url);
	return make_control(n, err);
}

/* ---- making it so ---- */

static void update(struct node *n)
{
	const struct prefs_values *v = &state_prefs(n->state)->v;
	bool want_tunnel = v->want_running && !v->logged_out && node_has_key(n);
	bool could_pass = may_pass(n);
	struct err err;

	if (n->tunnel && (!want_tunnel || n->tunnel_broken))
		drop_tunnel(n);
	if (want_tunnel && !n->control) {
		if (need_control(n, &err) < 0)
			set_error(n, err.text);
		else
			control_client_login(n->control, 0, NULL);
	}
	if (n->control)
		control_client_pause(n->control, !v->want_running && !n->login_wanted);
	if (want_tunnel && !n->tunnel)
		make_tunnel(n);
	set_state(n, next_state(n));
	if (may_pass(n) != could_pass || (n->tunnel && may_pass(n) && !n->map_applied)) {
		apply_map(n, NULL);
		set_state(n, next_state(n));
	}
}

/* ---- what a person wants ---- */

static int take_prefs(struct node *n, struct prefs *fresh, struct err *err)
{
	if (n->conf.tun_name == NULL && fresh->v.advertise_routes.n) {
		prefs_destroy(fresh);
		return err_set(err, ERR_REFUSED, "without a device this node serves no routes");
	}
	state_set_prefs(n->state, fresh);
	if (state_save(n->state, err) < 0)
		return -1;
	settle_exit_node(n);
	update(n);
	send_hostinfo(n);
	apply_map(n, NULL);
	tell(n, NODE_EVENT_PREFS);
	return 0;
}

int node_edit_prefs(struct node *n, struct bytes masked, struct err *err)
{
	struct prefs *fresh = prefs_edit(state_prefs(n->state), masked, err);

	return fresh ? take_prefs(n, fresh, err) : -1;
}

int node_start(struct node *n, struct bytes prefs, const char *auth_key, struct err *err)
{
	if (prefs.n) {
		struct prefs *fresh = prefs_decode(prefs, err);

		if (!fresh)
			return -1;
		if (prefs_check(fresh, err) < 0) {
			prefs_destroy(fresh);
			return -1;
		}
		if (take_prefs(n, fresh, err) < 0)
			return -1;
	}
	if (need_control(n, err) < 0)
		return -1;
	if (auth_key && *auth_key) {
		n->error[0] = '\0'; /* of an attempt before */
		n->login_wanted = n->key_login = true;
		control_client_pause(n->control, false);
		/* A key that ran out must be a new one; any other is refreshed. */
		control_client_login(n->control, is_expired(n) ? CONTROL_LOGIN_NEW_KEY : 0,
				     auth_key);
	}
	update(n);
	return 0;
}

void node_login_interactive(struct node *n)
{
	struct err err;

	/* The stock command line asks for a page right after it gave a key: the key goes first. */
	if (n->key_login)
		return;
	if (n->auth_url[0]) {
		tell(n, NODE_EVENT_URL);
		return;
	}
	if (need_control(n, &err) < 0) {
		set_error(n, err.text);
		return;
	}
	n->error[0] = '\0';
	n->login_wanted = true;
	control_client_pause(n->control, false);
	control_client_login(n->control, CONTROL_LOGIN_NEW_KEY, NULL);
	update(n);
}

void node_logout(struct node *n, void (*done)(void *arg, const struct err *err), void *arg)
{
	struct err err = { 0 };

	/* Asked twice: the first one is told now. */
	if (n->logout_done)
		n->logout_done(n->logout_arg, &err);
	n->logout_done = done;
	n->logout_arg = arg;
	if (n->control || (node_has_key(n) && need_control(n, &err) == 0))
		control_client_logout(n->control);
	else
		on_logout(n, &err);
}

/* ---- profiles ---- */

static void end_pings(struct node *n)
{
	static const struct tunnel_ping nothing = { .latency_ns = -1 };

	list_each_safe (it, &n->pings) {
		struct node_ping *p = list_entry(it, struct node_ping, node);

		list_remove(&p->node);
		p->on_result(p, &nothing);
	}
}

/* Everything that belongs to the current profile and is not in the state goes. */
static void leave_profile(struct node *n)
{
	struct err err = { 0 };

	if (n->logout_done) /* its keys are forgotten by whoever comes next */
		on_logout(n, &err);
	io_timer_stop(&n->save_map);
	io_timer_stop(&n->expiry);
	save_map(n);
	drop_tunnel(n);
	drop_control(n);
	end_pings(n);
	netmap_unref(n->map);
	n->map = NULL;
	n->map_stale = false;
	n->auth_url[0] = '\0';
	n->error[0] = '\0';
	n->auth_blocked = n->login_wanted = n->key_login = false;
	set_state(n, NODE_NO_STATE);
}

static int enter_profile(struct node *n, struct err *err)
{
	int ret = state_save(n->state, err);

	log_info(&n->log, "profile is %s", state_profile(n->state)->id);
	if (node_has_key(n))
		load_map(n);
	arm_expiry(n);
	update(n);
	apply_map(n, NULL);
	tell(n, NODE_EVENT_PREFS | NODE_EVENT_STATE);
	return ret;
}

int node_new_profile(struct node *n, struct err *err)
{
	leave_profile(n);
	if (state_new_profile(n->state, &n->rng, err) < 0) {
		struct err saved;

		(void)enter_profile(n, &saved);
		return -1;
	}
	return enter_profile(n, err);
}

int node_switch_profile(struct node *n, const char *id, struct err *err)
{
	if (!profiles_find(state_profiles(n->state), id))
		return err_set(err, ERR_REFUSED, "Profile not found");
	if (!strcmp(state_profile(n->state)->id, id))
		return 0;
	leave_profile(n);
	(void)state_switch_profile(n->state, id, err);
	return enter_profile(n, err);
}

int node_remove_profile(struct node *n, const char *id, struct err *err)
{
	if (!profiles_find(state_profiles(n->state), id))
		return err_set(err, ERR_REFUSED, "Profile not found");
	if (strcmp(state_profile(n->state)->id, id) != 0) {
		(void)state_remove_profile(n->state, id, &n->rng, err);
		return state_save(n->state, err);
	}
	leave_profile(n);
	(void)state_remove_profile(n->state, id, &n->rng, err);
	return enter_profile(n, err);
}

const struct profiles *node_profiles(const struct node *n)
{
	return state_profiles(n->state);
}

void node_kick(struct node *n)
{
	log_info(&n->log, "network changed");
	if (n->tunnel)
		tunnel_rebind(n->tunnel);
	if (n->control)
		control_client_kick(n->control);
	node_lan_changed(n);
}

void node_lan_changed(struct node *n)
{
	lan_read(&n->lan, n->conf.tun_name);
	routes_moved(n->routes);
	apply_map(n, NULL);
}

void node_rules_gone(struct node *n)
{
	routes_restore_rules(n->routes);
}

const struct tailcfg_node *node_suggest_exit(struct node *n, struct err *err)
{
	return exitnode_suggest(n->map, n->tunnel ? tunnel_report(n->tunnel) : NULL,
				state_prefs(n->state)->v.exit_node_id, &n->rng, err);
}

const struct privops_host *node_host(const struct node *n)
{
	routes_look(n->routes);
	return routes_host(n->routes);
}

int node_ping(struct node *n, int64_t node_id, enum tunnel_ping_kind kind, struct ip to,
	      struct node_ping *p, struct err *err)
{
	bool asked;

	list_init(&p->node);
	if (!n->tunnel || n->now != NODE_RUNNING)
		return err_set(err, ERR_REFUSED, "the node is not running");
	p->token = ++n->next_token;
	list_append(&n->pings, &p->node);
	asked = kind == TUNNEL_PING_DISCO
		    ? tunnel_ping(n->tunnel, node_id, p->token)
		    : tunnel_ping_inside(n->tunnel, node_id, kind, to, p->token);
	if (!asked) {
		list_remove(&p->node);
		return err_set(err, ERR_REFUSED,
			       "the peer cannot be asked: its key expired, or too many pings wait");
	}
	return 0;
}

void node_ping_cancel(struct node_ping *p)
{
	list_remove(&p->node);
}

/* ---- what is ---- */

enum node_state node_state(const struct node *n)
{
	return n->now;
}

const struct prefs *node_prefs(const struct node *n)
{
	return state_prefs(n->state);
}

const struct netmap *node_map(const struct node *n)
{
	return n->map;
}

bool node_map_is_stale(const struct node *n)
{
	return n->map_stale;
}

struct tunnel *node_tunnel(const struct node *n)
{
	return n->tunnel;
}

struct nodedns *node_dns(const struct node *n)
{
	return n->dns;
}

size_t node_peerapi(const struct node *n, struct addrport out[PEERAPI_ADDRESSES_MAX])
{
	size_t count;
	const struct addrport *at = peerapi_at(n->peerapi, &count);

	for (size_t i = 0; i < count; i++)
		out[i] = at[i];
	return count;
}

struct state_profile *node_profile(const struct node *n)
{
	return state_profile(n->state);
}

bool node_has_key(const struct node *n)
{
	return !secret_is_zero(state_node_key(n->state)->b, 32);
}

struct key node_key(const struct node *n)
{
	struct key k = { 0 };

	if (node_has_key(n))
		x25519_public(k.b, state_node_key(n->state));
	return k;
}

const char *node_auth_url(const struct node *n)
{
	return n->auth_url;
}

const char *node_error(const struct node *n)
{
	return n->error;
}

bool node_is_online(const struct node *n)
{
	return n->online;
}

const char *node_version(const struct node *n)
{
	return n->conf.version;
}

const char *node_notice(const struct node *n)
{
	return n->conf.notice;
}

struct loop *node_loop(const struct node *n)
{
	return n->loop;
}

/* ---- ---- */

struct node *node_create(struct loop *loop, const struct node_conf *conf, struct err *err)
{
	struct node *n = mem_alloc(sizeof(*n));

	n->loop = loop;
	n->conf = *conf;
	n->rng = rng_system();
	n->log = log_of(conf->sink, "node", NULL);
	list_init(&n->listeners);
	list_init(&n->pings);
	io_timer_init(&n->save_map, on_save_map);
	io_timer_init(&n->expiry, on_expiry);
	n->state = state_open(conf->state_dir, &n->rng, err);
	if (!n->state) {
		mem_free(n);
		return NULL;
	}
	n->routes = routes_create(conf->priv, &n->log);
	n->dns =
	    nodedns_create(loop, &(struct nodedns_conf){ .priv = conf->priv,
							 .log = log_of(conf->sink, "dns", NULL),
							 .on_change = on_dns_change,
							 .write = write_host,
							 .arg = n });
	n->peerapi =
	    peerapi_create(loop, &(struct peerapi_conf){ .log = log_of(conf->sink, "peerapi", NULL),
							 .dnsd = nodedns_dnsd(n->dns),
							 .reserve = conf->tun_name != NULL,
							 .may_exit = may_exit,
							 .send = send_to_peer,
							 .arg = n });
	/* What an earlier process left behind when it was killed. */
	conf->priv->ops->restore(conf->priv);
	if (node_has_key(n))
		load_map(n);
	update(n);
	return n;
}

void node_destroy(struct node *n)
{
	if (!n)
		return;
	n->destroyed = true;
	io_timer_stop(&n->save_map);
	io_timer_stop(&n->expiry);
	save_map(n);
	drop_tunnel(n);
	drop_control(n);
	peerapi_destroy(n->peerapi);
	nodedns_destroy(n->dns);
	netmap_unref(n->map);
	routes_destroy(n->routes);
	state_close(n->state);
	loop_free_later(n->loop, n);
}
