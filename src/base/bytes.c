#include "base/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

bool bytes_equal(struct bytes a, struct bytes b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool bytes_equal_str(struct bytes a, const char *s)
{
	return bytes_equal(a, bytes_str(s));
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

bool bytes_equal_nocase(struct bytes a, struct bytes b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (lower(a.p[i]) != lower(b.p[i]))
			return false;
	return true;
}

bool bytes_has_prefix(struct bytes a, const char *prefix)
{
	size_t n = strlen(prefix);

	return a.n >= n && (n == 0 || memcmp(a.p, prefix, n) == 0);
}

struct bytes bytes_from(struct bytes a, size_t offset)
{
	if (offset >= a.n)
		return (struct bytes){ NULL, 0 };
	return (struct bytes){ a.p + offset, a.n - offset };
}

char *bytes_strdup(struct bytes a)
{
	char *s = mem_alloc(a.n + 1);

	if (a.n)
		memcpy(s, a.p, a.n);
	return s;
}

bool bytes_to_cstr(struct bytes a, char *out, size_t size)
{
	if (a.n >= size || (a.n && memchr(a.p, 0, a.n)))
		return false;
	if (a.n)
		memcpy(out, a.p, a.n);
	out[a.n] = '\0';
	return true;
}

struct reader reader_of(struct bytes b)
{
	return (struct reader){ b.p, b.n, false };
}

/* NULL, and bad from now on, when fewer than n bytes are left. */
static const uint8_t *take(struct reader *r, size_t n)
{
	const uint8_t *p = r->p;

	if (r->bad || r->n < n) {
		r->bad = true;
		return NULL;
	}
	if (n) {
		r->p += n;
		r->n -= n;
	}
	return p;
}

static uint64_t read_be(struct reader *r, size_t n)
{
	const uint8_t *p = take(r, n);
	uint64_t v = 0;

	for (size_t i = 0; p && i < n; i++)
		v = v << 8 | p[i];
	return v;
}

static uint64_t read_le(struct reader *r, size_t n)
{
	const uint8_t *p = take(r, n);
	uint64_t v = 0;

	for (size_t i = n; p && i > 0; i--)
		v = v << 8 | p[i - 1];
	return v;
}

uint8_t read_u8(struct reader *r)
{
	return (uint8_t)read_be(r, 1);
}

uint16_t read_be16(struct reader *r)
{
	return (uint16_t)read_be(r, 2);
}

uint32_t read_be32(struct reader *r)
{
	return (uint32_t)read_be(r, 4);
}

uint64_t read_be64(struct reader *r)
{
	return read_be(r, 8);
}

uint16_t read_le16(struct reader *r)
{
	return (uint16_t)read_le(r, 2);
}

uint32_t read_le32(struct reader *r)
{
	return (uint32_t)read_le(r, 4);
}

uint64_t read_le64(struct reader *r)
{
	return read_le(r, 8);
}

void read_copy(struct reader *r, void *out, size_t n)
{
	const uint8_t *p = take(r, n);

	if (!n)
		return;
	if (p)
		memcpy(out, p, n);
	else
		memset(out, 0, n);
}

struct bytes read_bytes(struct reader *r, size_t n)
{
	const uint8_t *p = take(r, n);

	return p ? (struct bytes){ p, n } : (struct bytes){ NULL, 0 };
}

struct bytes read_rest(struct reader *r)
{
	return read_bytes(r, r->n);
}

void read_skip(struct reader *r, size_t n)
{
	(void)take(r, n);
}

struct writer writer_of(void *p, size_t cap)
{
	return (struct writer){ p, 0, cap, false };
}

static uint8_t *room(struct writer *w, size_t n)
{
	uint8_t *p;

	if (w->bad || w->cap - w->n < n) {
		w->bad = true;
		return NULL;
	}
	p = n ? w->p + w->n : w->p;
	w->n += n;
	return p;
}

static void write_be(struct writer *w, uint64_t v, size_t n)
{
	uint8_t *p = room(w, n);

	for (size_t i = n; p && i > 0; i--, v >>= 8)
		p[i - 1] = (uint8_t)v;
}

static void write_le(struct writer *w, uint64_t v, size_t n)
{
	uint8_t *p = room(w, n);

	for (size_t i = 0; p && i < n; i++, v >>= 8)
		p[i] = (uint8_t)v;
}

void write_u8(struct writer *w, uint8_t v)
{
	write_be(w, v, 1);
}

void write_be16(struct writer *w, uint16_t v)
{
	write_be(w, v, 2);
}

void write_be32(struct writer *w, uint32_t v)
{
	write_be(w, v, 4);
}

void write_be64(struct writer *w, uint64_t v)
{
	write_be(w, v, 8);
}

void write_le16(struct writer *w, uint16_t v)
{
	write_le(w, v, 2);
}

void write_le32(struct writer *w, uint32_t v)
{
	write_le(w, v, 4);
}

void write_le64(struct writer *w, uint64_t v)
{
	write_le(w, v, 8);
}

void write_copy(struct writer *w, const void *p, size_t n)
{
	uint8_t *out = room(w, n);

	if (out && n)
		memcpy(out, p, n);
}

void write_bytes(struct writer *w, struct bytes b)
{
	write_copy(w, b.p, b.n);
}

void write_zeros(struct writer *w, size_t n)
{
	uint8_t *out = room(w, n);

	if (out && n)
		memset(out, 0, n);
}

void buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){ .max = max };
}

void buf_fini(struct buf *b)
{
	mem_free(b->p);
	*b = (struct buf){ .max = b->max };
}

void buf_clear(struct buf *b)
{
	b->n = 0;
	b->bad = false;
}

uint8_t *buf_reserve(struct buf *b, size_t n)
{
	if (b->bad || n > b->max || b->n > b->max - n) {
		b->bad = true;
		return NULL;
	}
	if (b->cap - b->n < n || !b->p) {
		size_t cap = b->cap ? b->cap : 64;

		while (cap < b->n + n)
			cap *= 2;
		b->p = mem_resize(b->p, cap, 1);
		b->cap = cap;
	}
	return b->p + b->n;
}

bool buf_append(struct buf *b, struct bytes data)
{
	uint8_t *p = buf_reserve(b, data.n);

	if (!p)
		return false;
	if (data.n)
		memcpy(p, data.p, data.n);
	b->n += data.n;
	return true;
}

bool buf_append_u8(struct buf *b, uint8_t v)
{
	return buf_append(b, bytes_of(&v, 1));
}

bool buf_append_str(struct buf *b, const char *s)
{
	return buf_append(b, bytes_str(s));
}

bool buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	uint8_t *p;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return false;
	p = buf_reserve(b, (size_t)n + 1);
	if (!p)
		return false;
	va_start(ap, fmt);
	(void)vsnprintf((char *)p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->n += (size_t)n;
	return true;
}

void buf_consume(struct buf *b, size_t n)
{
	if (n >= b->n) {
		b->n = 0;
		return;
	}
	memmove(b->p, b->p + n, b->n - n);
	b->n -= n;
}

const char *buf_cstr(struct buf *b)
{
	bool bad = b->bad;
	uint8_t *p = buf_reserve(b, 1);

	b->bad = bad;
	if (!p)
		return "";
	*p = '\0';
	return (const char *)b->p;
}
