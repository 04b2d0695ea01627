/* Peers, routes, capability maps, WhoIs and SSH rules. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "capture.h"

static bool expect(bool ok, char diff[DIFF_MAX], const char *what, struct bytes who,
		   struct bytes odd, bool missing)
{
	if (!ok)
		(void)snprintf(diff, DIFF_MAX, "%s of %.*s: %s %.*s", what, BYTES_FMT(who),
			       missing ? "lacks" : "has also", BYTES_FMT(odd));
	return ok;
}

static bool same_prefixes(struct arena *a, const struct json *want, const struct prefix *p,
			  size_t n, const struct prefix *more, size_t n_more, const char *what,
			  struct bytes who, char diff[DIFF_MAX])
{
	struct texts *x = mem_alloc(sizeof(*x)), *y = mem_alloc(sizeof(*y));
	char text[PREFIX_TEXT_MAX];
	struct bytes odd = { 0 };
	bool missing = false, ok;

	json_each (it, want)
		x->v[x->n++] = it->text;
	for (size_t i = 0; i < n + n_more; i++)
		y->v[y->n++] =
		    arena_bytes(a, bytes_str(prefix_format(i < n ? p[i] : more[i - n], text)));
	texts_sort(x);
	texts_sort(y);
	ok = texts_equal(x, y, &odd, &missing);
	mem_free(x);
	mem_free(y);
	return expect(ok, diff, what, who, odd, missing);
}

static bool same_node(struct arena *a, const struct json *want, const struct policy_peer *got,
		      struct bytes who, char diff[DIFF_MAX])
{
	return same_prefixes(a, member(want, "Addresses"), got->addresses, got->n_addresses, NULL,
			     0, "Addresses", who, diff) &&
	       same_prefixes(a, member(want, "AllowedIPs"), got->addresses, got->n_addresses,
			     got->routes, got->n_routes, "AllowedIPs", who, diff) &&
	       same_prefixes(a, member(want, "PrimaryRoutes"), got->primary, got->n_primary, NULL,
			     0, "PrimaryRoutes", who, diff);
}

static const struct json *peer_named(const struct json *peers, struct bytes name)
{
	json_each (it, peers) {
		struct bytes n = { 0 };

		(void)json_string(member(it, "ComputedName"), &n);
		if (bytes_equal(n, name))
			return it;
	}
	return NULL;
}

static bool known_name(const struct capture *c, struct bytes name)
{
	for (size_t i = 0; i < c->n_nodes; i++)
		if (bytes_equal(c->names[i], name))
			return true;
	return false;
}

bool compare_peers(const struct capture *c, struct policy_state *s, size_t node, bool caps,
		   char diff[DIFF_MAX])
{
	const struct json *map = member(capture_of(c, node), "netmap");
	const struct json *want = member(map, "Peers");
	struct policy_peers got;
	struct arena arena;
	bool ok = true;

	if (!map || policy_state_peers(s, node + 1, &got, NULL) < 0)
		return true;
	arena_init(&arena, 1 << 26);
	json_each (it, want) {
		struct bytes name = { 0 };
		bool found = false;

		(void)json_string(member(it, "ComputedName"), &name);
		for (size_t i = 0; i < got.n; i++)
			found |= bytes_equal(c->names[got.v[i].id - 1], name);
		if (ok && !found && known_name(c, name))
			ok = expect(false, diff, "peers", c->names[node], name, true);
	}
	for (size_t i = 0; i < got.n && ok; i++) {
		struct bytes name = c->names[got.v[i].id - 1];
		const struct json *peer = peer_named(want, name);
		char text[DIFF_MAX];
		bool suggests = peer && json_get(member(peer, "CapMap"), "suggest-exit-node");

		ok = expect(peer, diff, "peers", c->names[node], name, false) &&
		     same_node(&arena, peer, &got.v[i], name, text);
		if (!ok && peer)
			(void)snprintf(diff, DIFF_MAX, "for %.*s: %.1000s",
				       BYTES_FMT(c->names[node]), text);
		if (ok && caps && suggests != got.v[i].exit_node)
			ok = expect(false, diff, "suggest-exit-node", c->names[node], name,
				    suggests);
	}
	ok = ok && same_node(&arena, member(map, "SelfNode"), &got.self, c->names[node], diff);
	arena_fini(&arena);
	policy_peers_fini(&got);
	return ok;
}

/* name=values, one text per capability; those the captures do not pin down are left out. */
static void put_caps(struct arena *a, const struct json *map, const struct json *golden,
		     struct texts *t)
{
	t->n = 0;
	json_each (it, map) {
		struct bytes v = canonical(a, it);
		const char *text;

		if (bytes_equal_str(it->key, "tailnet-display-name") ||
		    (bytes_equal_str(it->key, "default-auto-update") &&
		     !json_get(golden, "default-auto-update")))
			continue;
		text = arena_printf(a, "%.*s=%.*s", BYTES_FMT(it->key), BYTES_FMT(v));
		t->v[t->n++] = bytes_str(text ? text : "");
	}
	texts_sort(t);
}

static const struct json *caps_as_json(struct arena *a, const struct policy_caps *caps)
{
	struct json_out o;
	struct bytes text;
	struct buf b;

	buf_init(&b, 1 << 22);
	json_out_init(&o, &b);
	json_open_object(&o);
	for (size_t i = 0; i < caps->n; i++) {
		json_key_bytes(&o, caps->v[i].name);
		json_put_raw(&o, caps->v[i].values.n ? caps->v[i].values : bytes_str("null"));
	}
	json_close_object(&o);
	text = arena_bytes(a, buf_bytes(&b));
	buf_fini(&b);
	return json_parse(a, text, 0, NULL);
}

static bool same_caps(struct arena *a, const struct json *want, const struct policy_caps *caps,
		      struct bytes who, const char *what, char diff[DIFF_MAX])
{
	struct texts *x = mem_alloc(sizeof(*x)), *y = mem_alloc(sizeof(*y));
	struct bytes odd = { 0 };
	bool missing = false, ok;

	put_caps(a, want, want, x);
	put_caps(a, caps_as_json(a, caps), want, y);
	ok = texts_equal(x, y, &odd, &missing);
	mem_free(x);
	mem_free(y);
	return expect(ok, diff, what, who, odd, missing);
}

bool compare_caps(const struct capture *c, struct policy_state *s, size_t node, char diff[DIFF_MAX])
{
	const struct json *want = member(capture_of(c, node), "netmap.SelfNode.CapMap");
	struct policy_caps got;
	struct arena arena;
	bool ok;

	if (!capture_of(c, node) || policy_state_caps(s, node + 1, &got, NULL) < 0)
		return true;
	arena_init(&arena, 1 << 24);
	ok = same_caps(&arena, want, &got, c->names[node], "CapMap", diff);
	arena_fini(&arena);
	policy_caps_fini(&got);
	return ok;
}

bool compare_whois(const struct capture *c, struct policy_state *s, size_t node,
		   char diff[DIFF_MAX])
{
	const struct json *whois = member(capture_of(c, node), "whois");
	bool ok = true;

	json_each (it, whois) {
		struct policy_caps got;
		struct arena arena;
		struct ip ip;
		size_t src = 0;

		if (!ok || !ip_parse(&ip, it->key))
			continue;
		while (src < c->n_nodes && !ip_equal(c->nodes[src].v4, ip) &&
		       !ip_equal(c->nodes[src].v6, ip))
			src++;
		if (src == c->n_nodes ||
		    policy_state_peer_caps(s, node + 1, src + 1, &got, NULL) < 0)
			continue;
		arena_init(&arena, 1 << 24);
		ok = same_caps(&arena, member(it, "CapMap"), &got, c->names[src], "WhoIs", diff);
		arena_fini(&arena);
		policy_caps_fini(&got);
	}
	return ok;
}

static bool same_part(struct arena *a, const struct json *want, const struct json *got,
		      const char *key, size_t rule, char diff[DIFF_MAX])
{
	struct bytes x = canonical(a, member(want, key)), y = canonical(a, member(got, key));

	if (bytes_equal(x, y))
		return true;
	(void)snprintf(diff, DIFF_MAX, "ssh rule %zu: %s is %.*s, not %.*s", rule, key,
		       BYTES_FMT(y), BYTES_FMT(x));
	return false;
}

static bool same_principals(struct arena *a, const struct json *want, const struct json *got,
			    size_t rule, char diff[DIFF_MAX])
{
	struct texts *x = mem_alloc(sizeof(*x)), *y = mem_alloc(sizeof(*y));
	struct bytes odd = { 0 };
	bool missing = false, ok;

	json_each (it, member(want, "principals"))
		x->v[x->n++] = canonical(a, it);
	json_each (it, member(got, "principals"))
		y->v[y->n++] = canonical(a, it);
	texts_sort(x);
	texts_sort(y);
	ok = texts_equal(x, y, &odd, &missing);
	if (!ok)
		(void)snprintf(diff, DIFF_MAX, "ssh rule %zu: principals: %s %.*s", rule,
			       missing ? "lacks" : "has also", BYTES_FMT(odd));
	mem_free(x);
	mem_free(y);
	return ok;
}

bool compare_ssh(const struct json *want, const struct json *got, char diff[DIFF_MAX])
{
	const struct json *x = want ? want->first : NULL, *y = got ? got->first : NULL;
	struct arena arena;
	bool ok = (want ? want->count : 0) == (got ? got->count : 0);

	if (!ok)
		(void)snprintf(diff, DIFF_MAX, "%u ssh rules, not %u", got ? got->count : 0,
			       want ? want->count : 0);
	arena_init(&arena, 1 << 26);
	for (size_t i = 1; x && y && ok; x = x->next, y = y->next, i++)
		ok = same_principals(&arena, x, y, i, diff) &&
		     same_part(&arena, x, y, "sshUsers", i, diff) &&
		     same_part(&arena, x, y, "action", i, diff) &&
		     same_part(&arena, x, y, "acceptEnv", i, diff);
	arena_fini(&arena);
	return ok;
}
