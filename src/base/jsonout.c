/* The writer half of base/json.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/text.h"

void json_out_init(struct json_out *o, struct buf *buf)
{
	*o = (struct json_out){ .buf = buf };
}

static void before_value(struct json_out *o)
{
	if (o->comma && !o->after_key)
		(void)buf_append_u8(o->buf, ',');
	o->comma = true;
	o->after_key = false;
}

static void open_with(struct json_out *o, uint8_t bracket)
{
	before_value(o);
	(void)buf_append_u8(o->buf, bracket);
	o->comma = false;
}

static void close_with(struct json_out *o, uint8_t bracket)
{
	(void)buf_append_u8(o->buf, bracket);
	o->comma = true;
}

void json_open_object(struct json_out *o)
{
	open_with(o, '{');
}

void json_close_object(struct json_out *o)
{
	close_with(o, '}');
}

void json_open_array(struct json_out *o)
{
	open_with(o, '[');
}

void json_close_array(struct json_out *o)
{
	close_with(o, ']');
}

static void escaped(struct buf *b, uint8_t c)
{
	static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
	const char *at = c ? strchr(from, c) : NULL;

	if (at)
		(void)buf_printf(b, "\\%c", to[at - from]);
	else
		(void)buf_printf(b, "\\u%04x", c);
}

static void quoted(struct buf *b, struct bytes s)
{
	size_t plain = 0; /* bytes at the front of s that need no escape */

	(void)buf_append_u8(b, '"');
	while (plain < s.n) {
		uint8_t c = s.p[plain];
		uint32_t cp;
		size_t n = c < 0x80 ? 1 : text_utf8(bytes_from(s, plain), &cp);

		if (n && c >= 0x20 && c != '"' && c != '\\') {
			plain += n;
			continue;
		}
		(void)buf_append(b, bytes_of(s.p, plain));
		if (n)
			escaped(b, c);
		else
			(void)buf_append_str(b, "\xef\xbf\xbd");
		s = bytes_from(s, plain + 1);
		plain = 0;
	}
	(void)buf_append(b, s);
	(void)buf_append_u8(b, '"');
}

void json_key_bytes(struct json_out *o, struct bytes key)
{
	before_value(o);
	quoted(o->buf, key);
	(void)buf_append_u8(o->buf, ':');
	o->after_key = true;
}

void json_key(struct json_out *o, const char *key)
{
	json_key_bytes(o, bytes_str(key));
}

void json_put_raw(struct json_out *o, struct bytes json)
{
	before_value(o);
	(void)buf_append(o->buf, json);
}

void json_put_null(struct json_out *o)
{
	json_put_raw(o, bytes_str("null"));
}

void json_put_bool(struct json_out *o, bool v)
{
	json_put_raw(o, bytes_str(v ? "true" : "false"));
}

void json_put_i64(struct json_out *o, int64_t v)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%lld", (long long)v);
	json_put_raw(o, bytes_str(text));
}

void json_put_u64(struct json_out *o, uint64_t v)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)v);
	json_put_raw(o, bytes_str(text));
}

void json_put_real(struct json_out *o, double v)
{
	char text[40];

	if (!isfinite(v)) { /* JSON has no word for it */
		json_put_null(o);
		return;
	}
	for (int precision = 6; precision <= 17; precision++) {
		(void)snprintf(text, sizeof(text), "%.*g", precision, v);
		if (strtod(text, NULL) == v)
			break;
	}
	json_put_raw(o, bytes_str(text));
}

void json_put_string(struct json_out *o, struct bytes v)
{
	before_value(o);
	quoted(o->buf, v);
}

void json_put_cstr(struct json_out *o, const char *v)
{
	json_put_string(o, bytes_str(v));
}

static void put_one(struct json_out *o, const struct json *v)
{
	switch (v->kind) {
	case JSON_NULL:
		json_put_null(o);
		break;
	case JSON_BOOL:
		json_put_bool(o, v->truth);
		break;
	case JSON_NUMBER:
		json_put_raw(o, v->text);
		break;
	case JSON_STRING:
		json_put_string(o, v->text);
		break;
	case JSON_ARRAY:
		json_open_array(o);
		break;
	case JSON_OBJECT:
		json_open_object(o);
		break;
	}
}

void json_put_value(struct json_out *o, const struct json *root)
{
	const struct json *v = root;

	for (;;) {
		if (v != root && v->parent->kind == JSON_OBJECT)
			json_key_bytes(o, v->key);
		put_one(o, v);
		if (v->first) {
			v = v->first;
			continue;
		}
		for (;; v = v->parent) { /* close what ends here, then go on with a sibling */
			if (v->kind == JSON_OBJECT)
				json_close_object(o);
			else if (v->kind == JSON_ARRAY)
				json_close_array(o);
			if (v == root)
				return;
			if (v->next)
				break;
		}
		v = v->next;
	}
}
