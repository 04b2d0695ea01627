/* app/weftd/localapi_explain.c - why a peer can or cannot be reached; no endpoint of the original.
 */
#include <string.h>

#include "app/weftd/localapi_priv.h"
#include "base/text.h"
#include "node/explain.h"
#include "node/netmap.h"
#include "wire/ippkt.h"

/* ?ip=ADDRESS, and maybe &port=N&proto=tcp|udp. False: answered already. */
static bool take_query(struct http_exchange *x, const struct http_request *req,
		       const struct netmap *map, struct explain *e)
{
	char ip_text[IP_TEXT_MAX] = "", port[8] = "", proto[8] = "tcp";
	uint64_t number = 0;
	struct ip ip;

	(void)http_query_get(req, "proto", proto, sizeof(proto));
	if (!http_query_get(req, "ip", ip_text, sizeof(ip_text)) ||
	    !ip_parse(&ip, bytes_str(ip_text)) ||
	    (http_query_get(req, "port", port, sizeof(port)) &&
	     (!text_u64(bytes_str(port), 65535, &number) || !number)) ||
	    (strcmp(proto, "tcp") != 0 && strcmp(proto, "udp") != 0)) {
		http_reply_text(x, 400, "wanted: ip, and maybe port and proto=tcp|udp\n");
		return false;
	}
	e->peer = map ? netmap_node_by_ip(map, ip) : NULL;
	e->port = (uint16_t)number;
	e->proto = strcmp(proto, "udp") == 0 ? IPPKT_UDP : IPPKT_TCP;
	if (!e->peer)
		http_reply_text(x, 404, "there is no node %s\n", ip_text);
	else if (e->peer == netmap_self(map))
		http_reply_text(x, 400, "%s is this node itself\n", ip_text);
	return e->peer && e->peer != netmap_self(map);
}

void localapi_explain(struct localapi *a, struct http_exchange *x, const struct http_request *req)
{
	const struct netmap *map = node_map(a->node);
	struct tunnel *t = node_tunnel(a->node);
	struct explain e = { .map = map, .prefs = node_prefs(a->node), .now = wall_now() };
	struct tunnel_peer_status path;
	struct json_out o;
	struct buf json;

	if (!take_query(x, req, map, &e))
		return;
	if (t && node_state(a->node) >= NODE_STARTING) {
		(void)tunnel_peer_status(t, e.peer->id, &path);
		e.path = &path;
		e.report = tunnel_report(t);
	}
	buf_init(&json, 1 << 20);
	json_out_init(&o, &json);
	explain_write(&e, &o);
	localapi_reply_json(x, 200, &json);
}
