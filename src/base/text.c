#include "base/text.h"

static const char hex_digits[] = "0123456789abcdef";
static const char base64_std[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const char base32_std[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

void text_hex(struct bytes in, char *out)
{
	for (size_t i = 0; i < in.n; i++) {
		*out++ = hex_digits[in.p[i] >> 4];
		*out++ = hex_digits[in.p[i] & 15];
	}
	*out = '\0';
}

static int hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool text_unhex(struct bytes in, void *out, size_t n)
{
	uint8_t *o = out;

	if (in.n != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (hex_value(in.p[2 * i]) < 0 || hex_value(in.p[2 * i + 1]) < 0)
			return false;
	for (size_t i = 0; i < n; i++)
		o[i] = (uint8_t)(hex_value(in.p[2 * i]) << 4 | hex_value(in.p[2 * i + 1]));
	return true;
}

void text_base64(enum text_base64 kind, struct bytes in, char *out)
{
	const char *alphabet = kind == BASE64_URL ? base64_url : base64_std;

	for (size_t i = 0; i < in.n; i += 3) {
		size_t left = in.n - i;
		uint32_t v = (uint32_t)in.p[i] << 16;

		if (left > 1)
			v |= (uint32_t)in.p[i + 1] << 8;
		if (left > 2)
			v |= in.p[i + 2];
		*out++ = alphabet[v >> 18];
		*out++ = alphabet[v >> 12 & 63];
		if (left > 1)
			*out++ = alphabet[v >> 6 & 63];
		else if (kind == BASE64_STD)
			*out++ = '=';
		if (left > 2)
			*out++ = alphabet[v & 63];
		else if (kind == BASE64_STD)
			*out++ = '=';
	}
	*out = '\0';
}

static int digit_value(const char *alphabet, size_t n, uint8_t c)
{
	const char *at = c ? memchr(alphabet, c, n) : NULL;

	return at ? (int)(at - alphabet) : -1;
}

bool text_unbase64(enum text_base64 kind, struct bytes in, struct buf *out)
{
	const char *alphabet = kind == BASE64_URL ? base64_url : base64_std;
	size_t start = out->n;
	uint32_t acc = 0;
	unsigned bits = 0;

	if (kind == BASE64_STD) {
		if (in.n % 4)
			return false;
		for (int i = 0; i < 2 && in.n && in.p[in.n - 1] == '='; i++)
			in.n--;
	}
	if (in.n % 4 == 1)
		return false;
	for (size_t i = 0; i < in.n; i++) {
		int v = digit_value(alphabet, 64, in.p[i]);

		if (v < 0)
			goto bad;
		acc = acc << 6 | (uint32_t)v;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			if (!buf_append_u8(out, (uint8_t)(acc >> bits)))
				goto bad;
			acc &= (1u << bits) - 1;
		}
	}
	if (acc == 0)
		return true; /* else bits beyond the last byte: another spelling of the same bytes
			      */
bad:
	out->n = start;
	return false;
}

void text_base32(struct bytes in, char *out)
{
	uint32_t acc = 0;
	unsigned bits = 0;

	for (size_t i = 0; i < in.n; i++) {
		acc = acc << 8 | in.p[i];
		for (bits += 8; bits >= 5; bits -= 5)
			*out++ = base32_std[acc >> (bits - 5) & 31];
		acc &= (1u << bits) - 1;
	}
	if (bits)
		*out++ = base32_std[acc << (5 - bits) & 31];
	*out = '\0';
}

bool text_unbase32(struct bytes in, void *out, size_t n)
{
	uint8_t *o = out;
	uint32_t acc = 0;
	unsigned bits = 0;
	size_t done = 0;

	if (in.n != TEXT_BASE32_LEN(n))
		return false;
	for (size_t i = 0; i < in.n; i++) {
		int v = digit_value(base32_std, 32, in.p[i]);

		if (v < 0)
			return false;
		acc = acc << 5 | (uint32_t)v;
		bits += 5;
		if (bits >= 8) {
			bits -= 8;
			o[done++] = (uint8_t)(acc >> bits);
			acc &= (1u << bits) - 1;
		}
	}
	return done == n && acc == 0;
}

size_t text_utf8(struct bytes in, uint32_t *cp)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t v;
	size_t n;

	if (!in.n)
		return 0;
	v = in.p[0];
	if (v < 0x80) {
		*cp = v;
		return 1;
	}
	n = v >= 0xf0 && v < 0xf8 ? 4 : v >= 0xe0 && v < 0xf0 ? 3 : v >= 0xc0 && v < 0xe0 ? 2 : 0;
	if (!n || in.n < n)
		return 0;
	v &= 0xffu >> (n + 1);
	for (size_t i = 1; i < n; i++) {
		if ((in.p[i] & 0xc0) != 0x80)
			return 0;
		v = v << 6 | (in.p[i] & 0x3f);
	}
	if (v < least[n] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
		return 0;
	*cp = v;
	return n;
}

size_t text_utf8_encode(uint32_t cp, uint8_t out[4])
{
	size_t n = cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;

	if (n == 1) {
		out[0] = (uint8_t)cp;
		return 1;
	}
	for (size_t i = n; i > 1; i--, cp >>= 6)
		out[i - 1] = (uint8_t)(0x80 | (cp & 0x3f));
	out[0] = (uint8_t)(0xf00 >> n | cp);
	return n;
}

bool text_is_utf8(struct bytes in)
{
	uint32_t cp;

	while (in.n) {
		size_t n = text_utf8(in, &cp);

		if (!n)
			return false;
		in = bytes_from(in, n);
	}
	return true;
}

bool text_u64(struct bytes in, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	if (!in.n || (in.n > 1 && in.p[0] == '0'))
		return false;
	for (size_t i = 0; i < in.n; i++) {
		unsigned d = in.p[i] - (unsigned)'0';

		if (d > 9 || v > (max - d) / 10 || d > max)
			return false;
		v = v * 10 + d;
	}
	*out = v;
	return true;
}

bool text_split(struct bytes *rest, uint8_t sep, struct bytes *piece)
{
	const uint8_t *at;

	if (!rest->p)
		return false;
	at = rest->n ? memchr(rest->p, sep, rest->n) : NULL;
	*piece = *rest;
	if (!at) {
		*rest = bytes_of(NULL, 0);
		return true;
	}
	piece->n = (size_t)(at - rest->p);
	rest->p += piece->n + 1;
	rest->n -= piece->n + 1;
	return true;
}

static bool is_space(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

struct bytes text_trim(struct bytes in)
{
	while (in.n && is_space(in.p[0])) {
		in.p++;
		in.n--;
	}
	while (in.n && is_space(in.p[in.n - 1]))
		in.n--;
	return in;
}

bool text_word(struct bytes *rest, struct bytes *word)
{
	size_t from = 0, to;

	while (from < rest->n && is_space(rest->p[from]))
		from++;
	to = from;
	while (to < rest->n && !is_space(rest->p[to]))
		to++;
	*word = bytes_of(to > from ? rest->p + from : NULL, to - from);
	*rest = bytes_from(*rest, to);
	return word->n > 0;
}

size_t text_distance(struct bytes a, struct bytes b)
{
	enum { MAX = 64 };
	size_t rows[3][MAX + 1];
	size_t *before = rows[0], *last = rows[1], *now = rows[2];

	if (a.n > MAX || b.n > MAX)
		return MAX;
	for (size_t j = 0; j <= b.n; j++)
		last[j] = j;
	for (size_t i = 1; i <= a.n; i++) {
		size_t *spare = before;

		now[0] = i;
		for (size_t j = 1; j <= b.n; j++) {
			size_t best = last[j - 1] + (a.p[i - 1] != b.p[j - 1]);

			if (last[j] + 1 < best)
				best = last[j] + 1;
			if (now[j - 1] + 1 < best)
				best = now[j - 1] + 1;
			if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] &&
			    a.p[i - 2] == b.p[j - 1] && before[j - 2] + 1 < best)
				best = before[j - 2] + 1;
			now[j] = best;
		}
		before = last;
		last = now;
		now = spare;
	}
	return last[b.n];
}

void text_html(struct buf *b, struct bytes text)
{
	for (size_t i = 0; i < text.n; i++)
		switch (text.p[i]) {
		case '<':
			(void)buf_append_str(b, "&lt;");
			break;
		case '>':
			(void)buf_append_str(b, "&gt;");
			break;
		case '&':
			(void)buf_append_str(b, "&amp;");
			break;
		case '"':
			(void)buf_append_str(b, "&quot;");
			break;
		default:
			(void)buf_append_u8(b, text.p[i]);
		}
}
