#include "bench/control/view.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"

static size_t place_of(const struct view *v, int64_t id)
{
	size_t low = 0, high = v->n;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (v->peers[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct view_peer *find(const struct view *v, int64_t id)
{
	size_t at = place_of(v, id);

	return at < v->n && v->peers[at].id == id ? &v->peers[at] : NULL;
}

const struct view_peer *view_peer(const struct view *v, int64_t id)
{
	return find(v, id);
}

static struct view_peer *find_or_add(struct view *v, int64_t id)
{
	size_t at = place_of(v, id);

	if (at < v->n && v->peers[at].id == id)
		return &v->peers[at];
	mem_reserve(v->peers, v->n, v->cap);
	memmove(&v->peers[at + 1], &v->peers[at], (v->n - at) * sizeof(*v->peers));
	v->peers[at] = (struct view_peer){ .id = id };
	v->n++;
	return &v->peers[at];
}

static void set_online(struct view *v, struct view_peer *p, bool online)
{
	v->n_online += (size_t)online - (size_t)p->online;
	p->online = online;
}

static void take_out(struct view *v, int64_t id)
{
	struct view_peer *p = find(v, id);
	size_t at;

	if (!p)
		return;
	set_online(v, p, false);
	at = (size_t)(p - v->peers);
	v->n--;
	memmove(p, p + 1, (v->n - at) * sizeof(*p));
}

static void take_endpoints(struct view_peer *p, const struct json *list)
{
	struct addrport at;

	if (json_is(list, JSON_ARRAY))
		p->port = list->first && addrport_parse(&at, list->first->text) ? at.port : 0;
}

static void put_peers(struct view *v, const struct json *list)
{
	json_each (it, list) {
		struct view_peer *p;
		bool online = false;
		int64_t id;

		if (!json_i64(json_get(it, "ID"), &id))
			continue;
		p = find_or_add(v, id);
		p->port = 0;
		take_endpoints(p, json_get(it, "Endpoints"));
		(void)json_bool(json_get(it, "Online"), &online);
		set_online(v, p, online);
	}
}

static void patch_peers(struct view *v, const struct json *list)
{
	json_each (it, list) {
		struct view_peer *p;
		int64_t id;
		bool online;

		if (!json_i64(json_get(it, "NodeID"), &id) || !(p = find(v, id)))
			continue;
		take_endpoints(p, json_get(it, "Endpoints"));
		if (json_bool(json_get(it, "Online"), &online))
			set_online(v, p, online);
	}
}

static void change_online(struct view *v, const struct json *object)
{
	json_each (it, object) {
		struct view_peer *p;
		uint64_t id;

		if (text_u64(it->key, INT64_MAX, &id) && (p = find(v, (int64_t)id)))
			set_online(v, p, it->truth);
	}
}

static void take_self(struct view *v, const struct json *node)
{
	struct prefix p;

	(void)json_i64(json_get(node, "ID"), &v->self_id);
	json_each (it, json_get(node, "Addresses"))
		if (prefix_parse(&p, it->text) && p.addr.family == 4)
			v->self_v4 = p.addr;
}

int view_apply(struct view *v, struct arena *arena, struct bytes json, struct err *err)
{
	struct json *frame;
	int64_t id;

	arena_reset(arena);
	frame = json_parse(arena, json, 0, err);
	if (!frame)
		return err_wrap(err, "map frame");
	take_self(v, json_get(frame, "Node"));
	v->filters += json_get(frame, "PacketFilter") || json_get(frame, "PacketFilters");
	if (json_is(json_get(frame, "Peers"), JSON_ARRAY)) {
		v->n = v->n_online = 0;
		put_peers(v, json_get(frame, "Peers"));
	}
	put_peers(v, json_get(frame, "PeersChanged"));
	json_each (it, json_get(frame, "PeersRemoved"))
		if (json_i64(it, &id))
			take_out(v, id);
	patch_peers(v, json_get(frame, "PeersChangedPatch"));
	change_online(v, json_get(frame, "OnlineChange"));
	return 0;
}

void view_fini(struct view *v)
{
	mem_free(v->peers);
	*v = (struct view){ 0 };
}
