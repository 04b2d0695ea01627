/* Commands about the policy and the server itself. */
#include "app/control/command_priv.h"
#include "app/control/store.h"
#include "base/hujson.h"
#include "base/mem.h"
#include "base/text.h"

static void put_text_object(struct json_out *o, const char *name, struct bytes text)
{
	json_open_object(o);
	json_key(o, name);
	json_put_string(o, text);
	json_close_object(o);
}

static int policy_get(struct command *cmd)
{
	put_text_object(cmd->out, "policy",
			bytes_str(cmd->tailnet->policy ? cmd->tailnet->policy : ""));
	return 0;
}

static int policy_check(struct command *cmd)
{
	if (access_check(cmd->tailnet, cmd->input, cmd->err) < 0)
		return -1;
	put_text_object(cmd->out, "result", bytes_str("the policy is valid"));
	return 0;
}

static int apply(struct command *cmd, struct bytes text, const char *action)
{
	if (core_set_policy(cmd->c, cmd->tailnet, text, cmd->actor, cmd->err) < 0)
		return -1;
	core_audit(cmd->c, cmd->tailnet, cmd->actor, action, cmd->tailnet->name, "");
	put_text_object(cmd->out, "result",
			bytes_str(text.n ? "the policy is in force" : "no policy is in force"));
	return 0;
}

/* As in a new network. An empty `policy set` is refused: most often the pipe's other end failed. */
static int policy_remove(struct command *cmd)
{
	return apply(cmd, (struct bytes){ 0 }, "policy.remove");
}

static int policy_set(struct command *cmd)
{
	return apply(cmd, cmd->input, "policy.set");
}

static int policy_history(struct command *cmd)
{
	return store_list_policies(cmd->c->store, cmd->tailnet, cmd->out, cmd->err);
}

static int policy_rollback(struct command *cmd)
{
	struct buf text;
	uint64_t id;
	int ret;

	if (!text_u64(command_word(cmd, 0), INT64_MAX, &id) || !id)
		return err_set(cmd->err, ERR_USAGE, "give an id; `policy history` lists them");
	ret = store_get_policy(cmd->c->store, cmd->tailnet, (int64_t)id, &text, cmd->err);
	if (ret == 0)
		ret = apply(cmd, buf_bytes(&text), "policy.rollback");
	buf_fini(&text);
	return ret;
}

enum { ANSWER_MAX = 16 << 20 };

/* What an access_ function wrote becomes the answer. */
static int answer(struct command *cmd, struct buf *json, int ret)
{
	if (ret == 0 && json->bad)
		ret =
		    err_set(cmd->err, ERR_LIMIT, "the answer is longer than %d bytes", ANSWER_MAX);
	if (ret == 0)
		json_put_raw(cmd->out, buf_bytes(json));
	buf_fini(json);
	return ret;
}

static int policy_explain_why(struct command *cmd)
{
	struct buf json;

	buf_init(&json, ANSWER_MAX);
	return answer(cmd, &json,
		      access_explain(cmd->tailnet, command_word(cmd, 0), command_word(cmd, 1),
				     &json, cmd->err));
}

static int policy_preview(struct command *cmd)
{
	struct bytes who = command_word(cmd, 0);
	struct tn_node *n;
	struct buf json;

	buf_init(&json, ANSWER_MAX);
	if (who.n && memchr(who.p, '@', who.n))
		return answer(cmd, &json, access_preview_user(cmd->tailnet, who, &json, cmd->err));
	if (command_node(cmd, who, &n) < 0)
		return answer(cmd, &json, -1);
	return answer(cmd, &json, access_preview_node(n, &json, cmd->err));
}

static int policy_diff(struct command *cmd)
{
	struct buf json;

	buf_init(&json, ANSWER_MAX);
	return answer(cmd, &json, access_compare(cmd->tailnet, cmd->input, &json, cmd->err));
}

static int policy_lint_now(struct command *cmd)
{
	struct buf json;

	buf_init(&json, ANSWER_MAX);
	access_lint(cmd->tailnet, &json);
	return answer(cmd, &json, 0);
}

static int policy_fix(struct command *cmd)
{
	struct buf text;
	int ret = 0;

	buf_init(&text, ANSWER_MAX);
	access_fix(cmd->tailnet, &text);
	if (text.bad)
		ret =
		    err_set(cmd->err, ERR_LIMIT, "the policy is longer than %d bytes", ANSWER_MAX);
	else
		put_text_object(cmd->out, "policy", buf_bytes(&text));
	buf_fini(&text);
	return ret;
}

static int policy_format(struct command *cmd)
{
	struct buf text;
	int ret;

	buf_init(&text, ANSWER_MAX);
	ret = hujson_format(cmd->input, &text, cmd->err);
	if (ret == 0)
		put_text_object(cmd->out, "policy", buf_bytes(&text));
	buf_fini(&text);
	return ret;
}

static int server_status(struct command *cmd)
{
	const struct control *c = cmd->c;
	char key[KEYTEXT_MAX];

	json_open_object(cmd->out);
	command_put(cmd->out, "server_url", c->conf.server_url);
	command_put(cmd->out, "noise_key", keytext_format(&c->noise_public, KEY_MACHINE, key));
	command_put_i64(cmd->out, "map_streams", (int64_t)c->n_streams);
	command_put_i64(cmd->out, "frames", (int64_t)c->count.frames);
	command_put_i64(cmd->out, "registers", (int64_t)c->count.registers);
	json_close_object(cmd->out);
	return 0;
}

// clang-format off
const struct verb command_network[] = {
	{ "policy", "get", "", "the policy in force", 0, false, policy_get, SCOPE_POLICY_FILE, false },
	{ "policy", "set", "[FILE]", "check it and put it in force", 0, true, policy_set, SCOPE_POLICY_FILE, true },
	{ "policy", "remove", "", "have none: people are strangers, the devices of one see each other", 0, false, policy_remove, SCOPE_POLICY_FILE, true },
	{ "policy", "check", "[FILE]", "check it only", 0, true, policy_check, SCOPE_POLICY_FILE, false },
	{ "policy", "explain", "SRC DST[:PORT][/PROTO]", "allowed or not, by which line, through what", 2, false, policy_explain_why, SCOPE_POLICY_FILE, false },
	{ "policy", "preview", "NODE|LOGIN", "what one node gets; the rules that name a user", 1, false, policy_preview, SCOPE_POLICY_FILE, false },
	{ "policy", "diff", "[FILE]", "who would gain and who would lose what", 0, true, policy_diff, SCOPE_POLICY_FILE, false },
	{ "policy", "lint", "", "rules nobody can use, names nothing refers to", 0, false, policy_lint_now, SCOPE_POLICY_FILE, false },
	{ "policy", "fix", "", "the policy in force with the safe fixes of lint; changes nothing", 0, false, policy_fix, SCOPE_POLICY_FILE, false },
	{ "policy", "format", "[FILE]", "the canonical layout, comments kept", 0, true, policy_format, SCOPE_POLICY_FILE, false },
	{ "policy", "history", "", "earlier policies", 0, false, policy_history, SCOPE_POLICY_FILE, false },
	{ "policy", "rollback", "ID", "put an earlier one in force", 1, false, policy_rollback, SCOPE_POLICY_FILE, true },
	{ "server", "status", "", "counters and the server's key", 0, false, server_status, SCOPE_NONE, false },
};
// clang-format on
const size_t command_network_n = array_len(command_network);
