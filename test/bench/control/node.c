#include "bench/control/node.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zstd.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/x25519.h"
#include "engine/ts2021/ts2021.h"
#include "io/httpc.h"
#include "io/loop.h"
#include "io/stream.h"
#include "io/tcp.h"
#include "part/noise_stream.h"

enum { FRAME_MAX = 64 << 20, ARENA_MAX = 512 << 20, ANSWER_MAX = 1 << 20, CALL_MS = 60000 };

void node_world_init(struct node_world *w)
{
	w->rng = rng_system();
	arena_init(&w->arena, ARENA_MAX);
	buf_init(&w->plain, FRAME_MAX);
	w->zstd = ZSTD_createDCtx();
}

void node_world_fini(struct node_world *w)
{
	mem_free(w->tagged_keys);
	arena_fini(&w->arena);
	buf_fini(&w->plain);
	ZSTD_freeDCtx(w->zstd);
}

void node_init(struct node *n, struct node_world *w, unsigned index, unsigned group)
{
	*n = (struct node){ .world = w, .index = index, .group = group, .fd = -1 };
	x25519_generate(&n->machine, &w->rng);
	w->rng.fill(&w->rng, n->node_key.b, sizeof(n->node_key.b));
	w->rng.fill(&w->rng, n->disco.b, sizeof(n->disco.b));
	n->port = (uint16_t)(20000 + index % 20000);
	n->want_online = -1;
	buf_init(&n->answer, ANSWER_MAX);
	buf_init(&n->stream, FRAME_MAX);
}

uint64_t node_bytes(const struct node *n)
{
	struct tcp_info info = { 0 };
	socklen_t size = sizeof(info);

	if (n->fd < 0 || getsockopt(n->fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
		return 0;
	return info.tcpi_bytes_received + info.tcpi_bytes_acked;
}

static void close_all(struct node *n)
{
	n->world->bytes_closed += node_bytes(n);
	n->fd = -1;
	http_upgrading_destroy(n->upgrading);
	n->upgrading = NULL;
	ts2021_destroy(n->channel);
	n->channel = NULL;
	httpc_destroy(n->h2);
	n->h2 = NULL;
	buf_fini(&n->answer);
	buf_fini(&n->stream);
	buf_init(&n->answer, ANSWER_MAX);
	buf_init(&n->stream, FRAME_MAX);
	view_fini(&n->view);
}

void node_hang_up(struct node *n)
{
	close_all(n);
	n->state = NODE_IDLE;
}

void node_fini(struct node *n)
{
	close_all(n);
	secret32_wipe(&n->machine);
}

static void lost(struct node *n, const char *why)
{
	if (n->state == NODE_LOST || n->state == NODE_IDLE)
		return;
	n->state = NODE_LOST;
	view_fini(&n->view);
	n->world->on_lost(n->world->arg, n, why);
}

/* ---- map frames ---- */

static struct bytes inflate(struct node_world *w, struct bytes body, struct err *err)
{
	unsigned long long size = ZSTD_getFrameContentSize(body.p, body.n);
	uint8_t *at;
	size_t n;

	buf_clear(&w->plain);
	/* A server that streams does not say the size. */
	if (size == ZSTD_CONTENTSIZE_UNKNOWN)
		size = body.n * 100 < FRAME_MAX / 2 ? body.n * 100 + 4096 : FRAME_MAX / 2;
	at = size <= FRAME_MAX ? buf_reserve(&w->plain, (size_t)size) : NULL;
	n = at ? ZSTD_decompressDCtx(w->zstd, at, (size_t)size, body.p, body.n) : 0;
	if (!at || ZSTD_isError(n)) {
		(void)err_set(err, ERR_MALFORMED, "map frame: zstd");
		return (struct bytes){ 0 };
	}
	return bytes_of(at, n);
}

static bool take_frame(struct node *n, struct err *err)
{
	struct node_world *w = n->world;
	struct reader r = reader_of(buf_bytes(&n->stream));
	uint32_t size = read_le32(&r);
	struct bytes body = read_bytes(&r, size), json;

	if (r.bad)
		return false;
	json = inflate(w, body, err);
	if (!json.p || view_apply(&n->view, &w->arena, json, err) < 0)
		return false;
	buf_consume(&n->stream, 4 + (size_t)size);
	w->frames++;
	return true;
}

static void poll_body(void *arg, struct bytes data)
{
	struct node *n = arg;
	struct err err = { 0 };
	bool news = false;

	(void)buf_append(&n->stream, data);
	while (take_frame(n, &err))
		news = true;
	if (err.code || n->stream.bad) {
		lost(n, err.code ? err.text : "map frame: too long");
		return;
	}
	if (!n->stream.n) { /* thousands of nodes: nobody keeps an empty buffer */
		buf_fini(&n->stream);
		buf_init(&n->stream, FRAME_MAX);
	}
	if (news)
		n->world->on_frame(n->world->arg, n);
}

static void on_head(void *arg, unsigned status, const struct http_header *headers, size_t count)
{
	struct node *n = arg;

	(void)headers;
	(void)count;
	n->status = status;
}

static void poll_head(void *arg, unsigned status, const struct http_header *headers, size_t count)
{
	struct node *n = arg;

	on_head(n, status, headers, count);
	if (status == 200)
		n->state = NODE_UP;
	else
		lost(n, "map poll refused");
}

static void poll_done(void *arg, const struct err *err)
{
	lost(arg, err->code ? err->text : "map poll ended");
}

static void on_body(void *arg, struct bytes data)
{
	(void)buf_append(&((struct node *)arg)->answer, data);
}

static void call(struct node *n, const char *path, struct bytes body,
		 void (*on_done)(void *arg, const struct err *err))
{
	struct http_call_conf conf = { .method = "POST",
				       .path = path,
				       .authority = "bench",
				       .body = body,
				       .on_head = on_head,
				       .on_body = on_body,
				       .on_done = on_done,
				       .timeout_ms = CALL_MS,
				       .body_max = ANSWER_MAX,
				       .arg = n };

	n->status = 0;
	buf_clear(&n->answer);
	(void)httpc_call(n->h2, &conf);
}

static void poll_map(struct node *n)
{
	char key[KEYTEXT_MAX], disco[KEYTEXT_MAX], text[512];
	struct http_call_conf conf = { .method = "POST",
				       .path = "/machine/map",
				       .authority = "bench",
				       .on_head = poll_head,
				       .on_body = poll_body,
				       .on_done = poll_done,
				       .arg = n };

	(void)snprintf(text, sizeof(text),
		       "{\"Version\":%d,\"NodeKey\":\"%s\",\"DiscoKey\":\"%s\",\"Stream\":true,"
		       "\"KeepAlive\":true,\"Compress\":\"zstd\"}",
		       NODE_CAPABILITY, keytext_format(&n->node_key, KEY_NODE, key),
		       keytext_format(&n->disco, KEY_DISCO, disco));
	conf.body = bytes_str(text);
	(void)httpc_call(n->h2, &conf);
}

/* ---- register and lite update ---- */

static bool went_well(struct node *n, const struct err *err, const char *what)
{
	char text[600];

	if (!err->code && n->status == 200)
		return true;
	(void)snprintf(text, sizeof(text), "%s: %s %u %.200s", what, err->text, n->status,
		       buf_cstr(&n->answer));
	lost(n, text);
	return false;
}

static void updated(void *arg, const struct err *err)
{
	struct node *n = arg;

	if (went_well(n, err, "lite update") && n->state == NODE_JOINING)
		poll_map(n);
}

static const char *auth_key(const struct node *n)
{
	const struct node_world *w = n->world;

	return w->tagged_keys ? w->tagged_keys[n->group * 2 + n->ephemeral] : w->auth_key;
}

static const char *wanted_tags(const struct node *n, char out[32])
{
	out[0] = 0;
	if (!n->world->tagged_keys)
		(void)snprintf(out, 32, "\"tag:g%u\"", n->group);
	return out;
}

void node_update(struct node *n)
{
	char key[KEYTEXT_MAX], disco[KEYTEXT_MAX], text[768], tags[32];

	(void)snprintf(text, sizeof(text),
		       "{\"Version\":%d,\"NodeKey\":\"%s\",\"DiscoKey\":\"%s\",\"OmitPeers\":true,"
		       "\"Endpoints\":[\"192.0.2.%u:%u\",\"10.0.0.%u:%u\"],\"EndpointTypes\":[2,1],"
		       "\"Hostinfo\":{\"OS\":\"linux\",\"Hostname\":\"n%u\","
		       "\"RequestTags\":[%s],\"NetInfo\":{\"PreferredDERP\":1}}}",
		       NODE_CAPABILITY, keytext_format(&n->node_key, KEY_NODE, key),
		       keytext_format(&n->disco, KEY_DISCO, disco), n->index % 250 + 1, n->port,
		       n->index % 250 + 1, n->port, n->index, wanted_tags(n, tags));
	call(n, "/machine/map", bytes_str(text), updated);
}

static void registered(void *arg, const struct err *err)
{
	struct node *n = arg;
	char text[900];

	if (!went_well(n, err, "register"))
		return;
	if (!strstr(buf_cstr(&n->answer), "\"MachineAuthorized\":true")) {
		(void)snprintf(text, sizeof(text), "register: %.700s", buf_cstr(&n->answer));
		lost(n, text);
		return;
	}
	n->registered = true;
	node_update(n);
}

static void send_register(struct node *n)
{
	char key[KEYTEXT_MAX], text[768], tags[32];

	(void)snprintf(text, sizeof(text),
		       "{\"Version\":%d,\"NodeKey\":\"%s\",\"Auth\":{\"AuthKey\":\"%s\"},"
		       "\"Ephemeral\":%s,\"Hostinfo\":{\"OS\":\"linux\",\"Hostname\":\"n%u\","
		       "\"RequestTags\":[%s]}}",
		       NODE_CAPABILITY, keytext_format(&n->node_key, KEY_NODE, key), auth_key(n),
		       n->ephemeral ? "true" : "false", n->index, wanted_tags(n, tags));
	call(n, "/machine/register", bytes_str(text), registered);
}

static void logged_out(void *arg, const struct err *err)
{
	struct node *n = arg;

	if (n->state == NODE_UP && (err->code || n->status != 200))
		(void)went_well(n, err, "logout");
	n->registered = false;
}

void node_logout(struct node *n)
{
	char key[KEYTEXT_MAX], text[256];

	(void)snprintf(text, sizeof(text),
		       "{\"Version\":%d,\"NodeKey\":\"%s\",\"Expiry\":\"2000-01-01T00:00:00Z\"}",
		       NODE_CAPABILITY, keytext_format(&n->node_key, KEY_NODE, key));
	call(n, "/machine/register", bytes_str(text), logged_out);
}

/* ---- the connection ---- */

static void on_close(void *arg, const struct err *why)
{
	lost(arg, why->code ? why->text : "connection closed");
}

static void on_stream(void *arg, struct stream *s, const struct http_header *headers, size_t count)
{
	struct node *n = arg;
	struct ts2021 *channel = n->channel;

	(void)headers;
	(void)count;
	n->upgrading = NULL;
	n->channel = NULL; /* the stream's now */
	n->fd = tcp_fd(s);
	n->h2 = httpc_create(noise_stream_client(s, channel, NULL, NULL), true, on_close, n);
	if (n->registered)
		node_update(n);
	else
		send_register(n);
}

static void on_fail(void *arg, unsigned status, const struct err *why)
{
	struct node *n = arg;
	char text[900];

	n->upgrading = NULL;
	(void)snprintf(text, sizeof(text), "upgrade: status %u: %s", status, why->text);
	lost(n, text);
}

/*
 * Each node comes from an address of its own, 127.x.y.z, as real ones do: servers count attempts
 * per address, and one address has too few ports for many reconnects.
 */
static bool bind_own_address(void *arg, int fd)
{
	const struct node *n = arg;
	struct sockaddr_in from = { .sin_family = AF_INET };
	int yes = 1;

	from.sin_addr.s_addr = htonl(0x7f010000u + n->index + 1);
	(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof(yes));
	return bind(fd, (const struct sockaddr *)&from, sizeof(from)) == 0;
}

void node_connect(struct node *n)
{
	struct node_world *w = n->world;
	char text[TEXT_BASE64_LEN(TS2021_INITIATION_LEN) + 1], host[ADDRPORT_TEXT_MAX];
	struct tcp_conf to = { .to = w->server, .on_socket = bind_own_address, .arg = n };
	struct http_header header = { bytes_str("X-Tailscale-Handshake"), { 0 } };
	struct http_upgrade_conf conf = { .method = "POST",
					  .path = "/ts2021",
					  .host = addrport_format(w->server, host),
					  .protocol = TS2021_UPGRADE,
					  .headers = &header,
					  .header_count = 1,
					  .on_stream = on_stream,
					  .on_fail = on_fail,
					  .timeout_ms = CALL_MS,
					  .arg = n };
	struct err err = { 0 };

	close_all(n);
	n->state = NODE_JOINING;
	n->channel = ts2021_create_client(&n->machine, &w->server_key, NODE_CAPABILITY,
					  loop_now(w->loop), &w->rng, &err);
	if (!n->channel) {
		lost(n, err.text);
		return;
	}
	text_base64(BASE64_STD, bytes_of(ts2021_initiation(n->channel), TS2021_INITIATION_LEN),
		    text);
	header.value = bytes_str(text);
	n->upgrading = httpc_upgrade(tcp_connect(w->loop, &to), &conf);
}
