/* node/node_tunnel.c - the tunnel of a node, and what it and the services in it ask for. */
#include "node/node_impl.h"

#include "base/err.h"
#include "node/hostinfo.h"
#include "node/nodedns.h"
#include "node/prefs.h"
#include "node/routes.h"
#include "node/state.h"
#include "part/control_client/control_client.h"
#include "wire/ippkt.h"

enum { HOSTINFO_MAX = 256 << 10 };

void node_send_hostinfo(struct node *n)
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

void node_send_endpoints(struct node *n)
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
	node_send_endpoints(arg);
}

static void on_netinfo(void *arg, const struct netcheck_report *report)
{
	struct node *n = arg;

	(void)report;
	node_send_hostinfo(n);
	/* Now it is known what is near. */
	if (state_prefs(n->state)->v.auto_exit_node.n && !state_prefs(n->state)->v.exit_node_id.n) {
		node_settle_exit_node(n);
		if (state_prefs(n->state)->v.exit_node_id.n)
			node_apply_map(n, NULL);
	}
}

void node_deferred_update(void *arg)
{
	struct node *n = arg;

	if (!n->destroyed)
		node_update(n);
}

static void on_live(void *arg)
{
	struct node *n = arg;

	if (n->now == NODE_STARTING)
		loop_defer(n->loop, node_deferred_update, n);
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
	node_set_error(n, why->text);
	n->tunnel_broken = true;
	loop_defer(n->loop, node_deferred_update, n);
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

void node_send_to_peer(void *arg, struct bytes packet)
{
	struct node *n = arg;

	if (n->tunnel)
		(void)tunnel_send(n->tunnel, packet);
}

/*
 * Would a connection from there to a resolver on the internet pass the rules? Asked with an address
 * that no policy names alone (upstream: ipn/ipnlocal/peerapi.go, replyToDNSQueries).
 */
bool node_may_exit(void *arg, int64_t node_id, struct ip from)
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

void node_on_dns_change(void *arg)
{
	struct node *n = arg;

	nodedns_apply(n->dns, n->map_applied ? n->map : NULL, state_prefs(n->state), NULL);
}

void node_write_host(void *arg, struct bytes packet)
{
	struct node *n = arg;

	if (n->tunnel)
		(void)tunnel_write_host(n->tunnel, packet);
}

void node_drop_tunnel(struct node *n)
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

void node_make_tunnel(struct node *n)
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
		node_set_error(n, err.text);
		return;
	}
	node_send_endpoints(n);
}
