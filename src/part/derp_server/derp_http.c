/* The HTTP face: upgrade, probes, captive portal check, and two pages for people and robots. */
#include <stdio.h>

#include "base/text.h"
#include "io/httpd.h"
#include "io/stream.h"
#include "io/websocket.h"
#include "part/derp_server/derp_server.h"
#include "part/derp_server/derp_server_state.h"

enum { CHALLENGE_MAX = 64 };

static const char home_page[] =
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Relay</title></head>\n"
    "<body><h1>A relay of a private network</h1>\n"
    "<p>This server passes encrypted packets between devices of a mesh network when they cannot\n"
    "reach each other directly. It cannot read what it passes on, and there is nothing here to see "
    "in a browser.</p></body></html>\n";

static bool is_trusted(const struct derp_server *s, struct ip ip)
{
	for (size_t i = 0; i < s->conf.proxy_count; i++)
		if (prefix_contains(s->proxies[i], ip_unmap(ip)))
			return true;
	return false;
}

/*
 * Behind trusted proxies: the last address in X-Forwarded-For that is not one of them. What stands
 * before it was written by whoever connected and may be anything.
 */
static struct addrport client_address(const struct derp_server *s, const struct http_request *req)
{
	struct bytes list = http_header_get(req, "x-forwarded-for");
	struct addrport from = req->peer;

	while (list.n && is_trusted(s, from.ip)) {
		size_t at = list.n;
		struct ip ip;

		while (at && list.p[at - 1] != ',')
			at--;
		if (!ip_parse(&ip, text_trim(bytes_from(list, at))))
			break;
		from = (struct addrport){ ip, 0 };
		list.n = at ? at - 1 : 0;
	}
	return from;
}

/* One of a comma list, whatever its case. */
static bool has_token(struct bytes list, const char *token)
{
	struct bytes piece;

	while (text_split(&list, ',', &piece))
		if (bytes_equal_nocase(text_trim(piece), bytes_str(token)))
			return true;
	return false;
}

static void upgrade_raw(struct derp_server *s, struct http_exchange *x,
			const struct http_request *req, struct addrport from)
{
	char hex[TEXT_HEX_LEN(DERP_KEY_LEN) + 1];
	bool fast = bytes_equal_str(http_header_get(req, "derp-fast-start"), "1");
	bool not_ideal = http_header_get(req, "ideal-node").n != 0;
	struct stream *stream;

	text_hex(bytes_of(derp_server_key(s)->b, DERP_KEY_LEN), hex);
	if (!fast) {
		http_add_header(x, "Derp-Version", "2");
		http_add_header(x, "Derp-Public-Key", hex);
	}
	stream = http_upgrade(x, "DERP", fast);
	if (!stream) {
		http_reply_text(x, 500, "DERP needs HTTP/1.1 on a connection of its own\n");
		return;
	}
	s->upgrades++;
	derp_server_attach(s, stream, from, not_ideal);
}

static void upgrade_websocket(struct derp_server *s, struct http_exchange *x,
			      const struct http_request *req, struct addrport from)
{
	struct stream *stream = websocket_accept(x, req, "derp");

	if (!stream)
		return; /* it was answered */
	s->upgrades++;
	s->websockets++;
	derp_server_attach(s, stream, from, false);
}

static void handle_derp(struct derp_server *s, struct http_exchange *x,
			const struct http_request *req)
{
	struct bytes upgrade = http_header_get(req, "upgrade");
	struct addrport from = client_address(s, req);
	bool websocket = has_token(upgrade, "websocket");

	if (websocket && has_token(http_header_get(req, "sec-websocket-protocol"), "derp")) {
		upgrade_websocket(s, x, req, from);
	} else if (websocket || has_token(upgrade, "derp")) {
		/* Old clients said websocket to get through proxies and spoke DERP. */
		upgrade_raw(s, x, req, from);
	} else {
		http_add_header(x, "Upgrade", "DERP");
		http_reply_text(x, 426, "DERP requires a connection upgrade\n");
	}
}

static void handle_probe(struct http_exchange *x, const struct http_request *req)
{
	if (!bytes_equal_str(req->method, "GET") && !bytes_equal_str(req->method, "HEAD")) {
		http_add_header(x, "Allow", "GET, HEAD");
		http_reply_text(x, 405, "only GET and HEAD\n");
		return;
	}
	http_add_header(x, "Access-Control-Allow-Origin", "*");
	http_reply(x, 200, "text/plain", bytes_of(NULL, 0));
}

static bool is_challenge(struct bytes c)
{
	if (!c.n || c.n > CHALLENGE_MAX)
		return false;
	for (size_t i = 0; i < c.n; i++) {
		uint8_t ch = c.p[i];

		if (!((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
		      (ch >= '0' && ch <= '9') || ch == '.' || ch == '-' || ch == '_' || ch == ':'))
			return false;
	}
	return true;
}

/* What a captive portal would answer differently. */
static void handle_generate_204(struct http_exchange *x, const struct http_request *req)
{
	struct bytes challenge = http_header_get(req, "x-tailscale-challenge");
	char reply[CHALLENGE_MAX + 16];

	if (is_challenge(challenge)) {
		(void)snprintf(reply, sizeof(reply), "response %.*s", BYTES_FMT(challenge));
		http_add_header(x, "X-Tailscale-Response", reply);
	}
	http_add_header(x, "Cache-Control",
			"no-cache, no-store, must-revalidate, no-transform, max-age=0");
	http_reply(x, 204, NULL, bytes_of(NULL, 0));
}

bool derp_server_handle(struct derp_server *s, struct http_exchange *x,
			const struct http_request *req)
{
	if (bytes_equal_str(req->path, "/derp"))
		handle_derp(s, x, req);
	else if (bytes_equal_str(req->path, "/derp/probe") ||
		 bytes_equal_str(req->path, "/derp/latency-check"))
		handle_probe(x, req);
	else if (bytes_equal_str(req->path, "/generate_204"))
		handle_generate_204(x, req);
	else if (bytes_equal_str(req->path, "/robots.txt"))
		http_reply(x, 200, "text/plain", bytes_str("User-agent: *\nDisallow: /\n"));
	else if (bytes_equal_str(req->path, "/"))
		http_reply(x, 200, "text/html; charset=utf-8", bytes_str(home_page));
	else
		return false;
	return true;
}
