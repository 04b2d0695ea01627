/*
 * What can be told from the text alone: a word twice in one list, a word that "*" in the same list
 * covers, spellings that newer ones have replaced.
 */
#include "engine/policy/policy_lint.h"

#include "base/text.h"

static struct where where_of(const struct json *v)
{
	return (struct where){ v->start, v->end };
}

static bool is_list_of_words(const struct json *v)
{
	if (v->kind != JSON_ARRAY || !v->count)
		return false;
	json_each (it, v)
		if (it->kind != JSON_STRING)
			return false;
	return true;
}

static struct bytes word_key(const void *item)
{
	return ((const struct json *)item)->text;
}

static void lint_doubles(struct linter *l, const struct json *list)
{
	struct map seen;

	map_init(&seen, word_key, NULL);
	json_each (it, list) {
		if (map_get(&seen, it->text))
			lint_finding(l, "duplicate", where_of(it), it->text,
				     "stands in this list already", LINT_REMOVE_SAFE, NULL);
		else
			(void)map_put(&seen, (void *)it); /* only read */
	}
	map_fini(&seen);
}

static void lint_old_words(struct linter *l, const struct json *list)
{
	json_each (it, list)
		if (bytes_equal_str(text_trim(it->text), "autogroup:members"))
			lint_finding(l, "old-spelling", where_of(it), it->text,
				     "is written autogroup:member now", LINT_REPLACE_SAFE,
				     "\"autogroup:member\"");
}

/* Every list of words below v, but those in app, whose words are nobody's but the application's. */
static void lint_lists(struct linter *l, const struct json *v)
{
	if (is_list_of_words(v)) {
		lint_doubles(l, v);
		lint_old_words(l, v);
		return;
	}
	json_each (it, v)
		if ((it->kind == JSON_OBJECT || it->kind == JSON_ARRAY) &&
		    !bytes_equal_nocase(it->key, bytes_str("app")))
			lint_lists(l, it);
}

static void lint_old_key(struct linter *l, const struct json *rule, const char *then,
			 const char *now)
{
	const struct json *v = json_get_nocase(rule, then);
	struct where at;

	if (!v || v->kind == JSON_NULL)
		return;
	at = (struct where){ v->key_start, v->key_start + (uint32_t)v->key.n + 2 };
	lint_finding(l, "old-spelling", at, v->key, "has a newer name", LINT_REPLACE_SAFE, now);
}

static bool is_address(struct bytes text)
{
	struct prefix p;

	return policy_address(text, &p);
}

/* What "*" as a source takes in whoever comes: nodes, never addresses outside the tailnet. */
static bool star_source_covers(const struct policy *p, struct bytes word)
{
	const struct named *n = policy_name(p, word);

	return !bytes_equal_str(word, "*") && !bytes_equal_str(word, "autogroup:danger-all") &&
	       !is_address(word) && !(n && (n->kind == SEL_HOST || n->kind == SEL_IPSET));
}

static void lint_beside_star(struct linter *l, const struct json *list, bool source)
{
	bool star = false;

	json_each (it, list)
		star |= it->kind == JSON_STRING && bytes_equal_str(text_trim(it->text), "*");
	if (!star)
		return;
	json_each (it, list) {
		struct bytes word = text_trim(it->text);

		if (it->kind != JSON_STRING || bytes_equal_str(word, "*") ||
		    (source && !star_source_covers(l->s->p, word)))
			continue;
		lint_finding(l, "redundant", where_of(it), word, "is covered by \"*\" beside it",
			     LINT_REMOVE_SAFE, NULL);
	}
}

/* Without app and via: capabilities and routers look at each destination by itself. */
static void lint_grant(struct linter *l, const struct json *g)
{
	const struct json *app = json_get_nocase(g, "app"), *via = json_get_nocase(g, "via");
	const struct json *posture = json_get_nocase(g, "srcPosture");

	if ((app && app->count) || (via && via->count) || posture || l->s->p->default_postures.n)
		return;
	lint_beside_star(l, json_get_nocase(g, "src"), true);
	lint_beside_star(l, json_get_nocase(g, "dst"), false);
}

static void lint_acl(struct linter *l, const struct json *acl)
{
	lint_old_key(l, acl, "users", "\"src\"");
	lint_old_key(l, acl, "ports", "\"dst\"");
	if (!json_get_nocase(acl, "srcPosture") && !l->s->p->default_postures.n) {
		lint_beside_star(l, json_get_nocase(acl, "src"), true);
		lint_beside_star(l, json_get_nocase(acl, "users"), true);
	}
}

void lint_text(struct linter *l)
{
	static const char *const sections[] = { "groups", "tagOwners", "acls",         "grants",
						"ssh",    "nodeAttrs", "autoApprovers" };
	const struct json *root = l->s->p->root;

	for (size_t i = 0; i < array_len(sections); i++) {
		const struct json *v = json_get_nocase(root, sections[i]);

		if (v)
			lint_lists(l, v);
	}
	json_each (it, json_get_nocase(root, "grants"))
		lint_grant(l, it);
	json_each (it, json_get_nocase(root, "acls"))
		lint_acl(l, it);
}
