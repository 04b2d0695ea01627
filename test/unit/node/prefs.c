/* Masked edits of preferences: only what the mask names changes. */
#include "node/prefs.h"

#include "base/err.h"
#include "kit/kit.h"

static struct prefs *edit(const char *masked, struct err *err)
{
	struct prefs *p = prefs_create(), *q = prefs_edit(p, bytes_str(masked), err);

	prefs_destroy(p);
	return q;
}

TEST(defaults_are_those_of_the_original)
{
	struct prefs *p = prefs_create();

	CHECK(p->v.corp_dns && !p->v.route_all && !p->v.want_running);
	CHECK_INT(p->v.netfilter_mode, 2);
	CHECK_INT(p->v.no_stateful_filtering, OPT_TRUE);
	prefs_destroy(p);
}

TEST(a_member_without_its_mask_is_ignored)
{
	struct err err;
	struct prefs *p = edit("{\"Hostname\":\"x\",\"RouteAll\":true,\"RouteAllSet\":true}", &err);

	CHECK_INT(p->v.hostname.n, 0);
	CHECK(p->v.route_all && p->v.corp_dns);
	prefs_destroy(p);
}

TEST(a_mask_without_its_member_means_zero)
{
	struct err err;
	struct prefs *p = edit("{\"CorpDNSSet\":true}", &err);

	CHECK(!p->v.corp_dns);
	prefs_destroy(p);
}

TEST(inner_objects_have_inner_masks)
{
	struct err err;
	struct prefs *p = edit("{\"AutoUpdate\":{\"Check\":false,\"Apply\":true},"
			       "\"AutoUpdateSet\":{\"ApplySet\":true}}",
			       &err);

	CHECK(bytes_equal_str(p->v.auto_update, "{\"Check\":true,\"Apply\":true}"));
	prefs_destroy(p);
}

TEST(refusals_say_why)
{
	static const char *const cases[][2] = {
		{ "{\"InternalExitNodePriorSet\":true}", "can't set Internal fields" },
		{ "{\"AdvertiseRoutes\":[\"10.0.0.1/8\"],\"AdvertiseRoutesSet\":true}",
		  "route 10.0.0.1/8 has non-address bits set; expected 10.0.0.0/8" },
		{ "{\"AdvertiseTags\":[\"x\"],\"AdvertiseTagsSet\":true}",
		  "'x' is no tag: say tag:name" },
		{ "{\"RunSSH\":true,\"RunSSHSet\":true}", "this daemon has no SSH server" },
		{ "[]", "the edit must be a JSON object" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = { 0 };

		CHECK(!edit(cases[i][0], &err));
		CHECK_STR(err.text, cases[i][1]);
	}
}
