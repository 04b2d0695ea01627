/*
 * Deficit round robin with a preference for flows that were idle, and CoDel in each flow of data
 * (RFC 8290, RFC 8289): a flow enters `fresh`, may send QUANTUM bytes there, and goes on in `old`.
 * A flow that runs dry in `fresh` passes through `old` once, or a source could stay fresh by
 * sending single packets.
 */
#include "engine/relay/relay_queue.h"

#include "base/mem.h"

enum {
	QUANTUM = 2048,   /* one full-size tunnel packet with its header */
	VICTIM_SCAN = 16, /* flows that are compared when something must go */
	WG_TRANSPORT = 4, /* WireGuard message types below are handshakes */
	WG_HANDSHAKE_MAX = 148,
	DELAY_TARGET_MS = 15, /* TCP below adds its own, so a little more than the usual 5 */
	DELAY_INTERVAL_MS = 100,
	DELAY_MEMORY_MS = 16 * DELAY_INTERVAL_MS,
};

struct relay_pkt {
	struct relay_pkt *next;
	struct mono at;
	uint32_t n;
	uint8_t frame[];
};

struct flow {
	struct relay_flow_id id;
	struct list turn;
	struct relay_pkt *first, **last;
	size_t bytes;
	int32_t deficit;
	bool is_old;
	bool dropping;
	uint32_t drop_count;
	struct mono above_since, drop_next; /* CoDel; zero: not above the target */
};

static struct bytes flow_key(const void *item)
{
	const struct flow *f = item;

	return bytes_of(&f->id, sizeof(f->id));
}

void relay_flows_init(struct relay_flows *fs, const void *seed)
{
	map_init(&fs->by_id, flow_key, seed);
}

void relay_flows_fini(struct relay_flows *fs)
{
	map_fini(&fs->by_id);
}

void relay_queue_init(struct relay_queue *q, uint64_t id)
{
	*q = (struct relay_queue){ .id = id };
	list_init(&q->fresh);
	list_init(&q->old);
}

/* What decides whether two nodes find each other must not wait behind what they then send. */
static bool is_urgent(struct bytes payload)
{
	if (derp_is_disco(payload))
		return true;
	return payload.n >= 4 && payload.n <= WG_HANDSHAKE_MAX && payload.p[0] >= 1 &&
	       payload.p[0] < WG_TRANSPORT && !payload.p[1] && !payload.p[2] && !payload.p[3];
}

static void flow_free(struct relay_flows *fs, struct relay_queue *q, struct flow *f)
{
	list_remove(&f->turn);
	(void)map_remove(&fs->by_id, flow_key(f));
	q->flows--;
	mem_free(f);
}

static struct flow *flow_for(struct relay_flows *fs, struct relay_queue *q, const struct key *peer,
			     bool urgent)
{
	struct relay_flow_id id = { .queue = q->id, .lane = urgent, .peer = *peer };
	struct flow *f = map_get(&fs->by_id, bytes_of(&id, sizeof(id)));

	if (f)
		return f;
	f = mem_alloc(sizeof(*f));
	f->id = id;
	f->last = &f->first;
	f->deficit = QUANTUM;
	list_init(&f->turn);
	if (urgent)
		list_prepend(&q->fresh, &f->turn);
	else
		list_append(&q->fresh, &f->turn);
	(void)map_put(&fs->by_id, f);
	q->flows++;
	return f;
}

static struct relay_pkt *flow_shift(struct relay_flows *fs, struct relay_queue *q, struct flow *f)
{
	struct relay_pkt *p = f->first;

	f->first = p->next;
	if (!f->first)
		f->last = &f->first;
	f->bytes -= p->n;
	q->bytes -= p->n;
	fs->bytes -= p->n;
	return p;
}

static void flow_drop_first(struct relay_flows *fs, struct relay_queue *q, struct flow *f,
			    enum relay_drop why)
{
	mem_free(flow_shift(fs, q, f));
	fs->drops[why]++;
	q->drops++;
}

static void longest_of(struct list *turns, unsigned *scan, struct flow **best)
{
	list_each (it, turns) {
		struct flow *f = list_entry(it, struct flow, turn);

		if (f->first && (!*best || f->bytes > (*best)->bytes))
			*best = f;
		if (*best && !--*scan)
			return;
	}
}

/* The longest of the first few flows; the turns move, so the same few are not asked every time. */
static struct flow *victim(struct relay_queue *q)
{
	unsigned scan = VICTIM_SCAN;
	struct flow *best = NULL;

	longest_of(&q->old, &scan, &best);
	scan = VICTIM_SCAN;
	longest_of(&q->fresh, &scan, &best);
	return best;
}

/* False when the packet itself must be dropped. */
static bool make_room(struct relay_flows *fs, struct relay_queue *q, size_t n)
{
	size_t max = q->bytes_max ? q->bytes_max : fs->queue_max;

	while (q->bytes && q->bytes + n > max)
		flow_drop_first(fs, q, victim(q), RELAY_DROP_QUEUE_HEAD);
	/* The common budget: who has much queued already gives way, who has nothing is refused. */
	while (q->bytes && fs->bytes + n > fs->bytes_max)
		flow_drop_first(fs, q, victim(q), RELAY_DROP_MEMORY);
	if (fs->bytes + n > fs->bytes_max || n > max) {
		fs->drops[fs->bytes + n > fs->bytes_max ? RELAY_DROP_MEMORY
							: RELAY_DROP_QUEUE_TAIL]++;
		q->drops++;
		return false;
	}
	return true;
}

static size_t frame_len(const struct relay_envelope *env, struct bytes payload)
{
	return DERP_HEADER_LEN + DERP_KEY_LEN + (env->fwd_to ? DERP_KEY_LEN : 0) + payload.n;
}

static struct relay_pkt *pkt_create(struct mono now, const struct relay_envelope *env,
				    struct bytes payload)
{
	size_t n = frame_len(env, payload);
	struct relay_pkt *p = mem_try_alloc(sizeof(*p) + n);
	struct writer w;

	if (!p)
		return NULL;
	p->at = now;
	p->n = (uint32_t)n;
	w = writer_of(p->frame, n);
	if (env->fwd_to) {
		derp_put_forward(&w, env->peer, env->fwd_to, payload);
		p->frame[0] = (uint8_t)env->type; /* siblings have one more that looks the same */
	} else {
		derp_put_packet(&w, env->type, env->peer, payload);
	}
	return p;
}

bool relay_queue_push(struct relay_flows *fs, struct relay_queue *q, struct mono now,
		      const struct relay_envelope *env, struct bytes payload)
{
	struct relay_pkt *p;
	struct flow *f;

	if (!make_room(fs, q, frame_len(env, payload)))
		return false;
	p = pkt_create(now, env, payload);
	if (!p) {
		fs->drops[RELAY_DROP_MEMORY]++;
		q->drops++;
		return false;
	}
	f = flow_for(fs, q, env->peer, is_urgent(payload));
	*f->last = p;
	f->last = &p->next;
	f->bytes += p->n;
	q->bytes += p->n;
	fs->bytes += p->n;
	return true;
}

static void to_old(struct relay_queue *q, struct flow *f)
{
	list_remove(&f->turn);
	list_append(&q->old, &f->turn);
	f->is_old = true;
}

/* The flow whose turn it is, with something to send and a right to do so. */
static struct flow *next_flow(struct relay_flows *fs, struct relay_queue *q)
{
	for (;;) {
		struct list *l = list_first(&q->fresh);
		struct flow *f;

		if (!l)
			l = list_first(&q->old);
		if (!l)
			return NULL;
		f = list_entry(l, struct flow, turn);
		if (!f->first) {
			if (f->is_old)
				flow_free(fs, q, f);
			else
				to_old(q, f);
		} else if (f->deficit <= 0) {
			f->deficit += QUANTUM;
			to_old(q, f);
		} else {
			return f;
		}
	}
}

static uint32_t root(uint32_t n)
{
	uint32_t r = n;

	while (r > n / r)
		r = (r + n / r) / 2;
	return r;
}

/* The more was dropped in a row, the sooner the next. */
static struct mono next_drop(const struct flow *f, struct mono from)
{
	uint32_t n = f->drop_count < 4096 ? f->drop_count : 4096;

	return mono_add_ns(from, (int64_t)DELAY_INTERVAL_MS * 1000000 * 32 / root(n * 1024));
}

/* Whether the first packet has waited beyond the target, and those before it for an interval. */
static bool is_above(struct flow *f, struct mono now)
{
	bool above = mono_since_ms(now, f->first->at) >= DELAY_TARGET_MS && f->bytes > QUANTUM;

	if (!above)
		f->above_since = (struct mono){ 0 };
	else if (mono_is_zero(f->above_since))
		f->above_since = now;
	return above && mono_since_ms(now, f->above_since) >= DELAY_INTERVAL_MS;
}

/* RFC 8289, one packet at a time: whether the first one is to be dropped. */
static bool must_drop(struct flow *f, struct mono now)
{
	bool above = f->id.lane == 0 && is_above(f, now);

	if (!above) {
		f->dropping = false;
		return false;
	}
	if (f->dropping) {
		if (!mono_reached(now, f->drop_next))
			return false;
		f->drop_count++;
		f->drop_next = next_drop(f, f->drop_next);
		return true;
	}
	/* Soon after the last time: go on where it had come to. */
	if (f->drop_count > 2 && mono_since_ms(now, f->drop_next) < DELAY_MEMORY_MS)
		f->drop_count -= 2;
	else
		f->drop_count = 1;
	f->dropping = true;
	f->drop_next = next_drop(f, now);
	return true;
}

bool relay_queue_pop(struct relay_flows *fs, struct relay_queue *q, struct mono now,
		     struct buf *out)
{
	for (;;) {
		struct flow *f = next_flow(fs, q);
		struct relay_pkt *p;

		if (!f)
			return false;
		if (mono_since_ms(now, f->first->at) > fs->max_age_ms) {
			flow_drop_first(fs, q, f, RELAY_DROP_QUEUE_OLD);
			continue;
		}
		if (must_drop(f, now)) {
			flow_drop_first(fs, q, f, RELAY_DROP_QUEUE_DELAY);
			continue;
		}
		p = flow_shift(fs, q, f);
		f->deficit -= (int32_t)p->n;
		(void)buf_append(out, bytes_of(p->frame, p->n));
		mem_free(p);
		return true;
	}
}

static void clear_list(struct relay_flows *fs, struct relay_queue *q, struct list *l,
		       enum relay_drop why)
{
	struct list *it;

	while ((it = list_first(l)) != NULL) {
		struct flow *f = list_entry(it, struct flow, turn);

		while (f->first)
			flow_drop_first(fs, q, f, why);
		flow_free(fs, q, f);
	}
}

void relay_queue_clear(struct relay_flows *fs, struct relay_queue *q, enum relay_drop why)
{
	clear_list(fs, q, &q->fresh, why);
	clear_list(fs, q, &q->old, why);
}
