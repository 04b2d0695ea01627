/* Policies that are wrong, each in a way of its own: refused, and the words say what is meant. */
#include "base/json.h"
#include "engine/policy/policy.h"
#include "kit/kit.h"

static void refuse(const char *text, const char *says)
{
	struct policy_directory dir = { 0 };
	struct policy_report report;
	struct policy *p;
	struct json_out o;
	struct buf buf;

	policy_report_init(&report);
	p = policy_compile(kit_copy(bytes_str(text)), &dir, &report);
	CHECK(!p);
	if (!CHECK(strstr(policy_report_message(&report), says) != NULL))
		CHECK_STR(policy_report_message(&report), says);
	buf_init(&buf, 1 << 16);
	json_out_init(&o, &buf);
	policy_report_encode(&report, &o);
	CHECK(strstr(buf_cstr(&buf), "\"message\":") != NULL);
	buf_fini(&buf);
	policy_unref(p);
	policy_report_fini(&report);
}

TEST(members_of_the_wrong_kind)
{
	refuse("{\"ipsets\":[]}", "ipsets");
	refuse("{\"ipsets\":{\"ipset:a\":{}}}", "must be an array");
	refuse("{\"ipsets\":{\"ipset:a\":[1]}}", "type not supported");
	refuse("{\"ipsets\":{\"office\":[]}}", "must start with 'ipset:'");
	refuse("{\"randomizeClientPort\":\"yes\"}", "randomizeClientPort");
	refuse("{\"disableIPv4\":1}", "disableIPv4");
	refuse("{\"derpMap\":[]}", "derpMap");
	refuse("{\"OneCGNATRoute\":\"sometimes\"}", "unknown value");
	refuse("{\"groups\":{\"group:a\":[1]}}", "expected string");
}

TEST(protocols_and_ports)
{
#define ACL(proto, dst)                                                                            \
	"{\"acls\":[{\"action\":\"accept\",\"src\":[\"*\"],\"proto\":\"" proto                     \
	"\",\"dst\":[\"*:" dst "\"]}]}"
	refuse(ACL("06", "22"), "leading 0");
	refuse(ACL("256", "22"), "out of range");
	refuse(ACL("tpc", "22"), "protocol");
	refuse(ACL("tcp", ""), "cannot end with a colon");
	refuse(ACL("tcp", "22-"), "port range");
	refuse(ACL("tcp", "70000"), "port range");
	refuse(ACL("tcp", "9-3"), "port range");
#undef ACL
}

TEST(posture_mistakes)
{
#define POSTURE(text) "{\"postures\":{\"posture:a\":[\"" text "\"]}}"
	refuse(POSTURE("node:os"), "posture");
	refuse(POSTURE("node:os =="), "posture");
	refuse(POSTURE("node:os IN"), "posture");
	refuse(POSTURE("node:os IN ['linux'"), "posture");
	refuse(POSTURE("node:os IN ['linux' 'macos']"), "posture");
	refuse(POSTURE("node:os == 'linux"), "posture");
	refuse(POSTURE("node:os == maybe"), "posture");
	refuse("{\"postures\":{\"a\":[]}}", "posture");
	refuse("{\"postures\":[]}", "postures");
#undef POSTURE
}
