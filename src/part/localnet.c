#include "part/localnet.h"

#include "base/err.h"
#include "base/list.h"
#include "base/mem.h"
#include "engine/microtcp/microtcp.h"
#include "io/loop.h"
#include "io/stream.h"
#include "wire/inetsum.h"
#include "wire/ipbuild.h"
#include "wire/ippkt.h"

enum { DATAGRAM_MAX = 4096 + IPBUILD_HEADER_MAX + IPBUILD_UDP_LEN };

struct localnet {
	struct loop *loop;
	struct localnet_conf conf;
	struct microtcp *tcp;
	struct io_timer timer;
	struct list streams;
	bool flush_due, destroyed;
	uint8_t datagram[DATAGRAM_MAX];
};

struct local_stream {
	struct stream s;
	struct list link; /* localnet.streams */
	struct localnet *net;
	struct microtcp_conn *conn; /* NULL: gone */
	bool ended, drain_owed, resume_due;
};

/* ---- packets out ---- */

static void flush(void *arg)
{
	struct localnet *l = arg;
	struct bytes packet;

	l->flush_due = false;
	if (l->destroyed)
		return;
	while ((packet = microtcp_next_packet(l->tcp, loop_now(l->loop))).n)
		l->conf.send(l->conf.arg, packet);
	io_timer_at(l->loop, &l->timer, microtcp_deadline(l->tcp));
}

/* Never at once: the engine may be on the stack. */
static void flush_later(struct localnet *l)
{
	if (l->flush_due)
		return;
	l->flush_due = true;
	loop_defer(l->loop, flush, l);
}

static void on_timer(struct io_timer *t)
{
	struct localnet *l = container_of(t, struct localnet, timer);

	microtcp_tick(l->tcp, loop_now(l->loop));
	flush_later(l);
}

/* ---- streams ---- */

static struct local_stream *of(struct stream *s)
{
	return container_of(s, struct local_stream, s);
}

static void local_send(struct stream *s, struct bytes data)
{
	struct local_stream *ls = of(s);

	if (!ls->conn)
		return;
	microtcp_output(ls->conn, loop_now(s->loop), data);
	if (microtcp_queued(ls->conn) >= s->low)
		ls->drain_owed = true;
	flush_later(ls->net);
}

static void resume(void *arg)
{
	struct local_stream *ls = arg;

	ls->resume_due = false;
	if (ls->s.destroyed || ls->s.paused || !ls->conn)
		return;
	microtcp_resume(ls->conn);
	flush_later(ls->net);
}

static void local_pause(struct stream *s, bool paused)
{
	struct local_stream *ls = of(s);

	if (!ls->conn)
		return;
	if (paused) {
		microtcp_pause(ls->conn);
	} else if (!ls->resume_due) {
		ls->resume_due = true;
		loop_defer(s->loop, resume, ls);
	}
}

static void local_finish(struct stream *s)
{
	struct local_stream *ls = of(s);

	if (!ls->conn)
		return;
	microtcp_finish(ls->conn, loop_now(s->loop));
	flush_later(ls->net);
}

static size_t local_queued(const struct stream *s)
{
	const struct local_stream *ls = container_of(s, const struct local_stream, s);

	return ls->conn ? microtcp_queued(ls->conn) : 0;
}

static void local_destroy(struct stream *s)
{
	struct local_stream *ls = of(s);

	if (ls->conn) {
		/* After an orderly end what is queued still goes. */
		microtcp_close(ls->conn, loop_now(s->loop), !ls->ended && !s->finished);
		flush_later(ls->net);
	}
	list_remove(&ls->link);
	stream_fini(s);
	loop_free_later(s->loop, ls);
}

static const struct stream_ops local_ops = {
	.name = "local",
	.send = local_send,
	.pause = local_pause,
	.finish = local_finish,
	.queued = local_queued,
	.destroy = local_destroy,
};

/* ---- events of the engine ---- */

static bool on_ask(void *arg, const struct addrport *local, const struct addrport *peer)
{
	struct localnet *l = arg;

	return l->conf.on_ask && l->conf.on_ask(l->conf.arg, local, peer);
}

static void *on_open(void *arg, struct microtcp_conn *c)
{
	struct localnet *l = arg;
	struct local_stream *ls = mem_alloc(sizeof(*ls));
	struct addrport local = microtcp_local(c), peer = microtcp_peer(c);

	stream_init(&ls->s, &local_ops, l->loop);
	ls->s.open = true;
	ls->net = l;
	ls->conn = c;
	list_append(&l->streams, &ls->link);
	l->conf.on_stream(l->conf.arg, &ls->s, &local, &peer);
	return ls->s.destroyed ? NULL : ls;
}

static void on_data(void *owner, struct bytes data)
{
	struct local_stream *ls = owner;

	stream_emit_data(&ls->s, data);
}

static void on_end(void *owner)
{
	struct local_stream *ls = owner;

	ls->ended = true;
	stream_emit_close(&ls->s, NULL);
}

static void on_drain(void *owner, size_t unsent)
{
	struct local_stream *ls = owner;

	if (!ls->drain_owed || unsent >= ls->s.low)
		return;
	ls->drain_owed = false;
	stream_emit_drain(&ls->s);
}

static void on_gone(void *owner, enum microtcp_end why)
{
	struct local_stream *ls = owner;
	struct err err = { 0 };

	ls->conn = NULL;
	if (why == MICROTCP_RESET)
		err_set(&err, ERR_SYSTEM, "the peer reset the connection");
	else if (why == MICROTCP_TIMEOUT)
		err_set(&err, ERR_TIMEOUT, "the peer does not answer any more");
	else if (why == MICROTCP_LIMIT)
		err_set(&err, ERR_LIMIT, "more was sent than the peer reads");
	stream_emit_close(&ls->s, why == MICROTCP_CLOSED ? NULL : &err);
}

/* ---- packets in ---- */

static bool take_udp(struct localnet *l, const struct ippkt *pkt, struct bytes packet)
{
	struct addrport local = { pkt->dst, pkt->dst_port }, peer = { pkt->src, pkt->src_port };
	size_t n = pkt->length - pkt->transport;
	const uint8_t *udp = packet.p + pkt->transport;
	size_t says = (size_t)udp[4] << 8 | udp[5];
	bool summed = udp[6] || udp[7];

	if (!pkt->has_ports || pkt->fragment != IPPKT_WHOLE || says < IPBUILD_UDP_LEN || says > n)
		return false;
	if ((summed || pkt->version == 6) &&
	    inetsum_fold(inetsum_add(inetsum_pseudo(packet.p, IPPKT_UDP, (uint32_t)says), udp,
				     says)) != UINT16_MAX)
		return false;
	if (l->conf.on_datagram)
		l->conf.on_datagram(l->conf.arg, &local, &peer,
				    bytes_of(udp + IPBUILD_UDP_LEN, says - IPBUILD_UDP_LEN));
	return true;
}

bool localnet_input(struct localnet *l, struct bytes packet)
{
	struct ippkt pkt;
	bool taken;

	if (!ippkt_parse(&pkt, packet))
		return false;
	if (pkt.proto == IPPKT_UDP && pkt.has_ports)
		return take_udp(l, &pkt, packet);
	if (pkt.proto != IPPKT_TCP)
		return false;
	taken = microtcp_input(l->tcp, loop_now(l->loop), packet);
	flush_later(l);
	return taken;
}

bool localnet_send_datagram(struct localnet *l, const struct addrport *local,
			    const struct addrport *peer, struct bytes data)
{
	size_t n = ipbuild_udp(l->datagram, sizeof(l->datagram), local, peer, data);

	if (n)
		l->conf.send(l->conf.arg, bytes_of(l->datagram, n));
	return n > 0;
}

const struct microtcp_counters *localnet_counters(const struct localnet *l)
{
	return microtcp_counters(l->tcp);
}

struct localnet *localnet_create(struct loop *loop, const struct localnet_conf *conf)
{
	struct localnet *l = mem_alloc(sizeof(*l));
	struct microtcp_conf tcp = { .rng = rng_system(),
				     .mtu = conf->mtu,
				     .on_ask = on_ask,
				     .on_open = on_open,
				     .on_data = on_data,
				     .on_end = on_end,
				     .on_drain = on_drain,
				     .on_gone = on_gone,
				     .arg = l };

	l->loop = loop;
	l->conf = *conf;
	l->tcp = microtcp_create(&tcp);
	list_init(&l->streams);
	io_timer_init(&l->timer, on_timer);
	return l;
}

void localnet_destroy(struct localnet *l)
{
	struct err err;

	if (!l)
		return;
	l->destroyed = true;
	io_timer_stop(&l->timer);
	err_set(&err, ERR_SYSTEM, "the tunnel is closed");
	while (!list_is_empty(&l->streams)) {
		struct local_stream *ls =
		    list_entry(list_pop(&l->streams), struct local_stream, link);

		ls->conn = NULL;
		stream_emit_close(&ls->s, &err);
	}
	microtcp_destroy(l->tcp);
	loop_free_later(l->loop, l);
}
