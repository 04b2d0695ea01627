/* app/weftd/localapi.c - socket, rights, routes. Upstream: ipn/localapi, ipn/ipnserver. */
#include "app/weftd/localapi.h"

#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "app/weftd/localapi_priv.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/text.h"
#include "io/loop.h"
#include "io/tcp.h"
#include "node/netmap.h"
#include "node/prefs.h"
#include "node/state.h"

/* ---- rights ---- */

static bool is_operator(const struct localapi *a, uid_t uid)
{
	struct bytes name = node_prefs(a->node)->v.operator_user;
	char text[64];
	const struct passwd *user;

	if (!name.n || !bytes_to_cstr(name, text, sizeof(text)))
		return false;
	user = getpwnam(text);
	return user && user->pw_uid == uid;
}

static bool may_write(const struct localapi *a, const struct client *c)
{
	return c->known && (c->uid == 0 || c->uid == getuid() || is_operator(a, c->uid));
}

/* A browser sends one of these; a command line never does. */
static bool is_from_page(const struct http_request *req)
{
	struct bytes host = req->authority;

	return http_header_get(req, "origin").p || http_header_get(req, "referer").p ||
	       (host.n && !bytes_equal_str(host, "local-tailscaled.sock"));
}

/* ---- answers ---- */

void localapi_reply_json(struct http_exchange *x, unsigned status, struct buf *json)
{
	(void)buf_append_str(json, "\n");
	if (json->bad)
		http_reply_text(x, 500, "the answer is too large\n");
	else
		http_reply(x, status, "application/json", buf_bytes(json));
	buf_fini(json);
}

void localapi_reply_error(struct http_exchange *x, unsigned status, const char *text)
{
	struct json_out o;
	struct buf json;

	buf_init(&json, 64 << 10);
	json_out_init(&o, &json);
	json_open_object(&o);
	json_key(&o, "error");
	json_put_cstr(&o, text);
	json_close_object(&o);
	localapi_reply_json(x, status, &json);
}

/* ---- handlers ---- */

static void get_status(struct localapi *a, struct http_exchange *x, const struct http_request *req)
{
	char peers[8] = "";
	struct json_out o;
	struct buf json;

	(void)http_query_get(req, "peers", peers, sizeof(peers));
	buf_init(&json, LOCALAPI_REPLY_MAX);
	json_out_init(&o, &json);
	localapi_status(a->node, strcmp(peers, "false") != 0, &o);
	localapi_reply_json(x, 200, &json);
}

static void reply_prefs(struct localapi *a, struct http_exchange *x)
{
	struct json_out o;
	struct buf json;

	buf_init(&json, 4 << 20);
	json_out_init(&o, &json);
	localapi_prefs(a->node, &o);
	localapi_reply_json(x, 200, &json);
}

static void get_prefs(struct localapi *a, struct http_exchange *x, const struct http_request *req)
{
	(void)req;
	reply_prefs(a, x);
}

static void reply_prefs_error(struct http_exchange *x, unsigned status, const char *text)
{
	struct json_out o;
	struct buf json;

	buf_init(&json, 64 << 10);
	json_out_init(&o, &json);
	json_open_object(&o);
	json_key(&o, "Error");
	json_put_cstr(&o, text);
	json_close_object(&o);
	localapi_reply_json(x, status, &json);
}

static void patch_prefs(struct localapi *a, struct http_exchange *x, const struct http_request *req)
{
	struct err err;

	if (node_edit_prefs(a->node, req->body, &err) < 0)
		reply_prefs_error(x, 400, err.text);
	else
		reply_prefs(a, x);
}

static void check_prefs(struct localapi *a, struct http_exchange *x, const struct http_request *req)
{
	struct err err = { 0 };
	struct prefs *p = prefs_decode(req->body, &err);

	(void)a;
	if (p)
		(void)prefs_check(p, &err);
	prefs_destroy(p);
	reply_prefs_error(x, 200, err.text);
}

static void reply_done(struct http_exchange *x)
{
	http_reply(x, 204, NULL, (struct bytes){ NULL, 0 });
}

static void post_start(struct localapi *a, struct http_exchange *x, const struct http_request *req)
{
	const struct json *v, *prefs;
	struct bytes auth = { NULL, 0 }, text = { NULL, 0 };
	struct arena arena;
	char key[512] = "";
	struct err err = { 0 };
	int ret = -1;

	arena_init(&arena, 16 << 20);
	v = json_parse(&arena, req->body, 0, &err);
	prefs = json_get_nocase(v, "UpdatePrefs");
	(void)json_string(json_get_nocase(v, "AuthKey"), &auth);
	if (json_is(prefs, JSON_OBJECT))
		text = bytes_of(req->body.p + prefs->start, prefs->end - prefs->start);
	if (v && auth.n && !bytes_to_cstr(auth, key, sizeof(key)))
		(void)err_set(&err, ERR_USAGE, "the auth key is too long");
	else if (v)
		ret = node_start(a->node, text, key, &err);
	secret_wipe(key, sizeof(key));
	arena_fini(&arena);
	if (ret < 0)
		http_reply_text(x, 500, "%s\n", err.text);
	else
		reply_done(x);
}

static void post_login(struct localapi *a, struct http_exchange *x, const struct http_request *req)
{
	(void)req;
	node_login_interactive(a->node);
	reply_done(x);
}

struct logging_out {
	struct http_exchange *x; /* NULL: the client did not wait */
};

static void on_logged_out(void *arg, const struct err *err)
{
	struct logging_out *l = arg;

	(void)err; /* the keys are gone here, which is what was asked for */
	if (l->x)
		reply_done(l->x);
	mem_free(l);
}

static void on_logout_gone(void *arg)
{
	((struct logging_out *)arg)->x = NULL;
}

static void post_logout(struct localapi *a, struct http_exchange *x, const struct http_request *req)
{
	struct logging_out *l = mem_alloc(sizeof(*l));

	(void)req;
	l->x = x;
	http_on_gone(x, on_logout_gone, l);
	node_logout(a->node, on_logged_out, l);
}

static void get_derpmap(struct localapi *a, struct http_exchange *x, const struct http_request *req)
{
	const struct netmap *map = node_map(a->node);
	struct json_out o;
	struct buf json;

	(void)req;
	buf_init(&json, 16 << 20);
	json_out_init(&o, &json);
	if (map && netmap_derp(map))
		schema_encode(&o, &tailcfg_derp_map_schema, netmap_derp(map));
	else
		json_put_null(&o);
	localapi_reply_json(x, 200, &json);
}

static void get_dns_config(struct localapi *a, struct http_exchange *x,
			   const struct http_request *req)
{
	const struct netmap *map = node_map(a->node);
	struct json_out o;
	struct buf json;

	(void)req;
	if (!map) {
		http_reply_text(x, 503, "no netmap\n");
		return;
	}
	buf_init(&json, 16 << 20);
	json_out_init(&o, &json);
	if (netmap_dns(map))
		schema_encode(&o, &tailcfg_dns_schema, netmap_dns(map));
	else
		json_put_null(&o);
	localapi_reply_json(x, 200, &json);
}

static void get_metrics(struct localapi *a, struct http_exchange *x, const struct http_request *req)
{
	struct tunnel *t = node_tunnel(a->node);
	const struct prefs *prefs = node_prefs(a->node);
	struct buf text;

	(void)req;
	buf_init(&text, 1 << 20);
	(void)buf_printf(&text,
			 "# TYPE tailscaled_advertised_routes gauge\n"
			 "# HELP tailscaled_advertised_routes Number of advertised network routes\n"
			 "tailscaled_advertised_routes %zu\n"
			 "# TYPE tailscaled_home_derp_region_id gauge\n"
			 "# HELP tailscaled_home_derp_region_id DERP region ID of the home relay\n"
			 "tailscaled_home_derp_region_id %d\n",
			 prefs->v.advertise_routes.n, t ? tunnel_home(t) : 0);
	http_reply(x, 200, "text/plain; version=0.0.4", buf_bytes(&text));
	buf_fini(&text);
}

static void get_counters(struct localapi *a, struct http_exchange *x,
			 const struct http_request *req)
{
	struct tunnel *t = node_tunnel(a->node);
	struct buf text;

	(void)req;
	buf_init(&text, 1 << 20);
	if (t)
		tunnel_counters(t, &text);
	http_reply(x, 200, "text/plain", buf_bytes(&text));
	buf_fini(&text);
}

static void get_warning(struct localapi *a, struct http_exchange *x, const struct http_request *req)
{
	(void)a;
	(void)req;
	http_reply(x, 200, "application/json", bytes_str("{\"Warning\":\"\"}\n"));
}

/* Nothing is served; the tag is the SHA-256 of "null", as clients expect it. */
static void get_serve_config(struct localapi *a, struct http_exchange *x,
			     const struct http_request *req)
{
	(void)a;
	(void)req;
	http_add_header(x, "Etag",
			"74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b");
	http_reply(x, 200, "application/json", bytes_str("null"));
}

static void not_there(struct localapi *a, struct http_exchange *x, const struct http_request *req)
{
	(void)a;
	http_reply_text(x, 501, "this daemon has no %.*s yet\n", BYTES_FMT(req->path));
}

/* ---- routes ---- */

enum right { READ, WRITE };

// clang-format off
static const struct {
	const char *method, *path;
	enum right right;
	localapi_handler *handle;
} endpoints[] = {
	{ "GET",   "status",              READ,  get_status },
	{ "GET",   "prefs",               READ,  get_prefs },
	{ "PATCH", "prefs",               WRITE, patch_prefs },
	{ "POST",  "check-prefs",         WRITE, check_prefs },
	{ "POST",  "start",               WRITE, post_start },
	{ "POST",  "login-interactive",   WRITE, post_login },
	{ "POST",  "logout",              WRITE, post_logout },
	{ "GET",   "whois",               READ,  localapi_whois },
	{ "POST",  "ping",                READ,  localapi_ping },
	{ "GET",   "watch-ipn-bus",       READ,  localapi_watch },
	{ "GET",   "derpmap",             READ,  get_derpmap },
	{ "GET",   "netcheck",            READ,  localapi_netcheck },
	{ "GET",   "dns-config",          READ,  get_dns_config },
	{ "GET",   "profiles/",           WRITE, localapi_profiles },
	{ "PUT",   "profiles/",           WRITE, localapi_profiles },
	{ "POST",  "profiles/",           WRITE, localapi_profiles },
	{ "DELETE", "profiles/",          WRITE, localapi_profiles },
	{ "GET",   "usermetrics",         READ,  get_metrics },
	{ "GET",   "metrics",             WRITE, get_counters },
	{ "GET",   "check-ip-forwarding", READ,  localapi_check_forwarding },
	{ "GET",   "check-udp-gro-forwarding", READ, get_warning },
	{ "GET",   "weft-explain",        READ,  localapi_explain },
	{ "POST",  "shutdown",            WRITE, not_there },
	{ "GET",   "serve-config",        READ,  get_serve_config },
	{ "POST",  "dial",                WRITE, not_there },
	{ "POST",  "suggest-exit-node",   READ,  localapi_suggest_exit },
	{ "GET",   "suggest-exit-node",   READ,  localapi_suggest_exit },
	{ "GET",   "dns-query",           WRITE, localapi_dns_query },
	{ "GET",   "dns-osconfig",        WRITE, localapi_dns_osconfig },
	{ "GET",   "dns-status",          READ,  localapi_dns_status },
};
// clang-format on

/* Exactly; one that ends with a slash stands for all below it. */
static bool matches(struct bytes path, const char *endpoint)
{
	return endpoint[strlen(endpoint) - 1] == '/' ? bytes_has_prefix(path, endpoint)
						     : bytes_equal_str(path, endpoint);
}

static void add_headers(struct localapi *a, struct http_exchange *x)
{
	http_add_header(x, "Tailscale-Cap", "117");
	http_add_header(x, "Content-Security-Policy",
			"default-src 'none'; frame-ancestors 'none'; script-src 'none'; "
			"script-src-elem 'none'; script-src-attr 'none'");
	http_add_header(x, "X-Frame-Options", "DENY");
	http_add_header(x, "X-Content-Type-Options", "nosniff");
	(void)a;
}

static void handle(void *arg, struct http_exchange *x, const struct http_request *req)
{
	static const char prefix[] = "/localapi/v0/";
	struct localapi *a = arg;
	const struct client *c = req->conn_arg;
	struct bytes path = bytes_from(req->path, sizeof(prefix) - 1);
	bool other_method = false;

	add_headers(a, x);
	if (is_from_page(req) || !c->known) {
		http_reply_text(x, 403, "invalid localapi request\n");
		return;
	}
	if (!bytes_has_prefix(req->path, prefix)) {
		http_reply_text(x, 404, "404 page not found\n");
		return;
	}
	for (size_t i = 0; i < array_len(endpoints); i++) {
		if (!matches(path, endpoints[i].path))
			continue;
		other_method = true;
		if (!bytes_equal_str(req->method, endpoints[i].method))
			continue;
		if (endpoints[i].right == WRITE && !may_write(a, c))
			http_reply_text(x, 403, "access denied\n");
		else
			endpoints[i].handle(a, x, req);
		return;
	}
	http_reply_text(x, other_method ? 405 : 404, "%s\n",
			other_method ? "method not allowed" : "404 page not found");
}

/* ---- the socket ---- */

static void on_gone(void *conn_arg)
{
	mem_free(conn_arg);
}

static void on_accept(void *arg, struct stream *s, struct addrport peer)
{
	struct localapi *a = arg;
	struct client *c = mem_alloc(sizeof(*c));
	struct unix_cred cred;

	c->known = unix_peer_cred(s, &cred);
	c->uid = c->known ? cred.uid : (uid_t)-1;
	httpd_serve(a->httpd, s, HTTPD_H1, peer, c, on_gone);
}

struct localapi *localapi_create(struct loop *loop, struct node *node, int listener,
				 const struct log *log, struct err *err)
{
	static const struct httpd_route routes[] = {
		{ NULL, "/*", handle, LOCALAPI_BODY_MAX },
	};
	struct localapi *a = mem_alloc(sizeof(*a));
	struct httpd_conf conf = { .routes = routes,
				   .route_count = array_len(routes),
				   .arg = a,
				   .idle_timeout_s = 3600,
				   .connections_max = 256 };

	a->loop = loop;
	a->node = node;
	a->log = *log;
	list_init(&a->watchers);
	a->httpd = httpd_create(loop, &conf);
	a->listener = unix_listen_fd(loop, listener, on_accept, a, err);
	if (!a->listener) {
		localapi_destroy(a);
		return NULL;
	}
	return a;
}

void localapi_destroy(struct localapi *a)
{
	if (!a)
		return;
	tcp_listener_destroy(a->listener);
	localapi_drop_watchers(a);
	httpd_destroy(a->httpd);
	loop_free_later(a->loop, a);
}
