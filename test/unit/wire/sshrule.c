#include "wire/sshrule.h"

#include "base/json.h"
#include "kit/kit.h"

static void check_encoding(const struct ssh_rule *rules, size_t n, const char *want)
{
	struct json_out out;
	struct buf buf;

	buf_init(&buf, 1 << 16);
	json_out_init(&out, &buf);
	ssh_rules_encode(&out, rules, n, "https://control.example");
	CHECK_STR(buf_cstr(&buf), want);
	buf_fini(&buf);
}

TEST(no_rules_are_an_empty_list)
{
	check_encoding(NULL, 0, "[]");
}

TEST(an_accepting_rule)
{
	struct ip from[] = { ip_v4(100, 64, 0, 1), ip_v4(100, 64, 0, 2) };
	struct ssh_user users[] = { { bytes_str("root"), bytes_str("") },
				    { bytes_str("*"), bytes_str("=") } };
	struct bytes env[] = { bytes_str("GIT_*") };
	struct ssh_rule rule = { .principals = from,
				 .n_principals = 2,
				 .users = users,
				 .n_users = 2,
				 .accept_env = env,
				 .n_accept_env = 1 };

	check_encoding(&rule, 1,
		       "[{\"principals\":[{\"nodeIP\":\"100.64.0.1\"},{\"nodeIP\":\"100.64.0.2\"}],"
		       "\"sshUsers\":{\"root\":\"\",\"*\":\"=\"},"
		       "\"action\":{\"accept\":true,\"allowAgentForwarding\":true,"
		       "\"allowLocalPortForwarding\":true,\"allowRemotePortForwarding\":true},"
		       "\"acceptEnv\":[\"GIT_*\"]}]");
}

TEST(check_mode_holds_and_names_where_to_ask)
{
	struct ssh_rule rule = { .check = true };

	check_encoding(&rule, 1,
		       "[{\"principals\":[],\"sshUsers\":{},\"action\":{\"holdAndDelegate\":"
		       "\"https://control.example/machine/ssh/action/$SRC_NODE_ID/to/$DST_NODE_ID"
		       "?local_user=$LOCAL_USER\"}}]");
}

TEST(recorders_and_what_happens_without_one)
{
	struct addrport recorders[] = { { ip_v4(100, 64, 0, 9), 80 } };
	struct ssh_rule rule = { .recorders = recorders,
				 .n_recorders = 1,
				 .enforce_recorder = true };

	check_encoding(
	    &rule, 1,
	    "[{\"principals\":[],\"sshUsers\":{},\"action\":{\"accept\":true,"
	    "\"allowAgentForwarding\":true,\"allowLocalPortForwarding\":true,"
	    "\"allowRemotePortForwarding\":true,\"recorders\":[\"100.64.0.9:80\"],"
	    "\"onRecordingFailure\":{\"RejectSessionWithMessage\":"
	    "\"session not started: it must be recorded and no recorder answered\","
	    "\"TerminateSessionWithMessage\":"
	    "\"session ended: it must be recorded and the recorder went away\","
	    "\"NotifyURL\":\"https://control.example/machine/ssh/recording-failure\"}}}]");
}
