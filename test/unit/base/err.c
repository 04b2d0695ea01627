#include "base/err.h"

#include <errno.h>

#include "kit/kit.h"

TEST(context_stands_in_front)
{
	struct err err;

	errno = ECONNREFUSED;
	CHECK(err_sys(&err, "connect %s", "192.0.2.7:443") == -1);
	CHECK(err.code == ERR_SYSTEM && err.sys == ECONNREFUSED);
	CHECK(err_wrap(&err, "register node %s", "db1") == -1);
	CHECK_STR(err.text, "register node db1: connect 192.0.2.7:443: Connection refused");
	CHECK(err_set(NULL, ERR_LIMIT, "nobody listens") == -1);
}

TEST(long_text_is_cut_not_overrun)
{
	struct err err;

	(void)err_set(&err, ERR_LIMIT, "%0300d", 1);
	CHECK(strlen(err.text) == sizeof(err.text) - 1);
	(void)err_wrap(&err, "outer");
	CHECK(strncmp(err.text, "outer: 000", 10) == 0);
}
