/* io/httpd_h2.c - HTTP/2 on a connection is not spoken yet: whoever starts it is hung up on. */
#include "io/httpd_conn.h"

static void close_at_once(struct httpd_conn *c)
{
	httpd_conn_close(c);
}

static void ignore(struct httpd_conn *c, struct bytes data)
{
	(void)c;
	(void)data;
}

const struct httpd_proto_ops httpd_h2_ops = {
	.on_data = ignore,
	.on_timer = close_at_once,
	.drain = close_at_once,
};

void httpd_h2_start(struct httpd_conn *c)
{
	c->ops = &httpd_h2_ops;
	io_timer_in_ms(c->httpd->loop, &c->timer, 0);
}
