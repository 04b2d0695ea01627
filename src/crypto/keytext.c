#include "crypto/keytext.h"

#include <stdio.h>

#include "base/text.h"

static const char *const prefixes[] = {
	[KEY_MACHINE] = "mkey:",      [KEY_NODE] = "nodekey:", [KEY_DISCO] = "discokey:",
	[KEY_CHALLENGE] = "chalpub:", [KEY_NL] = "nlpub:",     [KEY_PRIVATE] = "privkey:",
};

bool key_is_zero(const struct key *k)
{
	static const struct key zero;

	return memcmp(k, &zero, sizeof(zero)) == 0;
}

bool key_equal(const struct key *a, const struct key *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static bool parse(uint8_t out[32], const char *prefix, struct bytes text)
{
	return bytes_has_prefix(text, prefix) &&
	       text_unhex(bytes_from(text, strlen(prefix)), out, 32);
}

bool keytext_parse(struct key *k, enum key_kind kind, struct bytes text)
{
	return parse(k->b, prefixes[kind], text) || (kind == KEY_NL && parse(k->b, "tlpub:", text));
}

static void format(const uint8_t key[32], enum key_kind kind, char out[KEYTEXT_MAX])
{
	size_t n = strlen(prefixes[kind]);

	memcpy(out, prefixes[kind], n);
	text_hex(bytes_of(key, 32), out + n);
}

const char *keytext_format(const struct key *k, enum key_kind kind, char out[KEYTEXT_MAX])
{
	format(k->b, kind, out);
	return out;
}

const char *keytext_short(const struct key *k, enum key_kind kind, char out[KEYTEXT_SHORT_MAX])
{
	char text[TEXT_BASE64_LEN(32) + 1];

	if (kind == KEY_DISCO) {
		text_hex(bytes_of(k->b, 8), text);
		(void)snprintf(out, KEYTEXT_SHORT_MAX, "d:%.16s", text);
	} else {
		text_base64(BASE64_STD, bytes_of(k->b, 32), text);
		(void)snprintf(out, KEYTEXT_SHORT_MAX, "[%.5s]", text);
	}
	return out;
}

bool keytext_parse_private(struct secret32 *k, struct bytes text)
{
	return parse(k->b, prefixes[KEY_PRIVATE], text);
}

void keytext_format_private(const struct secret32 *k, char out[KEYTEXT_MAX])
{
	format(k->b, KEY_PRIVATE, out);
}
