/* Commands that ask a node something: their answers come when the node's do. */
#include <stdio.h>

#include "app/control/c2n.h"
#include "app/control/command_priv.h"
#include "base/mem.h"
#include "io/httpd.h"

enum { ASK_MS = 10000, ASK_TEXT_MAX = 2048, ANSWER_TEXT_MAX = 16 << 20 };

struct asking {
	struct http_exchange *x; /* NULL: who asked has gone */
	char node[64];
	bool with_body;
};

static void on_gone(void *arg)
{
	((struct asking *)arg)->x = NULL;
}

static void on_answer(void *arg, const struct c2n_answer *answer, const struct err *err)
{
	struct asking *a = arg;
	struct json_out o;
	struct buf body;

	if (a->x && !answer) {
		http_reply_text(a->x, 400, "%s: %s", a->node, err->text);
	} else if (a->x) {
		buf_init(&body, ANSWER_TEXT_MAX);
		json_out_init(&o, &body);
		json_open_object(&o);
		command_put(&o, "name", a->node);
		command_put_i64(&o, "status", answer->status);
		command_put_i64(&o, "ms", answer->ms);
		if (a->with_body) {
			json_key(&o, "body");
			json_put_string(&o, answer->body);
		}
		json_close_object(&o);
		http_reply(a->x, 200, "application/json", buf_bytes(&body));
		buf_fini(&body);
	}
	mem_free(a);
}

static int ask(struct command *cmd, struct bytes request, bool with_body)
{
	struct asking *a;
	struct tn_node *n;

	if (!cmd->exchange)
		return err_set(cmd->err, ERR_USAGE, "nodes are asked on the server itself only");
	if (command_node(cmd, command_word(cmd, 0), &n) < 0)
		return -1;
	a = mem_alloc(sizeof(*a));
	a->x = cmd->exchange;
	a->with_body = with_body;
	(void)snprintf(a->node, sizeof(a->node), "%s", n->name);
	if (c2n_call(cmd->c, n, request, ASK_MS, on_answer, a, cmd->err) < 0) {
		mem_free(a);
		return -1;
	}
	http_on_gone(cmd->exchange, on_gone, a);
	cmd->later = true;
	return 0;
}

static int nodes_ping(struct command *cmd)
{
	return ask(
	    cmd, bytes_str("POST /echo HTTP/1.1\r\nHost: unused\r\nContent-Length: 4\r\n\r\nping"),
	    false);
}

static bool is_path(struct bytes path)
{
	for (size_t i = 0; i < path.n; i++)
		if (path.p[i] <= ' ' || path.p[i] >= 0x7f)
			return false;
	return path.n && path.p[0] == '/';
}

static int nodes_c2n(struct command *cmd)
{
	struct bytes method = command_word(cmd, 1), path = command_word(cmd, 2);
	char text[ASK_TEXT_MAX];
	int n;

	if (!bytes_equal_str(method, "GET") && !bytes_equal_str(method, "POST"))
		return err_set(cmd->err, ERR_USAGE, "the method is GET or POST");
	if (!is_path(path))
		return err_set(cmd->err, ERR_USAGE, "the path starts with / and has no spaces");
	n = snprintf(text, sizeof(text),
		     "%.*s %.*s HTTP/1.1\r\nHost: unused\r\nContent-Length: 0\r\n\r\n",
		     BYTES_FMT(method), BYTES_FMT(path));
	if (n < 0 || (size_t)n >= sizeof(text))
		return err_set(cmd->err, ERR_USAGE, "the path is too long");
	core_audit(cmd->c, cmd->tailnet, cmd->actor, "node.call", "", text);
	return ask(cmd, bytes_of(text, (size_t)n), true);
}

// clang-format off
const struct verb command_c2n[] = {
	{ "nodes", "ping", "NODE", "does its daemon answer, and how fast", 1, false, nodes_ping, SCOPE_NONE, false },
	{ "nodes", "c2n", "NODE GET|POST PATH", "ask its daemon, such as GET /debug/health", 3, false, nodes_c2n, SCOPE_NONE, false },
};
// clang-format on
const size_t command_c2n_n = array_len(command_c2n);
