/* io/websocket_http.c - the handshake (RFC 6455 section 4), as server and as client. */
#include "base/err.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/text.h"
#include "io/httpc.h"
#include "io/loop.h"
#include "io/stream.h"
#include "io/websocket.h"
#include "wire/websocket.h"

static struct bytes header(const struct http_request *req, const char *name)
{
	return http_header_get(req, name);
}

struct stream *websocket_accept(struct http_exchange *x, const struct http_request *req,
				const char *protocol)
{
	char accept[WEBSOCKET_ACCEPT_LEN + 1];
	struct stream *below;

	if (!http1_list_has(header(req, "upgrade"), "websocket") ||
	    !http1_list_has(header(req, "connection"), "upgrade")) {
		http_add_header(x, "upgrade", "websocket");
		http_reply_text(x, 426, "this place speaks WebSocket only");
		return NULL;
	}
	if (!bytes_equal_str(header(req, "sec-websocket-version"), "13")) {
		http_add_header(x, "sec-websocket-version", "13");
		http_reply_text(x, 426, "WebSocket version 13 is spoken here");
		return NULL;
	}
	if (!websocket_accept_key(header(req, "sec-websocket-key"), accept)) {
		http_reply_text(x, 400, "Sec-WebSocket-Key is not 16 bytes in base64");
		return NULL;
	}
	if (protocol && !http1_list_has(header(req, "sec-websocket-protocol"), protocol)) {
		http_reply_text(x, 400, "the subprotocol %s is not offered", protocol);
		return NULL;
	}
	http_add_header(x, "sec-websocket-accept", accept);
	if (protocol)
		http_add_header(x, "sec-websocket-protocol", protocol);
	below = http_upgrade(x, "websocket", false);
	if (!below) {
		http_reply_text(x, 400, "WebSocket needs HTTP/1.1");
		return NULL;
	}
	return websocket_stream(below, true);
}

/* ---- client ---- */

struct websocket_dial {
	struct loop *loop;
	struct http_upgrading *upgrading;
	char accept[WEBSOCKET_ACCEPT_LEN + 1];
	char protocol[64];
	struct websocket_conf conf;
	bool dead;
};

void websocket_dial_destroy(struct websocket_dial *d)
{
	if (!d || d->dead)
		return;
	d->dead = true;
	http_upgrading_destroy(d->upgrading);
	loop_free_later(d->loop, d);
}

static void on_fail(void *arg, unsigned status, const struct err *why)
{
	struct websocket_dial *d = arg;

	(void)status;
	websocket_dial_destroy(d); /* the memory stays for this turn */
	d->conf.on_fail(d->conf.arg, why);
}

static void on_stream(void *arg, struct stream *s, const struct http_header *headers, size_t n)
{
	struct websocket_dial *d = arg;
	struct bytes accept = http1_header_get(headers, n, "sec-websocket-accept");
	struct bytes protocol = http1_header_get(headers, n, "sec-websocket-protocol");
	struct err err = { 0 };

	if (!bytes_equal_str(accept, d->accept) || !bytes_equal_str(protocol, d->protocol)) {
		stream_destroy(s);
		err_set(&err, ERR_MALFORMED, "the server's WebSocket answer does not fit");
		on_fail(d, 101, &err);
		return;
	}
	websocket_dial_destroy(d);
	d->conf.on_stream(d->conf.arg, websocket_stream(s, false));
}

struct websocket_dial *websocket_connect(struct stream *below, const struct websocket_conf *conf)
{
	struct websocket_dial *d = mem_alloc(sizeof(*d));
	struct rng rng = rng_system();
	uint8_t nonce[16];
	char key[WEBSOCKET_KEY_LEN + 1];
	struct http_header headers[3];
	struct http_upgrade_conf upgrade = { .path = conf->path,
					     .host = conf->host,
					     .protocol = "websocket",
					     .headers = headers,
					     .timeout_ms = conf->timeout_ms,
					     .on_stream = on_stream,
					     .on_fail = on_fail,
					     .arg = d };

	d->loop = below->loop;
	d->conf = *conf;
	rng.fill(&rng, nonce, sizeof(nonce));
	text_base64(BASE64_STD, bytes_of(nonce, sizeof(nonce)), key);
	websocket_accept_key(bytes_str(key), d->accept);
	headers[0] = (struct http_header){ bytes_str("sec-websocket-version"), bytes_str("13") };
	headers[1] = (struct http_header){ bytes_str("sec-websocket-key"), bytes_str(key) };
	upgrade.header_count = 2;
	if (conf->protocol &&
	    bytes_to_cstr(bytes_str(conf->protocol), d->protocol, sizeof(d->protocol))) {
		headers[2] = (struct http_header){ bytes_str("sec-websocket-protocol"),
						   bytes_str(conf->protocol) };
		upgrade.header_count = 3;
	}
	d->upgrading = httpc_upgrade(below, &upgrade);
	return d;
}
