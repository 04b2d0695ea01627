/*
 * base/json.h - JSON (RFC 8259) and HuJSON (comments, trailing commas) in, JSON out.
 *
 * One reader for both, because both need what no library gives: positions for error messages, exact
 * 64-bit numbers of either sign, limits, an arena. It does not recurse. A decoded document is a
 * tree in the caller's arena; numbers keep their text until someone asks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bytes.h"

struct err;

enum json_kind { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json {
	enum json_kind kind;
	bool truth;                /* JSON_BOOL */
	uint32_t count;            /* children of an array or object */
	uint32_t start, end;       /* where the value stands in the text: [start, end) */
	uint32_t key_start;        /* where its key stands, inside an object */
	struct bytes key;          /* decoded, inside an object */
	struct bytes text;         /* decoded string; number as written; UTF-8, may hold NUL */
	struct json *first, *last; /* children */
	struct json *next, *parent;
};

enum json_flags {
	JSON_HUJSON = 1, /* comments and trailing commas */
	JSON_NO_DUPLICATES =
	    2, /* a key twice in one object is an error; else the last one counts */
};

enum { JSON_DEPTH_MAX = 128, JSON_TEXT_MAX = 1 << 30 };

/*
 * NULL on failure; the error says "line 3, column 7: ..." and the arena holds rubbish. text must
 * outlive the tree: strings without escapes point into it.
 */
struct json *json_parse(struct arena *arena, struct bytes text, unsigned flags, struct err *err);

/* Line and column (in characters) of a position, both from 1. */
void json_where(struct bytes text, size_t offset, unsigned *line, unsigned *column);

/* Members: NULL when v is NULL, no object, or has no such key. The last of several counts. */
const struct json *json_get(const struct json *v, const char *key);
const struct json *json_get_nocase(const struct json *v, const char *key); /* as Go matches names */

/* Values: false, out untouched, when v is NULL or of another kind or out of range. */
bool json_bool(const struct json *v, bool *out);
bool json_i64(const struct json *v, int64_t *out);
bool json_u64(const struct json *v, uint64_t *out);
bool json_real(const struct json *v, double *out);
bool json_string(const struct json *v, struct bytes *out);
static inline bool json_is(const struct json *v, enum json_kind kind)
{
	return v && v->kind == kind;
}
const char *json_kind_name(enum json_kind kind); /* "a string", "an object", ... */

#define json_each(it, v) for (const struct json *it = (v) ? (v)->first : NULL; it; it = it->next)

/*
 * Writer. Appends to a buf; commas and nesting are its business, order is yours. Escapes only what
 * must be (quote, backslash, control characters): some clients refuse any other escape. Bytes that
 * are no UTF-8 come out as U+FFFD. When the buf reaches its limit, buf.bad is set.
 */
struct json_out {
	struct buf *buf;
	bool comma; /* something stands before the next value on this level */
	bool after_key;
};

void json_out_init(struct json_out *o, struct buf *buf);
void json_open_object(struct json_out *o);
void json_close_object(struct json_out *o);
void json_open_array(struct json_out *o);
void json_close_array(struct json_out *o);
void json_key(struct json_out *o, const char *key);
void json_key_bytes(struct json_out *o, struct bytes key);
void json_put_null(struct json_out *o);
void json_put_bool(struct json_out *o, bool v);
void json_put_i64(struct json_out *o, int64_t v);
void json_put_u64(struct json_out *o, uint64_t v);
void json_put_real(struct json_out *o, double v); /* shortest text that reads back the same */
void json_put_string(struct json_out *o, struct bytes v);
void json_put_cstr(struct json_out *o, const char *v);
void json_put_raw(struct json_out *o, struct bytes json); /* a value that is JSON already */
/* A decoded value again, compact. Not recursive either. */
void json_put_value(struct json_out *o, const struct json *v);
