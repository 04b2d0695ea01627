/* io/httpc_h2.c - HTTP/2 as a client is not spoken yet: every call fails. */
#include "io/httpc_conn.h"

static void ignore(struct httpc *c, struct bytes data)
{
	(void)c;
	(void)data;
}

static void fail(void *arg)
{
	struct err err = { 0 };

	err_set(&err, ERR_USAGE, "HTTP/2 is not spoken");
	httpc_call_end(arg, &err);
}

static void call_h2(struct http_call *call)
{
	loop_defer(call->c->loop, fail, call);
}

static void cancel(struct http_call *call)
{
	(void)call;
}

static void fini(struct httpc *c)
{
	(void)c;
}

const struct httpc_ops httpc_h2_ops = {
	.on_data = ignore, .call = call_h2, .cancel = cancel, .fini = fini
};

void httpc_h2_init(struct httpc *c)
{
	c->ops = &httpc_h2_ops;
}
