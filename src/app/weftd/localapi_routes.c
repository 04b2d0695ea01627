/* app/weftd/localapi_routes.c - forwarding checks and exit node suggestions. Upstream:
 * ipn/localapi, net/netutil. */
#include "app/weftd/localapi_priv.h"
#include "base/err.h"
#include "node/netmap.h"
#include "node/routes_health.h"
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
