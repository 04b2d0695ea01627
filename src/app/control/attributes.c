#include "app/control/attributes.h"

#include "app/control/model.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"

enum { ARENA_MAX = 4 << 20, TEXT_MAX = 256 << 10 };

static struct wall expiry_of(const struct json *entry)
{
	struct wall at = { 0 };
	struct bytes text;

	if (json_string(json_get(entry, "expiry"), &text) && text.n)
		(void)wall_parse(&at, text);
	return at;
}

static int check(const struct json *change, struct err *err)
{
	const struct json *value = json_get(change, "value"), *expiry = json_get(change, "expiry");
	struct bytes text;
	struct wall at;

	if (!bytes_has_prefix(change->key, "custom:") || change->key.n <= 7 ||
	    change->key.n > ATTRIBUTE_KEY_MAX)
		return err_set(err, ERR_USAGE,
			       "an attribute's name is custom: and at most %d characters in all",
			       ATTRIBUTE_KEY_MAX);
	if (json_is(change, JSON_NULL))
		return 0;
	if (json_is(value, JSON_STRING)
		? value->text.n > ATTRIBUTE_TEXT_MAX
		: !json_is(value, JSON_NUMBER) && !json_is(value, JSON_BOOL))
		return err_set(err, ERR_USAGE,
			       "value takes a text of at most %d bytes, a number, true or false",
			       ATTRIBUTE_TEXT_MAX);
	if (expiry && !json_is(expiry, JSON_NULL) &&
	    (!json_string(expiry, &text) || (text.n && !wall_parse(&at, text))))
		return err_set(err, ERR_USAGE, "expiry takes a time such as 2027-01-02T03:04:05Z");
	return 0;
}

static const struct json *parse(struct arena *arena, const struct tn_node *n)
{
	return n->attributes ? json_parse(arena, bytes_str(n->attributes), 0, NULL) : NULL;
}

static const struct json *member(const struct json *v, struct bytes key)
{
	json_each (it, v)
		if (bytes_equal(it->key, key))
			return it;
	return NULL;
}

static void put_entry(struct json_out *o, const struct json *entry)
{
	char text[WALL_TEXT_MAX];
	struct wall at = expiry_of(entry);

	json_key_bytes(o, entry->key);
	json_open_object(o);
	json_key(o, "value");
	json_put_value(o, json_get(entry, "value"));
	if (at.ns) {
		json_key(o, "expiry");
		json_put_cstr(o, wall_format(at, text));
	}
	json_close_object(o);
}

/* Everything of old that is neither over nor in changes, then changes. How many stayed. */
static size_t write_all(struct buf *text, const struct json *old, const struct json *changes,
			struct wall now)
{
	struct json_out o;
	size_t n = 0;

	json_out_init(&o, text);
	json_open_object(&o);
	json_each (it, old) {
		struct wall at = expiry_of(it);

		if (member(changes, it->key) || (at.ns && at.ns <= now.ns))
			continue;
		put_entry(&o, it);
		n++;
	}
	json_each (it, changes)
		if (!json_is(it, JSON_NULL)) {
			put_entry(&o, it);
			n++;
		}
	json_close_object(&o);
	return n;
}

static void replace(struct tn_node *n, struct bytes text)
{
	mem_free(n->attributes);
	n->attributes = bytes_strdup(text);
	attributes_restore(n);
}

int attributes_merge(struct tn_node *n, const struct json *changes, struct wall now,
		     struct err *err)
{
	struct arena arena;
	struct buf text;
	size_t count;
	int ret = 0;

	if (!json_is(changes, JSON_OBJECT))
		return err_set(err, ERR_USAGE, "attributes are an object");
	json_each (it, changes)
		if (check(it, err) < 0)
			return -1;
	arena_init(&arena, ARENA_MAX);
	buf_init(&text, TEXT_MAX);
	count = write_all(&text, parse(&arena, n), changes, now);
	if (count > ATTRIBUTES_MAX || text.bad)
		ret = err_set(err, ERR_LIMIT, "a device has at most %d attributes", ATTRIBUTES_MAX);
	else
		replace(n, buf_bytes(&text));
	buf_fini(&text);
	arena_fini(&arena);
	return ret;
}

bool attributes_prune(struct tn_node *n, struct wall now)
{
	struct arena arena;
	struct buf text;

	if (!n->attributes_until.ns || n->attributes_until.ns > now.ns)
		return false;
	arena_init(&arena, ARENA_MAX);
	buf_init(&text, TEXT_MAX);
	(void)write_all(&text, parse(&arena, n), NULL, now);
	replace(n, buf_bytes(&text));
	buf_fini(&text);
	arena_fini(&arena);
	return true;
}

void attributes_restore(struct tn_node *n)
{
	struct arena arena;

	arena_init(&arena, ARENA_MAX);
	n->attributes_until = (struct wall){ 0 };
	json_each (it, parse(&arena, n)) {
		struct wall at = expiry_of(it);

		if (at.ns && (!n->attributes_until.ns || at.ns < n->attributes_until.ns))
			n->attributes_until = at;
	}
	arena_fini(&arena);
}

void attributes_put(const struct tn_node *n, struct json_out *o)
{
	char text[WALL_TEXT_MAX];
	const struct json *all;
	struct arena arena;

	arena_init(&arena, ARENA_MAX);
	all = parse(&arena, n);
	json_key(o, "attributes");
	json_open_object(o);
	json_each (it, all) {
		json_key_bytes(o, it->key);
		json_put_value(o, json_get(it, "value"));
	}
	json_close_object(o);
	json_key(o, "expiries");
	json_open_object(o);
	json_each (it, all)
		if (expiry_of(it).ns) {
			json_key_bytes(o, it->key);
			json_put_cstr(o, wall_format(expiry_of(it), text));
		}
	json_close_object(o);
	arena_fini(&arena);
}
