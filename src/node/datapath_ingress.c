/*
 * From the wire to the TUN device.
 *
 * A batch is what one receive call brought, up to 16 merged datagrams. Everything is opened where
 * it lies; runs of one flow are merged over the whole batch and written without a copy.
 */
#include <errno.h>

#include "node/datapath_impl.h"
#include "wire/ippkt.h"

enum { DATA = 4, REFUSALS_MAX = 3 };

#define COUNT(in, what, n) datapath_add((in)->t.counters, DATAPATH_##what, (n))

/* --- towards the device --- */

static bool write_frame(struct ingress *in, const struct iovec *iov, int n, unsigned packets)
{
	const struct tun *tun = &in->t.dp->tun;
	int error;

	COUNT(in, TUN_WRITES, 1);
	if (tun_write(tun, iov + (tun->vnet ? 0 : 1), n - (tun->vnet ? 0 : 1)) == 0) {
		COUNT(in, TUN_PACKETS_IN, packets);
		return true;
	}
	error = errno;
	if (error == EINVAL && packets > 1)
		return false;
	if (error == EIO)
		COUNT(in, DROP_TUN_DOWN, packets);
	else
		COUNT(in, DROP_TUN_WRITE, packets);
	if (error == EBADFD || error == EBADF)
		datapath_tell_broken(&in->t, "the TUN device", error);
	return true;
}

/* The kernel does not like our merged frame: each packet by itself, and not again and again. */
static void write_singles(struct ingress *in)
{
	uint8_t zero[OFFLOAD_HDR_LEN] = { 0 };

	for (unsigned i = 0; i < in->group.n; i++) {
		struct bytes b = offload_group_single(&in->group, i);
		struct iovec iov[2] = { { zero, sizeof(zero) }, { (void *)b.p, b.n } };

		(void)write_frame(in, iov, 2, 1);
	}
	if (++in->refused < REFUSALS_MAX)
		return;
	in->group.tcp = in->group.uso = false;
	atomic_store_explicit(&in->t.dp->coalesce_off, true, memory_order_relaxed);
}

static void write_group(struct ingress *in)
{
	if (in->group.n == 0)
		return;
	if (write_frame(in, in->group.iov, offload_group_finish(&in->group), in->group.n))
		in->refused = in->group.n > 1 ? 0 : in->refused;
	else
		write_singles(in);
	offload_group_clear(&in->group);
}

static void give_to_device(struct ingress *in, struct bytes packet)
{
	if (offload_group_add(&in->group, (uint8_t *)packet.p, packet.n))
		return;
	write_group(in);
	(void)offload_group_add(&in->group, (uint8_t *)packet.p, packet.n);
}

/* --- opened packets --- */

static void tell_local(struct ingress *in, uint32_t owner, struct bytes packet)
{
	uint8_t *data;
	struct datapath_msg *msg = datapath_tell(&in->t, MSG_LOCAL, packet.n, &data);

	if (!msg)
		return;
	msg->owner = owner;
	memcpy(data, packet.p, packet.n);
	datapath_told(&in->t);
	COUNT(in, LOCAL_PACKETS, 1);
}

static bool source_is_allowed(struct ingress *in, const struct ip *source, uint32_t owner)
{
	struct wg_allowed *allowed = atomic_load_explicit(&in->t.dp->allowed, memory_order_acquire);

	if (!allowed)
		return false;
	if (allowed == in->cached_in && owner == in->cached_owner &&
	    ip_equal(*source, in->cached_src))
		return true;
	if (!wg_allowed_source(allowed, source, owner))
		return false;
	in->cached_in = allowed;
	in->cached_owner = owner;
	in->cached_src = *source;
	return true;
}

static void deliver(struct ingress *in, uint32_t owner, struct bytes plain)
{
	const struct datapath_hooks *hooks = &in->t.dp->conf.hooks;
	enum datapath_verdict verdict = DATAPATH_PASS;
	struct bytes packet;
	struct ippkt pkt;
	struct ip source;

	if (!wg_inner_parse(plain, &packet, &source)) {
		COUNT(in, DROP_INNER, 1);
		return;
	}
	if (!source_is_allowed(in, &source, owner)) {
		COUNT(in, DROP_SOURCE, 1);
		return;
	}
	if (hooks->filter_in) {
		verdict = ippkt_parse(&pkt, packet)
			      ? hooks->filter_in(hooks->arg, owner, &pkt, packet)
			      : DATAPATH_DROP;
	}
	if (verdict == DATAPATH_DROP)
		COUNT(in, DROP_FILTER_IN, 1);
	else if (verdict == DATAPATH_LOCAL || in->t.dp->tun.fd < 0)
		tell_local(in, owner, packet);
	else
		give_to_device(in, packet);
}

/* Once per batch and peer: WireGuard proved who sent it, so its address is worth knowing. */
static void learn_source(struct ingress *in, uint32_t owner, const struct datapath_source *from)
{
	struct datapath_peer *peer = datapath_peer_of(&in->t.dp->peers, owner);
	uint64_t hash = datapath_source_hash(from);
	struct datapath_msg *msg;

	if (!peer || atomic_load_explicit(&peer->source, memory_order_relaxed) == hash)
		return;
	if (in->t.dp->conf.follow_source && !from->vni && !from->relay) {
		struct datapath_path path = { .addr = from->addr, .trusted_until = MONO_NEVER };

		datapath_peer_set_path(peer, &path);
	}
	msg = datapath_tell(&in->t, MSG_SOURCE, 0, NULL);
	if (!msg)
		return;
	atomic_store_explicit(&peer->source, hash, memory_order_relaxed);
	msg->owner = owner;
	msg->from = *from;
	datapath_told(&in->t);
}

/* Marks the counters of packets first .. end-1, all of one session; forgets what was seen. */
static void commit(struct ingress *in, struct wg_session *s, unsigned first, unsigned end)
{
	wg_session_lock(s);
	for (unsigned i = first; i < end; i++) {
		struct aeadvec_pkt *k = &in->t.pkts[i];

		if (!k->ok) {
			COUNT(in, DROP_AUTH, 1);
		} else if (!wg_replay_commit(&s->replay, k->counter)) {
			k->ok = false;
			COUNT(in, DROP_REPLAY, 1);
		}
	}
	wg_session_unlock(s);
}

static struct wg_amount amount_of(const struct ingress *in, unsigned first, unsigned end)
{
	struct wg_amount what = { 0 };

	for (unsigned i = first; i < end; i++) {
		const struct aeadvec_pkt *k = &in->t.pkts[i];

		if (!k->ok)
			continue;
		what.packets++;
		what.bytes += k->len + WG_OVERHEAD;
		what.data |= k->len > 0;
	}
	return what;
}

static void finish_session(struct ingress *in, unsigned first, unsigned end)
{
	struct wg_session *s = in->meta[first].session;
	struct wg_amount what;
	unsigned last = end - 1;

	commit(in, s, first, end);
	what = amount_of(in, first, end);
	if (what.packets == 0)
		return;
	while (!in->t.pkts[last].ok)
		last--;
	learn_source(in, s->owner, &in->sources[in->meta[last].source]);
	for (unsigned i = first; i < end; i++) {
		const struct aeadvec_pkt *k = &in->t.pkts[i];

		if (!k->ok)
			continue;
		if (k->len)
			deliver(in, s->owner, bytes_of(k->p, k->len));
		else
			COUNT(in, KEEPALIVES_IN, 1);
	}
	if (wg_session_received(s, in->t.now, &what))
		datapath_tell_owner(&in->t, MSG_NOTICE, s->owner);
}

static void open_all(struct ingress *in)
{
	aeadvec_open(in->t.aead, in->t.pkts, in->packets);
	for (unsigned i = 0, end; i < in->packets; i = end) {
		for (end = i + 1; end < in->packets; end++)
			if (in->meta[end].session != in->meta[i].session)
				break;
		finish_session(in, i, end);
	}
	in->packets = 0;
}

/* --- datagrams --- */

static uint64_t le(const uint8_t *p, int n)
{
	uint64_t v = 0;

	for (int i = 0; i < n; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

static void take_data(struct ingress *in, uint8_t *p, size_t n, unsigned source)
{
	uint64_t counter = le(p + 8, 8);
	struct wg_session *s =
	    wg_table_session(wg_table(in->t.dp->conf.wg), (uint32_t)le(p + 4, 4));

	if (!s) {
		COUNT(in, DROP_INDEX, 1);
	} else if (!wg_session_is_fresh(s, in->t.now) || counter >= WG_REJECT_AFTER_MESSAGES) {
		COUNT(in, DROP_EXPIRED, 1);
	} else if (!wg_replay_check(&s->replay, counter)) {
		COUNT(in, DROP_REPLAY, 1); /* again after opening; this saves the work in a flood */
	} else {
		in->meta[in->packets] = (struct ingress_meta){ s, source };
		in->t.pkts[in->packets++] =
		    (struct aeadvec_pkt){ .p = p + WG_HEADER_LEN,
					  .len = (uint32_t)(n - WG_OVERHEAD),
					  .counter = counter,
					  .key = &s->receive_key };
		if (in->packets == AEADVEC_MAX)
			open_all(in);
	}
}

static void tell_datagram(struct ingress *in, const uint8_t *p, size_t n, unsigned source)
{
	uint8_t *data;
	struct datapath_msg *msg = datapath_tell(&in->t, MSG_DATAGRAM, n, &data);

	if (!msg)
		return;
	msg->from = in->sources[source];
	memcpy(data, p, n);
	datapath_told(&in->t);
}

static bool is_data(const uint8_t *p, size_t n)
{
	return n >= WG_OVERHEAD && le(p, 4) == DATA;
}

/* WireGuard behind a Geneve header without options (upstream: net/packet/geneve.go). */
static bool is_geneve_data(const uint8_t *p, size_t n)
{
	return n >= GENEVE_LEN + WG_OVERHEAD && (p[0] & 0xc0) == 0 && (p[1] & 0x3f) == 0 &&
	       p[2] == GENEVE_WIREGUARD >> 8 && p[3] == (GENEVE_WIREGUARD & 0xff) && p[7] == 0 &&
	       is_data(p + GENEVE_LEN, n - GENEVE_LEN);
}

static unsigned source_with_vni(struct ingress *in, unsigned source, const uint8_t *geneve)
{
	struct datapath_source s = in->sources[source];
	struct datapath_source *last = &in->sources[in->source_count - 1];

	s.vni = (uint32_t)geneve[4] << 16 | (uint32_t)geneve[5] << 8 | geneve[6];
	if (last->vni != s.vni || !addrport_equal(last->addr, s.addr)) {
		/* Whoever mixes tunnels in a batch on purpose is not followed any further; the
		 * second half is kept for the slots themselves. */
		if (in->source_count >= UDP_PLAIN_VECTOR)
			return source;
		in->sources[in->source_count++] = s;
	}
	return in->source_count - 1;
}

static void classify(struct ingress *in, uint8_t *p, size_t n, unsigned source)
{
	if (n < 2) /* fillers behind a run of equal lengths */
		return;
	if (is_data(p, n))
		take_data(in, p, n, source);
	else if (is_geneve_data(p, n))
		take_data(in, p + GENEVE_LEN, n - GENEVE_LEN, source_with_vni(in, source, p));
	else
		tell_datagram(in, p, n, source);
}

static void take_slot(struct ingress *in, const struct udp_slot *slot)
{
	unsigned source = in->source_count++;

	in->sources[source] = (struct datapath_source){ .addr = slot->from };
	for (size_t at = 0; at < slot->n; at += slot->segment) {
		size_t left = slot->n - at;

		COUNT(in, UDP_DATAGRAMS_IN, 1);
		classify(in, slot->p + at, left < slot->segment ? left : slot->segment, source);
	}
	COUNT(in, UDP_BYTES_IN, slot->n);
}

static void finish_batch(struct ingress *in)
{
	open_all(in);
	write_group(in);
	in->source_count = 0;
}

static bool receive_from(struct ingress *in, struct udp *udp, unsigned which)
{
	uint32_t lost;
	int n;

	if (!udp || in->t.broken)
		return false;
	n = udp_receive(udp, in->vector);
	if (n < 0) {
		datapath_tell_broken(&in->t, "the UDP socket", errno);
		return false;
	}
	if (n == 0)
		return false;
	COUNT(in, UDP_RECEIVES, 1);
	for (int i = 0; i < n; i++)
		take_slot(in, udp_vector_slot(in->vector, (unsigned)i));
	finish_batch(in);
	lost = udp_vector_overflows(in->vector);
	if (lost > in->overflows[which]) {
		COUNT(in, UDP_OVERFLOW, lost - in->overflows[which]);
		in->overflows[which] = lost;
	}
	/* A full vector: there is more. Otherwise poll() says so at no higher price. */
	return (unsigned)n >= in->slots;
}

/* What control put in: datagrams of relays. They lie in the ring until the batch is finished. */
static bool receive_injected(struct ingress *in)
{
	uint8_t *p;
	size_t n;
	int taken = 0;

	for (; taken < DATAPATH_BUDGET && ring_peek(&in->injected, &p, &n); taken++) {
		const struct datapath_msg *msg = (const struct datapath_msg *)p;

		in->sources[0] = msg->from;
		in->source_count = 1;
		COUNT(in, RELAYED_IN, 1);
		classify(in, p + sizeof(*msg), n - sizeof(*msg), 0);
		finish_batch(in);
		ring_pop(&in->injected);
	}
	return taken == DATAPATH_BUDGET;
}

bool datapath_ingress_turn(struct ingress *in)
{
	struct datapath *dp = in->t.dp;
	bool more;

	datapath_batch_begin(&in->t);
	in->cached_in = NULL; /* its address may be another snapshot's by now */
	more = receive_from(in, dp->conf.udp4, 0);
	more |= receive_from(in, dp->conf.udp6, 1);
	more |= receive_injected(in);
	datapath_batch_end(&in->t);
	return more && !in->t.broken;
}
