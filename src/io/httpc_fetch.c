/*
 * io/httpc_fetch.c - a whole request to a URL: name, TCP, TLS, one call, one answer.
 *
 * Over HTTP/1.1 on purpose: one request gains nothing from streams.
 */
#include <stdio.h>

#include "base/err.h"
#include "base/mem.h"
#include "io/httpc.h"
#include "io/loop.h"
#include "io/stream.h"
#include "io/tcp.h"
#include "io/tls.h"
#include "wire/url.h"

enum { FETCH_BODY_MAX = 1 << 20, FETCH_TIMEOUT_MS = 30000 };

struct http_fetch {
	struct loop *loop;
	struct httpc *c;
	unsigned status;
	struct buf body;
	void (*on_done)(void *arg, unsigned status, struct bytes body, const struct err *err);
	void *arg;
	bool dead;
};

static void fetch_free(void *arg)
{
	struct http_fetch *f = arg;

	buf_fini(&f->body);
	mem_free(f);
}

void http_fetch_cancel(struct http_fetch *f)
{
	if (!f || f->dead)
		return;
	f->dead = true;
	httpc_destroy(f->c);
	loop_defer(f->loop, fetch_free, f);
}

static void on_head(void *arg, unsigned status, const struct http_header *headers, size_t n)
{
	struct http_fetch *f = arg;

	(void)headers;
	(void)n;
	f->status = status;
}

static void on_body(void *arg, struct bytes data)
{
	struct http_fetch *f = arg;

	buf_append(&f->body, data); /* the call holds the limit */
}

static void on_done(void *arg, const struct err *err)
{
	struct http_fetch *f = arg;

	http_fetch_cancel(f); /* the memory stays for this turn */
	f->on_done(f->arg, f->status, buf_bytes(&f->body), err);
}

static struct stream *dial(struct loop *loop, const struct url *url,
			   const struct http_fetch_conf *conf, unsigned timeout_ms, struct err *err)
{
	struct tls_client_conf tls = { .ca_file = conf->ca_file, .alpn = "http/1.1" };
	struct tls_ctx *ctx = NULL;
	struct stream *s;
	char host[URL_HOST_MAX + 1];

	if (!bytes_to_cstr(url->host, host, sizeof(host))) {
		err_set(err, ERR_USAGE, "the host's name is too long");
		return NULL;
	}
	if (url->tls) {
		ctx = tls_ctx_client(&tls, err);
		if (!ctx)
			return NULL;
	}
	s = tcp_connect(loop, &(struct tcp_conf){ .host = host,
						  .port = url->port,
						  .timeout_ms = timeout_ms,
						  .mark = conf->mark });
	if (url->tls)
		s = tls_client(s, ctx, host);
	tls_ctx_unref(ctx);
	return s;
}

static void start_call(struct http_fetch *f, const struct url *url,
		       const struct http_fetch_conf *conf, unsigned timeout_ms)
{
	char *authority = bytes_strdup(url->authority), *path = bytes_strdup(url->target);

	httpc_call(f->c, &(struct http_call_conf){
			     .method = conf->method ? conf->method : "GET",
			     .path = path,
			     .authority = authority,
			     .headers = conf->headers,
			     .header_count = conf->header_count,
			     .body = conf->body,
			     .body_max = conf->body_max ? conf->body_max : FETCH_BODY_MAX,
			     .timeout_ms = timeout_ms,
			     .on_head = on_head,
			     .on_body = on_body,
			     .on_done = on_done,
			     .arg = f,
			 });
	mem_free(authority);
	mem_free(path);
}

struct http_fetch *http_fetch(struct loop *loop, const struct http_fetch_conf *conf,
			      struct err *err)
{
	unsigned timeout_ms = conf->timeout_ms ? conf->timeout_ms : FETCH_TIMEOUT_MS;
	struct http_fetch *f;
	struct stream *s;
	struct url url;

	if (!url_parse(&url, bytes_str(conf->url))) {
		err_set(err, ERR_USAGE, "not a URL: %.100s", conf->url);
		return NULL;
	}
	s = dial(loop, &url, conf, timeout_ms, err);
	if (!s)
		return NULL;
	f = mem_alloc(sizeof(*f));
	f->loop = loop;
	f->on_done = conf->on_done;
	f->arg = conf->arg;
	buf_init(&f->body, conf->body_max ? conf->body_max : FETCH_BODY_MAX);
	f->c = httpc_create(s, false, NULL, NULL);
	start_call(f, &url, conf, timeout_ms);
	return f;
}
