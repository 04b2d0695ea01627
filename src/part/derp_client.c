/*
 *   DIALING --tcp--> SECURING --tls--+--key in the chain: request + ClientInfo--> GREETED
 *      |plain                        |                                               |
 *      +-----------------------------+--> UPGRADING --101--> WAITING --ServerKey-----+
 *                                                                                    |
 *                                                  UP <--ServerInfo------------------+
 *
 * Packets flow from GREETED on: ServerInfo may trail the first of them, it carries only limits
 * (upstream: derp/derp_client.go). Every state but UP ends when the connect budget is used up.
 */
#include "part/derp_client.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/text.h"
#include "crypto/x25519.h"
#include "engine/relay/bucket.h"
#include "engine/relay/relay_queue.h"
#include "io/httpc.h"
#include "io/loop.h"
#include "io/stream.h"
#include "io/tcp.h"
#include "io/tls.h"
#include "wire/derp_cert.h"

enum {
	CONNECT_MS = 10000,
	DIAL_MS = 5000, /* one address; the caller goes to the region's next node after it */
	RACE_MS = 200,  /* IPv6 goes first by this much */
	RECEIVE_MS = 120000,
	QUEUE_BYTES = 256 << 10,
	QUEUE_AGE_MS = 5000,
	NOTSENT_LOWAT = 64 << 10,
	RECORD = (16 << 10) - 1500,
	PORT_TLS = 443,
	PORT_PLAIN = 3340,
	REQUEST_MAX = 1024,
	CERTS_MAX = 16,
};

enum state { FAILED, DIALING, SECURING, UPGRADING, WAITING, GREETED, UP };

struct attempt {
	struct derp_client *client;
	struct stream *stream;
};

struct derp_client {
	struct loop *loop;
	struct derp_client_conf conf;
	struct log silent;
	const struct log *log;
	char *host, *ideal, *app, *device;
	struct secret32 private_key, mesh_key, shared;
	bool has_mesh_key;
	struct key key, relay_key;
	enum state state;
	struct attempt attempts[2];
	struct stream *stream;
	struct http_upgrading *upgrading;
	struct derp_reader in;
	struct relay_flows flows;
	struct relay_queue queue;
	uint64_t drops[RELAY_DROP_COUNT];
	struct buf out;
	struct io_timer race, budget, silence, check;
	struct bucket rate;
	uint64_t rate_bytes, rate_burst, rate_drops;
	struct mono started, dialed, secured, up_at, last_in, last_out;
	uint64_t packets_in, bytes_in, packets_out, bytes_out;
	bool knows_key, fast, pump_due, destroyed;
};

/* ---- the end ---- */

static void close_attempts(struct derp_client *c)
{
	for (size_t i = 0; i < array_len(c->attempts); i++) {
		stream_destroy(c->attempts[i].stream);
		c->attempts[i].stream = NULL;
	}
	io_timer_stop(&c->race);
}

static void hang_up(struct derp_client *c)
{
	close_attempts(c);
	http_upgrading_destroy(c->upgrading);
	c->upgrading = NULL;
	stream_destroy(c->stream);
	c->stream = NULL;
	io_timer_stop(&c->budget);
	io_timer_stop(&c->silence);
	io_timer_stop(&c->check);
}

/* The last thing a function may do: the owner may destroy us in on_down. */
static void fail(struct derp_client *c, const struct err *why)
{
	struct err err = *why;

	if (c->state == FAILED || c->destroyed)
		return;
	err_wrap(&err, "relay %s", c->host);
	c->state = FAILED;
	hang_up(c);
	log_debug(c->log, "%s", err.text);
	c->conf.on_down(c->conf.arg, &err);
}

static void fail_with(struct derp_client *c, enum err_code code, const char *text)
{
	struct err err;

	err_set(&err, code, "%s", text);
	fail(c, &err);
}

static void on_budget(struct io_timer *t)
{
	static const char *const during[] = {
		[FAILED] = "",
		[DIALING] = "no connection in time",
		[SECURING] = "TLS was not done in time",
		[UPGRADING] = "no answer to the upgrade in time",
		[WAITING] = "no ServerKey in time",
		[GREETED] = "no ServerInfo in time",
		[UP] = "",
	};
	struct derp_client *c = container_of(t, struct derp_client, budget);

	fail_with(c, ERR_TIMEOUT, during[c->state]);
}

static void on_silence(struct io_timer *t)
{
	struct derp_client *c = container_of(t, struct derp_client, silence);
	int64_t idle = mono_since_ms(loop_now(c->loop), c->last_in);

	if (idle < RECEIVE_MS)
		io_timer_in_ms(c->loop, &c->silence, RECEIVE_MS - idle);
	else
		fail_with(c, ERR_TIMEOUT, "nothing received for 120 s");
}

static void on_check(struct io_timer *t)
{
	fail_with(container_of(t, struct derp_client, check), ERR_TIMEOUT, "no answer to a ping");
}

/* ---- out ---- */

static void send_frame(struct derp_client *c, struct bytes frame)
{
	if (c->state >= GREETED)
		stream_send(c->stream, frame);
}

static void pump(void *arg)
{
	struct derp_client *c = arg;
	struct mono now = loop_now(c->loop);

	c->pump_due = false;
	while (!c->destroyed && c->state >= GREETED &&
	       stream_queued(c->stream) < DERP_CLIENT_MARK) {
		uint64_t n = 0;

		buf_clear(&c->out);
		while (c->out.n < RECORD && relay_queue_pop(&c->flows, &c->queue, now, &c->out))
			n++;
		if (!n)
			return;
		c->packets_out += n;
		c->bytes_out += c->out.n;
		c->last_out = now;
		stream_send(c->stream, buf_bytes(&c->out));
	}
}

static void pump_later(struct derp_client *c)
{
	if (c->pump_due || c->state < GREETED)
		return;
	c->pump_due = true;
	loop_defer(c->loop, pump, c);
}

static void put_greeting(struct derp_client *c, struct writer *w)
{
	struct derp_client_info info = {
		.key = c->key,
		.version = DERP_VERSION,
		.can_ack_pings = true,
		.is_prober = c->conf.prober,
		.has_mesh_key = c->has_mesh_key,
		.mesh_key = c->mesh_key,
	};
	struct rng rng = rng_system();
	uint8_t nonce[BOX_NONCE_LEN];

	rng.fill(&rng, nonce, sizeof(nonce));
	if (c->app)
		(void)snprintf(info.app, sizeof(info.app), "%s", c->app);
	derp_put_client_info(w, &info, &c->shared, nonce);
	if (c->conf.home)
		derp_put_note_preferred(w, true);
	secret32_wipe(&info.mesh_key);
}

static bool learn_key(struct derp_client *c, const struct key *relay)
{
	c->relay_key = *relay;
	c->knows_key = box_shared(&c->shared, &c->private_key, relay->b);
	return c->knows_key;
}

/* ---- in ---- */

static void take_server_key(struct derp_client *c, struct bytes body)
{
	uint8_t frame[DERP_CLIENT_INFO_MAX / 8];
	struct writer w = writer_of(frame, sizeof(frame));
	struct key relay;

	if (!derp_get_server_key(body, &relay)) {
		fail_with(c, ERR_MALFORMED, "this is no DERP server: wrong magic");
		return;
	}
	if (c->state >= GREETED) { /* fast start: we knew it, and it must be the same */
		if (!key_equal(&relay, &c->relay_key))
			fail_with(c, ERR_AUTH, "it sent another key than its certificate names");
		return;
	}
	if (!learn_key(c, &relay)) {
		fail_with(c, ERR_AUTH, "it sent an impossible key");
		return;
	}
	put_greeting(c, &w);
	c->state = GREETED;
	stream_send(c->stream, bytes_of(frame, writer_done(&w)));
	secret_wipe(frame, sizeof(frame));
	pump_later(c);
}

static void take_server_info(struct derp_client *c, struct bytes body)
{
	struct derp_server_info info;

	if (c->state == UP)
		return;
	if (c->state != GREETED || !derp_get_server_info(body, &c->shared, &info)) {
		fail_with(c, ERR_AUTH, "its ServerInfo did not open");
		return;
	}
	c->rate_bytes = info.bytes_per_second;
	c->rate_burst = info.burst ? info.burst : info.bytes_per_second;
	c->state = UP;
	c->up_at = loop_now(c->loop);
	io_timer_stop(&c->budget);
	io_timer_in_ms(c->loop, &c->silence, RECEIVE_MS);
	log_debug(c->log, "relay %s was up in %d ms%s", c->host,
		  (int)mono_since_ms(c->up_at, c->started), c->fast ? ", fast start" : "");
	if (c->conf.on_up)
		c->conf.on_up(c->conf.arg);
}

static void take_packet(struct derp_client *c, struct bytes body)
{
	struct key from;
	struct bytes pkt;

	if (!derp_get_packet(body, &from, &pkt))
		return;
	c->packets_in++;
	c->bytes_in += pkt.n;
	if (c->conf.on_packet)
		c->conf.on_packet(c->conf.arg, &from, pkt);
}

static void take_ping(struct derp_client *c, struct bytes body)
{
	uint8_t data[DERP_PING_LEN], frame[DERP_HEADER_LEN + DERP_PING_LEN];
	struct writer w = writer_of(frame, sizeof(frame));

	if (!derp_get_ping(body, data))
		return;
	derp_put_ping(&w, DERP_PONG, data);
	if (stream_queued(c->stream) < DERP_CLIENT_MARK)
		send_frame(c, bytes_of(frame, writer_done(&w)));
}

static void take_peer_gone(struct derp_client *c, const struct derp_frame *f)
{
	struct key peer;
	uint8_t why;

	if (c->conf.on_frame)
		c->conf.on_frame(c->conf.arg, f);
	else if (c->conf.on_peer_gone && derp_get_peer_gone(f->body, &peer, &why))
		c->conf.on_peer_gone(c->conf.arg, &peer, (enum derp_gone)why);
}

static void take_health(struct derp_client *c, struct bytes body)
{
	char problem[256];

	if (body.n >= sizeof(problem))
		body.n = sizeof(problem) - 1;
	if (c->conf.on_health && bytes_to_cstr(body, problem, sizeof(problem)))
		c->conf.on_health(c->conf.arg, problem);
}

static void take_frame(struct derp_client *c, const struct derp_frame *f)
{
	uint8_t data[DERP_PING_LEN];
	uint32_t in_ms, try_ms;

	switch (f->type) {
	case DERP_SERVER_KEY:
		take_server_key(c, f->body);
		break;
	case DERP_SERVER_INFO:
		take_server_info(c, f->body);
		break;
	case DERP_RECV_PACKET:
		take_packet(c, f->body);
		break;
	case DERP_PING:
		take_ping(c, f->body);
		break;
	case DERP_PONG:
		if (c->conf.on_pong && derp_get_ping(f->body, data))
			c->conf.on_pong(c->conf.arg, data);
		break;
	case DERP_PEER_GONE:
		take_peer_gone(c, f);
		break;
	case DERP_PEER_PRESENT:
		if (c->conf.on_frame)
			c->conf.on_frame(c->conf.arg, f);
		break;
	case DERP_HEALTH:
		take_health(c, f->body);
		break;
	case DERP_RESTARTING:
		if (c->conf.on_restarting && derp_get_restarting(f->body, &in_ms, &try_ms))
			c->conf.on_restarting(c->conf.arg, in_ms, try_ms);
		break;
	default: /* KeepAlive, and whatever comes one day */
		break;
	}
}

static void on_data(void *arg, struct bytes data)
{
	struct derp_client *c = arg;
	enum derp_parse got = DERP_PARSE_MORE;
	struct derp_frame f;

	c->last_in = loop_now(c->loop);
	io_timer_stop(&c->check);
	derp_reader_feed(&c->in, data);
	while (!c->destroyed && c->state != FAILED) {
		got = derp_reader_next(&c->in, &f);
		if (got != DERP_PARSE_FRAME)
			break;
		take_frame(c, &f);
	}
	if (c->destroyed || c->state == FAILED || got != DERP_PARSE_BAD)
		return;
	if (c->in.bad_type == 'H')
		fail_with(c, ERR_MALFORMED, "it answered with HTTP where DERP was expected");
	else
		fail_with(c, ERR_MALFORMED, "it sent a frame that is too long or too short");
}

static void on_drain(void *arg)
{
	struct derp_client *c = arg;

	pump(c);
	if (c->conf.on_drain)
		c->conf.on_drain(c->conf.arg);
}

static void on_close(void *arg, const struct err *why)
{
	struct derp_client *c = arg;

	if (c->state == GREETED)
		fail_with(c, ERR_REFUSED, "it hung up on our greeting: this key is not admitted");
	else if (why->code == ERR_NONE)
		fail_with(c, ERR_REFUSED, "it hung up");
	else
		fail(c, why);
}

static const struct stream_up frames_up = {
	.on_data = on_data,
	.on_drain = on_drain,
	.on_close = on_close,
};

/* ---- getting there ---- */

static void own_stream(struct derp_client *c, struct stream *s)
{
	int fd = tcp_fd(s), lowat = NOTSENT_LOWAT;

	c->stream = s;
	if (fd >= 0)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof(lowat));
	stream_set_mark(s, DERP_CLIENT_MARK);
	stream_set_up(s, &frames_up, c);
}

static void on_upgraded(void *arg, struct stream *s, const struct http_header *headers, size_t n)
{
	struct derp_client *c = arg;

	(void)headers;
	(void)n;
	c->upgrading = NULL;
	c->state = WAITING;
	own_stream(c, s);
}

static void on_not_upgraded(void *arg, unsigned status, const struct err *why)
{
	struct derp_client *c = arg;
	struct err err = *why;

	c->upgrading = NULL;
	if (status)
		err_wrap(&err, "the upgrade was answered with status %u", status);
	fail(c, &err);
}

static const char *host_header(const struct derp_client *c, char *out, size_t size)
{
	uint16_t usual = c->conf.tls ? 443 : 80;
	const char *open = strchr(c->host, ':') ? "[" : "", *end = *open ? "]" : "";

	if (c->conf.port == usual)
		(void)snprintf(out, size, "%s%s%s", open, c->host, end);
	else
		(void)snprintf(out, size, "%s%s%s:%u", open, c->host, end, c->conf.port);
	return out;
}

static void start_upgrade(struct derp_client *c, struct stream *s)
{
	char host[300];
	struct http_header ideal = { bytes_str("ideal-node"), { 0 } };
	struct http_upgrade_conf conf = {
		.method = "GET",
		.path = "/derp",
		.host = host_header(c, host, sizeof(host)),
		.protocol = "DERP",
		.headers = &ideal,
		.timeout_ms = c->conf.connect_ms,
		.on_stream = on_upgraded,
		.on_fail = on_not_upgraded,
		.arg = c,
	};

	if (c->ideal) {
		ideal.value = bytes_str(c->ideal);
		conf.header_count = 1;
	}
	c->state = UPGRADING;
	c->upgrading = httpc_upgrade(s, &conf);
}

/* The relay's key, when the peer's chain names it. Only TLS 1.3 hides the chain from others. */
static bool key_in_chain(const struct stream *s, struct key *relay)
{
	if (!tls_is_13(s))
		return false;
	for (unsigned i = 0; i < CERTS_MAX; i++) {
		struct bytes der = tls_peer_cert(s, i);

		if (!der.n)
			return false;
		if (derp_cert_decode(der, relay))
			return true;
	}
	return false;
}

/* No answer to the request will come: the first bytes are the ServerKey frame. */
static void start_fast(struct derp_client *c, struct stream *s)
{
	char host[300];
	uint8_t flight[REQUEST_MAX + DERP_CLIENT_INFO_MAX / 8];
	struct writer w;
	int n = snprintf((char *)flight, REQUEST_MAX,
			 "GET /derp HTTP/1.1\r\nHost: %s\r\nUpgrade: DERP\r\n"
			 "Connection: Upgrade\r\n%s%s%sDerp-Fast-Start: 1\r\n\r\n",
			 host_header(c, host, sizeof(host)), c->ideal ? "Ideal-Node: " : "",
			 c->ideal ? c->ideal : "", c->ideal ? "\r\n" : "");

	if (n < 0 || n >= REQUEST_MAX) {
		stream_destroy(s);
		fail_with(c, ERR_USAGE, "its name is too long");
		return;
	}
	w = writer_of(flight + n, sizeof(flight) - (size_t)n);
	put_greeting(c, &w);
	c->fast = true;
	c->state = GREETED;
	own_stream(c, s);
	stream_send(s, bytes_of(flight, (size_t)n + writer_done(&w)));
	secret_wipe(flight, sizeof(flight));
	pump_later(c);
}

static void on_secured(void *arg)
{
	struct derp_client *c = arg;
	struct stream *s = c->stream;
	struct key relay;

	c->secured = loop_now(c->loop);
	c->stream = NULL;
	if (!c->conf.no_fast_start && key_in_chain(s, &relay) && learn_key(c, &relay))
		start_fast(c, s);
	else
		start_upgrade(c, s);
}

static const struct stream_up tls_up = {
	.on_open = on_secured,
	.on_close = on_close,
};

static void on_dialed(void *arg)
{
	struct attempt *a = arg;
	struct derp_client *c = a->client;
	struct stream *s = a->stream;

	a->stream = NULL;
	close_attempts(c);
	c->dialed = loop_now(c->loop);
	if (!c->conf.tls) {
		start_upgrade(c, s);
		return;
	}
	c->state = SECURING;
	c->stream = tls_client(s, c->conf.tls, c->host);
	stream_set_up(c->stream, &tls_up, c);
}

static void dial(struct derp_client *c, struct attempt *a, struct ip ip);

static void on_race(struct io_timer *t)
{
	struct derp_client *c = container_of(t, struct derp_client, race);

	if (!c->attempts[1].stream)
		dial(c, &c->attempts[1], c->conf.ip4);
}

static void on_not_dialed(void *arg, const struct err *why)
{
	struct attempt *a = arg;
	struct derp_client *c = a->client;

	stream_destroy(a->stream);
	a->stream = NULL;
	if (heap_has(&c->race.node)) { /* the other family need not wait any more */
		io_timer_stop(&c->race);
		on_race(&c->race);
	} else if (!c->attempts[0].stream && !c->attempts[1].stream) {
		fail(c, why);
	}
}

static const struct stream_up dial_up = {
	.on_open = on_dialed,
	.on_close = on_not_dialed,
};

static void dial(struct derp_client *c, struct attempt *a, struct ip ip)
{
	struct tcp_conf conf = {
		.timeout_ms = DIAL_MS,
		.mark = c->conf.mark,
		.device = c->device,
		.on_socket = c->conf.on_socket,
		.arg = c->conf.arg,
		.port = c->conf.port,
	};

	if (ip_is_valid(ip))
		conf.to = (struct addrport){ ip, c->conf.port };
	else
		conf.host = c->host;
	a->client = c;
	a->stream = tcp_connect(c->loop, &conf);
	stream_set_up(a->stream, &dial_up, a);
}

static void start(struct derp_client *c)
{
	bool both = ip_is_valid(c->conf.ip4) && ip_is_valid(c->conf.ip6);

	c->started = c->last_in = c->last_out = loop_now(c->loop);
	c->state = DIALING;
	io_timer_in_ms(c->loop, &c->budget, c->conf.connect_ms);
	dial(c, &c->attempts[0], ip_is_valid(c->conf.ip6) ? c->conf.ip6 : c->conf.ip4);
	if (both)
		io_timer_in_ms(c->loop, &c->race, RACE_MS);
}

/* ---- the face ---- */

static char *copy(const char *s)
{
	return s ? mem_strdup(s) : NULL;
}

static void init_queue(struct derp_client *c)
{
	struct rng rng = rng_system();
	uint8_t seed[16];

	rng.fill(&rng, seed, sizeof(seed));
	relay_flows_init(&c->flows, seed);
	c->flows.queue_max = c->conf.queue_bytes ? c->conf.queue_bytes : QUEUE_BYTES;
	c->flows.bytes_max = c->flows.queue_max;
	c->flows.max_age_ms = QUEUE_AGE_MS;
	c->flows.drops = c->drops;
	relay_queue_init(&c->queue, 1);
	buf_init(&c->out, RECORD + DERP_FRAME_OUT_MAX);
}

struct derp_client *derp_client_create(struct loop *loop, const struct derp_client_conf *conf)
{
	struct derp_client *c = mem_alloc(sizeof(*c));

	c->loop = loop;
	c->conf = *conf;
	c->log = conf->log ? conf->log : &c->silent;
	c->host = mem_strdup(conf->host);
	c->ideal = copy(conf->ideal);
	c->app = copy(conf->app);
	c->device = copy(conf->device);
	c->private_key = *conf->private_key;
	if (conf->mesh_key) {
		c->mesh_key = *conf->mesh_key;
		c->has_mesh_key = true;
	}
	c->conf.private_key = c->conf.mesh_key = NULL;
	if (conf->tls)
		(void)tls_ctx_ref(conf->tls);
	if (!c->conf.port)
		c->conf.port = conf->tls ? PORT_TLS : PORT_PLAIN;
	if (!c->conf.connect_ms)
		c->conf.connect_ms = CONNECT_MS;
	x25519_public(c->key.b, &c->private_key);
	derp_reader_init(&c->in, derp_take_by_client);
	init_queue(c);
	io_timer_init(&c->race, on_race);
	io_timer_init(&c->budget, on_budget);
	io_timer_init(&c->silence, on_silence);
	io_timer_init(&c->check, on_check);
	start(c);
	return c;
}

void derp_client_destroy(struct derp_client *c)
{
	if (!c || c->destroyed)
		return;
	c->destroyed = true;
	hang_up(c);
	c->state = FAILED;
	relay_queue_clear(&c->flows, &c->queue, RELAY_DROP_GONE);
	relay_flows_fini(&c->flows);
	derp_reader_fini(&c->in);
	buf_fini(&c->out);
	secret32_wipe(&c->private_key);
	secret32_wipe(&c->mesh_key);
	secret32_wipe(&c->shared);
	if (c->conf.tls)
		tls_ctx_unref(c->conf.tls);
	mem_free(c->host);
	mem_free(c->ideal);
	mem_free(c->app);
	mem_free(c->device);
	loop_free_later(c->loop, c);
}

bool derp_client_send(struct derp_client *c, const struct key *to, struct bytes pkt)
{
	struct relay_envelope env = { .type = DERP_SEND_PACKET, .peer = to };
	struct mono now = loop_now(c->loop);

	if (c->state == FAILED || pkt.n > DERP_PACKET_MAX)
		return false;
	/* The relay asked us to police ourselves: what is too much is dropped here. */
	if (!bucket_take(&c->rate, c->rate_bytes, c->rate_burst, now,
			 DERP_HEADER_LEN + DERP_KEY_LEN + pkt.n)) {
		c->rate_drops++;
		return false;
	}
	if (!relay_queue_push(&c->flows, &c->queue, now, &env, pkt))
		return false;
	pump_later(c);
	return true;
}

void derp_client_note_home(struct derp_client *c, bool home)
{
	uint8_t frame[DERP_HEADER_LEN + 1];
	struct writer w = writer_of(frame, sizeof(frame));

	c->conf.home = home;
	derp_put_note_preferred(&w, home);
	send_frame(c, bytes_of(frame, writer_done(&w)));
}

void derp_client_ping(struct derp_client *c, const uint8_t data[DERP_PING_LEN])
{
	uint8_t frame[DERP_HEADER_LEN + DERP_PING_LEN];
	struct writer w = writer_of(frame, sizeof(frame));

	derp_put_ping(&w, DERP_PING, data);
	send_frame(c, bytes_of(frame, writer_done(&w)));
}

void derp_client_check(struct derp_client *c, unsigned timeout_ms)
{
	struct rng rng = rng_system();
	uint8_t data[DERP_PING_LEN];

	if (c->state != UP) /* the connect budget watches over it */
		return;
	rng.fill(&rng, data, sizeof(data));
	derp_client_ping(c, data);
	/* Nobody can answer to an address that is not ours any more. */
	io_timer_in_ms(c->loop, &c->check, tcp_address_is_gone(c->stream) ? 0 : timeout_ms);
}

void derp_client_write(struct derp_client *c, struct bytes frames)
{
	if (c->state == UP)
		stream_send(c->stream, frames);
}

size_t derp_client_queued(const struct derp_client *c)
{
	return c->state >= GREETED ? stream_queued(c->stream) : 0;
}

void derp_client_hold(struct derp_client *c, bool hold)
{
	if (c->state >= GREETED)
		stream_pause(c->stream, hold);
}

bool derp_client_is_up(const struct derp_client *c)
{
	return c->state == UP;
}

bool derp_client_was_fast(const struct derp_client *c)
{
	return c->fast;
}

const struct key *derp_client_relay_key(const struct derp_client *c)
{
	return c->knows_key ? &c->relay_key : NULL;
}

static int64_t took(const struct derp_client *c, struct mono when)
{
	return mono_is_zero(when) ? -1 : mono_since_ms(when, c->started);
}

void derp_client_stats(const struct derp_client *c, struct derp_client_stats *out)
{
	struct mono now = loop_now(c->loop);

	*out = (struct derp_client_stats){
		.packets_in = c->packets_in,
		.bytes_in = c->bytes_in,
		.packets_out = c->packets_out,
		.bytes_out = c->bytes_out,
		.drops = c->rate_drops,
		.idle_in_ms = mono_since_ms(now, c->last_in),
		.idle_out_ms = mono_since_ms(now, c->last_out),
		.dial_ms = took(c, c->dialed),
		.tls_ms = took(c, c->secured),
		.up_ms = took(c, c->up_at),
		.queued_bytes = c->queue.bytes,
	};
	for (size_t i = 0; i < RELAY_DROP_COUNT; i++)
		out->drops += c->drops[i];
}
