#include "wire/dnsname.h"

#include <stdio.h>

enum { POINTER = 0xc0, HEADER_LEN = 12 };

static bool append_label(struct dnsname *name, struct bytes label)
{
	if (label.n == 0 || label.n > DNSNAME_LABEL_MAX || name->n + label.n + 2 > DNSNAME_MAX)
		return false;
	name->b[name->n] = (uint8_t)label.n;
	memcpy(name->b + name->n + 1, label.p, label.n);
	name->n += (uint8_t)(label.n + 1);
	return true;
}

bool dnsname_read(struct dnsname *name, struct bytes message, size_t *at)
{
	struct reader r = reader_of(bytes_from(message, *at));
	size_t start = *at, pos = start, end = 0;

	name->n = 0;
	for (;;) {
		uint8_t len = read_u8(&r);

		if (r.bad)
			return false;
		if (len == 0)
			break;
		if ((len & POINTER) == POINTER) {
			size_t to = (size_t)(len & ~POINTER) << 8 | read_u8(&r);

			if (r.bad || to >= start || to < HEADER_LEN)
				return false;
			end = end ? end : pos + 2;
			start = pos = to;
			r = reader_of(bytes_from(message, to));
			continue;
		}
		struct bytes label = read_bytes(&r, len);

		/* Above 63 without being a pointer: the two reserved kinds of label. */
		if (r.bad || !append_label(name, label))
			return false;
		pos += 1 + (size_t)len;
	}
	name->b[name->n++] = 0;
	*at = end ? end : pos + 1;
	return true;
}

bool dnsname_parse(struct dnsname *name, struct bytes text)
{
	size_t start = 0;

	name->n = 0;
	if (text.n && text.p[text.n - 1] == '.')
		text.n--;
	else if (!text.n)
		return false;
	for (size_t i = 0; i <= text.n && text.n; i++) {
		if (i < text.n && text.p[i] == '\\')
			return false;
		if (i < text.n && text.p[i] != '.')
			continue;
		if (!append_label(name, bytes_of(text.p + start, i - start)))
			return false;
		start = i + 1;
	}
	name->b[name->n++] = 0;
	return true;
}

const char *dnsname_format(const struct dnsname *name, char out[DNSNAME_TEXT_MAX])
{
	struct bytes rest = dnsname_bytes(name);
	size_t n = 0;

	for (; rest.n > 1; rest = dnsname_parent(rest)) {
		struct bytes label = dnsname_label(rest);

		for (size_t i = 0; i < label.n; i++) {
			uint8_t c = label.p[i];

			if (c > ' ' && c < 0x7f && c != '.' && c != '\\')
				out[n++] = (char)c;
			else
				n += (size_t)snprintf(out + n, 5, "\\%03u", c);
		}
		out[n++] = '.';
	}
	if (n == 0)
		out[n++] = '.';
	out[n] = 0;
	return out;
}

void dnsname_lower(struct dnsname *name)
{
	/* Lengths are below 'A', so the whole may be treated as letters. */
	for (size_t i = 0; i < name->n; i++)
		if (name->b[i] >= 'A' && name->b[i] <= 'Z')
			name->b[i] |= 0x20;
}

bool dnsname_equal(const struct dnsname *a, const struct dnsname *b)
{
	return bytes_equal_nocase(dnsname_bytes(a), dnsname_bytes(b));
}

struct bytes dnsname_parent(struct bytes name)
{
	return name.n ? bytes_from(name, 1 + (size_t)name.p[0]) : name;
}

struct bytes dnsname_label(struct bytes name)
{
	struct reader r = reader_of(name);

	return read_bytes(&r, read_u8(&r));
}

bool dnsname_is_under(struct bytes name, struct bytes suffix)
{
	while (name.n > suffix.n)
		name = dnsname_parent(name);
	return bytes_equal_nocase(name, suffix);
}
