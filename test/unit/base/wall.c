#include "base/wall.h"

#include "kit/kit.h"

static int64_t seconds(const char *text)
{
	struct wall t = { -1 };

	CHECK(wall_parse(&t, bytes_str(text)));
	return wall_s(t);
}

TEST(rfc3339)
{
	char out[WALL_TEXT_MAX];
	struct wall t;

	CHECK_INT(seconds("1970-01-01T00:00:00Z"), 0);
	CHECK_INT(seconds("2026-01-02T03:04:05Z"), 1767323045);
	CHECK_INT(seconds("2026-01-02T05:04:05+02:00"), 1767323045);
	CHECK_INT(seconds("2024-02-29T23:59:59Z"), 1709251199);
	CHECK_INT(seconds("1969-12-31T23:59:59Z"), -1);
	CHECK(wall_parse(&t, bytes_str("2026-01-02T03:04:05.120Z")));
	CHECK_STR(wall_format(t, out), "2026-01-02T03:04:05.12Z");
	CHECK_STR(wall_format(wall_from_s(123), out), "1970-01-01T00:02:03Z");
}

TEST(the_zero_time_of_go)
{
	char out[WALL_TEXT_MAX];
	struct wall t;

	CHECK(wall_parse(&t, bytes_str("0001-01-01T00:00:00Z")) && t.ns == INT64_MIN);
	CHECK_STR(wall_format(t, out), "0001-01-01T00:00:00Z");
}

TEST(malformed_times_are_refused)
{
	static const char *const bad[] = {
		"",
		"2026-01-02",
		"2026-01-02T03:04:05",
		"2026-13-02T03:04:05Z",
		"2026-01-32T03:04:05Z",
		"2026-01-02T24:04:05Z",
		"2026-01-02T03:04:05.Z",
		"2026-01-02T03:04:05Zx",
		"2026-01-02 03:04:05Z",
		"2026-01-02T03:04:05+2:00",
		"x026-01-02T03:04:05Z",
	};
	struct wall t;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(!wall_parse(&t, bytes_str(bad[i])));
}
