#include "os/ipconf.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "kit/kit.h"
#include "netns.h"

static void set(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
	f = fopen(path, "w");
	if (!f)
		kit_skip("the kernel's switches cannot be changed here");
	(void)fputs(text, f);
	(void)fclose(f);
}

TEST(ipconf_sees_forwarding)
{
	struct ipconf now;

	netns_enter();
	set("ipv4/conf/all/forwarding", "0");
	ipconf_look(&now);
	CHECK(!now.forward4 && !now.some4);
	set("ipv4/conf/all/forwarding", "1");
	ipconf_look(&now);
	CHECK(now.forward4);
	set("ipv6/conf/all/disable_ipv6", "1");
	ipconf_look(&now);
	CHECK(!now.ipv6);
}

static void any(void *arg, const char *name)
{
	CHECK(*name);
	++*(unsigned *)arg;
}

TEST(ipconf_does_not_ask_interfaces_that_look_at_marks_already)
{
	struct err err = { 0 };
	unsigned n = 0;

	netns_enter();
	set("ipv4/conf/all/rp_filter", "1");
	set("ipv4/conf/all/src_valid_mark", "1");
	ipconf_strict(any, &n);
	CHECK_INT(n, 0);
	CHECK(ipconf_set_mark_check("../all", true, &err) < 0);
	CHECK(ipconf_set_mark_check("a/b", true, &err) < 0);
	CHECK(ipconf_set_mark_check("", true, &err) < 0);
	CHECK(ipconf_set_mark_check("lo", true, &err) == 0);
}
