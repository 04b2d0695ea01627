/* The reader: one loop over tokens; the nesting lives in parent pointers, not on the C stack. */
#include "base/json.h"

#include <errno.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/text.h"

struct parser {
	struct arena *arena;
	struct bytes text;
	size_t at;
	unsigned flags;
	unsigned depth;
	struct err *err;
};

void json_where(struct bytes text, size_t offset, unsigned *line, unsigned *column)
{
	*line = *column = 1;
	for (size_t i = 0; i < offset && i < text.n; i++) {
		if (text.p[i] == '\n') {
			++*line;
			*column = 1;
		} else if ((text.p[i] & 0xc0) != 0x80) {
			++*column;
		}
	}
}

static bool fail_at(struct parser *p, size_t offset, const char *what)
{
	unsigned line, column;

	json_where(p->text, offset, &line, &column);
	(void)err_set(p->err, ERR_MALFORMED, "line %u, column %u: %s", line, column, what);
	return false;
}

static bool fail(struct parser *p, const char *what)
{
	return fail_at(p, p->at, what);
}

static int peek(const struct parser *p)
{
	return p->at < p->text.n ? p->text.p[p->at] : -1;
}

static bool skip_comment(struct parser *p)
{
	size_t start = p->at;
	int kind = p->at + 1 < p->text.n ? p->text.p[p->at + 1] : -1;

	if (kind == '/') {
		while (peek(p) >= 0 && peek(p) != '\n')
			p->at++;
		return true;
	}
	if (kind != '*')
		return fail(p, "a lone '/': comments start with // or /*");
	for (p->at += 2; p->at + 1 < p->text.n; p->at++)
		if (p->text.p[p->at] == '*' && p->text.p[p->at + 1] == '/') {
			p->at += 2;
			return true;
		}
	return fail_at(p, start, "this comment is never closed");
}

static bool skip_space(struct parser *p)
{
	for (;;) {
		int c = peek(p);

		if (c == ' ' || c == '\t' || c == '\n' || c == '\r')
			p->at++;
		else if (c == '/' && p->flags & JSON_HUJSON) {
			if (!skip_comment(p))
				return false;
		} else if (c == '/')
			return fail(p, "comments are not allowed here");
		else
			return true;
	}
}

static int hex4(struct parser *p)
{
	uint8_t raw[2];

	if (p->text.n - p->at < 4 || !text_unhex(bytes_of(p->text.p + p->at, 4), raw, 2))
		return -1;
	p->at += 4;
	return raw[0] << 8 | raw[1];
}

/* Behind "\u". A lone surrogate becomes U+FFFD, as in Go. */
static bool unicode_escape(struct parser *p, uint8_t **out)
{
	int hi = hex4(p), lo = -1;
	uint32_t cp = (uint32_t)hi;
	size_t mark = p->at;

	if (hi < 0)
		return fail(p, "\\u needs four hex digits");
	if (hi >= 0xd800 && hi < 0xdc00 && p->text.n - p->at >= 2 && p->text.p[p->at] == '\\' &&
	    p->text.p[p->at + 1] == 'u') {
		p->at += 2;
		lo = hex4(p);
		if (lo < 0)
			return fail(p, "\\u needs four hex digits");
	}
	if (lo >= 0xdc00 && lo < 0xe000)
		cp = 0x10000 + ((uint32_t)(hi - 0xd800) << 10) + (uint32_t)(lo - 0xdc00);
	else
		p->at = mark;
	if (cp >= 0xd800 && cp <= 0xdfff)
		cp = 0xfffd;
	*out += text_utf8_encode(cp, *out);
	return true;
}

static bool escape(struct parser *p, uint8_t **out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	int c = peek(p);
	const char *at = c > 0 ? strchr(from, c) : NULL;

	if (c == 'u') {
		p->at++;
		return unicode_escape(p, out);
	}
	if (!at)
		return fail(p,
			    "unknown escape; JSON knows \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX");
	p->at++;
	*(*out)++ = (uint8_t)to[at - from];
	return true;
}

/* Finds the closing quote; true in *plain when no escape and no bad byte stands before it. */
static bool string_extent(struct parser *p, size_t *end, bool *plain)
{
	size_t i = p->at;

	*plain = true;
	while (i < p->text.n && p->text.p[i] != '"') {
		uint8_t c = p->text.p[i];
		uint32_t cp;
		size_t n = 1;

		if (c < 0x20)
			return fail_at(
			    p, i, "a control character inside a string; write it as an escape");
		if (c == '\\') {
			*plain = false;
			n = 2;
		} else if (c >= 0x80) {
			n = text_utf8(bytes_from(p->text, i), &cp);
			if (!n)
				return fail_at(p, i, "this byte is not valid UTF-8");
		}
		i += n;
	}
	if (i >= p->text.n)
		return fail_at(p, p->at - 1, "this string is never closed");
	*end = i;
	return true;
}

/* At the byte behind the opening quote. */
static bool string(struct parser *p, struct bytes *out)
{
	size_t end = 0;
	uint8_t *copy, *o;
	bool plain;

	if (!string_extent(p, &end, &plain))
		return false;
	if (plain) {
		*out = bytes_of(p->text.p + p->at, end - p->at);
		p->at = end + 1;
		return true;
	}
	o = copy = arena_alloc(p->arena, end - p->at + 4);
	if (!copy)
		return fail(p, "the document is too large");
	while (p->at < end) {
		uint8_t c = p->text.p[p->at++];

		if (c != '\\')
			*o++ = c;
		else if (!escape(p, &o))
			return false;
	}
	*out = bytes_of(copy, (size_t)(o - copy));
	p->at = end + 1;
	return true;
}

static size_t digits(struct parser *p)
{
	size_t n = 0;

	for (; peek(p) >= '0' && peek(p) <= '9'; n++)
		p->at++;
	return n;
}

static bool number(struct parser *p, struct json *v)
{
	size_t start = p->at;
	bool zero;

	if (peek(p) == '-')
		p->at++;
	zero = peek(p) == '0';
	if (digits(p) != 1 ? p->at == start || zero || p->text.p[p->at - 1] == '-' : false)
		return fail_at(p, start, "this is not a JSON number");
	if (peek(p) == '.') {
		p->at++;
		if (!digits(p))
			return fail_at(p, start, "this is not a JSON number");
	}
	if (peek(p) == 'e' || peek(p) == 'E') {
		p->at++;
		if (peek(p) == '+' || peek(p) == '-')
			p->at++;
		if (!digits(p))
			return fail_at(p, start, "this is not a JSON number");
	}
	v->kind = JSON_NUMBER;
	v->text = bytes_of(p->text.p + start, p->at - start);
	return true;
}

static bool word(struct parser *p, struct json *v)
{
	static const struct {
		const char *text;
		enum json_kind kind;
		bool truth;
	} words[] = { { "true", JSON_BOOL, true },
		      { "false", JSON_BOOL, false },
		      { "null", JSON_NULL, false } };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (bytes_has_prefix(bytes_from(p->text, p->at), words[i].text)) {
			v->kind = words[i].kind;
			v->truth = words[i].truth;
			p->at += strlen(words[i].text);
			return true;
		}
	return fail(p, "expected a value: a string, number, object, array, true, false or null");
}

/* Reads a scalar, or just the opening bracket of a container. */
static bool value_start(struct parser *p, struct json *v)
{
	int c = peek(p);

	v->start = (uint32_t)p->at;
	if (c == '{' || c == '[') {
		v->kind = c == '{' ? JSON_OBJECT : JSON_ARRAY;
		p->at++;
		if (++p->depth > JSON_DEPTH_MAX)
			return fail(p, "nested too deeply; 128 levels are accepted");
		return true;
	}
	if (c == '"') {
		p->at++;
		v->kind = JSON_STRING;
		if (!string(p, &v->text))
			return false;
	} else if (c == '-' || (c >= '0' && c <= '9')) {
		if (!number(p, v))
			return false;
	} else if (c < 0) {
		return fail(p, "the text ends where a value should stand");
	} else if (!word(p, v)) {
		return false;
	}
	v->end = (uint32_t)p->at;
	return true;
}

static bool has_key(const struct json *object, struct bytes key)
{
	json_each (it, object)
		if (bytes_equal(it->key, key))
			return true;
	return false;
}

static bool member_key(struct parser *p, const struct json *object, struct json *v)
{
	v->key_start = (uint32_t)p->at;
	if (peek(p) != '"')
		return fail(p, "expected a key in double quotes");
	p->at++;
	if (!string(p, &v->key))
		return false;
	if (p->flags & JSON_NO_DUPLICATES && has_key(object, v->key))
		return fail_at(p, v->key_start, "this key stands twice in the same object");
	if (!skip_space(p))
		return false;
	if (peek(p) != ':')
		return fail(p, "expected ':' after the key");
	p->at++;
	return skip_space(p);
}

static struct json *new_value(struct parser *p, struct json *parent)
{
	struct json *v = arena_alloc(p->arena, sizeof(*v));

	if (!v) {
		(void)fail(p, "the document is too large");
		return NULL;
	}
	v->parent = parent;
	return v;
}

static void adopt(struct json *parent, struct json *v)
{
	if (parent->last)
		parent->last->next = v;
	else
		parent->first = v;
	parent->last = v;
	parent->count++;
}

/* Inside container c: its end, or the next member. *next is NULL when c was closed. */
static bool next_member(struct parser *p, struct json *c, struct json **next)
{
	int close = c->kind == JSON_OBJECT ? '}' : ']';
	struct json *v;
	bool comma = false;

	if (!skip_space(p))
		return false;
	if (c->first && peek(p) == ',') {
		comma = true;
		p->at++;
		if (!skip_space(p))
			return false;
	}
	*next = NULL;
	if (peek(p) == close && (!comma || p->flags & JSON_HUJSON)) {
		p->at++;
		p->depth--;
		c->end = (uint32_t)p->at;
		return true;
	}
	if (peek(p) < 0)
		return fail_at(p, c->start,
			       c->kind == JSON_OBJECT ? "this object is never closed"
						      : "this array is never closed");
	if (c->first && !comma)
		return fail(p,
			    c->kind == JSON_OBJECT ? "expected ',' or '}'" : "expected ',' or ']'");
	v = new_value(p, c);
	if (!v || (c->kind == JSON_OBJECT && !member_key(p, c, v)) || !value_start(p, v))
		return false;
	adopt(c, v);
	*next = v;
	return true;
}

struct json *json_parse(struct arena *arena, struct bytes text, unsigned flags, struct err *err)
{
	struct parser p = { .arena = arena, .text = text, .flags = flags, .err = err };
	struct json *root, *open, *v;

	if (text.n > JSON_TEXT_MAX) {
		(void)err_set(err, ERR_LIMIT, "%zu bytes of JSON; at most %d are accepted", text.n,
			      JSON_TEXT_MAX);
		return NULL;
	}
	if (!skip_space(&p))
		return NULL;
	root = new_value(&p, NULL);
	if (!root || !value_start(&p, root))
		return NULL;
	open = root->kind >= JSON_ARRAY ? root : NULL;
	while (open) {
		if (!next_member(&p, open, &v))
			return NULL;
		if (!v)
			open = open->parent;
		else if (v->kind >= JSON_ARRAY)
			open = v;
	}
	if (!skip_space(&p))
		return NULL;
	if (p.at != text.n) {
		(void)fail(&p, "something stands behind the end of the document");
		return NULL;
	}
	return root;
}

const struct json *json_get(const struct json *v, const char *key)
{
	struct bytes want = bytes_str(key);
	const struct json *found = NULL;

	if (json_is(v, JSON_OBJECT))
		json_each (it, v)
			if (bytes_equal(it->key, want))
				found = it;
	return found;
}

const struct json *json_get_nocase(const struct json *v, const char *key)
{
	struct bytes want = bytes_str(key);
	const struct json *found = NULL;

	if (json_is(v, JSON_OBJECT))
		json_each (it, v)
			if (bytes_equal_nocase(it->key, want))
				found = it;
	return found;
}

bool json_bool(const struct json *v, bool *out)
{
	if (!json_is(v, JSON_BOOL))
		return false;
	*out = v->truth;
	return true;
}

bool json_u64(const struct json *v, uint64_t *out)
{
	return json_is(v, JSON_NUMBER) && text_u64(v->text, UINT64_MAX, out);
}

bool json_i64(const struct json *v, int64_t *out)
{
	uint64_t u;

	if (!json_is(v, JSON_NUMBER))
		return false;
	if (v->text.p[0] != '-') {
		if (!text_u64(v->text, INT64_MAX, &u))
			return false;
		*out = (int64_t)u;
		return true;
	}
	if (!text_u64(bytes_from(v->text, 1), (uint64_t)INT64_MAX + 1, &u))
		return false;
	*out = u ? -(int64_t)(u - 1) - 1 : 0;
	return true;
}

bool json_real(const struct json *v, double *out)
{
	char text[64];

	if (!json_is(v, JSON_NUMBER) || !bytes_to_cstr(v->text, text, sizeof(text)))
		return false;
	*out = strtod(text, NULL);
	return true;
}

bool json_string(const struct json *v, struct bytes *out)
{
	if (!json_is(v, JSON_STRING))
		return false;
	*out = v->text;
	return true;
}

const char *json_kind_name(enum json_kind kind)
{
	static const char *const names[] = { "null",     "a boolean", "a number",
					     "a string", "an array",  "an object" };

	return names[kind];
}
