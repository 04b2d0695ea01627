#include "wire/ts2021.h"

#include "kit/kit.h"

TEST(frame_split_lengths)
{
	struct ts2021_frame f;

	CHECK(ts2021_frame_split(&f, kit_hex("0400")) == TS2021_MORE);
	CHECK(ts2021_frame_split(&f, kit_hex("04000f")) == TS2021_BAD);
	CHECK(ts2021_frame_split(&f, kit_hex("040010")) == TS2021_MORE);
	CHECK(ts2021_frame_split(&f, kit_hex("040ffd")) == TS2021_MORE); /* 4096 in all */
	CHECK(ts2021_frame_split(&f, kit_hex("040ffe")) == TS2021_BAD);
	CHECK(ts2021_frame_split(&f, kit_hex("02002f")) == TS2021_BAD);
	CHECK(ts2021_frame_split(&f, kit_hex("010000")) == TS2021_BAD);
	CHECK(ts2021_frame_split(&f, kit_hex("0300026162ff")) == TS2021_FRAME);
	CHECK(f.type == TS2021_ERROR && f.size == 5 && bytes_equal_str(f.body, "ab"));
}

TEST(early_header)
{
	uint8_t out[TS2021_EARLY_HEADER_LEN];
	uint32_t n;

	ts2021_early_encode(95, out);
	CHECK(bytes_equal(bytes_of(out, sizeof(out)), kit_hex("ffffff54530000005f")));
	CHECK(ts2021_early_decode(kit_copy(bytes_of(out, sizeof(out))), &n) && n == 95);
	CHECK(!ts2021_early_decode(kit_hex("000000040000000000"), &n)); /* SETTINGS */
	for (size_t i = 0; i < sizeof(out); i++)
		CHECK(!ts2021_early_decode(kit_copy(bytes_of(out, i)), &n));
}
