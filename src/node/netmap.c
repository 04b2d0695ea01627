/* node/netmap.c - frames into snapshots; what a snapshot says. The diff is in netmap_diff.c. */
#include "node/netmap.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "node/netmap_map.h"

static const int64_t clock_offset_min_ns = 60 * 1000000000LL;
/* Earlier control times come from servers that do not know the time. */
static const int64_t control_time_floor_s = 1673373066;

/* ---- nodes ---- */

static int64_t region_of_legacy(struct bytes derp)
{
	struct addrport at;

	return addrport_parse(&at, derp) ? at.port : 0;
}

/* Capabilities are the old form of a capability map without values. */
static void merge_capabilities(struct tailcfg_node *n, struct arena *scratch)
{
	size_t total = n->cap_map.n + n->capabilities.n;
	struct named_json *v = n->capabilities.n ? arena_array(scratch, total, sizeof(*v)) : NULL;
	size_t count = 0;

	if (!v)
		return;
	for (size_t i = 0; i < n->cap_map.n; i++)
		v[count++] = n->cap_map.v[i];
	for (size_t i = 0; i < n->capabilities.n; i++)
		if (n->capabilities.v[i].n)
			v[count++] = (struct named_json){ n->capabilities.v[i], bytes_str("null") };
	n->cap_map = (struct named_json_list){ v, count, true };
	n->capabilities = (struct text_list){ 0 };
}

static struct netmap_part *node_part(const struct tailcfg_node *in, bool self, struct err *err)
{
	struct tailcfg_node n = *in; /* lists stay borrowed until the copy below */
	struct netmap_part *p;
	struct arena scratch;

	arena_init(&scratch, NETMAP_PART_MAX);
	if (!n.home_derp)
		n.home_derp = region_of_legacy(n.legacy_derp);
	n.legacy_derp = (struct bytes){ NULL, 0 };
	if (!n.allowed_ips.set || n.unsigned_peer_api_only)
		n.allowed_ips = n.addresses;
	n.allowed_ips.set = true;
	if (self)
		merge_capabilities(&n, &scratch);
	p = netmap_part_of(&tailcfg_node_schema, &n, err);
	arena_fini(&scratch);
	return p;
}

static int64_t id_of(const struct netmap_part *p)
{
	return ((const struct tailcfg_node *)p->v)->id;
}

/* Where id is, or would stand. */
static size_t peer_slot(const struct netmap_parts *peers, int64_t id, bool *found)
{
	size_t low = 0, high = peers->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (id_of(peers->v[mid]) < id)
			low = mid + 1;
		else
			high = mid;
	}
	*found = low < peers->n && id_of(peers->v[low]) == id;
	return low;
}

static const struct tailcfg_node *peer_of(const struct netmap_parts *peers, int64_t id)
{
	bool found;
	size_t i = peer_slot(peers, id, &found);

	return found ? peers->v[i]->v : NULL;
}

/* Takes p. */
static void put_peer(struct netmap_parts *peers, struct netmap_part *p)
{
	bool found;
	size_t i = peer_slot(peers, id_of(p), &found);

	if (found) {
		netmap_part_unref(peers->v[i]);
		peers->v[i] = p;
		return;
	}
	netmap_parts_add(peers, p);
	memmove(&peers->v[i + 1], &peers->v[i], (peers->n - 1 - i) * sizeof(*peers->v));
	peers->v[i] = p;
}

static bool is_newer(struct opt_time a, struct opt_time b)
{
	return a.set && (!b.set || a.at.ns > b.at.ns);
}

/* Disco keys are learned from peers themselves, too: an old message about somebody who is offline
 * must not undo that. */
static bool disco_is_stale(const struct tailcfg_node *known, const struct key *disco,
			   enum opt_bool online, struct opt_time last_seen)
{
	return known && online == OPT_FALSE && !key_is_zero(disco) &&
	       !key_is_zero(&known->disco_key) && !key_equal(disco, &known->disco_key) &&
	       !is_newer(last_seen, known->last_seen);
}

static int replace_peers(struct netmap *m, const struct netmap *old,
			 const struct tailcfg_node_list *list, struct err *err)
{
	if (list->n > NETMAP_PEERS_MAX)
		return err_set(err, ERR_LIMIT, "the map names more than %d peers",
			       NETMAP_PEERS_MAX);
	netmap_parts_fini(&m->peers);
	for (size_t i = 0; i < list->n; i++) {
		struct tailcfg_node n = list->v[i];
		const struct tailcfg_node *known = old ? peer_of(&old->peers, n.id) : NULL;
		struct netmap_part *p;

		if (disco_is_stale(known, &n.disco_key, n.online, n.last_seen))
			n.disco_key = known->disco_key;
		p = node_part(&n, false, err);
		if (!p)
			return -1;
		put_peer(&m->peers, p);
	}
	return 0;
}

static int change_peers(struct netmap *m, const struct tailcfg_node_list *list, struct err *err)
{
	for (size_t i = 0; i < list->n; i++) {
		struct netmap_part *p = node_part(&list->v[i], false, err);

		if (!p)
			return -1;
		put_peer(&m->peers, p);
	}
	if (m->peers.n > NETMAP_PEERS_MAX)
		return err_set(err, ERR_LIMIT, "the map names more than %d peers",
			       NETMAP_PEERS_MAX);
	return 0;
}

static void remove_peers(struct netmap *m, const struct i64_list *ids)
{
	for (size_t i = 0; i < ids->n; i++) {
		bool found;
		size_t at = peer_slot(&m->peers, ids->v[i], &found);

		if (found)
			netmap_parts_remove(&m->peers, at);
	}
}

/* Copies the known node with what `edit` changed about it. */
static int edit_peer(struct netmap *m, const struct tailcfg_node *edited, struct err *err)
{
	struct netmap_part *p = netmap_part_of(&tailcfg_node_schema, edited, err);

	if (!p)
		return -1;
	put_peer(&m->peers, p);
	return 0;
}

static int apply_seen(struct netmap *m, const struct tailcfg_map_response *f, struct wall now,
		      struct err *err)
{
	for (size_t i = 0; i < f->peer_seen_change.n; i++) {
		const struct tailcfg_node *known = peer_of(&m->peers, f->peer_seen_change.v[i].id);
		struct tailcfg_node n;

		if (!known)
			continue;
		n = *known;
		n.last_seen = (struct opt_time){ f->peer_seen_change.v[i].value, now };
		if (edit_peer(m, &n, err) < 0)
			return -1;
	}
	for (size_t i = 0; i < f->online_change.n; i++) {
		const struct tailcfg_node *known = peer_of(&m->peers, f->online_change.v[i].id);
		struct tailcfg_node n;

		if (!known)
			continue;
		n = *known;
		n.online = f->online_change.v[i].value ? OPT_TRUE : OPT_FALSE;
		if (edit_peer(m, &n, err) < 0)
			return -1;
	}
	return 0;
}

static void patch_node(struct tailcfg_node *n, const struct tailcfg_peer_change *c)
{
	if (c->derp_region)
		n->home_derp = c->derp_region;
	if (c->cap)
		n->cap = c->cap;
	if (c->cap_map.set)
		n->cap_map = c->cap_map;
	if (c->endpoints.set)
		n->endpoints = c->endpoints;
	if (!key_is_zero(&c->key))
		n->key = c->key;
	if (c->key_signature.n)
		n->key_signature = c->key_signature;
	if (!key_is_zero(&c->disco_key))
		n->disco_key = c->disco_key;
	if (c->online != OPT_UNSET)
		n->online = c->online;
	if (c->last_seen.set)
		n->last_seen = c->last_seen;
	if (c->key_expiry.set)
		n->key_expiry = c->key_expiry.at;
}

static int patch_peers(struct netmap *m, const struct tailcfg_peer_change_list *list,
		       struct err *err)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct tailcfg_peer_change *c = &list->v[i];
		const struct tailcfg_node *known = peer_of(&m->peers, c->node_id);
		struct tailcfg_node n;

		if (!known || disco_is_stale(known, &c->disco_key, c->online, c->last_seen))
			continue;
		n = *known;
		patch_node(&n, c);
		if (edit_peer(m, &n, err) < 0)
			return -1;
	}
	return 0;
}

/* ---- everything else ---- */

/* Takes p; -1 when there is none. */
static int set_part(struct netmap_part **slot, struct netmap_part *p)
{
	if (!p)
		return -1;
	netmap_part_unref(*slot);
	*slot = p;
	return 0;
}

static int set_named(struct netmap_parts *a, struct netmap_part *p, struct err *err)
{
	long i;

	if (!p)
		return -1;
	i = netmap_parts_find(a, p->name);
	if (i >= 0) {
		netmap_part_unref(a->v[i]);
		a->v[i] = p;
		return 0;
	}
	netmap_parts_add(a, p);
	return a->n > NETMAP_NAMED_MAX ? err_set(err, ERR_LIMIT, "too many named parts in the map")
				       : 0;
}

static bool is_null(struct bytes json)
{
	return !json.n || bytes_equal_str(json, "null");
}

/* name: value replaces, null deletes, "*": null clears all, and does so before the others. */
static int patch_named(struct netmap_parts *a, const struct named_json_list *list, struct err *err)
{
	for (size_t i = 0; i < list->n; i++)
		if (bytes_equal_str(list->v[i].name, "*") && is_null(list->v[i].json))
			netmap_parts_fini(a);
	for (size_t i = 0; i < list->n; i++) {
		long at = netmap_parts_find(a, list->v[i].name);

		if (!is_null(list->v[i].json)) {
			struct netmap_part *p =
			    netmap_part_json(list->v[i].name, list->v[i].json, err);

			if (set_named(a, p, err) < 0)
				return -1;
		} else if (at >= 0) {
			netmap_parts_remove(a, (size_t)at);
		}
	}
	return 0;
}

static int apply_filters(struct netmap *m, const struct tailcfg_map_response *f, struct err *err)
{
	if (!is_null(f->packet_filter)) {
		struct netmap_part *p = netmap_part_json(bytes_str("base"), f->packet_filter, err);

		if (set_named(&m->filters, p, err) < 0)
			return -1;
	}
	return patch_named(&m->filters, &f->packet_filters, err);
}

static int apply_profiles(struct netmap *m, const struct tailcfg_user_profile_list *list,
			  struct err *err)
{
	for (size_t i = 0; i < list->n; i++) {
		struct netmap_part *p =
		    netmap_part_of(&tailcfg_user_profile_schema, &list->v[i], err);
		size_t at = 0;

		if (!p)
			return -1;
		while (at < m->profiles.n &&
		       ((struct tailcfg_user_profile *)m->profiles.v[at]->v)->id != list->v[i].id)
			at++;
		if (at < m->profiles.n) {
			netmap_part_unref(m->profiles.v[at]);
			m->profiles.v[at] = p;
		} else {
			netmap_parts_add(&m->profiles, p);
		}
		if (m->profiles.n > NETMAP_PROFILES_MAX)
			return err_set(err, ERR_LIMIT, "the map names too many users");
	}
	return 0;
}

/* Regions and scores replace each other separately; a null region is none. */
static int apply_derp(struct netmap *m, const struct tailcfg_derp_map *in, struct err *err)
{
	const struct tailcfg_derp_map *known = m->derp ? m->derp->v : NULL;
	struct tailcfg_derp_map merged = { .omit_default_regions = in->omit_default_regions };
	struct tailcfg_derp_home_params params = { 0 };
	struct id_object *regions = NULL;
	int ret;

	if (known && known->home_params)
		params = *known->home_params;
	if (in->home_params && in->home_params->region_score.n)
		params = *in->home_params;
	merged.home_params = params.region_score.n ? &params : NULL;
	if (in->regions.set) {
		regions = mem_alloc((in->regions.n + 1) * sizeof(*regions));
		merged.regions = (struct id_object_list){ regions, 0, true };
		for (size_t i = 0; i < in->regions.n; i++) {
			const struct tailcfg_derp_region *r = in->regions.v[i].object;

			if (r && r->region_id == in->regions.v[i].id && r->region_id > 0 &&
			    r->region_id <= UINT16_MAX)
				regions[merged.regions.n++] = in->regions.v[i];
		}
	} else if (known) {
		merged.regions = known->regions;
	}
	ret = set_part(&m->derp, netmap_part_of(&tailcfg_derp_map_schema, &merged, err));
	mem_free(regions);
	return ret;
}

static int apply_texts(struct netmap *m, const struct tailcfg_map_response *f, struct err *err)
{
	struct bytes none = { NULL, 0 };
	struct tailcfg_map_response only = { .health = f->health };

	if (f->domain.n && set_part(&m->domain, netmap_part_json(f->domain, none, err)) < 0)
		return -1;
	if (!is_null(f->ssh_policy) &&
	    set_part(&m->ssh, netmap_part_json(none, f->ssh_policy, err)) < 0)
		return -1;
	if (f->health.set &&
	    set_part(&m->health, netmap_part_of(&tailcfg_map_response_schema, &only, err)) < 0)
		return -1;
	if (f->tka_info) {
		struct bytes head = f->tka_info->disabled ? none : f->tka_info->head;

		if (set_part(&m->tka, netmap_part_json(head, none, err)) < 0)
			return -1;
	}
	return patch_named(&m->messages, &f->display_messages, err);
}

static void apply_time(struct netmap *m, struct wall control_time, struct wall now)
{
	int64_t offset;

	if (!control_time.ns || wall_s(control_time) < control_time_floor_s)
		return;
	offset = control_time.ns - now.ns;
	m->clock_offset_ns = llabs(offset) > clock_offset_min_ns ? offset : 0;
}

static int apply_peers(struct netmap *m, const struct netmap *old,
		       const struct tailcfg_map_response *f, struct wall now, struct err *err)
{
	/* An empty list is no news: peers leave by PeersRemoved. */
	if (f->peers.n)
		return replace_peers(m, old, &f->peers, err);
	remove_peers(m, &f->peers_removed);
	if (change_peers(m, &f->peers_changed, err) < 0 || apply_seen(m, f, now, err) < 0)
		return -1;
	return patch_peers(m, &f->peers_changed_patch, err);
}

static int apply(struct netmap *m, const struct netmap *old, const struct tailcfg_map_response *f,
		 struct wall now, struct err *err)
{
	apply_time(m, f->control_time, now);
	if (apply_peers(m, old, f, now, err) < 0)
		return -1;
	if (f->node && set_part(&m->self, node_part(f->node, true, err)) < 0)
		return -1;
	if (apply_profiles(m, &f->user_profiles, err) < 0)
		return -1;
	if (f->derp_map && apply_derp(m, f->derp_map, err) < 0)
		return -1;
	if (apply_filters(m, f, err) < 0)
		return -1;
	if (f->dns_config &&
	    set_part(&m->dns, netmap_part_of(&tailcfg_dns_schema, f->dns_config, err)) < 0)
		return -1;
	return apply_texts(m, f, err);
}

/* A snapshot that shares every part of old. */
static struct netmap *netmap_share(const struct netmap *old)
{
	struct netmap *m = mem_alloc(sizeof(*m));

	m->refs = 1;
	if (!old)
		return m;
	m->self = netmap_part_ref(old->self);
	m->derp = netmap_part_ref(old->derp);
	m->dns = netmap_part_ref(old->dns);
	m->domain = netmap_part_ref(old->domain);
	m->ssh = netmap_part_ref(old->ssh);
	m->tka = netmap_part_ref(old->tka);
	m->health = netmap_part_ref(old->health);
	netmap_parts_copy(&m->peers, &old->peers);
	netmap_parts_copy(&m->profiles, &old->profiles);
	netmap_parts_copy(&m->filters, &old->filters);
	netmap_parts_copy(&m->messages, &old->messages);
	m->clock_offset_ns = old->clock_offset_ns;
	return m;
}

struct netmap *netmap_apply(const struct netmap *old, bool first,
			    const struct tailcfg_map_response *frame, struct wall now,
			    struct err *err)
{
	struct netmap *m;

	if ((first || !old) && !frame->node) {
		err_set(err, ERR_MALFORMED, "the first frame of the map lacks our own node");
		return NULL;
	}
	m = netmap_share(first ? NULL : old);
	if (apply(m, old, frame, now, err) < 0) {
		netmap_unref(m);
		return NULL;
	}
	return m;
}

struct netmap *netmap_ref(const struct netmap *m)
{
	struct netmap *mutable = (struct netmap *)(uintptr_t)m;

	if (mutable)
		mutable->refs++;
	return mutable;
}

void netmap_unref(struct netmap *m)
{
	if (!m || --m->refs)
		return;
	netmap_part_unref(m->self);
	netmap_part_unref(m->derp);
	netmap_part_unref(m->dns);
	netmap_part_unref(m->domain);
	netmap_part_unref(m->ssh);
	netmap_part_unref(m->tka);
	netmap_part_unref(m->health);
	netmap_parts_fini(&m->peers);
	netmap_parts_fini(&m->profiles);
	netmap_parts_fini(&m->filters);
	netmap_parts_fini(&m->messages);
	mem_free(m);
}
