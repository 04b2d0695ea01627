#include "node/pathwhy.h"

#include "kit/kit.h"
#include "part/netcheck.h"
#include "wire/tailcfg_hostinfo.h"

TEST(pathwhy_names_the_cause_that_can_be_removed)
{
	static struct netcheck_report easy = { .udp = true, .varies_known = true },
				      hard = { .udp = true, .varies_known = true, .varies = true },
				      none;
	struct tailcfg_netinfo their_easy = { .working_udp = OPT_TRUE },
			       their_hard = { .mapping_varies_by_dest_ip = OPT_TRUE },
			       their_none = { .working_udp = OPT_FALSE };
	const struct {
		struct pathwhy_facts facts;
		enum pathwhy wanted;
	} cases[] = {
		{ { MAGIC_WHY_DIRECT, true, false, &none, &their_none }, PATHWHY_DIRECT },
		{ { MAGIC_WHY_NO_ANSWER, true, false, &easy, NULL }, PATHWHY_OFFLINE },
		{ { MAGIC_WHY_IDLE, false, false, &easy, NULL }, PATHWHY_IDLE },
		{ { MAGIC_WHY_IDLE, false, false, &none, NULL }, PATHWHY_NO_UDP },
		{ { MAGIC_WHY_SEEKING, false, false, &easy, &their_none }, PATHWHY_PEER_NO_UDP },
		{ { MAGIC_WHY_SEEKING, false, false, NULL, NULL }, PATHWHY_SEEKING },
		{ { MAGIC_WHY_NO_ANSWER, false, false, &hard, &their_hard }, PATHWHY_HARD_BOTH },
		{ { MAGIC_WHY_NO_ANSWER, false, false, &hard, &their_easy }, PATHWHY_HARD_HERE },
		{ { MAGIC_WHY_NO_ANSWER, false, false, &easy, &their_hard }, PATHWHY_HARD_THERE },
		{ { MAGIC_WHY_NO_ANSWER, false, false, &easy, &their_easy }, PATHWHY_NO_ANSWER },
		{ { MAGIC_WHY_NO_ANSWER, false, true, &easy, NULL }, PATHWHY_NO_PUBLIC },
		{ { MAGIC_WHY_NO_ADDRESS, false, false, NULL, NULL }, PATHWHY_NO_ADDRESS },
		{ { MAGIC_WHY_LOST, false, false, &hard, NULL }, PATHWHY_LOST },
		{ { MAGIC_WHY_NO_DISCO, false, false, &none, NULL }, PATHWHY_NO_DISCO },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CHECK_STR(pathwhy_code(pathwhy_of(&cases[i].facts)), pathwhy_code(cases[i].wanted));
	CHECK_STR(pathwhy_advice(PATHWHY_DIRECT), "");
	CHECK(*pathwhy_sentence(PATHWHY_LOST) != '\0');
}
