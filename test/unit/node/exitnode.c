#include "node/exitnode.h"

#include "base/err.h"
#include "base/rand.h"
#include "kit/kit.h"
#include "maps.h"
#include "part/netcheck.h"

#define BOTH ",\"0.0.0.0/0\",\"::/0\""
#define CAN ",\"Online\":true,\"CapMap\":{\"suggest-exit-node\":null}"

static int64_t suggested(const char *self, const char *peers, const struct netcheck_report *report,
			 const char *previous, struct err *err)
{
	struct netmap *m = maps_make(self, peers);
	struct rng rng = rng_seeded(7);
	const struct tailcfg_node *n = exitnode_suggest(m, report, bytes_str(previous), &rng, err);
	int64_t id = n ? n->id : 0;

	netmap_unref(m);
	return id;
}

TEST(exitnode_suggests_only_what_can_and_may)
{
	static struct netcheck_report report = { .preferred = 1 };
	struct err err;

	CHECK_INT(suggested("", MAPS_PEER(2, "", CAN), &report, "", &err), 0);
	CHECK_INT(err.code, ERR_NONE);
	CHECK_INT(suggested("", MAPS_PEER(2, ",\"0.0.0.0/0\"", CAN), &report, "", &err), 0);
	CHECK_INT(suggested("", MAPS_PEER(2, BOTH, ",\"Online\":true"), &report, "", &err), 0);
	CHECK_INT(
	    suggested("",
		      MAPS_PEER(2, BOTH, ",\"CapMap\":{\"suggest-exit-node\":null}") "," MAPS_PEER(
			  3, BOTH, CAN),
		      NULL, "", &err),
	    3);
	CHECK(!exitnode_suggest(NULL, NULL, bytes_str(""), NULL, &err));
	CHECK_STR(err.text, "no network map, try again later");
}

TEST(exitnode_takes_the_nearest_region_and_stays_with_it)
{
	static struct netcheck_report report = { .regions = { { 1, 30000000, 0 },
							      { 2, 0, 9000000 } },
						 .region_count = 2,
						 .preferred = 2 };
	const char *peers =
	    MAPS_PEER(2, BOTH, CAN) "," MAPS_PEER(3, BOTH, CAN) "," MAPS_PEER(4, BOTH, CAN);
	struct err err;

	CHECK_INT(suggested("", peers, &report, "n3", &err), 3);
	CHECK_INT(suggested("", peers, &report, "n4", &err), 4);
	CHECK(suggested("", peers, &report, "", &err) >= 2);
	CHECK_INT(suggested("", peers, NULL, "", &err), 0);
	CHECK_STR(err.text, "no preferred DERP, try again later");
}

TEST(exitnode_steering_takes_the_highest_priority)
{
	const char *self = ",\"CapMap\":{\"traffic-steering\":null}";
	const char *peers =
	    MAPS_PEER(2, BOTH, CAN ",\"Hostinfo\":{\"Location\":{\"Priority\":5}}") "," MAPS_PEER(
		3, BOTH,
		CAN
		",\"Hostinfo\":{\"Location\":{\"Priority\":9}}") "," MAPS_PEER(4, BOTH,
									       CAN
									       ",\"Hostinfo\":{"
									       "\"Location\":{"
									       "\"Priority\":9}}");
	struct err err;
	int64_t id = suggested(self, peers, NULL, "n2", &err);

	CHECK(id == 3 || id == 4);
	/* The same every time. */
	CHECK_INT(suggested(self, peers, NULL, "", &err), id);
}
