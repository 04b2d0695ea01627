#include "app/tunnel/owners.h"

#include "kit/kit.h"

TEST(an_owner_comes_back_only_after_its_rest)
{
	struct owners o = { 0 };
	uint32_t a, b, c;

	CHECK(owners_take(&o, 3, &a) && owners_take(&o, 3, &b) && a != b);
	CHECK(!owners_rest(&o));
	owners_give_back(&o, a);
	CHECK(owners_take(&o, 3, &c) && c != a && c != b);
	CHECK(!owners_take(&o, 3, &c));
	CHECK(owners_rest(&o) && !owners_take(&o, 3, &c));
	/* What is given back meanwhile waits for a rest of its own. */
	owners_give_back(&o, b);
	CHECK(!owners_rest(&o));
	owners_rested(&o);
	CHECK(owners_take(&o, 3, &c) && c == a && !owners_take(&o, 3, &c));
	CHECK(owners_rest(&o));
	owners_rested(&o);
	CHECK(owners_take(&o, 3, &c) && c == b);
	owners_fini(&o);
}

TEST(numbers_stay_below_twice_the_most_peers_there_were)
{
	struct owners o = { 0 };
	uint32_t owner, most = 0;

	for (int i = 0; i < 10000; i++) {
		CHECK(owners_take(&o, 1 << 18, &owner));
		most = owner > most ? owner : most;
		owners_give_back(&o, owner);
		if (owners_rest(&o))
			owners_rested(&o);
	}
	CHECK(most < 2);
	owners_fini(&o);
}
