#include "app/control/admin.h"

#include <stdio.h>

#include "app/control/command_priv.h"
#include "base/arena.h"
#include "base/mem.h"
#include "io/httpd.h"
#include "io/stream.h"
#include "io/tcp.h"

enum { INPUT_MAX = 20 << 20, OUTPUT_MAX = 64 << 20 };

struct admin_conn {
	char actor[32];
};

static void conn_gone(void *conn)
{
	mem_free(conn);
}

static void on_accept(void *arg, struct stream *s, struct addrport peer)
{
	struct admin_conn *conn = mem_alloc(sizeof(*conn));
	struct control *c = arg;
	struct unix_cred cred;

	if (unix_peer_cred(s, &cred))
		(void)snprintf(conn->actor, sizeof(conn->actor), "uid %u", (unsigned)cred.uid);
	httpd_serve(c->admin, s, HTTPD_H1, peer, conn, conn_gone);
}

struct tcp_listener *admin_listen(struct control *c, struct err *err)
{
	struct tcp_listener *l =
	    unix_listen(c->loop, c->conf.admin_socket, 0660, on_accept, c, err);

	if (!l)
		(void)err_wrap(err, "admin socket %s", c->conf.admin_socket);
	return l;
}

/* argv: words, --name value, --name=value, --flag. */
static int sort_words(struct command *cmd, const struct json *argv)
{
	const struct json *it = argv ? argv->first : NULL;

	for (; it; it = it->next) {
		struct command_option *o = &cmd->options[cmd->n_options];
		struct bytes text, name;

		if (!json_string(it, &text))
			return err_set(cmd->err, ERR_USAGE, "argv holds texts");
		if (!bytes_has_prefix(text, "--")) {
			if (cmd->n_words == COMMAND_WORDS_MAX)
				return err_set(cmd->err, ERR_USAGE, "too many words");
			cmd->words[cmd->n_words++] = text;
			continue;
		}
		if (cmd->n_options == COMMAND_OPTIONS_MAX)
			return err_set(cmd->err, ERR_USAGE, "too many options");
		name = bytes_from(text, 2);
		o->value = bytes_str("yes");
		for (size_t i = 0; i < name.n; i++)
			if (name.p[i] == '=') {
				o->value = bytes_from(name, i + 1);
				name.n = i;
			}
		o->name = name;
		if (text.n == name.n + 2 && !command_is_flag(name)) {
			it = it->next;
			if (!it || !json_string(it, &o->value))
				return err_set(cmd->err, ERR_USAGE, "--%.*s needs a value",
					       BYTES_FMT(name));
		}
		cmd->n_options++;
	}
	return 0;
}

static void on_command(void *arg, struct http_exchange *x, const struct http_request *req)
{
	struct control *c = arg;
	const struct admin_conn *conn = req->conn_arg;
	struct err err = { 0 };
	struct command cmd = { .c = c, .actor = conn->actor, .err = &err };
	struct json_out out;
	struct arena arena;
	struct json *v;
	struct buf body;

	arena_init(&arena, 2 * INPUT_MAX);
	buf_init(&body, OUTPUT_MAX);
	json_out_init(&out, &body);
	cmd.out = &out;
	v = json_parse(&arena, req->body, 0, &err);
	(void)json_string(json_get(v, "input"), &cmd.input);
	if (v && sort_words(&cmd, json_get(v, "argv")) == 0 && command_run(&cmd) == 0)
		http_reply(x, 200, "application/json", buf_bytes(&body));
	else
		http_reply_text(x, 400, "%s", err.text);
	buf_fini(&body);
	arena_fini(&arena);
}

static const struct httpd_route routes[] = {
	{ "POST", "/command", on_command, INPUT_MAX },
};

struct httpd *admin_httpd(struct control *c)
{
	struct httpd_conf conf = { .routes = routes, .route_count = 1, .arg = c, .log = &c->log };

	return httpd_create(c->loop, &conf);
}
