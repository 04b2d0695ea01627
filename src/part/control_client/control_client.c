/*
 * part/control_client/control_client.c - what happens when: login, map stream, updates, pauses.
 *
 * control_step() looks at what is wanted and what is there, and starts the one thing that is
 * missing. Whatever ends calls it again, after a pause when it failed. Upstream:
 * control/controlclient/{auto,direct}.go.
 */
#include "part/control_client/control_impl.h"

#include <string.h>

#include "base/err.h"
#include "base/json.h"
#include "crypto/x25519.h"
#include "io/tls.h"
#include "wire/tailcfg_register.h"

enum {
	HOSTINFO_MAX = 256 << 10,
	BACKOFF_UNIT_MS = 10,
	BACKOFF_MAX_MS = 30 * 1000,
	RECENT_DIAL_S = 120,
};

const char *control_state_name(enum control_state s)
{
	static const char *const names[] = {
		[CONTROL_IDLE] = "idle",
		[CONTROL_CONNECTING] = "connecting",
		[CONTROL_REGISTERING] = "registering",
		[CONTROL_WAITING] = "waiting for a login",
		[CONTROL_POLLING] = "waiting for the map",
		[CONTROL_STREAMING] = "streaming",
	};

	return names[s];
}

void control_set_state(struct control_client *c, enum control_state next)
{
	if (c->state == next)
		return;
	log_info(&c->conf.log, "control client is %s", control_state_name(next));
	c->state = next; /* the only assignment */
	c->conf.on_state(c->conf.arg, next);
}

/* ---- pauses and endings ---- */

void control_cancel(struct http_call **call)
{
	struct http_call *gone = *call;

	*call = NULL;
	if (gone)
		http_call_cancel(gone);
}

static void drop_calls(struct control_client *c)
{
	control_cancel(&c->reg);
	control_cancel(&c->map);
	if (c->update)
		c->update_due = true;
	control_cancel(&c->update);
	control_cancel(&c->logout);
	io_timer_stop(&c->watchdog);
}

void control_drop_connection(struct control_client *c)
{
	drop_calls(c);
	control_dial_cancel(c->dial);
	c->dial = NULL;
	httpc_destroy(c->http);
	c->http = NULL;
}

static bool is_armed(const struct io_timer *t)
{
	return heap_has(&t->node);
}

/* n * n * 10 ms, half to one and a half of it (upstream: util/backoff). */
int64_t control_backoff_ms(struct control_client *c, unsigned n)
{
	int64_t ms = (int64_t)n * n * BACKOFF_UNIT_MS;

	if (ms > BACKOFF_MAX_MS)
		ms = BACKOFF_MAX_MS;
	return ms / 2 + (int64_t)rng_below(&c->conf.rng, (uint64_t)ms + 1);
}

void control_retry_in(struct control_client *c, int64_t ms)
{
	io_timer_in_ms(c->loop, &c->retry, ms);
}

/* Something broke: tell, wait, start over. */
void control_failed(struct control_client *c, const struct err *why)
{
	/* The user wants to be gone, whether the server can be told or not. */
	if (c->logging_out) {
		struct err copy = *why;

		control_logged_out(c, &copy);
		return;
	}
	if (c->failures < 1000)
		c->failures++;
	log_warn(&c->conf.log, "%s", why->text);
	/* Who did not answer in time may be behind a connection that is dead. */
	if (why->code == ERR_TIMEOUT)
		control_drop_connection(c);
	control_set_state(c, CONTROL_CONNECTING);
	if (c->destroyed)
		return;
	c->conf.on_error(c->conf.arg, why->text);
	if (!c->destroyed)
		control_retry_in(c, control_backoff_ms(c, c->failures));
}

static void on_retry(struct io_timer *t)
{
	control_step(container_of(t, struct control_client, retry));
}

/* ---- the connection ---- */

static void on_http_close(void *arg, const struct err *why)
{
	struct control_client *c = arg;
	struct httpc *gone = c->http;
	struct err err = *why;

	/* Its calls were told before and have scheduled what comes next. */
	c->http = NULL;
	drop_calls(c);
	httpc_destroy(gone);
	if (!c->wanted && !c->logging_out)
		return;
	if (!is_armed(&c->retry)) {
		if (err.code == ERR_NONE)
			(void)err_set(&err, ERR_REFUSED, "the server closed the connection");
		control_failed(c, &err);
	}
}

static void on_dialed(void *arg, struct httpc *http)
{
	struct control_client *c = arg;

	c->dial = NULL;
	c->http = http;
	control_step(c);
}

static void on_dial_failed(void *arg, const struct err *why)
{
	struct control_client *c = arg;

	c->dial = NULL;
	control_failed(c, why);
}

static void start_dial(struct control_client *c)
{
	struct mono now = loop_now(c->loop);
	struct control_dial_conf dial = {
		.server = &c->server,
		.url = c->conf.url,
		.ca_file = c->conf.ca_file,
		.tls = c->tls,
		.machine = &c->conf.machine,
		.server_key = &c->server_key,
		.rng = &c->conf.rng,
		.noise = c->conf.noise,
		.tls_first = !mono_is_zero(c->last_dial) &&
			     mono_since_ms(now, c->last_dial) < RECENT_DIAL_S * 1000,
		.on_socket = c->conf.on_socket,
		.socket_arg = c->conf.arg,
		.on_open = on_dialed,
		.on_fail = on_dial_failed,
		.on_close = on_http_close,
		.arg = c,
	};

	c->last_dial = now;
	control_set_state(c, CONTROL_CONNECTING);
	if (!c->destroyed)
		c->dial = control_dial_start(c->loop, &dial);
}

struct http_call *control_post(struct control_client *c, const char *path,
			       const struct schema *schema, const void *message,
			       struct http_call_conf call)
{
	static const struct http_header type = { { (const uint8_t *)"content-type", 12 },
						 { (const uint8_t *)"application/json", 16 } };
	struct http_call *started;
	struct json_out o;
	struct buf body;

	buf_init(&body, 4 << 20);
	json_out_init(&o, &body);
	schema_encode(&o, schema, message);
	call.method = "POST";
	call.path = path;
	call.authority = c->server.authority;
	call.headers = &type;
	call.header_count = 1;
	call.body = buf_bytes(&body);
	call.arg = c;
	started = httpc_call(c->http, &call);
	secret_wipe(body.p, body.n); /* it may hold an auth key */
	buf_fini(&body);
	return started;
}

struct key control_public(const struct secret32 *s)
{
	struct key k = { 0 };

	if (!secret_is_zero(s->b, sizeof(s->b)))
		x25519_public(k.b, s);
	return k;
}

struct tailcfg_hostinfo control_hostinfo(struct control_client *c)
{
	return (struct tailcfg_hostinfo){ .raw = c->hostinfo.n ? buf_bytes(&c->hostinfo)
							       : bytes_str("{}") };
}

/* ---- what is missing? ---- */

static bool can_connect(struct control_client *c)
{
	if (c->http)
		return true;
	if (!c->dial)
		start_dial(c);
	return false;
}

void control_step(struct control_client *c)
{
	io_timer_stop(&c->retry);
	if (c->logging_out) {
		if (can_connect(c) && !c->logout)
			control_start_logout(c);
		return;
	}
	if (!c->wanted || (c->paused && c->registered)) {
		control_set_state(c, CONTROL_IDLE);
		return;
	}
	if (!can_connect(c))
		return;
	if (!c->registered) {
		if (!c->reg)
			control_start_register(c);
		return;
	}
	if (!c->map)
		control_start_map(c);
	if (!c->destroyed && c->http && c->update_due && !c->update && !is_armed(&c->update_retry))
		control_start_update(c);
}

/* ---- public ---- */

struct control_client *
control_client_create(struct loop *loop, const struct control_client_conf *conf, struct err *err)
{
	struct control_client *c = mem_alloc(sizeof(*c));

	c->loop = loop;
	c->conf = *conf;
	c->conf.url = mem_strdup(conf->url);
	c->conf.ca_file = conf->ca_file ? mem_strdup(conf->ca_file) : NULL;
	io_timer_init(&c->retry, on_retry);
	io_timer_init(&c->watchdog, control_on_watchdog);
	io_timer_init(&c->update_retry, control_on_update_retry);
	buf_init(&c->reg_body, CONTROL_REGISTER_BODY_MAX);
	buf_init(&c->hostinfo, HOSTINFO_MAX);
	c->tls = tls_ctx_client(&(struct tls_client_conf){ .insecure = true }, err);
	if (!c->tls || control_server_parse(&c->server, conf->url, err) < 0) {
		control_client_destroy(c);
		return NULL;
	}
	return c;
}

void control_client_destroy(struct control_client *c)
{
	if (!c)
		return;
	c->destroyed = true;
	control_drop_connection(c);
	io_timer_stop(&c->retry);
	io_timer_stop(&c->update_retry);
	control_frames_fini(&c->frames);
	control_forget_auth_key(c);
	buf_fini(&c->reg_body);
	buf_fini(&c->hostinfo);
	tls_ctx_unref(c->tls);
	mem_free((char *)(uintptr_t)c->conf.url);
	mem_free((char *)(uintptr_t)c->conf.ca_file);
	secret_wipe(&c->conf.machine, sizeof(c->conf.machine));
	secret_wipe(&c->conf.keys, sizeof(c->conf.keys));
	secret32_wipe(&c->trying);
	loop_free_later(c->loop, c);
}

void control_client_login(struct control_client *c, unsigned flags, const char *auth_key)
{
	bool have_key = !secret_is_zero(c->conf.keys.node.b, sizeof(c->conf.keys.node.b));

	control_cancel(&c->reg);
	control_cancel(&c->map);
	io_timer_stop(&c->watchdog);
	control_forget_auth_key(c);
	if (auth_key && *auth_key)
		c->auth_key = mem_strdup(auth_key);
	c->followup[0] = '\0';
	c->trying_is_new = false;
	c->trying = c->conf.keys.node;
	if ((flags & CONTROL_LOGIN_NEW_KEY) || !have_key)
		control_try_new_key(c);
	c->wanted = true;
	c->registered = false;
	c->failures = 0;
	control_step(c);
}

void control_client_logout(struct control_client *c)
{
	struct err err = { 0 };

	drop_calls(c);
	c->wanted = false;
	c->registered = false;
	c->followup[0] = '\0';
	control_forget_auth_key(c);
	if (secret_is_zero(c->conf.keys.node.b, sizeof(c->conf.keys.node.b))) {
		control_logged_out(c, &err);
		return;
	}
	c->logging_out = true;
	control_step(c);
}

void control_client_pause(struct control_client *c, bool paused)
{
	if (c->paused == paused)
		return;
	c->paused = paused;
	if (paused && c->registered) {
		control_drop_connection(c);
		io_timer_stop(&c->retry);
	}
	c->failures = 0;
	control_step(c);
}

void control_client_kick(struct control_client *c)
{
	control_drop_connection(c);
	c->failures = 0;
	c->update_failures = 0;
	io_timer_stop(&c->update_retry);
	control_step(c);
}

void control_client_set_hostinfo(struct control_client *c, struct bytes json)
{
	if (bytes_equal(buf_bytes(&c->hostinfo), json))
		return;
	buf_clear(&c->hostinfo);
	(void)buf_append(&c->hostinfo, json);
	c->update_due = true;
	if (c->registered && !c->paused)
		control_step(c);
}

void control_client_set_endpoints(struct control_client *c, const struct key *disco,
				  const struct control_endpoint *endpoints, size_t n)
{
	if (n > CONTROL_ENDPOINTS_MAX)
		n = CONTROL_ENDPOINTS_MAX;
	c->disco = *disco;
	memcpy(c->endpoints, endpoints, n * sizeof(*endpoints));
	c->endpoint_count = n;
	c->update_due = true;
	if (c->registered && !c->paused)
		control_step(c);
}

enum control_state control_client_state(const struct control_client *c)
{
	return c->state;
}
