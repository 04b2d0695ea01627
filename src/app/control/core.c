/* Changes on their way: to the disk by group commit, to the map streams by marks and one flush. */
#include "app/control/core.h"

#include "app/control/mapstream.h"
#include "app/control/store.h"
#include "base/err.h"
#include "base/mem.h"
#include "io/httpd.h"
#include "part/derp_server/derp_server.h"

enum {
	PAUSE_MIN_MS = 1,
	FLUSH_PAUSE_MAX_MS = 1000,
	FLUSH_DUTY = 2, /* pause for so many times what the last round took */
	URGENT_PAUSE_MAX_MS = 50,
	URGENT_DUTY = 1,
	SLICE_NS = 10 * 1000000, /* of a long round, then the loop reads its sockets again */
};

static bool is_armed(const struct io_timer *t)
{
	return t->loop && heap_has(&t->node);
}

/* ---- the disk ---- */

struct waiter {
	struct http_exchange *x;
	struct list link;
};

static void waiter_gone(void *arg)
{
	struct waiter *w = arg;

	list_remove(&w->link);
	mem_free(w);
}

static void answer_waiters(struct control *c, const struct err *failed)
{
	struct list *first;

	while ((first = list_pop(&c->waiters))) {
		struct waiter *w = list_entry(first, struct waiter, link);
		struct http_exchange *x = w->x;

		http_on_gone(x, NULL, NULL);
		mem_free(w);
		if (failed)
			http_reply_text(x, 503, "the change could not be stored; try again later");
		else
			http_reply(x, 200, NULL, (struct bytes){ 0 });
	}
}

int core_commit_now(struct control *c, struct err *err)
{
	int ret = store_commit(c->store, err);

	io_timer_stop(&c->commit_timer);
	c->count.commits++;
	if (ret < 0) {
		c->count.commit_errors++;
		log_error(&c->log, "%s", err->text);
	}
	answer_waiters(c, ret < 0 ? err : NULL);
	return ret;
}

void core_commit_soon(struct control *c)
{
	if (!is_armed(&c->commit_timer))
		io_timer_in_ms(c->loop, &c->commit_timer, COMMIT_MS);
}

void core_answer_when_durable(struct control *c, struct http_exchange *x)
{
	struct waiter *w;

	if (!store_is_dirty(c->store)) {
		http_reply(x, 200, NULL, (struct bytes){ 0 });
		return;
	}
	w = mem_alloc(sizeof(*w));
	w->x = x;
	list_append(&c->waiters, &w->link);
	http_on_gone(x, waiter_gone, w);
	core_commit_soon(c);
}

void core_audit(struct control *c, const struct tailnet *t, const char *actor, const char *action,
		const char *target, const char *detail)
{
	struct err err;

	if (store_audit(c->store, t->id, actor, action, target, detail, &err) < 0)
		log_error(&c->log, "audit event %s was not stored: %s", action, err.text);
	core_commit_soon(c);
}

/* ---- the streams ---- */

struct mapview_world core_world(const struct control *c)
{
	/* https always: any other scheme would make nodes leave the Noise channel. */
	return (struct mapview_world){ buf_bytes(&c->derp_map), c->derp_hash, wall_now(),
				       "https://unused" };
}

/* A round that took long is followed by a longer pause: a storm becomes a few big deltas. */
static void lane_soon(struct control *c, struct lane *l, int64_t duty, int64_t max_ms)
{
	int64_t pause = l->cost_ns * duty / 1000000, since;

	if (is_armed(&l->timer))
		return;
	if (pause < PAUSE_MIN_MS)
		pause = PAUSE_MIN_MS;
	if (pause > max_ms)
		pause = max_ms;
	since = mono_since_ms(loop_now(c->loop), l->ended);
	io_timer_in_ms(c->loop, &l->timer, since >= pause ? 0 : pause - since);
}

void core_flush_soon(struct control *c)
{
	lane_soon(c, &c->flush, FLUSH_DUTY, FLUSH_PAUSE_MAX_MS);
}

void core_urgent_soon(struct control *c)
{
	lane_soon(c, &c->urgent, URGENT_DUTY, URGENT_PAUSE_MAX_MS);
}

static void take_all(struct list *from, struct list *to)
{
	struct list *first;

	while ((first = list_pop(from)))
		list_append(to, first);
}

static void on_urgent(struct io_timer *timer)
{
	struct control *c = container_of(timer, struct control, urgent.timer);
	struct mono start = mono_now();
	struct list due, *first;

	list_init(&due);
	take_all(&c->urgent.due, &due);
	while ((first = list_first(&due)))
		mapstream_flush_urgent(mapstream_of_urgent(first));
	c->urgent.ended = mono_now();
	c->urgent.cost_ns = c->urgent.ended.ns - start.ns;
}

/* A round in slices. What is due from now on waits for the next round. */
static void on_flush(struct io_timer *timer)
{
	struct control *c = container_of(timer, struct control, flush.timer);
	struct mono start = mono_now(), now = start;
	struct list *first;

	if (list_is_empty(&c->round)) {
		take_all(&c->flush.due, &c->round);
		c->round_ns = 0;
	}
	while ((first = list_first(&c->round)) && now.ns - start.ns < SLICE_NS) {
		mapstream_flush(mapstream_of_due(first));
		now = mono_now();
	}
	c->round_ns += now.ns - start.ns;
	if (!list_is_empty(&c->round)) {
		io_timer_in_ms(c->loop, timer, 0);
		return;
	}
	c->flush.ended = now;
	c->flush.cost_ns = c->round_ns;
	if (!list_is_empty(&c->flush.due))
		core_flush_soon(c);
}

static void lane_init(struct lane *l, void (*on_fire)(struct io_timer *t))
{
	list_init(&l->due);
	io_timer_init(&l->timer, on_fire);
}

static void bury(struct control *c)
{
	struct list *first;

	while ((first = list_pop(&c->graveyard)))
		model_node_free(list_entry(first, struct tn_node, link));
}

static void on_bury(struct io_timer *timer)
{
	bury(container_of(timer, struct control, bury_timer));
}

void core_init(struct control *c)
{
	lane_init(&c->flush, on_flush);
	lane_init(&c->urgent, on_urgent);
	io_timer_init(&c->bury_timer, on_bury);
	list_init(&c->round);
	list_init(&c->graveyard);
	list_init(&c->waiters);
	list_init(&c->c2n_calls);
	buf_init(&c->last_frame.json, 1 << 16);
	buf_init(&c->last_frame.frame, 1 << 20);
}

void core_fini(struct control *c)
{
	io_timer_stop(&c->flush.timer);
	io_timer_stop(&c->urgent.timer);
	io_timer_stop(&c->bury_timer);
	buf_fini(&c->last_frame.json);
	buf_fini(&c->last_frame.frame);
	bury(c);
}

static void each_stream(struct tn_node *n, void (*mark)(struct mapview *v, int64_t id), int64_t id,
			bool urgent)
{
	list_each (it, &n->streams) {
		struct mapstream *s = mapstream_of(it);

		mark(mapstream_view(s), id);
		if (urgent)
			mapstream_urgent(s);
		else
			mapstream_due(s);
	}
}

static void mark_self(struct mapview *v, int64_t id)
{
	(void)id;
	v->self_due = true;
}

static void mark_access(struct mapview *v, int64_t id)
{
	(void)id;
	v->access_due = true;
}

/* Whether this peer is seen, and the rules that name its addresses. */
static void mark_pair(struct mapview *v, int64_t id)
{
	v->rules_due = true;
	mapview_peer_due(v, id);
}

static void mark_dns(struct mapview *v, int64_t id)
{
	(void)id;
	v->dns_due = true;
}

static void mark_profiles(struct mapview *v, int64_t id)
{
	(void)id;
	v->profiles_due = true;
}

void core_node_touched(struct control *c, struct tn_node *n)
{
	const struct access_peers *peers = model_peers(n);
	bool urgent = model_is_urgent(n, n->rev_last - 1);

	(void)c;
	for (size_t i = 0; i < peers->n; i++)
		each_stream(peers->v[i].node, mapview_peer_due, n->id, urgent);
	each_stream(n, mark_self, 0, urgent);
}

void core_affected(struct tailnet *t, struct access_ids *ids)
{
	for (size_t i = 0; i < ids->n; i++) {
		struct tn_node *n = model_node_by_id(t, ids->v[i]);

		if (!n)
			continue;
		model_forget_peers(n);
		each_stream(n, mark_access, 0, false);
	}
	access_ids_fini(ids);
}

/*
 * n came, changed or went. Where that alters n's own pairs alone, the others' answers are mended in
 * one place instead of being asked for again: a join costs each of them one peer, not all.
 */
static void pairs_affected(struct tn_node *n, struct access_ids *ids)
{
	const struct access_peers *row = NULL;

	if (!access_only_own_pairs(n)) {
		core_affected(n->tailnet, ids);
		return;
	}
	model_forget_peers(n);
	each_stream(n, mark_access, 0, false);
	if (!n->gone)
		row = model_peers(n);
	for (size_t i = 0; i < ids->n; i++) {
		struct tn_node *other = model_node_by_id(n->tailnet, ids->v[i]);

		if (!other || other == n)
			continue;
		model_mend_peers(other, n, row && model_find_peer(row, other->id));
		each_stream(other, mark_pair, n->id, false);
	}
	access_ids_fini(ids);
}

bool core_auto_approve(struct control *c, struct tn_node *n)
{
	struct prefix *all = mem_alloc((n->approved.n + n->advertised.n + 1) * sizeof(*all));
	size_t count = n->approved.n;
	bool changed;

	(void)c;
	for (size_t i = 0; i < count; i++)
		all[i] = n->approved.v[i];
	for (size_t i = 0; i < n->advertised.n; i++)
		if (!prefix_set_has(&n->approved, n->advertised.v[i]) &&
		    access_approves_route(n, n->advertised.v[i]))
			all[count++] = n->advertised.v[i];
	changed = prefix_set_assign(&n->approved, all, count);
	mem_free(all);
	return changed;
}

void core_node_changed(struct control *c, struct tn_node *n)
{
	struct access_ids ids = { 0 };

	model_touch(&c->model, n, PART_WHOLE);
	access_node_changed(n, &ids);
	access_ids_add(&ids, n->id);
	pairs_affected(n, &ids);
	core_node_touched(c, n);
}

void core_key_revoked(struct control *c, const struct key *key)
{
	if (c->derp)
		derp_server_expel(c->derp, key);
}

int core_delete_node(struct control *c, struct tn_node *n, struct err *err)
{
	struct access_ids ids = { 0 };

	if (store_delete_node(c->store, n, err) < 0)
		return -1;
	core_commit_soon(c);
	model_remove_node(&c->model, n);
	core_key_revoked(c, &n->key);
	access_node_gone(n, &ids);
	pairs_affected(n, &ids);
	list_each_safe (it, &n->streams)
		mapstream_goodbye(mapstream_of(it));
	/* The caller may still look at it. */
	list_append(&c->graveyard, &n->link);
	io_timer_in_ms(c->loop, &c->bury_timer, 0);
	return 0;
}

void core_users_changed(struct control *c, struct tailnet *t)
{
	struct access_ids ids = { 0 };

	(void)c;
	access_users_changed(t, &ids);
	core_affected(t, &ids);
	list_each (it, &t->nodes)
		each_stream(list_entry(it, struct tn_node, link), mark_profiles, 0, false);
}

void core_dns_changed(struct control *c, struct tailnet *t)
{
	(void)c;
	list_each (it, &t->nodes)
		each_stream(list_entry(it, struct tn_node, link), mark_dns, 0, false);
}

int core_set_policy(struct control *c, struct tailnet *t, struct bytes text, const char *actor,
		    struct err *err)
{
	struct access_ids ids = { 0 };

	if (access_check(t, text, err) < 0)
		return -1;
	if (store_put_policy(c->store, t, text, actor, err) < 0 || core_commit_now(c, err) < 0)
		return -1;
	if (access_load(t, text, &ids, err) < 0)
		return -1;
	mem_free(t->policy);
	t->policy = bytes_strdup(text);
	list_each (it, &t->nodes) {
		struct tn_node *n = list_entry(it, struct tn_node, link);

		if (core_auto_approve(c, n)) {
			(void)store_put_node(c->store, n, err);
			core_commit_soon(c);
			access_node_changed(n, &ids);
		}
	}
	core_affected(t, &ids);
	return 0;
}

/* ---- presence ---- */

static void set_online(struct control *c, struct tn_node *n, bool online)
{
	struct access_ids ids = { 0 };

	if (n->online == online)
		return;
	n->online = online;
	n->last_seen = wall_now();
	model_touch(&c->model, n, PART_ONLINE);
	access_node_online(n, &ids);
	core_affected(n->tailnet, &ids);
	core_node_touched(c, n);
}

void core_stream_opened(struct control *c, struct tn_node *n)
{
	n->streams_open++;
	n->polled = true;
	n->offline_since = (struct mono){ 0 };
	set_online(c, n, true);
}

void core_stream_closed(struct control *c, struct tn_node *n)
{
	if (--n->streams_open == 0)
		n->offline_since = loop_now(c->loop);
}
