/* node/node.c - see node.h. One function, node_update(), makes the world follow what is wanted. */
#include "node/node_impl.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "crypto/x25519.h"
#include "node/netmap.h"
#include "node/nodedns.h"
#include "node/prefs.h"
#include "node/privops.h"
#include "node/routes.h"
#include "node/state.h"
#include "part/control_client/control_client.h"

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

void node_tell(struct node *n, unsigned events)
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

void node_set_error(struct node *n, const char *text)
{
	if (!strcmp(n->error, text))
		return;
	(void)snprintf(n->error, sizeof(n->error), "%s", text);
	if (*text)
		node_tell(n, NODE_EVENT_ERROR);
}

void node_save(struct node *n)
{
	struct err err;

	if (state_save(n->state, &err) < 0) {
		log_error(&n->log, "state was not saved: %s", err.text);
		node_set_error(n, err.text);
	}
}

/* ---- the state ---- */

bool node_is_expired(const struct node *n)
{
	return n->map && netmap_node_is_expired(n->map, netmap_self(n->map), wall_now());
}

static bool is_live(const struct node *n)
{
	return n->tunnel && (tunnel_relays_up(n->tunnel) || tunnel_live_peers(n->tunnel));
}

/* upstream: ipn/ipnlocal/local.go, nextState */
enum node_state node_next_state(const struct node *n)
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
	if (node_is_expired(n) || !key)
		return NODE_NEEDS_LOGIN;
	if (!netmap_self(n->map)->machine_authorized)
		return NODE_NEEDS_MACHINE_AUTH;
	if (n->now == NODE_NEEDS_MACHINE_AUTH)
		return NODE_STARTING;
	if (n->now == NODE_RUNNING)
		return NODE_RUNNING;
	return is_live(n) ? NODE_RUNNING : NODE_STARTING;
}

void node_set_state(struct node *n, enum node_state next)
{
	if (next == n->now)
		return;
	log_info(&n->log, "state %s -> %s", node_state_name(n->now), node_state_name(next));
	n->now = next; /* the only assignment */
	if (next == NODE_RUNNING)
		n->error[0] = '\0';
	node_tell(n, NODE_EVENT_STATE);
}

/* ---- making it so ---- */

void node_update(struct node *n)
{
	const struct prefs_values *v = &state_prefs(n->state)->v;
	bool want_tunnel = v->want_running && !v->logged_out && node_has_key(n);
	bool could_pass = node_may_pass(n);
	struct err err;

	if (n->tunnel && (!want_tunnel || n->tunnel_broken))
		node_drop_tunnel(n);
	if (want_tunnel && !n->control) {
		if (node_need_control(n, &err) < 0)
			node_set_error(n, err.text);
		else
			control_client_login(n->control, 0, NULL);
	}
	if (n->control)
		control_client_pause(n->control, !v->want_running && !n->login_wanted);
	if (want_tunnel && !n->tunnel)
		node_make_tunnel(n);
	node_set_state(n, node_next_state(n));
	if (node_may_pass(n) != could_pass || (n->tunnel && node_may_pass(n) && !n->map_applied)) {
		node_apply_map(n, NULL);
		node_set_state(n, node_next_state(n));
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
	node_settle_exit_node(n);
	node_update(n);
	node_send_hostinfo(n);
	node_apply_map(n, NULL);
	node_tell(n, NODE_EVENT_PREFS);
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
	if (node_need_control(n, err) < 0)
		return -1;
	if (auth_key && *auth_key) {
		n->error[0] = '\0'; /* of an attempt before */
		n->login_wanted = n->key_login = true;
		control_client_pause(n->control, false);
		/* A key that ran out must be a new one; any other is refreshed. */
		control_client_login(n->control, node_is_expired(n) ? CONTROL_LOGIN_NEW_KEY : 0,
				     auth_key);
	}
	node_update(n);
	return 0;
}

void node_login_interactive(struct node *n)
{
	struct err err;

	/* The stock command line asks for a page right after it gave a key: the key goes first. */
	if (n->key_login)
		return;
	if (n->auth_url[0]) {
		node_tell(n, NODE_EVENT_URL);
		return;
	}
	if (node_need_control(n, &err) < 0) {
		node_set_error(n, err.text);
		return;
	}
	n->error[0] = '\0';
	n->login_wanted = true;
	control_client_pause(n->control, false);
	control_client_login(n->control, CONTROL_LOGIN_NEW_KEY, NULL);
	node_update(n);
}

void node_logout(struct node *n, void (*done)(void *arg, const struct err *err), void *arg)
{
	struct err err = { 0 };

	/* Asked twice: the first one is told now. */
	if (n->logout_done)
		n->logout_done(n->logout_arg, &err);
	n->logout_done = done;
	n->logout_arg = arg;
	if (n->control || (node_has_key(n) && node_need_control(n, &err) == 0))
		control_client_logout(n->control);
	else
		node_on_logout(n, &err);
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

/* ---- making and ending it ---- */

struct node *node_create(struct loop *loop, const struct node_conf *conf, struct err *err)
{
	struct node *n = mem_alloc(sizeof(*n));

	n->loop = loop;
	n->conf = *conf;
	n->rng = rng_system();
	n->log = log_of(conf->sink, "node", NULL);
	list_init(&n->listeners);
	list_init(&n->pings);
	io_timer_init(&n->save_map, node_on_save_map);
	io_timer_init(&n->expiry, node_on_expiry);
	n->state = state_open(conf->state_dir, &n->rng, err);
	if (!n->state) {
		mem_free(n);
		return NULL;
	}
	n->routes = routes_create(conf->priv, &n->log);
	n->dns =
	    nodedns_create(loop, &(struct nodedns_conf){ .priv = conf->priv,
							 .log = log_of(conf->sink, "dns", NULL),
							 .on_change = node_on_dns_change,
							 .write = node_write_host,
							 .arg = n });
	n->peerapi =
	    peerapi_create(loop, &(struct peerapi_conf){ .log = log_of(conf->sink, "peerapi", NULL),
							 .dnsd = nodedns_dnsd(n->dns),
							 .reserve = conf->tun_name != NULL,
							 .may_exit = node_may_exit,
							 .send = node_send_to_peer,
							 .arg = n });
	/* What an earlier process left behind when it was killed. */
	conf->priv->ops->restore(conf->priv);
	if (node_has_key(n))
		node_load_map(n);
	node_update(n);
	return n;
}

void node_destroy(struct node *n)
{
	if (!n)
		return;
	n->destroyed = true;
	io_timer_stop(&n->save_map);
	io_timer_stop(&n->expiry);
	node_save_map(n);
	node_drop_tunnel(n);
	node_drop_control(n);
	peerapi_destroy(n->peerapi);
	nodedns_destroy(n->dns);
	netmap_unref(n->map);
	routes_destroy(n->routes);
	state_close(n->state);
	loop_free_later(n->loop, n);
}
