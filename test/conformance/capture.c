#include "capture.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/text.h"

enum { FILE_MAX = 64 << 20 };

const struct json *member(const struct json *v, const char *path)
{
	char key[64];

	while (v && *path) {
		size_t n = strcspn(path, ".");

		if (n >= sizeof(key))
			return NULL;
		memcpy(key, path, n);
		key[n] = '\0';
		v = json_get(v, key);
		path += n + (path[n] == '.');
	}
	return v && v->kind != JSON_NULL ? v : NULL;
}

static struct bytes text_of(const struct json *v, const char *path)
{
	struct bytes out = { 0 };

	(void)json_string(member(v, path), &out);
	return out;
}

static bool read_file(const char *path, struct arena *a, struct bytes *out)
{
	FILE *f = fopen(path, "rb");
	struct buf b;
	uint8_t *room;

	if (!f)
		return false;
	buf_init(&b, FILE_MAX);
	while ((room = buf_reserve(&b, 1 << 16))) {
		size_t n = fread(room, 1, 1 << 16, f);

		b.n += n;
		if (!n)
			break;
	}
	(void)fclose(f);
	*out = arena_bytes(a, buf_bytes(&b));
	buf_fini(&b);
	return out->n > 0;
}

static const struct {
	const char *login, *name;
	enum policy_role role;
} people[] = { { "odin@example.com", "odin", POLICY_OWNER },
	       { "thor@example.org", "thor", POLICY_ADMIN },
	       { "freya@example.com", "freya", POLICY_ADMIN } };

static void load_users(struct capture *c)
{
	const struct json *users = member(c->root, "topology.users");
	static const struct bytes domain = { (const uint8_t *)"example.com", 11 };
	size_t n = 0;

	for (size_t i = 0; i < array_len(people); i++)
		c->users[n++] = (struct policy_user){ .id = i + 1,
						      .login = bytes_str(people[i].login),
						      .name = bytes_str(people[i].name),
						      .role = people[i].role };
	json_each (it, users) {
		bool known = !text_of(it, "email").n;

		for (size_t i = 0; i < n; i++)
			known |= bytes_equal(c->users[i].login, text_of(it, "email"));
		if (known || n == array_len(c->users))
			continue;
		c->users[n] = (struct policy_user){ .id = n + 1, .role = POLICY_MEMBER };
		c->users[n].login = text_of(it, "email");
		c->users[n++].name = text_of(it, "name");
	}
	c->dir = (struct policy_directory){ .users = c->users, .n_users = n };
	c->dir.domains = &domain;
	c->dir.n_domains = 1;
	(void)json_bool(member(c->root, "input.tailnet.settings.devices_auto_updates_on"),
			&c->dir.auto_update);
}

/* Times are RFC 3339 with a fraction of any length: the text up to the fraction, then the digits.
 */
static int by_created(struct bytes a, struct bytes b)
{
	size_t n = a.n < b.n ? a.n : b.n;

	for (size_t i = 0; i < n; i++) {
		uint8_t x = a.p[i] == 'Z' ? '/' : a.p[i], y = b.p[i] == 'Z' ? '/' : b.p[i];

		if (x != y)
			return x < y ? -1 : 1;
	}
	return 0;
}

static struct prefix *load_routes(struct capture *c, const struct json *list, size_t *n)
{
	struct prefix *out = arena_array(&c->arena, list ? list->count + 1 : 1, sizeof(*out));

	*n = 0;
	json_each (it, list)
		if (prefix_parse(&out[*n], it->text))
			++*n;
	return out;
}

static void load_node(struct capture *c, const struct json *v, struct policy_node *n)
{
	const struct json *tags = member(v, "tags");
	struct bytes *t = arena_array(&c->arena, tags ? tags->count + 1 : 1, sizeof(*t));
	struct bytes user = text_of(v, "user");

	*n = (struct policy_node){ .tags = t };
	json_each (it, tags)
		t[n->n_tags++] = it->text;
	for (size_t i = 0; i < c->dir.n_users; i++)
		if (user.n &&
		    (bytes_equal(c->users[i].name, user) || bytes_equal(c->users[i].login, user)))
			n->user = c->users[i].id;
	(void)ip_parse(&n->v4, text_of(v, "ipv4"));
	(void)ip_parse(&n->v6, text_of(v, "ipv6"));
	n->routes = load_routes(c, member(v, "approved_routes"), &n->n_routes);
}

const struct json *capture_of(const struct capture *c, size_t node)
{
	char name[256];

	if (!bytes_to_cstr(c->names[node], name, sizeof(name)))
		return NULL;
	return json_get(c->captures, name);
}

static struct bytes created(const struct capture *c, size_t node)
{
	return text_of(capture_of(c, node), "netmap.SelfNode.Created");
}

static void load_nodes(struct capture *c)
{
	const struct json *nodes = member(c->root, "topology.nodes");

	json_each (it, nodes) {
		struct policy_node n;
		size_t at = c->n_nodes;
		struct bytes when;

		if (at == CAPTURE_NODES_MAX)
			return;
		load_node(c, it, &n);
		c->names[at] = it->key;
		when = created(c, at);
		for (; at > 0 && when.n && by_created(when, created(c, at - 1)) < 0; at--) {
			c->nodes[at] = c->nodes[at - 1];
			c->names[at] = c->names[at - 1];
		}
		c->nodes[at] = n;
		c->names[at] = it->key;
		c->n_nodes++;
	}
	for (size_t i = 0; i < c->n_nodes; i++) {
		c->nodes[i].id = i + 1;
		c->nodes[i].created = (int64_t)i;
	}
}

static bool lists_route(const struct json *node, struct bytes name, struct bytes route)
{
	if (!bytes_equal(text_of(node, "ComputedName"), name))
		return false;
	json_each (r, member(node, "AllowedIPs"))
		if (bytes_equal(r->text, route))
			return true;
	return false;
}

/* Does any netmap, the node's own included, list this route of that node? */
static bool shown_anywhere(const struct capture *c, struct bytes name, struct bytes route)
{
	json_each (cap, c->captures) {
		if (lists_route(member(cap, "netmap.SelfNode"), name, route))
			return true;
		json_each (peer, member(cap, "netmap.Peers"))
			if (lists_route(peer, name, route))
				return true;
	}
	return false;
}

/* Some topologies were written down before the routes in them were approved. */
static void load_late_routes(struct capture *c)
{
	char name[256];

	for (size_t i = 0; i < c->n_nodes; i++) {
		const struct json *v, *announced;
		struct prefix *out;
		size_t n = c->nodes[i].n_routes;

		c->late[i] = c->nodes[i];
		if (!bytes_to_cstr(c->names[i], name, sizeof(name)))
			continue;
		v = json_get(member(c->root, "topology.nodes"), name);
		announced = member(v, "routable_ips");
		out = arena_array(&c->arena, n + (announced ? announced->count : 0) + 1,
				  sizeof(*out));
		memcpy(out, c->nodes[i].routes, n * sizeof(*out));
		json_each (it, announced) {
			struct prefix p;
			bool known = false;

			if (!prefix_parse(&p, it->text))
				continue;
			for (size_t k = 0; k < n; k++)
				known |= prefix_equal(out[k], p);
			if (known || !shown_anywhere(c, c->names[i], it->text))
				continue;
			out[n++] = p;
			c->late_approval = true;
		}
		c->late[i].routes = out;
		c->late[i].n_routes = n;
	}
}

bool capture_load(struct capture *c, const char *category, const char *path, char diff[DIFF_MAX])
{
	const struct json *policy, *code;
	struct bytes text;
	struct err err = { 0 };
	int64_t n = 0;

	*c = (struct capture){ .category = category };
	arena_init(&c->arena, (size_t)1 << 30);
	if (!read_file(path, &c->arena, &text)) {
		(void)snprintf(diff, DIFF_MAX, "cannot read %s", path);
		return false;
	}
	c->root = json_parse(&c->arena, text, 0, &err);
	if (!c->root) {
		(void)snprintf(diff, DIFF_MAX, "%s", err.text);
		return false;
	}
	policy = member(c->root, "input.full_policy");
	code = member(c->root, "input.api_response_code");
	if (!policy || !json_i64(code, &n)) {
		(void)snprintf(diff, DIFF_MAX, "no policy or no verdict in the file");
		return false;
	}
	c->policy = policy->kind == JSON_STRING
			? policy->text
			: bytes_of(text.p + policy->start, policy->end - policy->start);
	c->accepted = n == 200;
	c->message = text_of(c->root, "input.api_response_body.message");
	c->captures = member(c->root, "captures");
	load_users(c);
	load_nodes(c);
	load_late_routes(c);
	return true;
}

void capture_fini(struct capture *c)
{
	arena_fini(&c->arena);
}

static int by_key(const void *a, const void *b)
{
	const struct json *x = *(const struct json *const *)a, *y = *(const struct json *const *)b;
	size_t n = x->key.n < y->key.n ? x->key.n : y->key.n;
	int d = memcmp(x->key.p, y->key.p, n);

	return d ? d : x->key.n < y->key.n ? -1 : x->key.n > y->key.n;
}

static void put_canonical(struct json_out *o, const struct json *v)
{
	const struct json *sorted[1024];
	size_t n = 0;

	if (v->kind == JSON_ARRAY) {
		json_open_array(o);
		json_each (it, v)
			put_canonical(o, it);
		json_close_array(o);
	} else if (v->kind == JSON_OBJECT) {
		json_each (it, v)
			if (n < array_len(sorted))
				sorted[n++] = it;
		qsort(sorted, n, sizeof(sorted[0]), by_key);
		json_open_object(o);
		for (size_t i = 0; i < n; i++) {
			json_key_bytes(o, sorted[i]->key);
			put_canonical(o, sorted[i]);
		}
		json_close_object(o);
	} else {
		json_put_value(o, v);
	}
}

struct bytes canonical(struct arena *a, const struct json *v)
{
	struct json_out o;
	struct bytes out;
	struct buf b;

	if (!v || v->kind == JSON_NULL || (v->kind == JSON_ARRAY && !v->count))
		return bytes_str("null");
	buf_init(&b, 1 << 24);
	json_out_init(&o, &b);
	put_canonical(&o, v);
	out = arena_bytes(a, buf_bytes(&b));
	buf_fini(&b);
	return out;
}

static int by_bytes(const void *a, const void *b)
{
	const struct bytes *x = a, *y = b;
	size_t n = x->n < y->n ? x->n : y->n;
	int d = n ? memcmp(x->p, y->p, n) : 0;

	return d ? d : x->n < y->n ? -1 : x->n > y->n;
}

void texts_sort(struct texts *t)
{
	qsort(t->v, t->n, sizeof(t->v[0]), by_bytes);
}

/* Both sorted. *odd is what only one side has; *missing: we lack it. */
bool texts_equal(const struct texts *a, const struct texts *b, struct bytes *odd, bool *missing)
{
	for (size_t i = 0; i < a->n || i < b->n; i++) {
		int d = i == a->n ? 1 : i == b->n ? -1 : by_bytes(&a->v[i], &b->v[i]);

		if (!d)
			continue;
		*odd = d < 0 ? a->v[i] : b->v[i];
		*missing = d < 0;
		return false;
	}
	return true;
}
