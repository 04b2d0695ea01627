/* Decoder and encoder walk the same tables; structs nest as deep as the tables do, input cannot add
 * to that. */
#include "wire/schema.h"

#include <stdio.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/text.h"

struct decoder {
	struct arena *arena;
	struct bytes text;
	struct err *err;
};

static int object_in(struct decoder *d, void *out, const struct schema *s, const struct json *v);

static int wants(struct decoder *d, const char *what)
{
	return err_set(d->err, ERR_MALFORMED, "needs %s", what);
}

static int full(struct decoder *d)
{
	return err_set(d->err, ERR_LIMIT, "the message is too large");
}

/* ---- one value: strings of a form ---- */

static int key_in(struct decoder *d, struct key *out, enum key_kind kind, struct bytes t)
{
	return keytext_parse(out, kind, t) ? 0 : wants(d, "a key with its prefix");
}

static int ip_in(struct decoder *d, struct ip *out, struct bytes t)
{
	*out = (struct ip){ 0 };
	return !t.n || ip_parse(out, t) ? 0 : wants(d, "an IP address");
}

static int prefix_in(struct decoder *d, struct prefix *out, struct bytes t)
{
	*out = (struct prefix){ 0 };
	return !t.n || prefix_parse(out, t) ? 0 : wants(d, "a prefix such as 192.0.2.0/24");
}

static int addrport_in(struct decoder *d, struct addrport *out, struct bytes t)
{
	*out = (struct addrport){ 0 };
	return !t.n || addrport_parse(out, t) ? 0 : wants(d, "an address with port");
}

static int time_in(struct decoder *d, struct wall *out, struct bytes t)
{
	if (!wall_parse(out, t))
		return wants(d, "a time (RFC 3339)");
	if (out->ns == INT64_MIN)
		out->ns = 0;
	return 0;
}

static int base64_in(struct decoder *d, struct bytes *out, struct bytes t)
{
	struct buf b;

	buf_init(&b, t.n + 4);
	if (!text_unbase64(BASE64_STD, t, &b)) {
		buf_fini(&b);
		return wants(d, "standard base64");
	}
	*out = arena_bytes(d->arena, buf_bytes(&b));
	buf_fini(&b);
	return d->arena->bad ? full(d) : 0;
}

static int text_kind_in(struct decoder *d, void *out, const struct field *f, struct bytes t)
{
	struct wall at;

	switch (f->kind) {
	case FIELD_TEXT:
		*(struct bytes *)out = t;
		return 0;
	case FIELD_BASE64:
		return base64_in(d, out, t);
	case FIELD_TIME:
		return time_in(d, out, t);
	case FIELD_OPT_TIME:
		if (time_in(d, &at, t) < 0)
			return -1;
		*(struct opt_time *)out = (struct opt_time){ true, at };
		return 0;
	case FIELD_KEY:
		return key_in(d, out, f->key, t);
	case FIELD_IP:
		return ip_in(d, out, t);
	case FIELD_PREFIX:
		return prefix_in(d, out, t);
	default:
		return addrport_in(d, out, t);
	}
}

/* ---- lists ---- */

static size_t element_size(const struct field *f)
{
	switch (f->kind) {
	case FIELD_TEXTS:
		return sizeof(struct bytes);
	case FIELD_I64S:
		return sizeof(int64_t);
	case FIELD_IPS:
		return sizeof(struct ip);
	case FIELD_PREFIXES:
		return sizeof(struct prefix);
	case FIELD_ADDRPORTS:
		return sizeof(struct addrport);
	case FIELD_NAMED_JSONS:
		return sizeof(struct named_json);
	case FIELD_NAMED_REALS:
		return sizeof(struct named_real);
	case FIELD_ID_BOOLS:
		return sizeof(struct id_bool);
	case FIELD_ID_OBJECTS:
		return sizeof(struct id_object);
	default:
		return f->sub->size;
	}
}

static struct bytes slice(const struct decoder *d, const struct json *v)
{
	return bytes_of(d->text.p + v->start, v->end - v->start);
}

static bool id_of(const struct json *v, int64_t *id)
{
	bool minus = v->key.n && v->key.p[0] == '-';
	uint64_t n;

	if (!text_u64(bytes_from(v->key, minus), INT64_MAX, &n))
		return false;
	*id = minus ? -(int64_t)n : (int64_t)n;
	return true;
}

static int element_in(struct decoder *d, void *at, const struct field *f, const struct json *v)
{
	struct bytes t = { 0 };

	switch (f->kind) {
	case FIELD_I64S:
		return json_i64(v, at) ? 0 : wants(d, "whole numbers");
	case FIELD_OBJECTS:
		return object_in(d, at, f->sub, v);
	case FIELD_TEXTS:
	case FIELD_IPS:
	case FIELD_PREFIXES:
	case FIELD_ADDRPORTS:
		break;
	default:
		return wants(d, "no list");
	}
	if (!json_string(v, &t))
		return wants(d, "texts");
	if (f->kind == FIELD_IPS)
		return ip_in(d, at, t);
	if (f->kind == FIELD_PREFIXES)
		return prefix_in(d, at, t);
	if (f->kind == FIELD_ADDRPORTS)
		return addrport_in(d, at, t);
	*(struct bytes *)at = t;
	return 0;
}

static int member_in(struct decoder *d, void *at, const struct field *f, const struct json *v)
{
	struct id_object *object = at;
	struct named_real *real = at;

	switch (f->kind) {
	case FIELD_NAMED_JSONS:
		*(struct named_json *)at = (struct named_json){ v->key, slice(d, v) };
		return 0;
	case FIELD_NAMED_REALS:
		real->name = v->key;
		return json_real(v, &real->value) ? 0 : wants(d, "numbers");
	case FIELD_ID_BOOLS:
		if (!id_of(v, &((struct id_bool *)at)->id))
			return wants(d, "numbers as keys");
		return json_bool(v, &((struct id_bool *)at)->value) ? 0 : wants(d, "true or false");
	default:
		if (!id_of(v, &object->id))
			return wants(d, "numbers as keys");
		if (json_is(v, JSON_NULL))
			return 0;
		object->object = arena_alloc(d->arena, f->sub->size);
		return object->object ? object_in(d, object->object, f->sub, v) : full(d);
	}
}

static int list_in(struct decoder *d, struct schema_list *out, const struct field *f,
		   const struct json *v)
{
	bool is_map = f->kind >= FIELD_NAMED_JSONS;
	size_t size = element_size(f), n = 0;

	if (!json_is(v, is_map ? JSON_OBJECT : JSON_ARRAY))
		return wants(d, is_map ? "an object" : "a list");
	*out = (struct schema_list){ arena_array(d->arena, v->count + 1, size), 0, true };
	if (!out->v)
		return full(d);
	json_each (it, v) {
		void *at = (char *)out->v + n * size;
		int ret = is_map ? member_in(d, at, f, it) : element_in(d, at, f, it);

		if (ret < 0 && !(f->flags & FIELD_LENIENT))
			return err_wrap(d->err, "[%zu]", n);
		if (ret < 0)
			memset(at, 0, size);
		else
			n++;
	}
	out->n = n;
	return 0;
}

/* ---- members ---- */

static int field_in(struct decoder *d, void *out, const struct field *f, const struct json *v)
{
	struct bytes t;
	bool b;

	switch (f->kind) {
	case FIELD_BOOL:
		return json_bool(v, out) ? 0 : wants(d, "true or false");
	case FIELD_OPT_BOOL:
		if (!json_bool(v, &b))
			return wants(d, "true or false");
		*(enum opt_bool *)out = b ? OPT_TRUE : OPT_FALSE;
		return 0;
	case FIELD_I64:
		return json_i64(v, out) ? 0 : wants(d, "a whole number");
	case FIELD_REAL:
		return json_real(v, out) ? 0 : wants(d, "a number");
	case FIELD_JSON:
		*(struct bytes *)out = slice(d, v);
		return 0;
	case FIELD_OBJECT:
		*(void **)out = arena_alloc(d->arena, f->sub->size);
		return *(void **)out ? object_in(d, *(void **)out, f->sub, v) : full(d);
	default:
		break;
	}
	if (f->kind >= FIELD_TEXTS)
		return list_in(d, out, f, v);
	return json_string(v, &t) ? text_kind_in(d, out, f, t) : wants(d, "a text");
}

static const struct field *field_find(const struct schema *s, struct bytes name)
{
	const struct field *loose = NULL;

	for (size_t i = 0; i < s->n; i++) {
		if (bytes_equal_str(name, s->fields[i].name))
			return &s->fields[i];
		if (!loose && bytes_equal_nocase(name, bytes_str(s->fields[i].name)))
			loose = &s->fields[i];
	}
	return loose;
}

static int object_in(struct decoder *d, void *out, const struct schema *s, const struct json *v)
{
	if (!json_is(v, JSON_OBJECT))
		return wants(d, "an object");
	if (s->raw_at)
		*(struct bytes *)((char *)out + s->raw_at - 1) = slice(d, v);
	json_each (it, v) {
		const struct field *f = field_find(s, it->key);

		if (!f || json_is(it, JSON_NULL))
			continue;
		if (field_in(d, (char *)out + f->at, f, it) < 0)
			return err_wrap(d->err, "%s", f->name);
	}
	return 0;
}

int schema_decode_value(void *out, const struct schema *s, struct arena *arena, struct bytes text,
			const struct json *v, struct err *err)
{
	struct decoder d = { arena, text, err };

	memset(out, 0, s->size);
	if (object_in(&d, out, s, v) < 0)
		return err_wrap(err, "%s", s->noun);
	return 0;
}

int schema_decode(void *out, const struct schema *s, struct arena *arena, struct bytes text,
		  struct err *err)
{
	struct json *v = json_parse(arena, text, 0, err);

	if (!v)
		return err_wrap(err, "%s", s->noun);
	return schema_decode_value(out, s, arena, text, v, err);
}

/* ---- encoding ---- */

static bool is_zero(const void *at, const struct field *f)
{
	switch (f->kind) {
	case FIELD_BOOL:
		return !*(const bool *)at;
	case FIELD_OPT_BOOL:
		return *(const enum opt_bool *)at == OPT_UNSET;
	case FIELD_I64:
		return !*(const int64_t *)at;
	case FIELD_REAL:
		return *(const double *)at == 0;
	case FIELD_TEXT:
	case FIELD_BASE64:
	case FIELD_JSON:
		return !((const struct bytes *)at)->n;
	case FIELD_TIME:
		return !((const struct wall *)at)->ns;
	case FIELD_OPT_TIME:
		return !((const struct opt_time *)at)->set;
	case FIELD_KEY:
		return key_is_zero(at);
	case FIELD_IP:
		return !ip_is_valid(*(const struct ip *)at);
	case FIELD_PREFIX:
		return !ip_is_valid(((const struct prefix *)at)->addr);
	case FIELD_ADDRPORT:
		return !ip_is_valid(((const struct addrport *)at)->ip);
	case FIELD_OBJECT:
		return !*(void *const *)at;
	default:
		return !((const struct schema_list *)at)->n &&
		       !((const struct schema_list *)at)->set;
	}
}

static void base64_out(struct json_out *o, struct bytes b)
{
	char *text = mem_alloc(TEXT_BASE64_LEN(b.n) + 1);

	text_base64(BASE64_STD, b, text);
	json_put_cstr(o, text);
	mem_free(text);
}

static void time_out(struct json_out *o, struct wall at)
{
	char text[WALL_TEXT_MAX];

	json_put_cstr(o, wall_format(at.ns ? at : (struct wall){ INT64_MIN }, text));
}

static void ip_out(struct json_out *o, struct ip ip)
{
	char text[IP_TEXT_MAX];

	json_put_cstr(o, ip_format(ip, text));
}

static void prefix_out(struct json_out *o, struct prefix p)
{
	char text[PREFIX_TEXT_MAX];

	json_put_cstr(o, ip_is_valid(p.addr) ? prefix_format(p, text) : "");
}

static void addrport_out(struct json_out *o, struct addrport a)
{
	char text[ADDRPORT_TEXT_MAX];

	json_put_cstr(o, ip_is_valid(a.ip) ? addrport_format(a, text) : "");
}

static void json_text_out(struct json_out *o, struct bytes json)
{
	if (json.n)
		json_put_raw(o, json);
	else
		json_put_null(o);
}

static void element_out(struct json_out *o, const void *at, const struct field *f)
{
	switch (f->kind) {
	case FIELD_TEXTS:
		json_put_string(o, *(const struct bytes *)at);
		return;
	case FIELD_I64S:
		json_put_i64(o, *(const int64_t *)at);
		return;
	case FIELD_IPS:
		ip_out(o, *(const struct ip *)at);
		return;
	case FIELD_PREFIXES:
		prefix_out(o, *(const struct prefix *)at);
		return;
	case FIELD_ADDRPORTS:
		addrport_out(o, *(const struct addrport *)at);
		return;
	default:
		schema_encode(o, f->sub, at);
	}
}

static void id_key(struct json_out *o, int64_t id)
{
	char name[24];

	(void)snprintf(name, sizeof(name), "%lld", (long long)id);
	json_key(o, name);
}

static void member_out(struct json_out *o, const void *at, const struct field *f)
{
	switch (f->kind) {
	case FIELD_NAMED_JSONS:
		json_key_bytes(o, ((const struct named_json *)at)->name);
		json_text_out(o, ((const struct named_json *)at)->json);
		return;
	case FIELD_NAMED_REALS:
		json_key_bytes(o, ((const struct named_real *)at)->name);
		json_put_real(o, ((const struct named_real *)at)->value);
		return;
	case FIELD_ID_BOOLS:
		id_key(o, ((const struct id_bool *)at)->id);
		json_put_bool(o, ((const struct id_bool *)at)->value);
		return;
	default:
		id_key(o, ((const struct id_object *)at)->id);
		if (((const struct id_object *)at)->object)
			schema_encode(o, f->sub, ((const struct id_object *)at)->object);
		else
			json_put_null(o);
	}
}

static void list_out(struct json_out *o, const struct schema_list *list, const struct field *f)
{
	bool is_map = f->kind >= FIELD_NAMED_JSONS;
	size_t size = element_size(f);

	if (is_map)
		json_open_object(o);
	else
		json_open_array(o);
	for (size_t i = 0; i < list->n; i++) {
		const void *at = (const char *)list->v + i * size;

		if (is_map)
			member_out(o, at, f);
		else
			element_out(o, at, f);
	}
	if (is_map)
		json_close_object(o);
	else
		json_close_array(o);
}

static void key_out(struct json_out *o, const struct key *k, enum key_kind kind)
{
	char text[KEYTEXT_MAX];

	json_put_cstr(o, keytext_format(k, kind, text));
}

static void field_out(struct json_out *o, const void *at, const struct field *f)
{
	switch (f->kind) {
	case FIELD_BOOL:
		json_put_bool(o, *(const bool *)at);
		return;
	case FIELD_OPT_BOOL:
		if (*(const enum opt_bool *)at == OPT_UNSET)
			json_put_null(o);
		else
			json_put_bool(o, *(const enum opt_bool *)at == OPT_TRUE);
		return;
	case FIELD_I64:
		json_put_i64(o, *(const int64_t *)at);
		return;
	case FIELD_REAL:
		json_put_real(o, *(const double *)at);
		return;
	case FIELD_TEXT:
		json_put_string(o, *(const struct bytes *)at);
		return;
	case FIELD_BASE64:
		if (((const struct bytes *)at)->n)
			base64_out(o, *(const struct bytes *)at);
		else
			json_put_null(o);
		return;
	case FIELD_TIME:
		time_out(o, *(const struct wall *)at);
		return;
	case FIELD_OPT_TIME:
		time_out(o, ((const struct opt_time *)at)->at);
		return;
	case FIELD_KEY:
		key_out(o, at, f->key);
		return;
	case FIELD_IP:
		ip_out(o, *(const struct ip *)at);
		return;
	case FIELD_PREFIX:
		prefix_out(o, *(const struct prefix *)at);
		return;
	case FIELD_ADDRPORT:
		addrport_out(o, *(const struct addrport *)at);
		return;
	case FIELD_JSON:
		json_text_out(o, *(const struct bytes *)at);
		return;
	case FIELD_OBJECT:
		if (*(void *const *)at)
			schema_encode(o, f->sub, *(void *const *)at);
		else
			json_put_null(o);
		return;
	default:
		list_out(o, at, f);
	}
}

void schema_encode(struct json_out *o, const struct schema *s, const void *in)
{
	if (s->raw_at) {
		struct bytes raw = *(const struct bytes *)((const char *)in + s->raw_at - 1);

		if (raw.n) {
			json_put_raw(o, raw);
			return;
		}
	}
	json_open_object(o);
	for (size_t i = 0; i < s->n; i++) {
		const struct field *f = &s->fields[i];
		const void *at = (const char *)in + f->at;

		if (!(f->flags & FIELD_ALWAYS) && is_zero(at, f))
			continue;
		json_key(o, f->name);
		field_out(o, at, f);
	}
	json_close_object(o);
}
