#include "base/mem.h"
#include "engine/wg/wg_machine.h"

struct wg_packet *wg_packet_create(size_t datagram_len)
{
	struct wg_packet *p = mem_alloc(sizeof(*p) + WG_HEADROOM + datagram_len);

	list_init(&p->link);
	p->cap = datagram_len;
	return p;
}

void wg_queue_init(struct wg_queue *q)
{
	list_init(&q->ready);
	list_init(&q->spare);
	for (int i = 0; i < WG_SPARE_PACKETS; i++) {
		struct wg_packet *p = wg_packet_create(WG_INITIATION_LEN);

		p->is_spare = true;
		list_append(&q->spare, &p->link);
	}
}

void wg_queue_free(struct wg_queue *q, struct wg_packet *p)
{
	list_remove(&p->link);
	if (p->is_spare)
		list_append(&q->spare, &p->link);
	else
		mem_free(p);
}

void wg_queue_fini(struct wg_queue *q)
{
	struct list *l;

	wg_queue_release(q);
	while ((l = list_first(&q->ready)))
		wg_queue_free(q, list_entry(l, struct wg_packet, link));
	while ((l = list_pop(&q->spare)))
		mem_free(list_entry(l, struct wg_packet, link));
}

struct wg_packet *wg_queue_spare(struct wg_queue *q)
{
	struct list *l = list_pop(&q->spare);

	return l ? list_entry(l, struct wg_packet, link) : NULL;
}

bool wg_queue_put(struct wg_queue *q, struct wg_packet *p)
{
	if (q->n >= WG_QUEUE_MAX) {
		wg_queue_free(q, p);
		return false;
	}
	list_append(&q->ready, &p->link);
	q->n++;
	return true;
}

void wg_queue_release(struct wg_queue *q)
{
	if (q->fetched)
		wg_queue_free(q, q->fetched);
	q->fetched = NULL;
}

struct wg_packet *wg_queue_fetch(struct wg_queue *q)
{
	struct list *l;

	wg_queue_release(q);
	l = list_pop(&q->ready);
	if (!l)
		return NULL;
	q->n--;
	q->fetched = list_entry(l, struct wg_packet, link);
	return q->fetched;
}

void wg_queue_drop_peer(struct wg_queue *q, struct wg_peer_id peer)
{
	list_each_safe (it, &q->ready) {
		struct wg_packet *p = list_entry(it, struct wg_packet, link);

		if (p->peer.slot == peer.slot && p->peer.gen == peer.gen) {
			wg_queue_free(q, p);
			q->n--;
		}
	}
}
