#include "wire/dnsname.h"

#include <stdio.h>

#include "kit/kit.h"

static bool parse(struct dnsname *n, const char *text)
{
	return dnsname_parse(n, bytes_str(text));
}

TEST(dnsname_text_both_ways)
{
	char text[DNSNAME_TEXT_MAX];
	struct dnsname n, m;

	CHECK(parse(&n, "Host.Example") && n.n == 14);
	CHECK_STR(dnsname_format(&n, text), "Host.Example.");
	CHECK(parse(&m, "hOST.example.") && dnsname_equal(&n, &m));
	CHECK(parse(&n, ".") && n.n == 1);
	CHECK_STR(dnsname_format(&n, text), ".");
	CHECK(!parse(&n, "") && !parse(&n, "a..b") && !parse(&n, ".a") && !parse(&n, "a\\.b"));
	CHECK(!parse(&n, "..") && !parse(&n, "a.."));
	n = (struct dnsname){ 4, { 2, 'a', '.', 0 } };
	CHECK_STR(dnsname_format(&n, text), "a\\046.");
}

TEST(dnsname_limits)
{
	char text[300];
	struct dnsname n;

	memset(text, 'a', sizeof(text));
	CHECK(dnsname_parse(&n, bytes_of(text, 63)) && !dnsname_parse(&n, bytes_of(text, 64)));
	for (size_t i = 63; i < sizeof(text); i += 64)
		text[i] = '.';
	/* 63 + 1 three times, then 61: 253 characters are 255 bytes. */
	CHECK(dnsname_parse(&n, bytes_of(text, 253)) && n.n == 255);
	CHECK(!dnsname_parse(&n, bytes_of(text, 254)));
}

TEST(dnsname_pointers_lead_back_only)
{
	/* Header; "ab." at 12; "c" + pointer at 16; a loop at 20; a pointer forward at 22. */
	struct bytes m = kit_hex("000000000000000000000000"
				 "02616200"
				 "0163c00c"
				 "c014"
				 "c01a"
				 "0000"
				 "016400");
	char text[DNSNAME_TEXT_MAX];
	struct dnsname n;
	size_t at = 16;

	CHECK(dnsname_read(&n, m, &at) && at == 20);
	CHECK_STR(dnsname_format(&n, text), "c.ab.");
	at = 20;
	CHECK(!dnsname_read(&n, m, &at));
	at = 22;
	CHECK(!dnsname_read(&n, m, &at));
	/* Into the header. */
	at = 12;
	CHECK(!dnsname_read(&n, kit_hex("016100000000000000000000c000"), &at));
	/* A label, then a pointer to that label: grows for ever if followed. */
	at = 12;
	CHECK(!dnsname_read(&n, kit_hex("0000000000000000000000000161c00c"), &at));
	/* Reserved label kinds. */
	at = 12;
	CHECK(!dnsname_read(&n, kit_hex("0000000000000000000000004161"), &at));
	at = 99;
	CHECK(!dnsname_read(&n, m, &at));
}

TEST(dnsname_chain_of_pointers_ends_at_255_bytes)
{
	uint8_t m[12 + 65 + 80 * 3] = { 0 };
	size_t n = 12, last = 12, at;
	struct dnsname name;
	int good = 0;

	m[n] = 63;
	n += 65;
	for (int i = 0; i < 80; i++) { /* each: one label of... none, only its pointer back */
		m[n] = 0xc0 | (uint8_t)(last >> 8);
		m[n + 1] = (uint8_t)last;
		last = n;
		n += 2;
	}
	at = last;
	CHECK(dnsname_read(&name, bytes_of(m, n), &at) && name.n == 65 && at == last + 2);
	/* Now with labels: "x" and a pointer back, until too long. */
	for (n = 77, last = 12; n + 4 <= sizeof(m); last = n, n += 4) {
		m[n] = 1;
		m[n + 1] = 'x';
		m[n + 2] = 0xc0 | (uint8_t)(last >> 8);
		m[n + 3] = (uint8_t)last;
		at = n;
		good += dnsname_read(&name, bytes_of(m, sizeof(m)), &at);
	}
	CHECK_INT(good, 60);
	CHECK_INT(name.n <= 255, true);
}

TEST(dnsname_suffixes)
{
	struct dnsname n, s, other;

	parse(&n, "a.B.example");
	parse(&s, "b.Example");
	parse(&other, "xb.example");
	CHECK(dnsname_is_under(dnsname_bytes(&n), dnsname_bytes(&s)));
	CHECK(dnsname_is_under(dnsname_bytes(&s), dnsname_bytes(&s)));
	CHECK(!dnsname_is_under(dnsname_bytes(&s), dnsname_bytes(&n)));
	CHECK(!dnsname_is_under(dnsname_bytes(&other), dnsname_bytes(&s)));
	CHECK(bytes_equal_str(dnsname_label(dnsname_bytes(&n)), "a"));
}
