/* What the daemon's table cannot judge. */
#include "app/weftd/options.h"

#include "base/err.h"
#include "base/mem.h"
#include "kit/kit.h"

static const char *check(const char *option, const char *value)
{
	static struct err err;
	char *argv[] = { (char *)option, (char *)value, NULL };
	struct weftd_options o;

	err = (struct err){ 0 };
	CHECK(weftd_options_parse(&o, 2, argv, &err) == 0);
	CHECK((weftd_options_check(&o, &err) < 0) == (err.text[0] != 0));
	return err.text;
}

TEST(values_that_work_are_taken)
{
	CHECK_STR(check("--tun", "fifteen-letters"), "");
	CHECK_STR(check("--tun", "none"), "");
	CHECK_STR(check("--threads", "2"), "");
	CHECK_STR(check("--verbose", "0"), "");
	CHECK_STR(check("--ca-file", "/dev/null"), "");
}

TEST(values_that_would_fail_later_fail_now)
{
	CHECK(strstr(check("--tun", "sixteen--letters"), "1 to 15 characters"));
	CHECK(strstr(check("--tun", ""), "1 to 15 characters"));
	CHECK(strstr(check("--tun", "a/b"), "'a/b'"));
	CHECK(strstr(check("--threads", "7"), "'7'"));
	CHECK(strstr(check("--threads", "1"), "0, 2 or -1"));
	CHECK(strstr(check("--verbose", "9"), "'9'"));
	CHECK(strstr(check("--ca-file", "/does/not/exist"), "/does/not/exist"));
}
