#include "io/resolve.h"

#include <stdio.h>

#include "base/err.h"
#include "base/mem.h"
#include "io/loop_uv.h"
#include "io/sockaddr.h"

enum { HOST_MAX = 254 };

struct resolve {
	uv_getaddrinfo_t req;
	struct loop *loop;
	struct addrport literal;
	char host[HOST_MAX];
	struct err err;
	bool cancelled;
	void (*on_done)(void *arg, const struct addrport *to, size_t n, const struct err *err);
	void *arg;
};

/* The last touch of r: from here on only the loop's free list knows it. */
static void finish(struct resolve *r, const struct addrport *to, size_t n)
{
	loop_free_later(r->loop, r);
	if (!r->cancelled)
		r->on_done(r->arg, to, n, n ? NULL : &r->err);
}

static void finish_at_once(void *arg)
{
	struct resolve *r = arg;

	finish(r, &r->literal, ip_is_valid(r->literal.ip) ? 1 : 0);
}

static const char *reason(int status)
{
	switch (status) {
	case UV_EAI_NONAME:
	case UV_EAI_NODATA:
		return "no such name";
	case UV_EAI_AGAIN:
		return "the resolver did not answer";
	case UV_EAI_FAIL:
		return "the resolver failed";
	default:
		return uv_strerror(status);
	}
}

static void on_answer(uv_getaddrinfo_t *req, int status, struct addrinfo *res)
{
	struct resolve *r = container_of(req, struct resolve, req);
	struct addrport to[RESOLVE_MAX];
	size_t n = 0;

	loop_wake(r->loop);
	for (struct addrinfo *ai = res; !status && ai && n < RESOLVE_MAX; ai = ai->ai_next) {
		struct sockaddr_storage sa = { 0 };

		memcpy(&sa, ai->ai_addr, ai->ai_addrlen < sizeof(sa) ? ai->ai_addrlen : sizeof(sa));
		to[n] = sockaddr_addrport(&sa);
		n += ip_is_valid(to[n].ip);
	}
	uv_freeaddrinfo(res);
	if (!n)
		err_set(&r->err, status == UV_EAI_AGAIN ? ERR_TIMEOUT : ERR_REFUSED,
			"resolve %s: %s", r->host, status ? reason(status) : "it has no address");
	finish(r, to, n);
}

struct resolve *resolve_start(struct loop *loop, const char *host, uint16_t port,
			      void (*on_done)(void *arg, const struct addrport *to, size_t n,
					      const struct err *err),
			      void *arg)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
	struct resolve *r = mem_alloc(sizeof(*r));
	char service[8];
	int status;

	r->loop = loop;
	r->on_done = on_done;
	r->arg = arg;
	r->literal.port = port;
	if (!bytes_to_cstr(bytes_str(host), r->host, sizeof(r->host)) || !*host) {
		err_set(&r->err, ERR_USAGE, "resolve: a name has 1 to %d characters", HOST_MAX - 1);
		loop_defer(loop, finish_at_once, r);
		return r;
	}
	if (ip_parse(&r->literal.ip, bytes_str(host))) {
		loop_defer(loop, finish_at_once, r);
		return r;
	}
	(void)snprintf(service, sizeof(service), "%u", port);
	status = uv_getaddrinfo(loop_uv(loop), &r->req, on_answer, r->host, service, &hints);
	if (status < 0) {
		err_set(&r->err, ERR_REFUSED, "resolve %s: %s", r->host, uv_strerror(status));
		loop_defer(loop, finish_at_once, r);
	}
	return r;
}

void resolve_cancel(struct resolve *r)
{
	if (!r)
		return;
	r->cancelled = true;
	uv_cancel((uv_req_t *)&r->req); /* fails when a thread is at it: its answer is dropped */
}
