/*
 * From the TUN device to the wire.
 *
 * A batch ends when the device is empty, the slab is full or enough packets lie in it. Datagrams
 * are built where they are sent from, back to back, so that a run of equal ones is one iovec:
 *
 *   [8 Geneve] [4 type] [4 receiver] [8 counter] [packet, padded to 16 but not above the MTU] [16
 * tag]
 */
#include <errno.h>

#include "node/datapath_impl.h"
#include "wire/ippkt.h"

enum { DATA = 4, FILLER = 7, FILLER_FROM = 8 };

#define COUNT(e, what, n) datapath_add((e)->t.counters, DATAPATH_##what, (n))

struct udp *datapath_udp_for(const struct datapath *dp, const struct addrport *to)
{
	return to->ip.family == 4 ? dp->conf.udp4 : to->ip.family == 6 ? dp->conf.udp6 : NULL;
}

/* --- sending --- */

static void put_le(uint8_t *p, uint64_t v, int n)
{
	for (int i = 0; i < n; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static size_t datagram_len(const struct egress *e, unsigned i)
{
	return e->head[i] + e->t.pkts[i].len + AEADVEC_TAG_LEN;
}

static void count_sent(struct egress *e, const struct udp_run_result *r, unsigned count)
{
	COUNT(e, UDP_SENDS, 1);
	COUNT(e, UDP_DATAGRAMS_OUT, r->datagrams);
	if (r->sent == UDP_SENT)
		return;
	COUNT(e, DROP_SEND_FULL, r->sent == UDP_FULL ? count - r->datagrams : 0);
	COUNT(e, DROP_SEND_LONG, r->sent == UDP_TOO_LONG ? count - r->datagrams : 0);
	COUNT(e, DROP_SEND_ERROR,
	      r->sent != UDP_FULL && r->sent != UDP_TOO_LONG ? count - r->datagrams : 0);
}

/* count datagrams at p, all `segment` long but perhaps the last. */
static void send_equal(struct egress *e, struct egress_run *run, uint8_t *p, size_t n,
		       size_t segment, unsigned count)
{
	struct udp *udp = datapath_udp_for(e->t.dp, &run->path.addr);
	struct udp_run u = { .to = &run->path.addr, .p = p, .n = n, .segment = segment };
	bool filler = atomic_load_explicit(&e->t.dp->never_equal_tail, memory_order_relaxed);
	bool had_gso = udp && atomic_load_explicit(&udp->gso, memory_order_relaxed);
	struct udp_run_result r;
	uint8_t behind = p[n];

	if (!udp) {
		COUNT(e, DROP_NO_PATH, count);
		return;
	}
	u.no_gso = atomic_load_explicit(&run->peer->no_gso, memory_order_relaxed) ||
		   (filler && count < FILLER_FROM);
	/* Some kernels break checksums when the tail is as long as the rest: make it shorter. */
	filler = filler && !u.no_gso && n == segment * count;
	if (filler) {
		p[n] = FILLER;
		u.n++;
	}
	r = udp_send_run(udp, &u);
	if (filler) {
		p[n] = behind;
		r.datagrams -= r.datagrams > count;
	}
	if (r.too_long)
		atomic_store_explicit(&run->peer->no_gso, true, memory_order_relaxed);
	if (r.too_long || (had_gso && !atomic_load_explicit(&udp->gso, memory_order_relaxed)))
		COUNT(e, GSO_OFF, 1);
	COUNT(e, UDP_BYTES_OUT, n);
	count_sent(e, &r, count);
}

/* Without Geneve headers: those belong to the UDP path. */
static void relay_equal(struct egress *e, const struct egress_run *run, const uint8_t *p, size_t n,
			unsigned first, unsigned count)
{
	size_t skip = e->head[first] - (size_t)WG_HEADER_LEN;
	uint8_t *data;
	struct datapath_msg *msg = datapath_tell(&e->t, MSG_RELAY, n - skip * count, &data);

	if (!msg)
		return;
	msg->owner = run->owner;
	msg->relay = run->path.relay;
	msg->segment = (uint32_t)(datagram_len(e, first) - skip);
	for (unsigned i = 0; i < count; i++) {
		size_t len = datagram_len(e, first + i);

		memcpy(data, p + skip, len - skip);
		data += len - skip;
		p += len;
	}
	datapath_told(&e->t);
	COUNT(e, RELAYED_OUT, count);
}

static void send_run(struct egress *e, struct egress_run *run)
{
	const struct datapath_path *path = &run->path;
	bool udp = ip_is_valid(path->addr.ip);
	bool relay = path->relay && (!udp || mono_reached(e->t.now, path->trusted_until));
	unsigned i = run->first, end = run->first + run->count;
	uint8_t *p = run->p;

	if (!udp && !relay)
		COUNT(e, DROP_NO_PATH, run->count);
	while (i < end && (udp || relay)) {
		size_t segment = datagram_len(e, i), n = segment;
		unsigned count = 1;

		while (i + count < end && count < UDP_GSO_SEGMENTS && n == segment * count &&
		       datagram_len(e, i + count) <= segment &&
		       n + datagram_len(e, i + count) <= UDP_GSO_BYTES - 1)
			n += datagram_len(e, i + count++);
		if (udp)
			send_equal(e, run, p, n, segment, count);
		if (relay)
			relay_equal(e, run, p, n, i, count);
		i += count;
		p += n;
	}
}

/* False: the session's counters are used up, the packets in the slab cannot be sent. */
static bool number_run(struct egress *e, const struct egress_run *run)
{
	uint64_t first;

	if (!wg_session_reserve(run->session, run->count, &first))
		return false;
	for (unsigned i = 0; i < run->count; i++) {
		struct aeadvec_pkt *k = &e->t.pkts[run->first + i];
		uint8_t *h = k->p - WG_HEADER_LEN;

		if (e->head[run->first + i] > WG_HEADER_LEN)
			datapath_geneve(h - GENEVE_LEN, run->path.vni);
		put_le(h, DATA, 4);
		put_le(h + 4, run->session->remote_index, 4);
		put_le(h + 8, first + i, 8);
		k->counter = first + i;
	}
	return true;
}

static void account(struct egress *e, const struct egress_run *run)
{
	struct wg_amount what = { .packets = run->count, .data = true };

	for (unsigned i = 0; i < run->count; i++)
		what.bytes += e->t.pkts[run->first + i].len + WG_OVERHEAD;
	if (wg_session_sent(run->session, e->t.now, &what))
		datapath_tell_owner(&e->t, MSG_NOTICE, run->owner);
}

static void flush(struct egress *e)
{
	bool dead[DATAPATH_RUNS] = { false };

	for (unsigned i = 0; i < e->runs; i++)
		dead[i] = !number_run(e, &e->run[i]);
	aeadvec_seal(e->t.aead, e->t.pkts, e->packets);
	for (unsigned i = 0; i < e->runs; i++) {
		if (dead[i]) {
			COUNT(e, DROP_EXPIRED, e->run[i].count);
			datapath_tell_owner(&e->t, MSG_NOTICE, e->run[i].owner);
			continue;
		}
		send_run(e, &e->run[i]);
		account(e, &e->run[i]);
	}
	e->used = 0;
	e->packets = e->runs = 0;
}

/* --- building --- */

static bool has_room(const struct egress *e, size_t datagram)
{
	/* One byte stays free behind the last datagram: see send_equal(). */
	return e->packets < AEADVEC_MAX && e->runs < DATAPATH_RUNS &&
	       e->used + datagram < DATAPATH_SLAB;
}

static struct egress_run *open_run(struct egress *e, const struct egress_run *want)
{
	struct egress_run *run = e->runs ? &e->run[e->runs - 1] : NULL;

	if (run && run->session == want->session &&
	    addrport_equal(run->path.addr, want->path.addr) && run->path.vni == want->path.vni &&
	    run->path.relay == want->path.relay)
		return run;
	run = &e->run[e->runs++];
	*run = *want;
	run->p = e->slab + e->used;
	run->first = e->packets;
	run->count = 0;
	return run;
}

static void add_segments(struct egress *e, struct offload_split *s, const struct egress_run *want)
{
	uint16_t head = (uint16_t)(WG_HEADER_LEN + (want->path.vni ? GENEVE_LEN : 0));
	size_t most = head + ((offload_split_size(s) + 15) & ~(size_t)15) + AEADVEC_TAG_LEN;
	size_t mtu = e->t.dp->conf.mtu;

	while (!offload_split_done(s)) {
		struct egress_run *run;
		uint8_t *text;
		size_t n, padded;

		if (!has_room(e, most))
			flush(e);
		run = open_run(e, want);
		text = e->slab + e->used + head;
		n = offload_split_next(s, text);
		padded = wg_padded(n, mtu);
		memset(text + n, 0, padded - n);
		e->t.pkts[e->packets] = (struct aeadvec_pkt){ .p = text,
							      .len = (uint32_t)padded,
							      .key = &run->session->send_key };
		e->head[e->packets] = head;
		e->used += head + padded + AEADVEC_TAG_LEN;
		e->packets++;
		run->count++;
		COUNT(e, TUN_PACKETS_OUT, 1);
	}
}

/* Copies for the control thread, each a whole packet with its checksum done. */
static void tell_packets(struct egress *e, struct offload_split *s, enum datapath_msg_kind kind,
			 uint32_t owner)
{
	while (!offload_split_done(s)) {
		/* The slab's end is scratch space: the ring wants the length first. */
		uint8_t *scratch = e->slab + DATAPATH_SLAB, *data;
		size_t n = offload_split_next(s, scratch);
		struct datapath_msg *msg = datapath_tell(&e->t, kind, n, &data);

		if (!msg)
			continue; /* counted */
		msg->owner = owner;
		msg->outbound = true;
		memcpy(data, scratch, n);
		datapath_told(&e->t);
		COUNT(e, LOCAL_PACKETS, kind == MSG_LOCAL);
	}
}

static uint32_t lookup(struct egress *e, const struct ip *dst)
{
	struct wg_allowed *allowed = atomic_load_explicit(&e->t.dp->allowed, memory_order_acquire);

	if (!allowed)
		return WG_OWNER_NONE;
	if (allowed != e->cached_in || !ip_equal(*dst, e->cached_dst)) {
		e->cached_in = allowed;
		e->cached_dst = *dst;
		e->cached_owner = wg_allowed_lookup(allowed, dst);
	}
	return e->cached_owner;
}

static void route(struct egress *e, struct offload_split *s, uint32_t owner)
{
	struct datapath *dp = e->t.dp;
	struct egress_run want = { .owner = owner, .peer = datapath_peer_of(&dp->peers, owner) };
	struct wg_lane *lane = wg_table_lane(wg_table(dp->conf.wg), owner);

	if (want.peer && atomic_load_explicit(&want.peer->watched, memory_order_relaxed) &&
	    atomic_exchange(&want.peer->watched, false))
		datapath_tell_owner(&e->t, MSG_SEND, owner);
	want.session = lane ? wg_lane_sending(lane, e->t.now) : NULL;
	if (!want.session) {
		tell_packets(e, s, MSG_PACKET, owner);
		return;
	}
	if (!want.peer) {
		COUNT(e, DROP_NO_PATH, s->count);
		return;
	}
	want.path = datapath_peer_path(want.peer);
	add_segments(e, s, &want);
}

static void take_frame(struct egress *e, const struct offload_hdr *hdr, struct bytes packet)
{
	const struct datapath_hooks *hooks = &e->t.dp->conf.hooks;
	enum datapath_verdict verdict = DATAPATH_PASS;
	struct offload_split s;
	struct ippkt pkt;
	uint32_t owner;

	if (!ippkt_dst(&pkt.dst, packet) || !offload_split_begin(&s, hdr, packet)) {
		COUNT(e, DROP_TUN_FRAME, 1);
		return;
	}
	owner = lookup(e, &pkt.dst);
	if (hooks->filter_out) {
		verdict = ippkt_parse(&pkt, packet)
			      ? hooks->filter_out(hooks->arg, owner, &pkt, packet)
			      : DATAPATH_DROP;
	}
	if (verdict == DATAPATH_LOCAL)
		tell_packets(e, &s, MSG_LOCAL, owner);
	else if (verdict == DATAPATH_DROP)
		COUNT(e, DROP_FILTER_OUT, s.count);
	else if (owner == WG_OWNER_NONE)
		COUNT(e, DROP_NO_PEER, s.count);
	else
		route(e, &s, owner);
}

bool datapath_egress_turn(struct egress *e)
{
	const struct tun *tun = &e->t.dp->tun;
	size_t skip = tun->vnet ? TUN_HDR_LEN : 0;
	long n = 0;
	int error = 0;

	if (tun->fd < 0)
		return false;
	datapath_batch_begin(&e->t);
	e->cached_in = NULL; /* its address may be another snapshot's by now */
	for (int budget = DATAPATH_BUDGET; budget; budget--) {
		struct offload_hdr hdr = { 0 };

		n = tun_read(tun, e->frame, TUN_FRAME_MAX);
		error = errno;
		if (n <= 0)
			break;
		COUNT(e, TUN_READS, 1);
		if ((size_t)n <= skip) {
			COUNT(e, DROP_TUN_FRAME, 1);
			continue;
		}
		if (skip)
			offload_hdr_decode(&hdr, e->frame);
		take_frame(e, &hdr, bytes_of(e->frame + skip, (size_t)n - skip));
		if (e->packets >= DATAPATH_FLUSH_PACKETS)
			flush(e);
	}
	if (e->packets)
		flush(e);
	/* EIO is the interface being down: it may come back, and poll() tells. */
	if (n < 0 && error != EIO)
		datapath_tell_broken(&e->t, "the TUN device", error);
	datapath_batch_end(&e->t);
	return n > 0;
}
