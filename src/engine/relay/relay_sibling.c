/*
 * Shards of one relay. To each other they speak the frames of a mesh, with three additions:
 *
 *   PeerPresent       I have this key, or heard from it just now; with REMOTE: a link of mine has
 * it PeerGone          I have it no more; as reason REMOTE: no link of mine has it ForwardPacket
 * from a client of mine: for one of yours, or for one of your links FORWARD_LAST      from another
 * relay: for one of yours only ClosePeer         a mesh member said so
 *
 * Whoever announced a key last is the one who hears, as within one shard. Two that announce at the
 * same time both take the other for the last; packets reach one of them then, and nothing circles,
 * because what came from a sibling is not handed to a sibling.
 */
#include "engine/relay/relay_state.h"

enum {
	PRESENT_MAX = 64,
	SIBLING_QUEUE_BYTES = 4 << 20, /* a turn of the other thread at full speed */
};

uint64_t relay_sibling(struct relay *r)
{
	struct conn *c = conn_create(r, CONN_SIBLING);

	c->queue.bytes_max = SIBLING_QUEUE_BYTES;
	list_append(&r->siblings, &c->watching);
	r->sibling_count++;
	r->conf.connections_max++; /* it takes nobody's place */
	return c->id;
}

enum derp_take relay_take_by_sibling(uint8_t type, uint32_t len)
{
	(void)type;
	return len <= DERP_FRAME_OUT_MAX ? DERP_TAKE_KEEP : DERP_TAKE_REFUSE;
}

static void tell(struct relay *r, struct writer *w)
{
	struct bytes frame = bytes_of(w->p, writer_done(w));

	list_each (it, &r->siblings)
		(void)conn_notice(r, list_entry(it, struct conn, watching), frame);
}

void siblings_tell_present(struct relay *r, const struct conn *c)
{
	uint8_t frame[DERP_HEADER_LEN + PRESENT_MAX];
	struct writer w = writer_of(frame, sizeof(frame));

	if (list_is_empty(&r->siblings))
		return;
	derp_put_peer_present(&w, &c->key, c->from, peer_present_flags(c));
	tell(r, &w);
}

void siblings_tell_remote(struct relay *r, const struct key *key, bool here)
{
	uint8_t frame[DERP_HEADER_LEN + PRESENT_MAX];
	struct writer w = writer_of(frame, sizeof(frame));

	if (list_is_empty(&r->siblings))
		return;
	if (here)
		derp_put_peer_present(&w, key, (struct addrport){ 0 }, RELAY_PRESENT_REMOTE);
	else
		derp_put_peer_gone(&w, key, RELAY_GONE_REMOTE);
	tell(r, &w);
}

void siblings_tell_gone(struct relay *r, const struct key *key)
{
	uint8_t frame[DERP_HEADER_LEN + PRESENT_MAX];
	struct writer w = writer_of(frame, sizeof(frame));

	if (list_is_empty(&r->siblings))
		return;
	derp_put_peer_gone(&w, key, DERP_GONE_DISCONNECTED);
	tell(r, &w);
}

void siblings_close_peer(struct relay *r, const struct key *key)
{
	uint8_t frame[DERP_HEADER_LEN + PRESENT_MAX];
	struct writer w = writer_of(frame, sizeof(frame));

	if (list_is_empty(&r->siblings))
		return;
	derp_put_close_peer(&w, key);
	tell(r, &w);
}

void sibling_frame(struct relay *r, struct conn *c, struct mono now, const struct derp_frame *f)
{
	struct derp_present present;
	struct key src, dst;
	struct bytes payload;
	uint8_t reason;

	switch (f->type) {
	case DERP_FORWARD_PACKET:
	case RELAY_FORWARD_LAST:
		if (derp_get_forward(f->body, &src, &dst, &payload))
			relay_forward(r, now, &src, &dst, payload,
				      f->type == RELAY_FORWARD_LAST ? FROM_SIBLING_LAST
								    : FROM_SIBLING);
		break;
	case DERP_PEER_PRESENT:
		if (derp_get_peer_present(f->body, &present))
			route_add(r, c, &present);
		break;
	case DERP_PEER_GONE:
		if (derp_get_peer_gone(f->body, &src, &reason))
			route_remove(r, c, &src, reason == RELAY_GONE_REMOTE);
		break;
	case DERP_CLOSE_PEER:
		if (derp_get_close_peer(f->body, &dst))
			relay_close_peer(r, &dst);
		break;
	default:
		break;
	}
}
