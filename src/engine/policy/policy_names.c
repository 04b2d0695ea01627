/* Names a policy defines: users, groups (its own and the identity provider's), hosts, tags. */
#include "engine/policy/policy_parse.h"

#include <stdlib.h>

#include "base/text.h"

struct login_token {
	struct bytes key;
	uint32_t subject, user;
	unsigned n_subject, n_user;
};

static struct bytes token_key(const void *item)
{
	return ((const struct login_token *)item)->key;
}

static struct bytes named_key(const void *item)
{
	return ((const struct named *)item)->name;
}

static void add_token(struct policy *p, struct bytes key, uint32_t user, bool subject)
{
	struct login_token *t;

	if (!key.n)
		return;
	t = map_get(&p->user_logins, key);
	if (!t) {
		t = policy_alloc(p, 1, sizeof(*t));
		t->key = key;
		(void)map_put(&p->user_logins, t);
	}
	if (subject) {
		t->subject = user;
		t->n_subject++;
	} else if (!t->n_user || t->user != user) { /* login and name may be the same word */
		t->user = user;
		t->n_user++;
	}
}

static void copy_user(struct policy *p, const struct policy_user *from, struct user *to)
{
	const uint8_t *at;

	*to = (struct user){ .id = from->id, .role = from->role };
	to->login = arena_bytes(&p->arena, from->login);
	to->name = arena_bytes(&p->arena, from->name);
	to->subject = arena_bytes(&p->arena, from->subject);
	at = to->login.n ? memrchr(to->login.p, '@', to->login.n) : NULL;
	to->local = at ? bytes_of(to->login.p, (size_t)(at - to->login.p)) : (struct bytes){ 0 };
	to->domain = at ? bytes_from(to->login, to->local.n + 1) : (struct bytes){ 0 };
}

static int by_id(const void *a, const void *b)
{
	uint64_t x = ((const struct user *)a)->id, y = ((const struct user *)b)->id;

	return x < y ? -1 : x > y;
}

void policy_add_users(struct compiler *c, const struct policy_directory *dir)
{
	struct policy *p = c->p;

	p->users = policy_alloc(p, dir->n_users, sizeof(*p->users));
	p->n_users = (uint32_t)dir->n_users;
	for (size_t i = 0; i < dir->n_users; i++)
		copy_user(p, &dir->users[i], &p->users[i]);
	qsort(p->users, p->n_users, sizeof(*p->users), by_id);
	map_init(&p->user_logins, token_key, NULL);
	for (uint32_t i = 0; i < p->n_users; i++) {
		add_token(p, p->users[i].login, i, false);
		add_token(p, p->users[i].name, i, false);
		add_token(p, p->users[i].subject, i, true);
	}
	map_init(&p->by_name, named_key, NULL);
}

int policy_find_user(const struct policy *p, struct bytes token, uint32_t *user)
{
	const struct login_token *t;

	*user = NO_USER;
	if (token.n && token.p[token.n - 1] == '@')
		token.n--;
	t = map_get(&p->user_logins, token);
	if (!t)
		return 0;
	if (!t->n_subject && t->n_user > 1)
		return -1;
	*user = t->n_subject ? t->subject : t->user;
	return 1;
}

bool policy_domain_known(const struct policy *p, struct bytes domain)
{
	for (size_t i = 0; i < p->dir.n_domains; i++)
		if (bytes_equal(p->dir.domains[i], domain))
			return true;
	return false;
}

struct named *policy_name(const struct policy *p, struct bytes name)
{
	return map_get(&p->by_name, name);
}

static struct named *add_name(struct policy *p, struct bytes name, enum sel_kind kind,
			      const struct json *value)
{
	struct named *n = &p->names[p->n_names++];

	*n = (struct named){ .name = name, .kind = kind, .value = value, .sel = NO_SEL };
	if (value)
		n->where = (struct where){ value->key_start, value->end };
	(void)map_put(&p->by_name, n);
	return n;
}

bool policy_address(struct bytes text, struct prefix *out)
{
	struct prefix p;
	char plain[PREFIX_TEXT_MAX];
	const uint8_t *close;

	if (text.n && text.p[0] == '[') { /* [v6] or [v6]/len */
		close = memchr(text.p, ']', text.n);
		if (!close || text.n - 1 > sizeof(plain))
			return false;
		memcpy(plain, text.p + 1, (size_t)(close - text.p) - 1);
		memcpy(plain + (close - text.p) - 1, close + 1,
		       text.n - (size_t)(close - text.p) - 1);
		text = bytes_of(plain, text.n - 2);
		if (!text.n || !memchr(text.p, ':', text.n))
			return false;
	}
	if (ip_parse(&p.addr, text))
		p.len = ip_bits(p.addr);
	else if (!prefix_parse(&p, text))
		return false;
	*out = prefix_masked(p);
	return true;
}

/* ---- groups ---- */

static bool group_member(struct compiler *c, struct named *g, struct bytes login,
			 const struct json *at)
{
	uint32_t user;
	int found = policy_find_user(c->p, login, &user);

	g->logins[g->n_logins++] = login;
	if (found < 0)
		return policy_complain(c, at, NULL, "multiple users found: token %s found in %s",
				       policy_quote(c, login), policy_quote(c, g->name));
	if (found)
		ids_add(&g->users, user);
	return true;
}

/* Nested groups are looked for from the last name to the first, as the service does. */
static bool no_nested_groups(struct compiler *c, const struct json *groups)
{
	const struct json *worst = NULL, *member = NULL;

	json_each (g, groups) {
		size_t n = worst && worst->key.n < g->key.n ? worst->key.n : g->key.n;

		if (g->kind != JSON_ARRAY ||
		    (worst && memcmp(g->key.p, worst->key.p, n) <= 0 && g->key.n <= worst->key.n))
			continue;
		json_each (m, g)
			if (m->kind == JSON_STRING && bytes_has_prefix(m->text, "group:")) {
				worst = g;
				member = m;
				break;
			}
	}
	return !worst ||
	       policy_complain(c, member, "list the members of that group instead",
			       "groups[%s]: %s: group members cannot be recursive",
			       policy_quote(c, worst->key), policy_quote(c, member->text));
}

static bool add_group(struct compiler *c, const struct json *v)
{
	const char *name = policy_quote(c, v->key);
	struct named *g;

	if (!bytes_has_prefix(v->key, "group:"))
		return policy_complain_key(c, v, NULL, "group must start with 'group:', got: %s",
					   name);
	if (v->kind == JSON_STRING)
		return policy_complain(
		    c, v, "write a list: [...]",
		    "group value must be an array of users: group %s got string: %s", name,
		    policy_quote(c, v->text));
	if (v->kind != JSON_ARRAY)
		return policy_complain(c, v, NULL,
				       "group value must be an array of users: group %s got %s",
				       name, json_kind_name(v->kind));
	g = add_name(c->p, v->key, SEL_GROUP, v);
	g->logins = policy_alloc(c->p, v->count, sizeof(*g->logins));
	json_each (m, v) {
		if (m->kind != JSON_STRING)
			return policy_complain(
			    c, m, NULL,
			    "invalid group member type: group %s expected string but got %s", name,
			    json_kind_name(m->kind));
		if (!memchr(m->text.n ? m->text.p : (const uint8_t *)"", '@', m->text.n))
			return policy_complain(c, m, NULL, "username must contain @, got: %s",
					       policy_quote(c, m->text));
		if (!group_member(c, g, m->text, m))
			return false;
	}
	return true;
}

/* A group of the file hides one of the same name at the identity provider. */
static void add_synced_group(struct compiler *c, const struct policy_group *from)
{
	struct policy *p = c->p;
	const struct named *own = policy_name(p, from->name);
	struct named *g;
	uint32_t user;

	if (own) {
		policy_warn(c, own->value, NULL,
			    "%s is also a group of the identity provider; this one counts",
			    policy_quote(c, own->name));
		return;
	}
	g = add_name(p, arena_bytes(&p->arena, from->name), SEL_GROUP, NULL);
	g->synced = true;
	g->logins = policy_alloc(p, from->n_members, sizeof(*g->logins));
	for (size_t i = 0; i < from->n_members; i++) {
		g->logins[g->n_logins++] = arena_bytes(&p->arena, from->members[i]);
		if (policy_find_user(p, from->members[i], &user) > 0)
			ids_add(&g->users, user);
	}
}

static uint32_t count_of(const struct json *root, const char *key)
{
	const struct json *v = json_get_nocase(root, key);

	return v ? v->count : 0;
}

bool policy_add_groups(struct compiler *c, const struct policy_directory *dir)
{
	struct policy *p = c->p;
	const struct json *groups;

	p->cap_names = (uint32_t)dir->n_groups + count_of(p->root, "groups") +
		       count_of(p->root, "hosts") + count_of(p->root, "tagOwners") +
		       count_of(p->root, "ipsets");
	p->names = policy_alloc(p, p->cap_names, sizeof(*p->names));
	if (!policy_member(c, p->root, "groups", JSON_OBJECT, &groups) ||
	    !no_nested_groups(c, groups))
		return false;
	json_each (it, groups)
		if (!add_group(c, it))
			return false;
	for (size_t i = 0; i < dir->n_groups; i++)
		add_synced_group(c, &dir->groups[i]);
	return true;
}

/* ---- hosts ---- */

bool policy_add_hosts(struct compiler *c)
{
	const struct json *hosts;

	if (!policy_member(c, c->p->root, "hosts", JSON_OBJECT, &hosts))
		return false;
	json_each (it, hosts) {
		struct named *h;
		struct prefix p;

		if (!it->key.n || memchr(it->key.p, ':', it->key.n) ||
		    memchr(it->key.p, '@', it->key.n))
			return policy_complain_key(c, it, NULL, "invalid hostname: %s",
						   policy_quote(c, it->key));
		if (it->kind != JSON_STRING || !policy_address(it->text, &p))
			return policy_complain(c, it, NULL,
					       "hostname contains invalid IP address: hostname %s "
					       "address %s",
					       policy_quote(c, it->key),
					       it->kind == JSON_STRING ? policy_quote(c, it->text)
								       : json_kind_name(it->kind));
		h = add_name(c->p, it->key, SEL_HOST, it);
		ipset_add(&h->set, prefix_range(p));
	}
	return true;
}

/* ---- tags ---- */

static bool tag_name_ok(struct compiler *c, const struct json *v)
{
	uint8_t first;

	if (!bytes_has_prefix(v->key, "tag:"))
		return policy_complain_key(c, v, NULL, "tag must start with 'tag:', got: %s",
					   policy_quote(c, v->key));
	first = v->key.n > 4 ? v->key.p[4] : 0;
	if ((first | 0x20) < 'a' || (first | 0x20) > 'z')
		return policy_complain_key(
		    c, v, NULL, "tagOwners[%s]: tag names must start with a letter, after 'tag:'",
		    policy_quote(c, v->key));
	for (size_t i = 4; i < v->key.n; i++) {
		uint8_t b = v->key.p[i];

		if ((b | 0x20) >= 'a' && (b | 0x20) <= 'z')
			continue;
		if ((b < '0' || b > '9') && b != '-') {
			struct where w = { v->key_start, v->key_start + (uint32_t)v->key.n + 2 };

			policy_issue_add(c->report, POLICY_WARNING, c->p->text, w, NULL, NULL,
					 "clients refuse tags with anything but letters, digits "
					 "and '-'");
			break;
		}
	}
	return true;
}

bool policy_add_tags(struct compiler *c)
{
	const struct json *tags;

	if (!policy_member(c, c->p->root, "tagOwners", JSON_OBJECT, &tags))
		return false;
	json_each (it, tags) {
		if (!tag_name_ok(c, it))
			return false;
		if (it->kind != JSON_ARRAY && it->kind != JSON_NULL)
			return policy_complain(c, it, "write a list: [...]",
					       "tagOwners[%s] must be an array of owners, not %s",
					       policy_quote(c, it->key), json_kind_name(it->kind));
		(void)add_name(c->p, it->key, SEL_TAG, it);
	}
	return true;
}

static bool add_owner(struct compiler *c, struct named *tag, const struct json *o)
{
	struct named *other;
	uint32_t sel;

	if (o->kind != JSON_STRING)
		return policy_complain(c, o, NULL, "type not supported: %s in tagOwners",
				       json_kind_name(o->kind));
	if (bytes_has_prefix(o->text, "tag:")) {
		other = policy_name(c->p, o->text);
		if (!other)
			return policy_complain(c, o, policy_suggest(c, o->text, "tag:"),
					       "tag %s references undefined tag %s",
					       policy_quote(c, tag->name),
					       policy_quote(c, o->text));
		ids_add(&tag->owner_tags, (uint32_t)(other - c->p->names));
		return true;
	}
	if (!policy_select(c, o, o->text, CTX_OWNER, &sel))
		return false;
	ids_add(&tag->owner_sels, sel);
	return true;
}

/* Owners are resolved after every name is known: a tag may own a tag that stands below it. */
bool policy_own_tags(struct compiler *c)
{
	for (uint32_t i = 0; i < c->p->n_names; i++) {
		struct named *tag = &c->p->names[i];

		if (tag->kind != SEL_TAG)
			continue;
		json_each (o, tag->value)
			if (!add_owner(c, tag, o))
				return false;
	}
	return true;
}
