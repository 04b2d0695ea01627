/* node/node_map.c - what a map means: for tunnel, routes, names, expiry and the disk. */
#include "node/node_impl.h"

#include "base/err.h"
#include "base/mem.h"
#include "node/netmap.h"
#include "node/nodedns.h"
#include "node/prefs.h"
#include "node/routes.h"
#include "node/state.h"

enum { MAP_JSON_MAX = 128 << 20 };

bool node_may_pass(const struct node *n)
{
	return n->map && (n->now == NODE_STARTING || n->now == NODE_RUNNING);
}

/*
 * The exit node as an ID: an address becomes one when its node appears, "auto" takes what would be
 * suggested and keeps what it has as long as that is the best there is.
 */
void node_settle_exit_node(struct node *n)
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
	node_save(n);
	log_info(&n->log, "exit node is %.*s", BYTES_FMT(netmap_node_label(exit)));
	node_tell(n, NODE_EVENT_PREFS);
}

static void deferred_hostinfo(void *arg)
{
	struct node *n = arg;

	if (!n->destroyed)
		node_send_hostinfo(n);
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
void node_apply_map(struct node *n, const struct netmap_diff *diff)
{
	const struct netmap *map = node_may_pass(n) ? n->map : NULL;
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
		node_set_error(n, err.text);
}

void node_arm_expiry(struct node *n)
{
	struct wall now = wall_now();
	int64_t ms;

	if (!n->map)
		return;
	ms = (netmap_next_expiry(n->map, now).ns - now.ns) / 1000000;
	/* Once a day is often enough to look again. */
	io_timer_in_ms(n->loop, &n->expiry, ms > 86400000 ? 86400000 : ms + 50);
}

void node_on_expiry(struct io_timer *t)
{
	struct node *n = container_of(t, struct node, expiry);

	node_update(n);
	node_apply_map(n, NULL);
	node_arm_expiry(n);
}

void node_save_map(struct node *n)
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

void node_on_save_map(struct io_timer *t)
{
	node_save_map(container_of(t, struct node, save_map));
}

void node_load_map(struct node *n)
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
