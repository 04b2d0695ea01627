#include "sim/control.h"

#include "base/mem.h"
#include "sim/host.h"

enum { COME_BACK_MS = 5000 };

/* Something on its way between a host and control. */
struct message {
	struct event event;
	struct control *control;
	uint32_t to, about;
};

static struct message *message(struct control *k, uint32_t to, uint32_t about,
			       void (*fire)(struct world *w, struct event *e))
{
	struct message *m = mem_alloc(sizeof(*m));

	*m = (struct message){ .event.fire = fire, .control = k, .to = to, .about = about };
	return m;
}

static void send_after(struct message *m, int64_t ms)
{
	struct world *w = &m->control->city->w;

	world_at(w, &m->event, mono_add_ms(w->now, ms));
}

static bool is_forgotten(const struct control *k, uint32_t to, uint32_t about)
{
	const struct host *h = &k->city->hosts[to];
	bool first = h->peer_count && h->peers[0].host == about;

	return k->city->settled &&
	       (k->city->w.fault == FAULT_NO_REVOKE || k->city->w.fault == FAULT_LOST_KEY) && first;
}

static void at_host(struct world *w, struct event *e)
{
	struct message *m = container_of(e, struct message, event);
	struct control *k = m->control;

	(void)w;
	if (k->up && !is_forgotten(k, m->to, m->about))
		host_learn(&k->city->hosts[m->to], m->about, &k->records[m->about]);
	mem_free(m);
}

static void tell_all(struct control *k, uint32_t about)
{
	const struct host *h = &k->city->hosts[about];

	for (size_t i = 0; i < h->peer_count; i++) {
		const struct host *other = &k->city->hosts[h->peers[i].host];

		if (other->up && !k->records[other->index].revoked)
			send_after(message(k, other->index, about, at_host), k->delay_ms);
	}
}

static void at_control(struct world *w, struct event *e)
{
	struct message *m = container_of(e, struct message, event);
	struct control *k = m->control;
	struct host *h = &k->city->hosts[m->about];

	(void)w;
	if (!k->up) {
		h->unsaid = true;
	} else if (h->up) {
		struct record *r = &k->records[m->about];
		int region = r->region;
		bool revoked = r->revoked;

		host_record(h, r);
		r->revoked = revoked;
		if (w->fault == FAULT_LOST_HOME && region)
			r->region = region;
		tell_all(k, m->about);
	}
	mem_free(m);
}

void control_init(struct control *k, struct city *c)
{
	*k = (struct control){ .city = c, .up = true, .delay_ms = 50 };
	k->records = mem_alloc(c->n * sizeof(*k->records));
}

void control_fini(struct control *k)
{
	mem_free(k->records);
}

void control_update(struct control *k, uint32_t index)
{
	send_after(message(k, 0, index, at_control), k->delay_ms);
}

static void send_map(struct control *k, uint32_t index)
{
	const struct host *h = &k->city->hosts[index];

	for (size_t i = 0; i < h->peer_count; i++)
		if (k->records[h->peers[i].host].known)
			send_after(message(k, index, h->peers[i].host, at_host), k->delay_ms);
}

void control_join(struct control *k, uint32_t index)
{
	control_update(k, index);
	if (k->up)
		send_map(k, index);
}

void control_revoke(struct control *k, uint32_t index)
{
	k->records[index].revoked = true;
	tell_all(k, index);
}

static void back_again(struct world *w, struct event *e)
{
	struct message *m = container_of(e, struct message, event);
	struct control *k = m->control;
	struct host *h = &k->city->hosts[m->about];

	(void)w;
	if (k->up && h->up) {
		if (h->unsaid)
			control_update(k, m->about);
		h->unsaid = false;
		send_map(k, m->about);
	}
	mem_free(m);
}

/* A revocation that an outage kept from some of the peers counts from when they are back. */
static void postpone(struct city *c, bool up)
{
	for (uint32_t i = 0; i < c->n; i++) {
		struct host *h = &c->hosts[i];

		if (h->revoked && !up && mono_since_ms(c->w.now, h->revoked_at) < 1000)
			h->revoked_at = MONO_NEVER;
		else if (h->revoked && up && h->revoked_at.ns == MONO_NEVER.ns)
			h->revoked_at = mono_add_ms(c->w.now, COME_BACK_MS);
	}
}

void control_set_up(struct control *k, bool up)
{
	struct city *c = k->city;

	k->up = up;
	postpone(c, up);
	world_note(&c->w, up ? "control up" : "control down", 0, 0);
	for (uint32_t i = 0; up && i < c->n; i++)
		send_after(message(k, 0, i, back_again),
			   (int64_t)rng_below(&c->w.rng, COME_BACK_MS));
}

bool control_owns(const struct event *e)
{
	return e->fire == at_host || e->fire == at_control || e->fire == back_again;
}
