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

static void on_command(void *arg, struct http_exchange *x, const struct http_request *req)
{
	struct control *c = arg;
	const struct admin_conn *conn = req->conn_arg;
	struct err err = { 0 };
	struct command cmd = { .c = c, .actor = conn->actor, .err = &err, .exchange = x };
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
	if (!v || command_take_argv(&cmd, json_get(v, "argv")) < 0 || command_run(&cmd) < 0)
		http_reply_text(x, 400, "%s", err.text);
	else if (!cmd.later)
		http_reply(x, 200, "application/json", buf_bytes(&body));
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
