#include "engine/policy/policy_parse.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"

void policy_report_init(struct policy_report *r)
{
	*r = (struct policy_report){ 0 };
	arena_init(&r->arena, 4 << 20);
}

void policy_report_fini(struct policy_report *r)
{
	arena_fini(&r->arena);
	mem_free(r->issues);
	*r = (struct policy_report){ 0 };
}

const char *policy_report_message(const struct policy_report *r)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->issues[i].severity == POLICY_ERROR)
			return r->issues[i].message;
	return "";
}

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

/* One line of the text, cut where a reader has seen enough; never in the middle of a character. */
static const char *excerpt_of(struct arena *arena, struct bytes text, struct where at)
{
	size_t n = at.end > at.start ? at.end - at.start : 0;
	const uint8_t *nl;
	bool cut = n > EXCERPT_MAX;

	if (at.end > text.n || !n)
		return "";
	if (cut)
		n = EXCERPT_MAX;
	nl = memchr(text.p + at.start, '\n', n);
	if (nl) {
		n = (size_t)(nl - text.p) - at.start;
		cut = true;
	}
	while (cut && n > 0 && (text.p[at.start + n] & 0xc0) == 0x80)
		n--;
	return or_empty(arena_printf(arena, "%.*s%s", (int)n, (const char *)text.p + at.start,
				     cut ? "..." : ""));
}

void policy_issue_add(struct policy_report *r, enum policy_severity severity, struct bytes text,
		      struct where at, const char *suggestion, const char *subject,
		      const char *message)
{
	struct policy_issue *i;

	if (r->n >= ISSUES_MAX && severity == POLICY_WARNING)
		return;
	mem_reserve(r->issues, r->n, r->cap);
	i = &r->issues[r->n++];
	*i = (struct policy_issue){ .severity = severity, .suggestion = or_empty(suggestion) };
	i->subject = or_empty(subject);
	i->message = or_empty(arena_str(&r->arena, bytes_str(message)));
	i->excerpt = excerpt_of(&r->arena, text, at);
	if (at.end)
		json_where(text, at.start, &i->line, &i->column);
	if (severity == POLICY_ERROR)
		r->errors++;
}

static void add_formatted(struct compiler *c, enum policy_severity severity, struct where at,
			  const char *suggestion, const char *fmt, va_list args)
{
	char text[1024];

	(void)vsnprintf(text, sizeof(text), fmt, args);
	policy_issue_add(c->report, severity, c->p->text, at, suggestion, NULL, text);
}

bool policy_complain(struct compiler *c, const struct json *at, const char *suggestion,
		     const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	add_formatted(c, POLICY_ERROR, where_of(at), suggestion, fmt, args);
	va_end(args);
	return false;
}

bool policy_complain_key(struct compiler *c, const struct json *at, const char *suggestion,
			 const char *fmt, ...)
{
	struct where w = { at->key_start, at->key_start + (uint32_t)at->key.n + 2 };
	va_list args;

	va_start(args, fmt);
	add_formatted(c, POLICY_ERROR, w, suggestion, fmt, args);
	va_end(args);
	return false;
}

void policy_warn(struct compiler *c, const struct json *at, const char *suggestion, const char *fmt,
		 ...)
{
	va_list args;

	va_start(args, fmt);
	add_formatted(c, POLICY_WARNING, where_of(at), suggestion, fmt, args);
	va_end(args);
}

const char *policy_quote(struct compiler *c, struct bytes text)
{
	struct buf b;
	const char *out;
	uint32_t cp;

	buf_init(&b, 1024);
	(void)buf_append_u8(&b, '"');
	for (size_t i = 0, n; i < text.n && b.n < 300; i += n) {
		n = text_utf8(bytes_from(text, i), &cp);
		if (text.p[i] == '"' || text.p[i] == '\\')
			(void)buf_printf(&b, "\\%c", text.p[i]);
		else if (text.p[i] == '\n')
			(void)buf_append_str(&b, "\\n");
		else if (text.p[i] == '\t')
			(void)buf_append_str(&b, "\\t");
		else if (!n || text.p[i] < 0x20 || text.p[i] == 0x7f)
			(void)buf_printf(&b, "\\x%02x", text.p[i]);
		else
			(void)buf_append(&b, bytes_of(text.p + i, n));
		n = n ? n : 1;
	}
	(void)buf_append_u8(&b, '"');
	out = arena_str(&c->report->arena, buf_bytes(&b));
	buf_fini(&b);
	return or_empty(out);
}

static const char *did_you_mean(struct compiler *c, struct bytes best, size_t distance,
				struct bytes got)
{
	if (!best.n || distance > 1 + got.n / 4)
		return "";
	return or_empty(arena_printf(&c->report->arena, "did you mean \"%.*s\"?", BYTES_FMT(best)));
}

const char *policy_suggest(struct compiler *c, struct bytes got, const char *prefix)
{
	struct bytes best = { 0 };
	size_t least = 64;

	for (uint32_t i = 0; i < c->p->n_names && i < 4096; i++) {
		struct bytes name = c->p->names[i].name;
		size_t d;

		if (!bytes_has_prefix(name, prefix) || bytes_equal(name, got))
			continue;
		d = text_distance(name, got);
		if (d < least) {
			least = d;
			best = name;
		}
	}
	return did_you_mean(c, best, least, got);
}

const char *policy_suggest_in(struct compiler *c, struct bytes got, const char *const *words,
			      size_t n)
{
	struct bytes best = { 0 };
	size_t least = 64;

	for (size_t i = 0; i < n; i++) {
		size_t d = text_distance(bytes_str(words[i]), got);

		if (d < least) {
			least = d;
			best = bytes_str(words[i]);
		}
	}
	return did_you_mean(c, best, least, got);
}

static int by_key(const void *a, const void *b)
{
	const struct json *x = *(const struct json *const *)a, *y = *(const struct json *const *)b;
	size_t n = x->key.n < y->key.n ? x->key.n : y->key.n;
	int d = n ? memcmp(x->key.p, y->key.p, n) : 0;

	if (!d && x->key.n != y->key.n)
		d = x->key.n < y->key.n ? -1 : 1;
	return d ? d : x->key_start < y->key_start ? -1 : 1;
}

/* Sorts the members: an object of a million keys costs n log n, whoever wrote it. */
static bool unique_keys(struct compiler *c, const struct json *object)
{
	const struct json **all = mem_resize(NULL, object->count, sizeof(*all));
	bool ok = true;
	size_t n = 0;

	json_each (it, object)
		all[n++] = it;
	qsort(all, n, sizeof(*all), by_key);
	for (size_t i = 1; i < n && ok; i++)
		if (bytes_equal(all[i]->key, all[i - 1]->key))
			ok = policy_complain_key(c, all[i], NULL, "duplicate key: %s",
						 policy_quote(c, all[i]->key));
	mem_free(all);
	return ok;
}

static const struct json *next_in_document(const struct json *v)
{
	if (v->first)
		return v->first;
	while (v && !v->next)
		v = v->parent;
	return v ? v->next : NULL;
}

bool policy_no_duplicates(struct compiler *c, const struct json *root)
{
	for (const struct json *v = root; v; v = next_in_document(v))
		if (v->kind == JSON_OBJECT && v->count > 1 && !unique_keys(c, v))
			return false;
	return true;
}

bool policy_check_keys(struct compiler *c, const struct json *object, const char *const *names,
		       size_t n, char ignore)
{
	const struct json *seen[32] = { 0 };

	json_each (it, object) {
		size_t i = 0;

		if (ignore && it->key.n && it->key.p[0] == (uint8_t)ignore)
			continue;
		while (i < n && !bytes_equal_nocase(it->key, bytes_str(names[i])))
			i++;
		if (i == n)
			return policy_complain_key(c, it, policy_suggest_in(c, it->key, names, n),
						   "unknown field: %s", policy_quote(c, it->key));
		if (i < 32 && seen[i])
			return policy_complain_key(c, it, NULL, "duplicate key: %s",
						   policy_quote(c, it->key));
		if (i < 32)
			seen[i] = it;
	}
	return true;
}

bool policy_member(struct compiler *c, const struct json *object, const char *key,
		   enum json_kind kind, const struct json **out)
{
	const struct json *v = json_get_nocase(object, key);

	*out = NULL;
	if (!v || v->kind == JSON_NULL)
		return true;
	if (v->kind != kind)
		return policy_complain(c, v, NULL, "%s must be %s, not %s", key,
				       json_kind_name(kind), json_kind_name(v->kind));
	*out = v;
	return true;
}

bool policy_strings(struct compiler *c, const struct json *object, const char *key,
		    const struct json **out)
{
	if (!policy_member(c, object, key, JSON_ARRAY, out))
		return false;
	json_each (it, *out)
		if (it->kind != JSON_STRING)
			return policy_complain(c, it, NULL,
					       "type not supported: %s in %s, only strings",
					       json_kind_name(it->kind), key);
	return true;
}

bool policy_flag(struct compiler *c, const struct json *object, const char *key, bool *out)
{
	const struct json *v;

	if (!policy_member(c, object, key, JSON_BOOL, &v))
		return false;
	if (v)
		*out = v->truth;
	return true;
}

struct bytes policy_json_text(struct policy *p, const struct json *v)
{
	struct json_out o;
	struct bytes out;
	struct buf b;

	buf_init(&b, POLICY_TEXT_MAX * 2);
	json_out_init(&o, &b);
	json_put_value(&o, v);
	out = arena_bytes(&p->arena, buf_bytes(&b));
	buf_fini(&b);
	return out;
}

/* The arena's limit lies far above what POLICY_TEXT_MAX of text can ask for. */
void *policy_alloc(struct policy *p, size_t n, size_t size)
{
	void *v = arena_array(&p->arena, n ? n : 1, size);

	if (!v)
		abort();
	return v;
}

void policy_report_encode(const struct policy_report *r, struct json_out *o)
{
	json_open_object(o);
	json_key(o, "message");
	json_put_cstr(o, policy_report_message(r));
	json_key(o, "data");
	json_open_array(o);
	for (size_t i = 0; i < r->n; i++) {
		const struct policy_issue *it = &r->issues[i];

		json_open_object(o);
		json_key(o, "user");
		json_put_cstr(o, it->subject);
		json_key(o, it->severity == POLICY_ERROR ? "errors" : "warnings");
		json_open_array(o);
		json_put_cstr(o, it->message);
		json_close_array(o);
		json_key(o, "line");
		json_put_u64(o, it->line);
		json_key(o, "column");
		json_put_u64(o, it->column);
		json_key(o, "excerpt");
		json_put_cstr(o, it->excerpt);
		json_key(o, "suggestion");
		json_put_cstr(o, it->suggestion);
		json_close_object(o);
	}
	json_close_array(o);
	json_close_object(o);
}
