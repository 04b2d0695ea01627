/* app/weftd/localapi_routes.c - what the network around us is like: forwarding checks, exit node
 * suggestions, the last netcheck. Upstream: ipn/localapi, net/netutil. */
#include <stdio.h>

#include "app/weftd/localapi_priv.h"
#include "base/err.h"
#include "node/netmap.h"
#include "node/routes_health.h"
#include "node/tunnel.h"
#include "part/netcheck.h"

void localapi_check_forwarding(struct localapi *a, struct http_exchange *x,
			       const struct http_request *req)
{
	char text[256] = "";
	struct json_out o;
	struct buf json;

	(void)req;
	(void)routes_forwarding_is_on(node_prefs(a->node), node_host(a->node), text, sizeof(text));
	buf_init(&json, 4096);
	json_out_init(&o, &json);
	json_open_object(&o);
	json_key(&o, "Warning");
	json_put_cstr(&o, text);
	json_close_object(&o);
	localapi_reply_json(x, 200, &json);
}

static void put_location(struct json_out *o, const struct tailcfg_node *n)
{
	if (!n->hostinfo || !n->hostinfo->location)
		return;
	json_key(o, "Location");
	schema_encode(o, &tailcfg_location_schema, n->hostinfo->location);
}

void localapi_suggest_exit(struct localapi *a, struct http_exchange *x,
			   const struct http_request *req)
{
	const struct tailcfg_node *n;
	struct err err = { 0 };
	struct json_out o;
	struct buf json;

	(void)req;
	n = node_suggest_exit(a->node, &err);
	if (!n && err.code != ERR_NONE) {
		localapi_reply_error(x, 500, err.text);
		return;
	}
	buf_init(&json, 64 << 10);
	json_out_init(&o, &json);
	json_open_object(&o);
	json_key(&o, "ID");
	json_put_string(&o, n ? n->stable_id : bytes_str(""));
	json_key(&o, "Name");
	json_put_string(&o, n ? n->name : bytes_str(""));
	if (n)
		put_location(&o, n);
	json_close_object(&o);
	localapi_reply_json(x, 200, &json);
}

/* ---- the last netcheck, with the names of upstream's report ---- */

static void put_flag(struct json_out *o, const char *key, bool known, bool v)
{
	json_key(o, key);
	if (known)
		json_put_bool(o, v);
	else
		json_put_null(o);
}

static void put_latencies(struct json_out *o, const struct netcheck_report *r)
{
	json_key(o, "RegionLatency");
	json_open_object(o);
	for (size_t i = 0; i < r->region_count; i++) {
		const struct netcheck_region *g = &r->regions[i];
		int64_t ns = g->v4_ns && (!g->v6_ns || g->v4_ns < g->v6_ns) ? g->v4_ns : g->v6_ns;
		char id[16];

		(void)snprintf(id, sizeof(id), "%d", g->id);
		json_key(o, id);
		json_put_i64(o, ns);
	}
	json_close_object(o);
}

static void put_seen(struct json_out *o, const struct netcheck_report *r, const char *key,
		     uint8_t family)
{
	char text[ADDRPORT_TEXT_MAX] = "";

	for (size_t i = 0; i < r->seen_count && !text[0]; i++)
		if (r->seen[i].ip.family == family)
			(void)addrport_format(r->seen[i], text);
	json_key(o, key);
	json_put_cstr(o, text);
}

void localapi_netcheck(struct localapi *a, struct http_exchange *x, const struct http_request *req)
{
	const struct netcheck_report *r =
	    node_tunnel(a->node) ? tunnel_report(node_tunnel(a->node)) : NULL;
	struct json_out o;
	struct buf json;

	(void)req;
	if (!r) {
		localapi_reply_error(x, 503, "nothing has been measured yet");
		return;
	}
	buf_init(&json, 64 << 10);
	json_out_init(&o, &json);
	json_open_object(&o);
	put_flag(&o, "UDP", true, r->udp);
	put_flag(&o, "IPv4", true, r->ipv4);
	put_flag(&o, "IPv6", true, r->ipv6);
	put_flag(&o, "MappingVariesByDestIP", r->varies_known, r->varies);
	put_flag(&o, "PMP", r->ports.checked, r->ports.pmp);
	put_flag(&o, "PCP", r->ports.checked, r->ports.pcp);
	put_flag(&o, "PortMapped", true, r->ports.mapped);
	json_key(&o, "PreferredDERP");
	json_put_i64(&o, r->preferred);
	put_latencies(&o, r);
	put_seen(&o, r, "GlobalV4", 4);
	put_seen(&o, r, "GlobalV6", 6);
	json_close_object(&o);
	localapi_reply_json(x, 200, &json);
}
