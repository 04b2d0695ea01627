#include "app/control/front.h"

#include <stdio.h>

#include "app/control/core.h"
#include "app/control/machine.h"
#include "app/control/oidc_login.h"
#include "app/control/page.h"
#include "app/control/rest.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/x25519.h"
#include "engine/ts2021/ts2021.h"
#include "io/httpd.h"
#include "io/stream.h"
#include "io/websocket.h"
#include "part/derp_server/derp_server.h"
#include "part/noise_stream.h"
#include "wire/tailcfg_map.h"

static void on_key(void *arg, struct http_exchange *x, const struct http_request *req)
{
	const struct key none = { 0 };
	struct control *c = arg;
	char version[16], text[KEYTEXT_MAX];
	struct json_out o;
	struct buf body;

	if (!http_query_get(req, "v", version, sizeof(version))) {
		http_reply_text(x, 400, "the parameter v (capability version) is missing");
		return;
	}
	buf_init(&body, 4096);
	json_out_init(&o, &body);
	json_open_object(&o);
	json_key(&o, "legacyPublicKey");
	json_put_cstr(&o, keytext_format(&none, KEY_MACHINE, text));
	json_key(&o, "publicKey");
	json_put_cstr(&o, keytext_format(&c->noise_public, KEY_MACHINE, text));
	json_close_object(&o);
	http_reply(x, 200, "application/json", buf_bytes(&body));
	buf_fini(&body);
}

/* ---- /ts2021 ---- */

static bool is_token(struct bytes value, const char *token)
{
	return bytes_equal_nocase(text_trim(value), bytes_str(token));
}

static void early_json(struct control *c, struct buf *out)
{
	struct tailcfg_early_noise early = { 0 };
	struct secret32 challenge;
	struct json_out o;

	/* Nobody answers the challenge yet, so its private half is not kept. */
	x25519_generate(&challenge, &c->rng);
	x25519_public(early.node_key_challenge.b, &challenge);
	secret32_wipe(&challenge);
	json_out_init(&o, out);
	schema_encode(&o, &tailcfg_early_noise_schema, &early);
}

static void serve_noise(struct control *c, struct stream *s, struct ts2021 *t, struct addrport peer,
			bool early)
{
	struct machine_conn *m = machine_conn_create(ts2021_machine(t), ts2021_version(t));
	struct stream *noise;
	struct buf json;

	buf_init(&json, TS2021_EARLY_MAX);
	if (early)
		early_json(c, &json);
	noise = noise_stream_server(s, t, buf_bytes(&json));
	buf_fini(&json);
	c->count.connections++;
	httpd_serve(c->inner, noise, HTTPD_H2, peer, m, machine_conn_destroy);
}

static struct ts2021 *channel_of(struct control *c, struct bytes base64, struct err *err)
{
	struct ts2021 *t = NULL;
	struct buf raw;

	buf_init(&raw, 256);
	if (text_unbase64(BASE64_STD, base64, &raw))
		t = ts2021_create_server(&c->noise_key, buf_bytes(&raw), &c->rng, err);
	else
		(void)err_set(err, ERR_MALFORMED, "%s is no base64", TS2021_HEADER);
	buf_fini(&raw);
	return t;
}

/* Browsers cannot send the header: it stands in the query, and no early payload follows. */
static void over_websocket(struct control *c, struct http_exchange *x,
			   const struct http_request *req)
{
	struct addrport peer = origin_of(&c->conf.proxies, req);
	char handshake[256];
	struct stream *s;
	struct ts2021 *t;
	struct err err;

	if (!http_query_get(req, "X-Tailscale-Handshake", handshake, sizeof(handshake))) {
		http_reply_text(x, 400, "missing X-Tailscale-Handshake in the query");
		return;
	}
	t = channel_of(c, bytes_str(handshake), &err);
	if (!t) {
		c->count.handshakes_bad++;
		http_reply_text(x, 400, "%s", err.text);
		return;
	}
	s = websocket_accept(x, req, TS2021_UPGRADE);
	if (s)
		serve_noise(c, s, t, peer, false);
	else
		ts2021_destroy(t);
}

static void on_ts2021(void *arg, struct http_exchange *x, const struct http_request *req)
{
	struct bytes upgrade = http_header_get(req, "upgrade"),
		     handshake = http_header_get(req, TS2021_HEADER);
	struct control *c = arg;
	struct addrport peer = origin_of(&c->conf.proxies, req);
	struct stream *s;
	struct ts2021 *t;
	struct err err;

	if (!rate_allow(&c->connect_rate, peer.ip, loop_now(c->loop))) {
		http_reply_text(x, 429, "too many connections from this address");
		return;
	}
	if (!upgrade.n) {
		http_reply_text(
		    x, 400, "missing next protocol: a proxy on the way removed the Upgrade header");
		return;
	}
	if (is_token(upgrade, "websocket")) {
		over_websocket(c, x, req);
		return;
	}
	if (!is_token(upgrade, TS2021_UPGRADE)) {
		http_reply_text(x, 400, "unknown next protocol");
		return;
	}
	t = channel_of(c, handshake, &err);
	if (!t) {
		c->count.handshakes_bad++;
		http_reply_text(x, 400, "%s", err.text);
		return;
	}
	s = http_upgrade(x, TS2021_UPGRADE, false);
	if (!s) {
		ts2021_destroy(t);
		http_reply_text(x, 400, "make request over HTTP/1");
		return;
	}
	serve_noise(c, s, t, peer, true);
}

/* ---- operators ---- */

static void on_health(void *arg, struct http_exchange *x, const struct http_request *req)
{
	struct control *c = arg;

	(void)req;
	if (c->stopping)
		http_reply_text(x, 503, "stopping");
	else
		http_reply(x, 200, "application/json", bytes_str("{\"status\":\"pass\"}"));
}

static size_t node_count(const struct control *c)
{
	size_t n = 0;

	list_each (it, (struct list *)&c->model.tailnets)
		n += list_entry(it, struct tailnet, link)->n_nodes;
	return n;
}

static void metric(struct buf *b, const char *name, const char *kind, uint64_t value)
{
	(void)buf_printf(b, "# TYPE weft_control_%s %s\nweft_control_%s %llu\n", name, kind, name,
			 (unsigned long long)value);
}

static void on_metrics(void *arg, struct http_exchange *x, const struct http_request *req)
{
	struct control *c = arg;
	const struct counters *n = &c->count;
	struct buf b;

	(void)req;
	buf_init(&b, 1 << 16);
	metric(&b, "nodes", "gauge", node_count(c));
	metric(&b, "map_streams", "gauge", c->n_streams);
	metric(&b, "logins_pending", "gauge", c->logins.n);
	metric(&b, "noise_connections_total", "counter", n->connections);
	metric(&b, "noise_handshakes_bad_total", "counter", n->handshakes_bad);
	metric(&b, "registers_total", "counter", n->registers);
	metric(&b, "register_errors_total", "counter", n->register_errors);
	metric(&b, "map_requests_total", "counter", n->maps);
	metric(&b, "updates_total", "counter", n->updates);
	metric(&b, "frames_total", "counter", n->frames);
	metric(&b, "frame_bytes_total", "counter", n->frame_bytes);
	metric(&b, "keepalives_total", "counter", n->keepalives);
	metric(&b, "commits_total", "counter", n->commits);
	metric(&b, "commit_errors_total", "counter", n->commit_errors);
	http_reply(x, 200, "text/plain; version=0.0.4", buf_bytes(&b));
	buf_fini(&b);
}

static void on_derp_map(void *arg, struct http_exchange *x, const struct http_request *req)
{
	struct control *c = arg;

	(void)req;
	http_reply(x, 200, "application/json", buf_bytes(&c->derp_map));
}

static void on_robots(void *arg, struct http_exchange *x, const struct http_request *req)
{
	(void)arg;
	(void)req;
	http_reply(x, 200, "text/plain", bytes_str("User-agent: *\nDisallow: /\n"));
}

/* A relay asks whether it may serve a node: yes when any tailnet knows it. */
static void on_verify(void *arg, struct http_exchange *x, const struct http_request *req)
{
	struct control *c = arg;
	struct arena arena;
	struct json *v;
	struct bytes text;
	struct key key;
	bool allow;

	arena_init(&arena, 1 << 16);
	v = json_parse(&arena, req->body, 0, NULL);
	if (!json_string(json_get_nocase(v, "NodePublic"), &text) ||
	    !keytext_parse(&key, KEY_NODE, text)) {
		http_reply_text(x, 400, "NodePublic is missing");
	} else {
		allow = model_node_by_key(&c->model, &key) != NULL;
		http_reply(x, 200, "application/json",
			   bytes_str(allow ? "{\"Allow\":true}" : "{\"Allow\":false}"));
	}
	arena_fini(&arena);
}

static void on_derp(void *arg, struct http_exchange *x, const struct http_request *req)
{
	struct control *c = arg;

	if (!c->derp || !derp_server_handle(c->derp, x, req))
		http_reply_text(x, 404, "no relay runs here");
}

static const struct httpd_route routes[] = {
	{ "GET", "/key", on_key, 0 },
	{ NULL, "/ts2021", on_ts2021, 0 },
	{ "GET", "/a/{token}", page_login, 0 },
	{ "POST", "/a/{token}", page_login_post, 8192 },
	{ "POST", "/a/{token}/confirm", page_confirm_post, 8192 },
	{ "GET", "/oidc/callback", oidc_login_callback, 0 },
	REST_ROUTES,
	{ "GET", "/health", on_health, 0 },
	{ "GET", "/metrics", on_metrics, 0 },
	{ "GET", "/derpmap/default", on_derp_map, 0 },
	{ "GET", "/robots.txt", on_robots, 0 },
	DERP_SERVER_ROUTES(on_derp),
	{ "POST", "/verify", on_verify, 4096 },
};

struct httpd *front_httpd(struct control *c)
{
	struct httpd_conf conf = {
		.routes = routes, .route_count = array_len(routes), .arg = c, .log = &c->log
	};

	return httpd_create(c->loop, &conf);
}
