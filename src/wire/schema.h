/*
 * wire/schema.h - JSON objects and C structs by table: one row per member serves both directions.
 *
 * Decoding follows Go: member names match without regard to ASCII case, unknown members are
 * skipped, null leaves a member unset, and one member of the wrong kind fails the whole object.
 * Zeroed memory is a valid empty struct. Decoded texts point into the JSON text or the arena.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/ip.h"
#include "base/json.h"
#include "base/wall.h"
#include "crypto/keytext.h"

struct arena;
struct err;

enum opt_bool { OPT_UNSET, OPT_FALSE, OPT_TRUE };

struct opt_time {
	bool set;
	struct wall at; /* ns 0: Go's zero time */
};

/* Every list starts like this one. set: the member was there and was not null, even when empty. */
struct schema_list {
	void *v;
	size_t n;
	bool set;
};

struct named_json { /* one member of an object whose values are anyone's JSON */
	struct bytes name;
	struct bytes json;
};
struct named_real {
	struct bytes name;
	double value;
};
struct id_bool {
	int64_t id;
	bool value;
};
struct id_object {
	int64_t id;
	void *object; /* NULL: the value was null */
};

struct text_list {
	struct bytes *v;
	size_t n;
	bool set;
};
struct i64_list {
	int64_t *v;
	size_t n;
	bool set;
};
struct ip_list {
	struct ip *v;
	size_t n;
	bool set;
};
struct prefix_list {
	struct prefix *v;
	size_t n;
	bool set;
};
struct addrport_list {
	struct addrport *v;
	size_t n;
	bool set;
};
struct named_json_list {
	struct named_json *v;
	size_t n;
	bool set;
};
struct named_real_list {
	struct named_real *v;
	size_t n;
	bool set;
};
struct id_bool_list {
	struct id_bool *v;
	size_t n;
	bool set;
};
struct id_object_list {
	struct id_object *v;
	size_t n;
	bool set;
};

enum field_kind {
	FIELD_BOOL,     /* bool */
	FIELD_OPT_BOOL, /* enum opt_bool */
	FIELD_I64,      /* int64_t */
	FIELD_REAL,     /* double */
	FIELD_TEXT,     /* struct bytes */
	FIELD_BASE64,   /* struct bytes, decoded */
	FIELD_TIME,     /* struct wall; 0: Go's zero time */
	FIELD_OPT_TIME, /* struct opt_time */
	FIELD_KEY,      /* struct key; `key` says which; zero: absent */
	FIELD_IP,       /* struct ip; "" is no address */
	FIELD_PREFIX,   /* struct prefix */
	FIELD_ADDRPORT, /* struct addrport */
	FIELD_JSON,     /* struct bytes, JSON text as it stands */
	FIELD_OBJECT,   /* struct of `sub` *, NULL: absent */
	FIELD_TEXTS,    /* struct text_list */
	FIELD_I64S,
	FIELD_IPS,
	FIELD_PREFIXES,
	FIELD_ADDRPORTS,
	FIELD_OBJECTS,     /* list of structs of `sub`, by value */
	FIELD_NAMED_JSONS, /* {name: anything} */
	FIELD_NAMED_REALS, /* {name: number} */
	FIELD_ID_BOOLS,    /* {"7": true} */
	FIELD_ID_OBJECTS,  /* {"7": object or null} */
};

enum field_flags {
	FIELD_ALWAYS = 1,  /* written even when zero */
	FIELD_LENIENT = 2, /* FIELD_OBJECTS: an element that does not decode is left out */
};

struct schema;

struct field {
	const char *name;
	enum field_kind kind;
	size_t at; /* offsetof */
	unsigned flags;
	enum key_kind key;
	const struct schema *sub;
};

struct schema {
	const char *noun;
	size_t size;
	const struct field *fields;
	size_t n;
	/*
	 * Offset + 1 of a struct bytes that keeps the object's own text, so that members we do not
	 * know survive; when it is set, encoding writes that text and nothing else. 0: none.
	 */
	size_t raw_at;
};

/* What failed says where: "Hostinfo.NetInfo.PreferredDERP: needs a whole number". */
int schema_decode(void *out, const struct schema *s, struct arena *arena, struct bytes text,
		  struct err *err);
/* v is part of a document that was parsed from text. */
int schema_decode_value(void *out, const struct schema *s, struct arena *arena, struct bytes text,
			const struct json *v, struct err *err);
void schema_encode(struct json_out *o, const struct schema *s, const void *in);
