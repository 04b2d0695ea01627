/* app/weftd/localapi_bus.c - watch-ipn-bus: what happens, one JSON line each (upstream:
 * ipn/backend.go, ipn/ipnlocal/bus.go). And ping and whois, which answer about one peer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/weftd/localapi_priv.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/text.h"
#include "io/httpc.h"
#include "io/loop.h"
#include "node/netmap.h"
#include "node/peerapi_at.h"
#include "node/prefs.h"

enum mask {
	MASK_INITIAL_STATE = 2,
	MASK_INITIAL_PREFS = 4,
	MASK_RATE_LIMIT = 256,
	MASK_PEER_CHANGES = 4096,
	MASK_INITIAL_STATUS = 16384,
	MASK_PEER_PATCHES = 32768,
};

enum { QUEUE_MAX = 4 << 20, PING_TIMEOUT_MS = 10000 };

struct watcher {
	struct list on_api;
	struct localapi *api;
	struct http_exchange *x; /* NULL: gone */
	struct node_listener listener;
	uint64_t mask;
};

struct notify {
	bool session, state, prefs, status, url, login;
	const char *error;
};

static void put_text_or_null(struct json_out *o, const char *key, const char *v)
{
	json_key(o, key);
	if (v)
		json_put_cstr(o, v);
	else
		json_put_null(o);
}

static void put_session(struct json_out *o)
{
	struct rng rng = rng_system();
	char id[17];

	(void)snprintf(id, sizeof(id), "%016llx", (unsigned long long)rng_u64(&rng));
	json_key(o, "SessionID");
	json_put_cstr(o, id);
}

static void put_notify(const struct node *n, const struct notify *what, struct json_out *o)
{
	json_open_object(o);
	json_key(o, "Version");
	json_put_cstr(o, node_version(n));
	if (what->session)
		put_session(o);
	put_text_or_null(o, "ErrMessage", what->error);
	json_key(o, "LoginFinished");
	json_put_raw(o, bytes_str(what->login ? "{}" : "null"));
	json_key(o, "State");
	if (what->state)
		json_put_i64(o, (int64_t)node_state(n));
	else
		json_put_null(o);
	json_key(o, "Prefs");
	if (what->prefs)
		localapi_prefs(n, o);
	else
		json_put_null(o);
	if (what->status) {
		json_key(o, "InitialStatus");
		localapi_status(n, true, o);
	}
	json_key(o, "NetMap");
	json_put_null(o);
	json_key(o, "Engine");
	json_put_null(o);
	put_text_or_null(o, "BrowseToURL",
			 what->url && *node_auth_url(n) ? node_auth_url(n) : NULL);
	json_key(o, "DriveShares");
	json_put_null(o);
	json_close_object(o);
}

static void watcher_end(struct watcher *w)
{
	node_unlisten(&w->listener);
	list_remove(&w->on_api);
	mem_free(w);
}

static void send_notify(struct watcher *w, const struct notify *what)
{
	struct json_out o;
	struct buf json;

	buf_init(&json, LOCALAPI_REPLY_MAX);
	json_out_init(&o, &json);
	put_notify(w->api->node, what, &o);
	(void)buf_append_str(&json, "\n");
	http_reply_send(w->x, buf_bytes(&json));
	buf_fini(&json);
}

static void on_event(struct node_listener *l, unsigned events)
{
	struct watcher *w = container_of(l, struct watcher, listener);
	struct notify what = { .state = events & NODE_EVENT_STATE,
			       .prefs = events & NODE_EVENT_PREFS,
			       .url = events & NODE_EVENT_URL,
			       .login = events & NODE_EVENT_LOGIN };
	struct http_exchange *x = w->x;

	/* Clients end on it, so only somebody who is logging in hears of it; the rest is health. */
	if ((events & NODE_EVENT_ERROR) && node_state(w->api->node) == NODE_NEEDS_LOGIN)
		what.error = node_error(w->api->node);
	if (!what.state && !what.prefs && !what.url && !what.login && !what.error)
		return;
	if (http_reply_queued(x) > QUEUE_MAX) {
		what = (struct notify){ .error = "the watcher fell behind" };
		send_notify(w, &what);
		watcher_end(w);
		http_reply_end(x);
		return;
	}
	send_notify(w, &what);
}

static void on_watcher_gone(void *arg)
{
	watcher_end(arg);
}

void localapi_watch(struct localapi *a, struct http_exchange *x, const struct http_request *req)
{
	struct watcher *w;
	struct notify first;
	char text[24] = "0";
	uint64_t mask;

	(void)http_query_get(req, "mask", text, sizeof(text));
	if (!text_u64(bytes_str(text), UINT64_MAX, &mask) ||
	    ((mask & MASK_RATE_LIMIT) && (mask & 0xf000))) {
		http_reply_text(x, 400, "bad mask\n");
		return;
	}
	w = mem_alloc(sizeof(*w));
	w->api = a;
	w->x = x;
	w->mask = mask;
	w->listener.on_event = on_event;
	list_append(&a->watchers, &w->on_api);
	node_listen(a->node, &w->listener);
	http_on_gone(x, on_watcher_gone, w);
	http_reply_start(x, 200, "application/json");
	first = (struct notify){ .session = mask & MASK_INITIAL_STATE,
				 .state = mask & MASK_INITIAL_STATE,
				 .url = mask & MASK_INITIAL_STATE,
				 .prefs = mask & MASK_INITIAL_PREFS,
				 .status = mask & MASK_INITIAL_STATUS };
	if (first.state || first.prefs || first.status)
		send_notify(w, &first);
}

void localapi_drop_watchers(struct localapi *a)
{
	struct list *it;

	while ((it = list_first(&a->watchers)))
		watcher_end(list_entry(it, struct watcher, on_api));
}

/* ---- whois ---- */

static const struct tailcfg_node *node_of_address(const struct netmap *map, const char *text)
{
	struct bytes b = bytes_str(text);
	struct addrport at;
	struct key key;
	struct ip ip;

	if (keytext_parse(&key, KEY_NODE, b))
		return key_equal(&key, &netmap_self(map)->key) ? netmap_self(map)
							       : netmap_peer_by_key(map, &key);
	if (ip_parse(&ip, b))
		return netmap_node_by_ip(map, ip);
	if (addrport_parse(&at, b))
		return netmap_node_by_ip(map, at.ip);
	return NULL;
}

void localapi_whois(struct localapi *a, struct http_exchange *x, const struct http_request *req)
{
	const struct netmap *map = node_map(a->node);
	const struct tailcfg_node *n;
	struct json_out o;
	struct buf json;
	char addr[128];

	if (!http_query_get(req, "addr", addr, sizeof(addr))) {
		http_reply_text(x, 400, "missing 'addr' parameter\n");
		return;
	}
	n = map ? node_of_address(map, addr) : NULL;
	if (!n) {
		http_reply_text(x, 404, "no match for IP:port\n");
		return;
	}
	buf_init(&json, 1 << 20);
	json_out_init(&o, &json);
	json_open_object(&o);
	json_key(&o, "Node");
	schema_encode(&o, &tailcfg_node_schema, n);
	json_key(&o, "UserProfile");
	localapi_user_profile(a->node, n->user, &o);
	json_key(&o, "CapMap");
	json_put_null(&o);
	json_close_object(&o);
	localapi_reply_json(x, 200, &json);
}

/* ---- ping ---- */

struct pinging {
	struct node_ping ping;
	struct localapi *api;
	struct http_exchange *x;
	char ip[IP_TEXT_MAX], name[256];
	char url[PEERAPI_URL_MAX]; /* of a PeerAPI ping */
	struct http_fetch *fetch;
	struct mono started;
};

static void reply_ping(struct http_exchange *x, const struct node *n, const struct pinging *p,
		       const struct tunnel_ping *r, const char *error)
{
	const struct tailcfg_derp_region *region =
	    r && r->region && node_map(n) ? netmap_region(node_map(n), r->region) : NULL;
	char at[ADDRPORT_TEXT_MAX];
	struct json_out o;
	struct buf json;

	buf_init(&json, 64 << 10);
	json_out_init(&o, &json);
	json_open_object(&o);
	put_text_or_null(&o, "IP", p->ip);
	put_text_or_null(&o, "NodeIP", p->ip);
	put_text_or_null(&o, "NodeName", p->name);
	put_text_or_null(&o, "Err", error);
	json_key(&o, "LatencySeconds");
	json_put_real(&o, r && r->latency_ns > 0 ? (double)r->latency_ns / 1e9 : 0);
	put_text_or_null(&o, "Endpoint",
			 r && ip_is_valid(r->direct.ip) ? addrport_format(r->direct, at) : "");
	put_text_or_null(&o, "PeerRelay", "");
	json_key(&o, "DERPRegionID");
	json_put_i64(&o, r ? r->region : 0);
	json_key(&o, "DERPRegionCode");
	json_put_string(&o, region ? region->region_code : bytes_str(""));
	if (r && r->peerapi_port) {
		json_key(&o, "PeerAPIPort");
		json_put_i64(&o, r->peerapi_port);
	}
	if (*p->url)
		put_text_or_null(&o, "PeerAPIURL", p->url);
	json_close_object(&o);
	localapi_reply_json(x, 200, &json);
}

/* ---- does its PeerAPI answer? ---- */

static void on_fetched(void *arg, unsigned status, struct bytes body, const struct err *err)
{
	struct pinging *p = arg;
	struct tunnel_ping r = { .latency_ns =
				     loop_now(node_loop(p->api->node)).ns - p->started.ns };
	char text[64];

	(void)body;
	http_on_gone(p->x, NULL, NULL);
	(void)snprintf(text, sizeof(text), "HTTP status %u", status);
	if (err->code != ERR_NONE)
		reply_ping(p->x, p->api->node, p, NULL, err->text);
	else if (status != 200)
		reply_ping(p->x, p->api->node, p, NULL, text);
	else
		reply_ping(p->x, p->api->node, p, &r, "");
	mem_free(p);
}

static void on_fetch_gone(void *arg)
{
	struct pinging *p = arg;

	http_fetch_cancel(p->fetch);
	mem_free(p);
}

/* Takes p. */
static void ping_peerapi(struct pinging *p, const struct tailcfg_node *n)
{
	struct http_fetch_conf conf = { .method = "HEAD",
					.url = p->url,
					.timeout_ms = PING_TIMEOUT_MS,
					.on_done = on_fetched,
					.arg = p };
	struct addrport at;
	struct err err;

	if (!peerapi_of(netmap_self(node_map(p->api->node)), n, &at)) {
		reply_ping(p->x, p->api->node, p, NULL, "the peer has no PeerAPI");
		mem_free(p);
		return;
	}
	(void)peerapi_url(at, p->url);
	p->started = loop_now(node_loop(p->api->node));
	p->fetch = http_fetch(node_loop(p->api->node), &conf, &err);
	if (p->fetch) {
		http_on_gone(p->x, on_fetch_gone, p);
		return;
	}
	reply_ping(p->x, p->api->node, p, NULL, err.text);
	mem_free(p);
}

/* ---- does it answer, and which way? ---- */

static void on_result(struct node_ping *np, const struct tunnel_ping *r)
{
	struct pinging *p = container_of(np, struct pinging, ping);

	reply_ping(p->x, p->api->node, p, r, r->latency_ns < 0 ? "no answer in 5 s" : "");
	mem_free(p);
}

static void on_ping_gone(void *arg)
{
	struct pinging *p = arg;

	node_ping_cancel(&p->ping);
	mem_free(p);
}

static bool ping_kind(const char *type, enum tunnel_ping_kind *out)
{
	static const char *const names[] = { "disco", "TSMP", "ICMP" };

	for (size_t i = 0; i < array_len(names); i++)
		if (!strcmp(type, names[i])) {
			*out = (enum tunnel_ping_kind)i;
			return true;
		}
	return false;
}

void localapi_ping(struct localapi *a, struct http_exchange *x, const struct http_request *req)
{
	const struct netmap *map = node_map(a->node);
	const struct tailcfg_node *n;
	struct pinging *p;
	enum tunnel_ping_kind kind = TUNNEL_PING_DISCO;
	char type[16] = "";
	struct err err;
	struct ip ip;

	p = mem_alloc(sizeof(*p));
	(void)http_query_get(req, "type", type, sizeof(type));
	if (!http_query_get(req, "ip", p->ip, sizeof(p->ip)) || !ip_parse(&ip, bytes_str(p->ip))) {
		http_reply_text(x, 400, "invalid 'ip' parameter\n");
		goto drop;
	}
	if (strcmp(type, "peerapi") != 0 && !ping_kind(type, &kind)) {
		localapi_reply_error(x, 500, "the type of a ping is disco, TSMP, ICMP or peerapi");
		goto drop;
	}
	n = map ? netmap_node_by_ip(map, ip) : NULL;
	if (!n) {
		reply_ping(x, a->node, p, NULL, "no matching peer");
		goto drop;
	}
	(void)bytes_to_cstr(netmap_node_label(n), p->name, sizeof(p->name));
	if (n == netmap_self(map)) {
		char text[IP_TEXT_MAX + 32];

		(void)snprintf(text, sizeof(text), "%s is local Tailscale IP", p->ip);
		reply_ping(x, a->node, p, NULL, text);
		goto drop;
	}
	p->api = a;
	p->x = x;
	if (!strcmp(type, "peerapi")) {
		ping_peerapi(p, n);
		return;
	}
	p->ping.on_result = on_result;
	/* The result may come before this returns only in the next turn: magic queues it. */
	http_on_gone(x, on_ping_gone, p);
	if (node_ping(a->node, n->id, kind, ip, &p->ping, &err) == 0)
		return;
	http_on_gone(x, NULL, NULL);
	reply_ping(x, a->node, p, NULL, err.text);
drop:
	mem_free(p);
}
