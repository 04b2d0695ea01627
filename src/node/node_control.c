/* node/node_control.c - the control client of a node, and what it tells. */
#include "node/node_impl.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/json.h"
#include "node/netmap.h"
#include "node/prefs.h"
#include "node/privops.h"
#include "node/state.h"
#include "part/control_client/control_client.h"
#include "part/noise_stream.h"
#include "wire/tailcfg_register.h"

enum { SAVE_MAP_MS = 10 * 1000 };

#define DEFAULT_CONTROL_URL "https://controlplane.tailscale.com"

static void on_control_state(void *arg, enum control_state s)
{
	struct node *n = arg;

	n->online = s == CONTROL_STREAMING;
	if (n->online)
		n->error[0] = '\0';
	loop_defer(n->loop, node_deferred_update, n);
}

static void on_auth_url(void *arg, const char *url)
{
	struct node *n = arg;

	(void)snprintf(n->auth_url, sizeof(n->auth_url), "%s", url);
	n->auth_blocked = *url != '\0';
	if (*url) {
		log_info(&n->log, "login URL: %s", url);
		node_tell(n, NODE_EVENT_URL);
	}
	loop_defer(n->loop, node_deferred_update, n);
}

static void on_control_error(void *arg, const char *text)
{
	struct node *n = arg;

	n->key_login = false;
	node_set_error(n, text);
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
	node_save(n);
	if (new_key) {
		node_drop_tunnel(n);
		netmap_unref(n->map);
		n->map = NULL;
	}
	log_info(&n->log, "logged in as %s", state_profile(n->state)->login_name);
	node_update(n);
	node_tell(n, NODE_EVENT_LOGIN | NODE_EVENT_PREFS);
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
	node_save(n);
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
	node_set_state(n, node_next_state(n));
	node_settle_exit_node(n);
	node_apply_map(n, &diff);
	netmap_diff_fini(&diff);
	netmap_unref(old);
	take_identity(n);
	node_arm_expiry(n);
	if (!heap_has(&n->save_map.node))
		io_timer_in_ms(n->loop, &n->save_map, SAVE_MAP_MS);
	node_update(n);
	node_tell(n, NODE_EVENT_MAP);
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
	node_save(n);
	io_timer_stop(&n->save_map);
	node_drop_tunnel(n);
	netmap_unref(n->map);
	n->map = NULL;
	n->auth_url[0] = '\0';
	n->error[0] = '\0';
	n->auth_blocked = n->login_wanted = false;
}

void node_on_logout(void *arg, const struct err *err)
{
	struct node *n = arg;
	void (*done)(void *, const struct err *) = n->logout_done;

	n->logout_done = NULL;
	forget_login(n);
	node_update(n);
	node_tell(n, NODE_EVENT_PREFS);
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

static void url_of(const struct prefs *prefs, char out[NODE_URL_MAX])
{
	if (!prefs->v.control_url.n || !bytes_to_cstr(prefs->v.control_url, out, NODE_URL_MAX))
		(void)snprintf(out, NODE_URL_MAX, "%s", DEFAULT_CONTROL_URL);
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
					    .on_logout = node_on_logout,
					    .arg = n };

	ed25519_public(conf.nl_key.b, state_nl_key(n->state));
	n->control = control_client_create(n->loop, &conf, err);
	secret_wipe(&conf.machine, sizeof(conf.machine));
	secret_wipe(&conf.keys, sizeof(conf.keys));
	if (!n->control)
		return -1;
	node_send_hostinfo(n);
	node_send_endpoints(n);
	return 0;
}

void node_drop_control(struct node *n)
{
	control_client_destroy(n->control);
	n->control = NULL;
	n->online = false;
}

/* A client for the server that the preferences name. */
int node_need_control(struct node *n, struct err *err)
{
	char url[NODE_URL_MAX];

	url_of(state_prefs(n->state), url);
	if (n->control && !strcmp(url, n->control_url))
		return 0;
	node_drop_control(n);
	(void)snprintf(n->control_url, sizeof(n->control_url), "%s", url);
	return make_control(n, err);
}
