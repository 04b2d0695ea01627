/*
 * wire/dnsname.h - domain names as they travel: length-prefixed labels, root included, no pointers.
 *
 * Case is kept as it came; comparing ignores it. (RFC 1035 3.1, 4.1.4; RFC 4343)
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

enum {
	DNSNAME_MAX = 255, /* bytes on the wire, the root's zero included */
	DNSNAME_LABEL_MAX = 63,
	DNSNAME_TEXT_MAX = 4 * DNSNAME_MAX + 2, /* every byte as \DDD, NUL */
};

struct dnsname {
	uint8_t n; /* at least 1: the root */
	uint8_t b[DNSNAME_MAX];
};

static inline struct bytes dnsname_bytes(const struct dnsname *name)
{
	return (struct bytes){ name->b, name->n };
}

/*
 * Reads the name at *at of a message and moves *at behind it. A pointer must lead to before the
 * labels it was read from, so that neither a loop nor a pointer forward is possible.
 */
bool dnsname_read(struct dnsname *name, struct bytes message, size_t *at);
/* "a.example" or "a.example."; "." is the root. No escapes: a backslash is refused. */
bool dnsname_parse(struct dnsname *name, struct bytes text);
/* Ends with a dot; bytes that are not printable come as \DDD. */
const char *dnsname_format(const struct dnsname *name, char out[DNSNAME_TEXT_MAX]);
void dnsname_lower(struct dnsname *name); /* for keys of maps */
bool dnsname_equal(const struct dnsname *a, const struct dnsname *b);

/* On names in wire form. The name without its first label; empty behind the root. */
struct bytes dnsname_parent(struct bytes name);
struct bytes dnsname_label(struct bytes name); /* the first label; empty for the root */
bool dnsname_is_under(struct bytes name, struct bytes suffix); /* equal counts */
