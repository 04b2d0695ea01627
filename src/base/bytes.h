/*
 * base/bytes.h - reading and writing bytes without pointer arithmetic.
 *
 * struct bytes borrows. A reader and a writer remember failure, so a codec runs straight down and
 * checks `bad` once at the end. A buf owns memory and grows up to the maximum it was born with.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
	const uint8_t *p;
	size_t n;
};

static inline struct bytes bytes_of(const void *p, size_t n)
{
	return (struct bytes){ p, n };
}

static inline struct bytes bytes_str(const char *s)
{
	return (struct bytes){ (const uint8_t *)s, strlen(s) };
}

bool bytes_equal(struct bytes a, struct bytes b); /* not for secrets: see crypto/secret.h */
bool bytes_equal_str(struct bytes a, const char *s);
bool bytes_equal_nocase(struct bytes a, struct bytes b); /* ASCII letters only */
bool bytes_has_prefix(struct bytes a, const char *prefix);
struct bytes bytes_from(struct bytes a, size_t offset); /* the rest; empty when past the end */
/* Heap copy with a terminating NUL; the caller frees. */
char *bytes_strdup(struct bytes a);
/* Copies into a C string; false when it does not fit or holds a NUL. */
bool bytes_to_cstr(struct bytes a, char *out, size_t size);

/* For printf("%.*s", BYTES_FMT(b)). */
#define BYTES_FMT(b) (int)(b).n, (const char *)(b).p

struct reader {
	const uint8_t *p;
	size_t n;
	bool bad; /* a read went past the end; every later read yields zeroes */
};

struct reader reader_of(struct bytes b);
static inline size_t reader_left(const struct reader *r)
{
	return r->bad ? 0 : r->n;
}
uint8_t read_u8(struct reader *r);
uint16_t read_be16(struct reader *r);
uint32_t read_be32(struct reader *r);
uint64_t read_be64(struct reader *r);
uint16_t read_le16(struct reader *r);
uint32_t read_le32(struct reader *r);
uint64_t read_le64(struct reader *r);
void read_copy(struct reader *r, void *out, size_t n); /* zero-fills out when bad */
struct bytes read_bytes(struct reader *r, size_t n);
struct bytes read_rest(struct reader *r);
void read_skip(struct reader *r, size_t n);

struct writer {
	uint8_t *p;
	size_t n, cap;
	bool bad; /* a write did not fit; nothing is written after it */
};

struct writer writer_of(void *p, size_t cap);
void write_u8(struct writer *w, uint8_t v);
void write_be16(struct writer *w, uint16_t v);
void write_be32(struct writer *w, uint32_t v);
void write_be64(struct writer *w, uint64_t v);
void write_le16(struct writer *w, uint16_t v);
void write_le32(struct writer *w, uint32_t v);
void write_le64(struct writer *w, uint64_t v);
void write_copy(struct writer *w, const void *p, size_t n);
void write_bytes(struct writer *w, struct bytes b);
void write_zeros(struct writer *w, size_t n);
/* Bytes written, or 0 when something did not fit. */
static inline size_t writer_done(const struct writer *w)
{
	return w->bad ? 0 : w->n;
}

/* Growable bytes. `bad` is set when max would be passed; what was there before stays. */
struct buf {
	uint8_t *p;
	size_t n, cap, max;
	bool bad;
};

void buf_init(struct buf *b, size_t max);
void buf_fini(struct buf *b);
void buf_clear(struct buf *b); /* keeps the memory */
bool buf_append(struct buf *b, struct bytes data);
bool buf_append_u8(struct buf *b, uint8_t v);
bool buf_append_str(struct buf *b, const char *s);
bool buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Room for n more bytes at b->p + b->n; the caller adds to b->n. NULL at the limit. */
uint8_t *buf_reserve(struct buf *b, size_t n);
void buf_consume(struct buf *b, size_t n); /* drops n bytes from the front */
static inline struct bytes buf_bytes(const struct buf *b)
{
	return (struct bytes){ b->p, b->n };
}
/* The content as a C string: NUL terminated, owned by b, "" when empty or at the limit. */
const char *buf_cstr(struct buf *b);
