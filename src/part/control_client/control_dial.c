/* part/control_client/control_dial.c - see control_dial.h. Upstream: control/controlhttp/client.go.
 */
#include "part/control_client/control_dial.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/ip.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine/ts2021/ts2021.h"
#include "io/httpc.h"
#include "io/loop.h"
#include "io/stream.h"
#include "io/tcp.h"
#include "io/tls.h"
#include "part/control_client/control_client.h"

enum {
	KEY_BODY_MAX = 64 << 10,
	DIAL_TIMEOUT_MS = 10000,
	SECOND_AFTER_MS = 500,
};

/* One of the two ways; the other one starts when this one is slow or has failed. */
struct attempt {
	struct control_dial *dial;
	bool tls;
	uint16_t port; /* 0: not to be tried */
	bool started, failed;
	struct http_upgrading *upgrading;
	struct ts2021 *channel; /* until the stream has it */
};

struct control_dial {
	struct loop *loop;
	struct control_dial_conf conf;
	struct http_fetch *fetch;
	struct attempt attempts[2]; /* in the order they start */
	struct io_timer second, giving_up;
	struct err why; /* of the last failure */
};

/* ---- the URL ---- */

static bool split_port(struct bytes authority, struct bytes *host, uint64_t *port)
{
	size_t colon = authority.n;

	if (authority.n && authority.p[0] == '[') {
		const uint8_t *end = memchr(authority.p, ']', authority.n);

		if (!end)
			return false;
		*host = bytes_of(authority.p + 1, (size_t)(end - authority.p) - 1);
		colon = (size_t)(end - authority.p) + 1;
		if (colon < authority.n && authority.p[colon] != ':')
			return false;
	} else {
		const uint8_t *at = memchr(authority.p, ':', authority.n);

		if (at)
			colon = (size_t)(at - authority.p);
		*host = bytes_of(authority.p, colon);
	}
	*port = 0;
	if (colon >= authority.n)
		return true;
	return text_u64(bytes_from(authority, colon + 1), UINT16_MAX, port) && *port;
}

static bool is_private_host(const char *host)
{
	struct ip ip;

	if (!strcmp(host, "localhost"))
		return true;
	return ip_parse(&ip, bytes_str(host)) && (ip_is_private(ip) || ip_is_loopback(ip));
}

int control_server_parse(struct control_server *s, const char *url, struct err *err)
{
	struct bytes rest = bytes_str(url), authority, host;
	uint64_t port;

	*s = (struct control_server){ 0 };
	s->https = bytes_has_prefix(rest, "https://");
	if (!s->https && !bytes_has_prefix(rest, "http://"))
		return err_set(err, ERR_USAGE, "%s is no http:// or https:// URL", url);
	rest = bytes_from(rest, s->https ? 8 : 7);
	if (!text_split(&rest, '/', &authority) || !split_port(authority, &host, &port) ||
	    !host.n || !bytes_to_cstr(host, s->host, sizeof(s->host)) ||
	    !bytes_to_cstr(authority, s->authority, sizeof(s->authority)))
		return err_set(err, ERR_USAGE, "%s names no server", url);
	if (s->https) {
		s->plain_port = 80;
		s->tls_port = port ? (uint16_t)port : 443;
	} else {
		s->plain_port = port ? (uint16_t)port : 80;
		s->tls_port = is_private_host(s->host) ? 0 : 443;
	}
	return 0;
}

/* ---- ends ---- */

static void drop_attempt(struct attempt *a)
{
	http_upgrading_destroy(a->upgrading);
	a->upgrading = NULL;
	ts2021_destroy(a->channel);
	a->channel = NULL;
}

void control_dial_cancel(struct control_dial *d)
{
	if (!d)
		return;
	if (d->fetch)
		http_fetch_cancel(d->fetch);
	d->fetch = NULL;
	drop_attempt(&d->attempts[0]);
	drop_attempt(&d->attempts[1]);
	io_timer_stop(&d->second);
	io_timer_stop(&d->giving_up);
	loop_free_later(d->loop, d);
}

static void fail(struct control_dial *d, const struct err *why)
{
	struct control_dial_conf conf = d->conf;
	struct err copy = *why;

	control_dial_cancel(d);
	conf.on_fail(conf.arg, &copy);
}

/* ---- the race ---- */

static void start_attempt(struct attempt *a);

static void attempt_failed(struct attempt *a, const struct err *why)
{
	struct control_dial *d = a->dial;

	a->failed = true;
	d->why = *why;
	for (size_t i = 0; i < 2; i++) {
		struct attempt *other = &d->attempts[i];

		if (other->port && !other->started) {
			start_attempt(other);
			return;
		}
		if (other->port && !other->failed)
			return;
	}
	fail(d, &d->why);
}

static void on_upgraded(void *arg, struct stream *s, const struct http_header *headers, size_t n)
{
	struct attempt *a = arg;
	struct control_dial *d = a->dial;
	struct control_dial_conf conf = d->conf;
	struct httpc *http;
	struct stream *noise;

	(void)headers;
	(void)n;
	a->upgrading = NULL;
	noise = d->conf.noise(s, a->channel);
	a->channel = NULL;
	http = httpc_create(noise, true, conf.on_close, conf.arg);
	control_dial_cancel(d);
	conf.on_open(conf.arg, http);
}

static void on_not_upgraded(void *arg, unsigned status, const struct err *why)
{
	struct attempt *a = arg;
	struct err err = *why;

	a->upgrading = NULL;
	drop_attempt(a);
	if (status)
		(void)err_set(&err, ERR_REFUSED, "the server answered %u instead of an upgrade",
			      status);
	(void)err_wrap(&err, "connect to %s port %u", a->dial->conf.server->host, a->port);
	attempt_failed(a, &err);
}

static void start_attempt(struct attempt *a)
{
	struct control_dial *d = a->dial;
	char text[TEXT_BASE64_LEN(TS2021_INITIATION_LEN) + 1];
	struct http_header header = { bytes_str(TS2021_HEADER), { NULL, 0 } };
	struct tcp_conf tcp = { .host = d->conf.server->host,
				.port = a->port,
				.timeout_ms = DIAL_TIMEOUT_MS,
				.on_socket = d->conf.on_socket,
				.arg = d->conf.socket_arg };
	struct http_upgrade_conf upgrade = { .method = "POST",
					     .path = "/ts2021",
					     .host = d->conf.server->authority,
					     .protocol = TS2021_UPGRADE,
					     .headers = &header,
					     .header_count = 1,
					     .timeout_ms = DIAL_TIMEOUT_MS,
					     .on_stream = on_upgraded,
					     .on_fail = on_not_upgraded,
					     .arg = a };
	struct stream *s;
	struct err err;

	a->started = true;
	a->channel = ts2021_create_client(d->conf.machine, d->conf.server_key, CONTROL_CAPVER,
					  loop_now(d->loop), d->conf.rng, &err);
	if (!a->channel) {
		attempt_failed(a, &err);
		return;
	}
	text_base64(BASE64_STD, bytes_of(ts2021_initiation(a->channel), TS2021_INITIATION_LEN),
		    text);
	header.value = bytes_str(text);
	s = tcp_connect(d->loop, &tcp);
	if (a->tls)
		s = tls_client(s, d->conf.tls, d->conf.server->host);
	a->upgrading = httpc_upgrade(s, &upgrade);
}

static void on_second(struct io_timer *t)
{
	struct control_dial *d = container_of(t, struct control_dial, second);

	if (d->attempts[1].port && !d->attempts[1].started)
		start_attempt(&d->attempts[1]);
}

static void on_giving_up(struct io_timer *t)
{
	struct control_dial *d = container_of(t, struct control_dial, giving_up);
	struct err err;

	(void)err_set(&err, ERR_TIMEOUT, "connect to %s: no answer", d->conf.server->host);
	fail(d, &err);
}

static void start_race(struct control_dial *d)
{
	const struct control_server *s = d->conf.server;
	struct attempt plain = { .dial = d, .port = s->plain_port };
	struct attempt tls = { .dial = d, .port = s->tls_port, .tls = true };
	bool tls_first = d->conf.tls_first && tls.port;

	d->attempts[0] = tls_first ? tls : plain;
	d->attempts[1] = tls_first ? plain : tls;
	io_timer_in_ms(d->loop, &d->giving_up, DIAL_TIMEOUT_MS + SECOND_AFTER_MS);
	io_timer_in_ms(d->loop, &d->second, SECOND_AFTER_MS);
	start_attempt(&d->attempts[0]);
}

/* ---- the key ---- */

static int key_from_reply(struct key *key, struct bytes body, struct err *err)
{
	struct arena arena;
	struct json *v;
	struct bytes text;
	int ret = -1;

	arena_init(&arena, 1 << 20);
	v = json_parse(&arena, body, 0, err);
	if (!v)
		goto out;
	if (!json_string(json_get_nocase(v, "publicKey"), &text) ||
	    !keytext_parse(key, KEY_MACHINE, text)) {
		err_set(err, ERR_MALFORMED, "the answer holds no publicKey");
		goto out;
	}
	if (key_is_zero(key)) {
		err_set(err, ERR_REFUSED, "the server finds this node too old");
		goto out;
	}
	ret = 0;
out:
	arena_fini(&arena);
	return ret;
}

static void on_key(void *arg, unsigned status, struct bytes body, const struct err *failure)
{
	struct control_dial *d = arg;
	struct err err = *failure;
	struct key key;

	d->fetch = NULL;
	if (err.code == ERR_NONE && status != 200)
		(void)err_set(&err, ERR_REFUSED, "status %u", status);
	if (err.code == ERR_NONE)
		(void)key_from_reply(&key, body, &err);
	if (err.code != ERR_NONE) {
		(void)err_wrap(&err, "fetch the key of %s", d->conf.url);
		fail(d, &err);
		return;
	}
	*d->conf.server_key = key;
	start_race(d);
}

static void fetch_key(struct control_dial *d)
{
	char url[CONTROL_HOST_MAX + 64];
	struct http_fetch_conf fetch = { .method = "GET",
					 .url = url,
					 .body_max = KEY_BODY_MAX,
					 .timeout_ms = DIAL_TIMEOUT_MS,
					 .ca_file = d->conf.ca_file,
					 .on_done = on_key,
					 .arg = d };
	struct err err;

	(void)snprintf(url, sizeof(url), "%s://%s/key?v=%d",
		       d->conf.server->https ? "https" : "http", d->conf.server->authority,
		       CONTROL_CAPVER);
	d->fetch = http_fetch(d->loop, &fetch, &err);
	if (!d->fetch) {
		d->why = err;
		io_timer_in_ms(d->loop, &d->giving_up, 0);
	}
}

struct control_dial *control_dial_start(struct loop *loop, const struct control_dial_conf *conf)
{
	struct control_dial *d = mem_alloc(sizeof(*d));

	d->loop = loop;
	d->conf = *conf;
	io_timer_init(&d->second, on_second);
	io_timer_init(&d->giving_up, on_giving_up);
	if (key_is_zero(conf->server_key))
		fetch_key(d);
	else
		start_race(d);
	return d;
}
