/*
 * Bytes from streams become frames for the engine at once; what the engine wants is done at the end
 * of the turn, so that all that arrived in it leaves in as few writes as possible. A stream is
 * filled up to MARK and again when it has drained: what waits beyond stays in the engine, where
 * flows take turns.
 */
#include "part/derp_server/derp_server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/mem.h"
#include "io/stream.h"
#include "io/tcp.h"
#include "part/derp_server/derp_server_state.h"

enum {
	MARK = 32 << 10,
	NOTSENT_LOWAT = 32 << 10,   /* the same bound for what the kernel holds back */
	RECORD = (16 << 10) - 1500, /* with one more frame still a single TLS record */
	WRITE_TIMEOUT_S = 10,
	MESH_WRITE_TIMEOUT_S = 30,
	GOODBYE_S = 5,
	USER_TIMEOUT_MS = 15000,
	TRY_FOR_MS = 30000,
};

/* One connection: a client's stream, or a link or sibling that somebody else carries. */
struct port {
	struct derp_server *server;
	struct stream *stream; /* NULL: link or sibling */
	struct derp_link link;
	uint64_t id; /* 0: the engine has forgotten it, only a goodbye is under way */
	struct derp_reader in;
	struct list node, waiting;
	struct mono give_up_at;
	struct addrport from;
	bool output_due, is_sibling;
};

static void pump_later(struct derp_server *s);
static void port_write(struct port *p);

/* ---- waiting for a peer that does not read ---- */

static void arm_patience(struct derp_server *s)
{
	if (!list_is_empty(&s->waiting) && !s->patience.node.slot)
		io_timer_in_ms(s->loop, &s->patience, 1000);
}

static void port_wait(struct port *p, int seconds)
{
	if (!list_is_empty(&p->waiting))
		return;
	p->give_up_at = mono_add_s(loop_now(p->server->loop), seconds);
	list_append(&p->server->waiting, &p->waiting);
	arm_patience(p->server);
}

static void port_free(struct port *p)
{
	struct derp_server *s = p->server;

	relay_remove(s->relay, loop_now(s->loop), p->id);
	list_remove(&p->node);
	list_remove(&p->waiting);
	stream_destroy(p->stream);
	derp_reader_fini(&p->in);
	loop_free_later(s->loop, p);
	pump_later(s);
	if (s->on_idle && list_is_empty(&s->ports)) {
		void (*on_idle)(void *arg) = s->on_idle;

		s->on_idle = NULL;
		on_idle(s->on_idle_arg);
	}
}

static void log_end(const struct port *p, const char *why)
{
	struct relay_client c;
	char addr[ADDRPORT_TEXT_MAX], key[KEYTEXT_SHORT_MAX];

	if (!log_enabled(p->server->log, LOG_DEBUG))
		return;
	addrport_format(p->from, addr);
	if (relay_client(p->server->relay, p->id, &c))
		log_debug(p->server->log, "client %s at %s left: %s",
			  keytext_short(&c.key, KEY_NODE, key), addr, why);
	else
		log_debug(p->server->log, "connection from %s ended: %s", addr, why);
}

/* At once: nothing more is said. */
static void port_drop(struct port *p, const char *why)
{
	struct derp_link link = p->link;

	log_end(p, why);
	port_free(p);
	if (link.on_dropped)
		link.on_dropped(link.arg);
}

/* What is queued goes out, then the stream ends; a peer that does not take it is cut off. */
static void port_goodbye(struct port *p)
{
	struct derp_server *s = p->server;

	if (!p->stream) {
		port_drop(p, "the relay restarts");
		return;
	}
	log_end(p, relay_close_reason(s->relay, p->id));
	p->output_due = true;
	port_write(p);
	relay_remove(s->relay, loop_now(s->loop), p->id);
	p->id = 0;
	list_remove(&p->waiting);
	port_wait(p, GOODBYE_S);
	stream_pause(p->stream, false);
	stream_finish(p->stream);
}

static void on_patience(struct io_timer *t)
{
	struct derp_server *s = container_of(t, struct derp_server, patience);
	struct mono now = loop_now(s->loop);

	list_each_safe (it, &s->waiting) {
		struct port *p = list_entry(it, struct port, waiting);

		if (!mono_reached(now, p->give_up_at))
			continue;
		s->slow_closed += p->id != 0;
		port_drop(p, p->id ? "it did not read" : "it did not say goodbye");
	}
	arm_patience(s);
}

/* ---- out ---- */

static size_t port_queued(const struct port *p)
{
	return p->stream ? stream_queued(p->stream) : p->link.queued(p->link.arg);
}

static int write_timeout(const struct port *p)
{
	struct relay_client c;
	bool known = relay_client(p->server->relay, p->id, &c);

	return known && (c.mesh || c.link) ? MESH_WRITE_TIMEOUT_S : WRITE_TIMEOUT_S;
}

static void port_write(struct port *p)
{
	struct derp_server *s = p->server;

	while (p->output_due && p->id) {
		if (port_queued(p) >= (p->stream ? MARK : p->link.mark)) {
			if (!p->is_sibling) /* a thread of our own comes back to it */
				port_wait(p, write_timeout(p));
			return;
		}
		buf_clear(&s->out);
		p->output_due = relay_output(s->relay, loop_now(s->loop), p->id, &s->out, RECORD);
		if (p->stream)
			stream_send(p->stream, buf_bytes(&s->out));
		else if (s->out.n)
			p->link.write(p->link.arg, buf_bytes(&s->out));
	}
	if (p->id)
		list_remove(&p->waiting);
}

/* ---- what the engine wants ---- */

static void verify(struct port *p)
{
	struct derp_server *s = p->server;
	struct relay_client c;

	if (s->conf.open || !s->conf.on_verify)
		relay_admit(s->relay, loop_now(s->loop), p->id, s->conf.open);
	else if (relay_client(s->relay, p->id, &c))
		s->conf.on_verify(s->conf.arg, p->id, &c.key, c.from);
}

static void serve(struct port *p, unsigned wants)
{
	if (wants & RELAY_WANT_CLOSE) {
		port_goodbye(p);
		return;
	}
	if (wants & RELAY_WANT_INPUT)
		stream_pause(p->stream, false);
	if (wants & RELAY_WANT_OUTPUT) {
		p->output_due = true;
		port_write(p);
	}
	if (wants & RELAY_WANT_ADMISSION)
		verify(p);
}

static void pump(void *arg)
{
	struct derp_server *s = arg;
	unsigned wants;
	uint64_t id;

	s->pump_due = false;
	if (s->destroyed)
		return;
	while ((id = relay_next(s->relay, &wants)) != 0) {
		struct port *p = relay_user(s->relay, id);

		if (p)
			serve(p, wants);
	}
	io_timer_at(s->loop, &s->timer, relay_deadline(s->relay));
}

static void pump_later(struct derp_server *s)
{
	if (s->pump_due || s->destroyed)
		return;
	s->pump_due = true;
	loop_defer(s->loop, pump, s);
}

static void on_timer(struct io_timer *t)
{
	struct derp_server *s = container_of(t, struct derp_server, timer);

	relay_tick(s->relay, loop_now(s->loop));
	pump(s);
}

/* ---- in ---- */

static void hold(struct port *p)
{
	stream_pause(p->stream, true);
	stream_unread(p->stream, derp_reader_rest(&p->in));
	derp_reader_feed(&p->in, bytes_of(NULL, 0));
}

static void bad_frame(struct port *p)
{
	char why[80];

	(void)snprintf(why, sizeof(why), "%s frame of %u bytes is out of bounds",
		       derp_type_name(p->in.bad_type), p->in.bad_len);
	p->server->bad_frames++;
	port_drop(p, why);
}

static void on_data(void *arg, struct bytes data)
{
	struct port *p = arg;
	struct derp_server *s = p->server;
	struct mono now = loop_now(s->loop);
	enum relay_verdict v = RELAY_GO;
	struct derp_frame f;
	enum derp_parse got;

	if (!p->id)
		return; /* saying goodbye */
	derp_reader_feed(&p->in, data);
	while ((got = derp_reader_next(&p->in, &f)) == DERP_PARSE_FRAME) {
		v = relay_input(s->relay, now, p->id, &f);
		if (v != RELAY_GO)
			break;
	}
	if (got == DERP_PARSE_BAD)
		bad_frame(p);
	else if (v == RELAY_HOLD)
		hold(p);
	pump_later(s);
}

static void on_drain(void *arg)
{
	struct port *p = arg;

	list_remove(&p->waiting);
	if (p->id)
		port_write(p);
	else
		port_wait(p, GOODBYE_S);
}

static void on_close(void *arg, const struct err *why)
{
	struct port *p = arg;

	port_drop(p, why->code == ERR_NONE ? "it hung up" : why->text);
}

static const struct stream_up stream_up = {
	.on_data = on_data,
	.on_drain = on_drain,
	.on_close = on_close,
};

static void set_options(const struct derp_server *s, const struct stream *stream)
{
	int fd = tcp_fd(stream), lowat = NOTSENT_LOWAT, timeout = USER_TIMEOUT_MS, off = 0;

	if (fd < 0)
		return;
	/* Neither can fail on a TCP socket in a way that would matter. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof(lowat));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof(timeout));
	/*
	 * With a user timeout shorter than the idle time, the kernel gives up after a single probe
	 * that was lost. The KeepAlive frames are data: they are sent again until the timeout.
	 */
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &off, sizeof(off));
	/* A kernel without it, or one that reserves it for root, goes on with its own. */
	if (s->conf.congestion)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, s->conf.congestion,
				 (socklen_t)strlen(s->conf.congestion));
}

static struct port *port_create(struct derp_server *s, uint64_t id)
{
	struct port *p = mem_alloc(sizeof(*p));

	p->server = s;
	p->id = id;
	list_init(&p->node);
	list_init(&p->waiting);
	list_append(&s->ports, &p->node);
	derp_reader_init(&p->in, derp_take_by_server);
	relay_bind(s->relay, id, p);
	return p;
}

void derp_server_attach(struct derp_server *s, struct stream *stream, struct addrport from,
			bool not_ideal)
{
	uint64_t id = relay_accept(s->relay, loop_now(s->loop), from, not_ideal);
	struct port *p;

	if (!id) {
		stream_destroy(stream);
		return;
	}
	p = port_create(s, id);
	p->from = from;
	p->stream = stream;
	set_options(s, stream);
	stream_set_mark(stream, MARK);
	stream_set_up(stream, &stream_up, p);
	pump_later(s);
}

/* ---- the rest ---- */

struct derp_server *derp_server_create(struct loop *loop, const struct derp_server_conf *conf)
{
	struct derp_server *s = mem_alloc(sizeof(*s));
	struct relay_conf rc = {
		.private_key = conf->private_key,
		.mesh_key = conf->mesh_key,
		.rng = &s->rng,
		.connections_max = conf->connections_max,
		.queue_bytes = conf->queue_bytes,
		.memory_bytes = conf->memory_bytes,
		.client_rate = conf->client_rate,
		.client_burst = conf->client_burst,
		.total_rate = conf->total_rate,
		.total_burst = conf->total_burst,
		.total = conf->total,
	};

	s->loop = loop;
	s->conf = *conf;
	s->log = conf->log ? conf->log : &s->silent;
	s->proxies = mem_resize(NULL, conf->proxy_count + 1, sizeof(*s->proxies));
	for (size_t i = 0; i < conf->proxy_count; i++)
		s->proxies[i] = conf->proxies[i];
	s->conf.proxies = s->proxies;
	s->rng = rng_system();
	s->relay = relay_create(&rc);
	secret32_wipe(&s->conf.private_key);
	secret32_wipe(&s->conf.mesh_key);
	secret32_wipe(&rc.private_key);
	secret32_wipe(&rc.mesh_key);
	s->started = loop_now(loop);
	list_init(&s->ports);
	list_init(&s->siblings);
	list_init(&s->waiting);
	io_timer_init(&s->timer, on_timer);
	io_timer_init(&s->patience, on_patience);
	buf_init(&s->out, RECORD + DERP_FRAME_OUT_MAX + 64);
	return s;
}

void derp_server_destroy(struct derp_server *s)
{
	struct list *it;

	if (!s)
		return;
	s->destroyed = true;
	s->on_idle = NULL;
	while ((it = list_first(&s->ports)) != NULL || (it = list_first(&s->siblings)) != NULL)
		port_free(list_entry(it, struct port, node));
	io_timer_stop(&s->timer);
	io_timer_stop(&s->patience);
	relay_destroy(s->relay);
	buf_fini(&s->out);
	mem_free(s->proxies);
	loop_free_later(s->loop, s);
}

const struct key *derp_server_key(const struct derp_server *s)
{
	return relay_key(s->relay);
}

size_t derp_server_cert(const struct derp_server *s, uint8_t out[DERP_CERT_MAX])
{
	return derp_cert_encode(out, relay_key(s->relay), wall_now());
}

void derp_server_decide(struct derp_server *s, uint64_t client, bool allow)
{
	struct relay_client c;

	if (!relay_client(s->relay, client, &c))
		return;
	if (!c.admitted)
		relay_admit(s->relay, loop_now(s->loop), client, allow);
	else if (!allow && !c.mesh)
		relay_expel(s->relay, client);
	pump_later(s);
}

void derp_server_expel(struct derp_server *s, const struct key *key)
{
	relay_expel_key(s->relay, key);
	pump_later(s);
}

void derp_server_recheck(struct derp_server *s)
{
	struct relay_client c;
	size_t it = 0;
	uint64_t id;

	if (s->conf.open || !s->conf.on_verify)
		return;
	while ((id = relay_each(s->relay, &it)) != 0)
		if (relay_client(s->relay, id, &c) && c.admitted && !c.mesh)
			s->conf.on_verify(s->conf.arg, id, &c.key, c.from);
}

void derp_server_drain(struct derp_server *s, uint32_t spread_ms, void (*on_idle)(void *arg),
		       void *arg)
{
	relay_drain(s->relay, loop_now(s->loop), spread_ms, TRY_FOR_MS);
	pump_later(s);
	if (list_is_empty(&s->ports)) {
		if (on_idle)
			loop_defer(s->loop, on_idle, arg);
		return;
	}
	s->on_idle = on_idle;
	s->on_idle_arg = arg;
}

void derp_server_set_rates(struct derp_server *s, uint64_t client_rate, uint64_t client_burst,
			   uint64_t total_rate, uint64_t total_burst)
{
	relay_set_rates(s->relay, client_rate, client_burst, total_rate, total_burst);
}

uint64_t derp_server_link_up(struct derp_server *s, const struct derp_link *link)
{
	uint64_t id = relay_link(s->relay, loop_now(s->loop));

	if (id)
		port_create(s, id)->link = *link;
	pump_later(s);
	return id;
}

void derp_server_link_frame(struct derp_server *s, uint64_t link, const struct derp_frame *frame)
{
	(void)relay_input(s->relay, loop_now(s->loop), link, frame);
	pump_later(s);
}

uint64_t derp_server_sibling_up(struct derp_server *s, const struct derp_link *link)
{
	struct port *p = port_create(s, relay_sibling(s->relay));

	p->link = *link;
	p->is_sibling = true;
	p->in.take = relay_take_by_sibling;
	list_remove(&p->node); /* nobody waits for its end */
	list_append(&s->siblings, &p->node);
	return p->id;
}

void derp_server_sibling_data(struct derp_server *s, uint64_t sibling, struct bytes data)
{
	struct port *p = relay_user(s->relay, sibling);
	struct mono now = loop_now(s->loop);
	struct derp_frame f;

	derp_reader_feed(&p->in, data);
	while (derp_reader_next(&p->in, &f) == DERP_PARSE_FRAME)
		(void)relay_input(s->relay, now, sibling, &f);
	pump_later(s);
}

void derp_server_link_drain(struct derp_server *s, uint64_t link)
{
	struct port *p = relay_user(s->relay, link);

	if (p)
		on_drain(p);
}

void derp_server_link_down(struct derp_server *s, uint64_t link)
{
	struct port *p = relay_user(s->relay, link);

	if (p)
		port_free(p);
}
