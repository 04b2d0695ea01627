/* base/text.h - bytes as text: hex, base64, base32, UTF-8, numbers. Strict in, canonical out. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

#define TEXT_HEX_LEN(n) (2 * (n))
#define TEXT_BASE64_LEN(n) (((n) + 2) / 3 * 4)

/* Encoders write a terminating NUL; out holds at least the length above + 1. */
void text_hex(struct bytes in, char *out);
/* Exactly n bytes from exactly 2n digits of either case. */
bool text_unhex(struct bytes in, void *out, size_t n);

enum text_base64 {
	BASE64_STD, /* + / with padding */
	BASE64_STD_NOPAD,
	BASE64_URL, /* - _ without padding */
};

void text_base64(enum text_base64 kind, struct bytes in, char *out);
/* Appends the bytes to out. Refuses white space, bad padding and non-canonical last digits. */
bool text_unbase64(enum text_base64 kind, struct bytes in, struct buf *out);

/* RFC 4648 base32 with the standard alphabet and no padding. */
#define TEXT_BASE32_LEN(n) (((n)*8 + 4) / 5)
void text_base32(struct bytes in, char *out);
bool text_unbase32(struct bytes in, void *out, size_t n);

/* Length 1-4 of the valid UTF-8 sequence at the start, its code point in *cp; 0 when it is not one.
 */
size_t text_utf8(struct bytes in, uint32_t *cp);
size_t text_utf8_encode(uint32_t cp, uint8_t out[4]);
bool text_is_utf8(struct bytes in);

/* Whole text is a decimal number in range; no sign, no spaces, no leading zero but "0". */
bool text_u64(struct bytes in, uint64_t max, uint64_t *out);

/* The next piece up to sep, taken off the front of *rest; false when *rest was used up. */
bool text_split(struct bytes *rest, uint8_t sep, struct bytes *piece);
struct bytes text_trim(struct bytes in); /* ASCII white space at both ends */
/* The next word between ASCII white space, taken off the front of *rest; false when none is left.
 */
bool text_word(struct bytes *rest, struct bytes *word);

/* Edits (insert, delete, replace, swap) between two words; for "did you mean". Words over 64
 * bytes: 64. */
size_t text_distance(struct bytes a, struct bytes b);

/* Appends text as it stands in HTML, in elements and in quoted attributes. */
void text_html(struct buf *b, struct bytes text);
