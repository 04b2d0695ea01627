/* node/node_profiles.c - several accounts of a node, one of them active. */
#include "node/node_impl.h"

#include <string.h>

#include "base/err.h"
#include "node/exitnode.h"
#include "node/netmap.h"
#include "node/prefs.h"
#include "node/routes.h"
#include "node/state.h"
#include "part/control_client/control_client.h"

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
		node_on_logout(n, &err);
	io_timer_stop(&n->save_map);
	io_timer_stop(&n->expiry);
	node_save_map(n);
	node_drop_tunnel(n);
	node_drop_control(n);
	end_pings(n);
	netmap_unref(n->map);
	n->map = NULL;
	n->map_stale = false;
	n->auth_url[0] = '\0';
	n->error[0] = '\0';
	n->auth_blocked = n->login_wanted = n->key_login = false;
	node_set_state(n, NODE_NO_STATE);
}

static int enter_profile(struct node *n, struct err *err)
{
	int ret = state_save(n->state, err);

	log_info(&n->log, "profile is %s", state_profile(n->state)->id);
	if (node_has_key(n))
		node_load_map(n);
	node_arm_expiry(n);
	node_update(n);
	node_apply_map(n, NULL);
	node_tell(n, NODE_EVENT_PREFS | NODE_EVENT_STATE);
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
	node_apply_map(n, NULL);
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
