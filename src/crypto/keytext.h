/*
 * crypto/keytext.h - keys as the text that JSON, state files and people see.
 *
 * Prefix and lower-case hex. Parsing takes hex of either case, the prefix exactly. Public keys are
 * plain values; private ones are struct secret32 and have no short form.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "crypto/secret.h"

enum key_kind {
	KEY_MACHINE,   /* mkey: */
	KEY_NODE,      /* nodekey: */
	KEY_DISCO,     /* discokey: */
	KEY_CHALLENGE, /* chalpub: */
	KEY_NL,        /* nlpub: - tlpub: is read as well */
	KEY_PRIVATE,   /* privkey: - machine and node private keys, in state files only */
};

struct key { /* a public key */
	uint8_t b[32];
};

enum { KEYTEXT_MAX = 80, KEYTEXT_SHORT_MAX = 20 };

bool key_is_zero(const struct key *k);
bool key_equal(const struct key *a, const struct key *b);
bool keytext_parse(struct key *k, enum key_kind kind, struct bytes text);
const char *keytext_format(const struct key *k, enum key_kind kind, char out[KEYTEXT_MAX]);
/* For logs: "[AbCdE]", and "d:0123456789abcdef" for disco keys. */
const char *keytext_short(const struct key *k, enum key_kind kind, char out[KEYTEXT_SHORT_MAX]);

bool keytext_parse_private(struct secret32 *k, struct bytes text);
/* Writes a secret: the caller wipes out. */
void keytext_format_private(const struct secret32 *k, char out[KEYTEXT_MAX]);
