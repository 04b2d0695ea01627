#include "base/hujson.h"

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"

enum { WIDTH = 80, ARENA_MAX = 1 << 30 };

/* The text has been parsed before, so what is expected next is there. */
struct format {
	struct bytes text;
	size_t at;
	struct buf *out;
	size_t line_start; /* in out */
	bool after_line_comment;
};

static int here(const struct format *f)
{
	return f->at < f->text.n ? f->text.p[f->at] : -1;
}

/* Blanks up to the next token or comment; how many line feeds stood among them. */
static unsigned skip_blanks(struct format *f)
{
	unsigned lines = 0;

	for (; f->at < f->text.n; f->at++) {
		uint8_t b = f->text.p[f->at];

		if (b != ' ' && b != '\t' && b != '\r' && b != '\n')
			break;
		lines += b == '\n';
	}
	return lines;
}

static struct bytes take_comment(struct format *f)
{
	struct bytes rest = bytes_from(f->text, f->at), c = rest;
	bool line = rest.n > 1 && rest.p[1] == '/';
	const uint8_t *end =
	    line ? memchr(rest.p, '\n', rest.n) : memmem(rest.p + 2, rest.n - 2, "*/", 2);

	if (end)
		c.n = (size_t)(end - rest.p) + (line ? 0 : 2);
	f->at += c.n;
	while (line && c.n && (c.p[c.n - 1] == ' ' || c.p[c.n - 1] == '\t' || c.p[c.n - 1] == '\r'))
		c.n--;
	return c;
}

/* A string, number or word, as written. */
static struct bytes take_scalar(struct format *f)
{
	size_t start = f->at;

	if (here(f) == '"') {
		for (f->at++; here(f) != '"' && here(f) >= 0; f->at++)
			f->at += here(f) == '\\';
		f->at++;
	} else {
		while (here(f) > ' ' && !strchr(",:]}/", here(f)))
			f->at++;
	}
	return bytes_of(f->text.p + start, f->at - start);
}

static void put(struct format *f, struct bytes b)
{
	(void)buf_append(f->out, b);
	f->after_line_comment = false;
}

static void put_str(struct format *f, const char *s)
{
	put(f, bytes_str(s));
}

static void new_line(struct format *f, unsigned level)
{
	put_str(f, "\n");
	f->line_start = f->out->n;
	for (unsigned i = 0; i < level; i++)
		put_str(f, "  ");
}

static void put_comment(struct format *f, struct bytes c, bool same_line, bool blank,
			unsigned level)
{
	if (same_line && !f->after_line_comment) {
		put_str(f, " ");
	} else {
		if (blank)
			put_str(f, "\n");
		if (f->out->n)
			new_line(f, level);
	}
	put(f, c);
	f->after_line_comment = c.n > 1 && c.p[1] == '/';
}

/* Comments before the next token; true when a blank line stands right before that token. */
static bool put_comments(struct format *f, unsigned level, bool first)
{
	for (;;) {
		unsigned lines = skip_blanks(f);
		struct bytes c;

		if (here(f) != '/')
			return lines > 1;
		c = take_comment(f);
		put_comment(f, c, lines == 0 && f->out->n, lines > 1 && !first, level);
		first = false;
	}
}

static bool skip_to_token(struct format *f)
{
	bool comments = false;

	for (skip_blanks(f); here(f) == '/'; skip_blanks(f)) {
		(void)take_comment(f);
		comments = true;
	}
	return comments;
}

/* Writes a container in one line as far as it fits; false when it does not, or holds a comment. */
static bool put_inline(struct format *f)
{
	struct format probe = *f;
	size_t mark = f->out->n, depth = 0;

	do {
		int b;

		if (skip_to_token(&probe))
			break;
		b = here(&probe);
		if (b == '[' || b == '{') {
			probe.at++;
			depth++;
			put_str(&probe, b == '[' ? "[" : "{");
		} else if (b == ']' || b == '}') {
			probe.at++;
			depth--;
			put_str(&probe, b == ']' ? "]" : "}");
		} else if (b == ':') {
			probe.at++;
			put_str(&probe, ": ");
		} else if (b == ',') {
			probe.at++;
			if (skip_to_token(&probe))
				break;
			if (here(&probe) != ']' && here(&probe) != '}')
				put_str(&probe, ", ");
		} else {
			put(&probe, take_scalar(&probe));
		}
		if (probe.out->n - f->line_start > WIDTH - 1)
			break;
		if (!depth) {
			f->at = probe.at;
			f->after_line_comment = false;
			return true;
		}
	} while (!probe.out->bad);
	f->out->n = mark;
	return false;
}

static void put_value(struct format *f, unsigned level);

/* Comments between key and value move up, before the key. */
static void put_key(struct format *f, unsigned level)
{
	struct bytes key = take_scalar(f);
	unsigned colons = 0;

	for (;;) {
		skip_blanks(f);
		if (here(f) == '/') {
			put(f, take_comment(f));
			new_line(f, level);
		} else if (here(f) == ':' && !colons) {
			colons++;
			f->at++;
		} else {
			break;
		}
	}
	put(f, key);
	put_str(f, ": ");
}

/* Behind a member: its comma at once, then the comments that stood before the comma. */
static void put_comma(struct format *f, unsigned level)
{
	struct format ahead = *f;

	(void)skip_to_token(&ahead);
	put_str(f, ",");
	if (here(&ahead) != ',')
		return;
	while (f->at < ahead.at) {
		unsigned lines = skip_blanks(f);

		if (here(f) == '/')
			put_comment(f, take_comment(f), lines == 0, false, level);
	}
	f->at = ahead.at + 1;
}

/* Recursion ends at JSON_DEPTH_MAX: the text went through json_parse(). */
static void put_container(struct format *f, unsigned level)
{
	bool object = here(f) == '{', first = true;

	f->at++;
	put_str(f, object ? "{" : "[");
	for (;;) {
		bool blank = put_comments(f, level + 1, first);

		if (here(f) == ']' || here(f) == '}' || here(f) < 0)
			break;
		if (blank && !first)
			put_str(f, "\n");
		new_line(f, level + 1);
		if (object)
			put_key(f, level + 1);
		put_value(f, level + 1);
		put_comma(f, level + 1);
		first = false;
	}
	f->at++;
	new_line(f, level);
	put_str(f, object ? "}" : "]");
}

static void put_value(struct format *f, unsigned level)
{
	if (here(f) != '[' && here(f) != '{')
		put(f, take_scalar(f));
	else if (!put_inline(f))
		put_container(f, level);
}

int hujson_format(struct bytes text, struct buf *out, struct err *err)
{
	struct buf body;
	struct format f = { .text = text, .out = &body };
	struct arena arena;
	bool ok;

	arena_init(&arena, ARENA_MAX);
	ok = json_parse(&arena, text, JSON_HUJSON, err) != NULL;
	arena_fini(&arena);
	if (!ok)
		return -1;
	buf_init(&body, out->max);
	(void)put_comments(&f, 0, true);
	if (body.n)
		new_line(&f, 0);
	/* the outermost container always opens up, so that a policy never is one long line */
	if (here(&f) == '{' && f.at + 1 < text.n)
		put_container(&f, 0);
	else
		put_value(&f, 0);
	(void)put_comments(&f, 0, false);
	put_str(&f, "\n");
	ok = buf_append(out, buf_bytes(&body)) && !body.bad;
	buf_fini(&body);
	return ok ? 0 : err_set(err, ERR_LIMIT, "the formatted document is too large");
}
