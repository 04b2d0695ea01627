/* The tests a policy carries: what they may name, what they are held against, how they fail. */
#include "place.h"

TEST(failing_tests_say_which)
{
	struct place w;

	place_init(
	    &w,
	    "{\"tagOwners\":{\"tag:a\":[]},\n\"grants\":[{\"src\":[\"alice@example.com\"],\"dst\":"
	    "[\"tag:a\"],\"ip\":[\"tcp:22\"]}],\n\"tests\":[{\"src\":\"alice@example.com\","
	    "\"accept\":[\"tag:a:22\",\"tag:a:23\"],\"deny\":[\"tag:a:24\"]}]}");
	put(&w, 1, 1, NULL, NULL, NULL);
	put(&w, 2, 0, "tag:a", NULL, NULL);
	CHECK(!policy_run_tests(w.s, &w.report));
	CHECK_INT(w.report.errors, 1);
	CHECK_STR(policy_report_message(&w.report),
		  "test(s) failed: alice@example.com -> tag:a:23: expected ALLOWED, got DENIED");
	CHECK_INT(w.report.issues[w.report.n - 1].line, 3);
	CHECK_STR(w.report.issues[w.report.n - 1].subject, "alice@example.com");
	place_fini(&w);
}

/* The tests of a policy over one laptop, a tagged node and a router; NULL: they pass. */
static void run_tests(const char *policy, const char *want)
{
	struct place w;

	place_init(&w, policy);
	put(&w, 1, 1, NULL, NULL, NULL);
	put(&w, 2, 0, "tag:a", NULL, NULL);
	put(&w, 3, 0, "tag:r", "10.20.0.0/16", NULL);
	CHECK(policy_run_tests(w.s, &w.report) == !want);
	if (want && !CHECK(strstr(policy_report_message(&w.report), want) != NULL))
		(void)printf("# %s\n# %s\n", policy, policy_report_message(&w.report));
	place_fini(&w);
}

#define TESTED(grant, test)                                                                        \
	"{\"tagOwners\":{\"tag:a\":[],\"tag:r\":[]},\"postures\":{\"posture:p\":["                 \
	"\"node:os == 'linux'\",\"custom:tier >= 2\",\"custom:ok == true\"]},"                     \
	"\"hosts\":{\"printer\":\"10.20.0.9\",\"lan\":\"10.20.0.0/16\",\"far\":\"10.9.0.1\"},"     \
	"\"grants\":[{" grant "}],\"tests\":[{" test "}]}"

#define GUARDED                                                                                    \
	"\"src\":[\"autogroup:member\"],\"dst\":[\"tag:a\"],\"ip\":[\"tcp:22\"],"                  \
	"\"srcPosture\":[\"posture:p\"]"

/* Postures are held against what the test says, whatever the devices have. */
TEST(tests_bring_their_posture)
{
	run_tests(TESTED(GUARDED, "\"src\":\"alice@example.com\",\"accept\":[\"tag:a:22\"],"
				  "\"srcPostureAttrs\":{\"node:os\":\"linux\",\"custom:tier\":2,"
				  "\"custom:ok\":true}"),
		  NULL);
	run_tests(TESTED(GUARDED, "\"src\":\"alice@example.com\",\"accept\":[\"tag:a:22\"],"
				  "\"srcPostureAttrs\":{\"node:os\":\"linux\",\"custom:tier\":1,"
				  "\"custom:ok\":true}"),
		  "expected ALLOWED, got DENIED");
	run_tests(TESTED(GUARDED, "\"src\":\"alice@example.com\",\"deny\":[\"tag:a:22\"],"
				  "\"srcPostureAttrs\":{\"node:os\":\"linux\",\"custom:tier\":2,"
				  "\"custom:ok\":false}"),
		  NULL);
	run_tests(TESTED(GUARDED, "\"src\":\"alice@example.com\",\"deny\":[\"tag:a:22\"]"), NULL);
	run_tests(TESTED("\"src\":[\"*\"],\"dst\":[\"tag:a\"],\"ip\":[\"*\"]",
			 "\"src\":\"alice@example.com\",\"accept\":[\"tag:a:22\"]"),
		  NULL);
}

TEST(ssh_tests_bring_their_posture)
{
#define GUARDED_SSH(test)                                                                          \
	"{\"tagOwners\":{\"tag:a\":[],\"tag:r\":[]},\"postures\":{\"posture:p\":["                 \
	"\"node:os == 'linux'\"]},\"ssh\":[{\"action\":\"accept\",\"src\":[\"autogroup:member\"]," \
	"\"dst\":[\"tag:a\"],\"users\":[\"root\"],\"srcPosture\":[\"posture:p\"]}],\"sshTests\":[" \
	"{\"src\":\"alice@example.com\",\"dst\":[\"tag:a\"]," test "}]}"
	run_tests(GUARDED_SSH("\"accept\":[\"root\"],\"srcPostureAttrs\":{\"node:os\":\"linux\"}"),
		  NULL);
	run_tests(GUARDED_SSH("\"deny\":[\"root\"],\"srcPostureAttrs\":{\"node:os\":\"macos\"}"),
		  NULL);
	run_tests(GUARDED_SSH("\"accept\":[\"root\"]"), "expected ALLOWED, got DENIED");
}

#define OPEN_A(ip) "\"src\":[\"*\"],\"dst\":[\"tag:a\",\"lan\"],\"ip\":[\"" ip "\"]"

TEST(what_a_test_may_name)
{
	/* a host behind an approved subnet is a source of "*", any other address is not */
	run_tests(TESTED(OPEN_A("*"), "\"src\":\"printer\",\"accept\":[\"tag:a:22\"]"), NULL);
	run_tests(TESTED(OPEN_A("*"), "\"src\":\"far\",\"deny\":[\"tag:a:22\"]"), NULL);
	run_tests(TESTED(OPEN_A("*"),
			 "\"src\":\"tag:r\",\"accept\":[\"printer:631\","
			 "\"10.20.3.4:1\",\"100.64.0.2:9\",\"[fd7a:115c:a1e0::2]:9\"]"),
		  NULL);
	run_tests(TESTED(OPEN_A("*"), "\"user\":\"tag:r\",\"allow\":[\"tag:a:65535\"]"), NULL);
	run_tests(TESTED(OPEN_A("udp:53"), "\"src\":\"tag:r\",\"accept\":[\"tag:a:53\"]"), NULL);
	run_tests(
	    TESTED(OPEN_A("udp:53"), "\"src\":\"tag:r\",\"proto\":\"6\",\"deny\":[\"tag:a:53\"]"),
	    NULL);
	run_tests(
	    TESTED(OPEN_A("53"), "\"src\":\"tag:r\",\"proto\":\"sctp\",\"deny\":[\"tag:a:53\"]"),
	    NULL);
	run_tests(TESTED(OPEN_A("sctp:53"),
			 "\"src\":\"tag:r\",\"proto\":\"132\",\"accept\":[\"tag:a:53\"]"),
		  NULL);
	run_tests(TESTED(OPEN_A("icmp:*"),
			 "\"src\":\"tag:r\",\"proto\":\"icmp\",\"accept\":[\"tag:a:0\"]"),
		  NULL);
}

TEST(tests_that_fail_by_their_form)
{
	static const char *const bad[] = {
		"\"src\":\"tag:r\",\"accept\":[\"lan:22\"]", /* more than one address */
		"\"src\":\"tag:r\",\"deny\":[\"10.20.0.9/32:22\"]",
		"\"src\":\"tag:r\",\"deny\":[\"tag:a:1-2\"]",
		"\"src\":\"tag:r\",\"deny\":[\"tag:a:1,2\"]",
		"\"src\":\"tag:r\",\"deny\":[\"tag:a:*\"]",
		"\"src\":\"tag:r\",\"deny\":[\"tag:a:0\"]",
		"\"src\":\"tag:r\",\"deny\":[\"tag:a:-1\"]",
		"\"src\":\"tag:r\",\"deny\":[\"tag:a:65536\"]",
		"\"src\":\"tag:r\",\"deny\":[\"tag:a\"]",
		"\"src\":\"tag:r\",\"deny\":[\"\"]",
		"\"src\":\"tag:r\",\"deny\":[\"autogroup:internet:22\"]",
		"\"src\":\"tag:r\",\"deny\":[\"autogroup:self:22\"]",
		"\"src\":\"tag:r\",\"deny\":[\"tag:none:22\"]",
		"\"src\":\"tag:r\",\"deny\":[\"group:none:22\"]",
		"\"src\":\"tag:r\",\"deny\":[\"nohost:22\"]",
		"\"src\":\"tag:r\",\"deny\":[\"bob@example.com:22\"]", /* has no nodes */
		"\"src\":\"tag:r\",\"deny\":[\"nobody@example.com:22\"]",
		"\"src\":\"tag:r\",\"proto\":\"gre\",\"deny\":[\"tag:a:22\"]",
		"\"src\":\"tag:r\",\"proto\":\"icmp\",\"accept\":[\"tag:a:*\"]",
		"\"src\":\"tag:r\"",
		"\"src\":\"tag:r\",\"accept\":[],\"deny\":[]",
		"\"src\":\"\",\"deny\":[\"tag:a:22\"]",
		"\"deny\":[\"tag:a:22\"]",
		"\"src\":\"bob@example.com\",\"deny\":[\"tag:a:22\"]",
		"\"src\":\"autogroup:nosuch\",\"deny\":[\"tag:a:22\"]",
		"\"src\":\"tag:none\",\"deny\":[\"tag:a:22\"]",
	};
	char text[2048];

	for (size_t i = 0; i < array_len(bad); i++) {
		(void)snprintf(text, sizeof(text), TESTED(OPEN_A("*"), "%s"), bad[i]);
		run_tests(text, "test(s) failed");
	}
}
