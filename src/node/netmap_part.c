/* node/netmap_part.c - see netmap_part.h. */
#include "node/netmap_part.h"

#include <string.h>

#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "node/netmap.h"

static struct netmap_part *part_create(size_t text_len)
{
	struct netmap_part *p = mem_alloc(sizeof(*p));

	p->refs = 1;
	/* A decoded tree is a small multiple of its text; the constant is for its blocks. */
	arena_init(&p->arena, text_len * 24 + (64 << 10));
	return p;
}

static struct netmap_part *part_failed(struct netmap_part *p, struct err *err)
{
	if (p->arena.bad)
		err_set(err, ERR_LIMIT, "a part of the map is too large");
	netmap_part_unref(p);
	return NULL;
}

struct netmap_part *netmap_part_of(const struct schema *schema, const void *v, struct err *err)
{
	struct netmap_part *p;
	struct json_out out;
	struct buf buf;

	buf_init(&buf, NETMAP_PART_MAX);
	json_out_init(&out, &buf);
	schema_encode(&out, schema, v);
	p = part_create(buf.n);
	p->text = arena_bytes(&p->arena, buf_bytes(&buf));
	p->v = arena_alloc(&p->arena, schema->size);
	if (buf.bad || !p->v || !p->text.p) {
		buf_fini(&buf);
		return part_failed(p, err);
	}
	buf_fini(&buf);
	if (schema_decode(p->v, schema, &p->arena, p->text, err) < 0)
		return part_failed(p, err);
	return p;
}

struct netmap_part *netmap_part_json(struct bytes name, struct bytes json, struct err *err)
{
	struct netmap_part *p = part_create(name.n + json.n);

	p->name = arena_bytes(&p->arena, name);
	p->text = arena_bytes(&p->arena, json);
	return p->arena.bad ? part_failed(p, err) : p;
}

struct netmap_part *netmap_part_ref(struct netmap_part *p)
{
	if (p)
		p->refs++;
	return p;
}

void netmap_part_unref(struct netmap_part *p)
{
	if (!p || --p->refs)
		return;
	arena_fini(&p->arena);
	mem_free(p);
}

bool netmap_part_equal(const struct netmap_part *a, const struct netmap_part *b)
{
	if (a == b)
		return true;
	return a && b && bytes_equal(a->name, b->name) && bytes_equal(a->text, b->text);
}

void netmap_parts_add(struct netmap_parts *a, struct netmap_part *p)
{
	mem_reserve(a->v, a->n, a->cap);
	a->v[a->n++] = p;
}

void netmap_parts_copy(struct netmap_parts *to, const struct netmap_parts *from)
{
	*to = (struct netmap_parts){ NULL, 0, from->n };
	if (!from->n)
		return;
	to->v = mem_resize(NULL, from->n, sizeof(struct netmap_part *));
	for (size_t i = 0; i < from->n; i++)
		to->v[to->n++] = netmap_part_ref(from->v[i]);
}

void netmap_parts_fini(struct netmap_parts *a)
{
	for (size_t i = 0; i < a->n; i++)
		netmap_part_unref(a->v[i]);
	mem_free(a->v);
	*a = (struct netmap_parts){ 0 };
}

bool netmap_parts_equal(const struct netmap_parts *a, const struct netmap_parts *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!netmap_part_equal(a->v[i], b->v[i]))
			return false;
	return true;
}

long netmap_parts_find(const struct netmap_parts *a, struct bytes name)
{
	for (size_t i = 0; i < a->n; i++)
		if (bytes_equal(a->v[i]->name, name))
			return (long)i;
	return -1;
}

void netmap_parts_remove(struct netmap_parts *a, size_t i)
{
	netmap_part_unref(a->v[i]);
	a->n--;
	for (; i < a->n; i++)
		a->v[i] = a->v[i + 1];
}
