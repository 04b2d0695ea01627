#include "app/control/c2n.h"

#include <stdio.h>

#include "app/control/core.h"
#include "app/control/mapstream.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "io/httpd.h"
#include "wire/http1.h"

enum { CALLS_MAX = 256, TOKEN_BYTES = 16, REQUEST_MAX = 64 << 10, HEAD_ARENA = 1 << 16 };

struct call {
	struct control *c;
	struct list link;
	char token[TEXT_HEX_LEN(TOKEN_BYTES) + 1];
	struct key machine;
	struct mono asked;
	struct io_timer timer;
	c2n_done *on_done;
	void *arg;
};

static void finish(struct call *call, const struct c2n_answer *answer, const struct err *err)
{
	list_remove(&call->link);
	io_timer_stop(&call->timer);
	call->c->n_c2n--;
	call->on_done(call->arg, answer, err);
	mem_free(call);
}

static void on_timeout(struct io_timer *timer)
{
	struct call *call = container_of(timer, struct call, timer);
	struct err err;

	(void)err_set(&err, ERR_TIMEOUT, "the node did not answer in time");
	finish(call, NULL, &err);
}

static void put_base64(struct json_out *o, struct bytes data)
{
	size_t size = data.n / 3 * 4 + 5;
	char *text = mem_alloc(size);

	text_base64(BASE64_STD, data, text);
	json_put_cstr(o, text);
	mem_free(text);
}

static int send_ping(struct call *call, struct tn_node *n, struct bytes request)
{
	char url[64 + sizeof(call->token)];
	struct json_out o;
	struct buf json;
	bool ok;

	/* https: any other scheme would leave the Noise channel. */
	(void)snprintf(url, sizeof(url), "https://unused/c2n/%s", call->token);
	buf_init(&json, 2 * REQUEST_MAX);
	json_out_init(&o, &json);
	json_open_object(&o);
	json_key(&o, "PingRequest");
	json_open_object(&o);
	json_key(&o, "URL");
	json_put_cstr(&o, url);
	json_key(&o, "URLIsNoise");
	json_put_bool(&o, true);
	json_key(&o, "Types");
	json_put_cstr(&o, "c2n");
	json_key(&o, "Payload");
	put_base64(&o, request);
	json_close_object(&o);
	json_close_object(&o);
	/* The newest stream is the live one. */
	ok = mapstream_send(mapstream_of(n->streams.prev), &json);
	buf_fini(&json);
	return ok ? 0 : -1;
}

int c2n_call(struct control *c, struct tn_node *n, struct bytes request, int64_t timeout_ms,
	     c2n_done *on_done, void *arg, struct err *err)
{
	uint8_t random[TOKEN_BYTES];
	struct call *call;

	if (list_is_empty(&n->streams))
		return err_set(err, ERR_REFUSED, "%s is not connected", n->name);
	if (c->n_c2n >= CALLS_MAX)
		return err_set(err, ERR_LIMIT, "%d calls to nodes wait for answers already",
			       CALLS_MAX);
	if (request.n > REQUEST_MAX)
		return err_set(err, ERR_USAGE, "a request to a node is at most %d bytes",
			       REQUEST_MAX);
	call = mem_alloc(sizeof(*call));
	*call = (struct call){ .c = c,
			       .machine = n->machine,
			       .asked = loop_now(c->loop),
			       .on_done = on_done,
			       .arg = arg };
	c->rng.fill(&c->rng, random, sizeof(random));
	text_hex(bytes_of(random, sizeof(random)), call->token);
	if (send_ping(call, n, request) < 0) {
		mem_free(call);
		return err_set(err, ERR_REFUSED, "%s takes no more data", n->name);
	}
	io_timer_init(&call->timer, on_timeout);
	io_timer_in_ms(c->loop, &call->timer, timeout_ms);
	list_append(&c->c2n_calls, &call->link);
	c->n_c2n++;
	return 0;
}

/* A textual response; without a length, all that follows the head is its body. */
static void take_answer(struct call *call, struct bytes text)
{
	struct c2n_answer answer = { 0 };
	struct http1_head head;
	struct arena arena;
	struct err err;
	size_t used;

	arena_init(&arena, HEAD_ARENA);
	if (http1_response_decode(&head, &arena, text, false, &used) == HTTP1_FRAME) {
		answer.status = head.status;
		answer.body = bytes_from(text, used);
		answer.ms = mono_since_ms(loop_now(call->c->loop), call->asked);
		finish(call, &answer, NULL);
	} else {
		(void)err_set(&err, ERR_MALFORMED, "the node's answer is not HTTP");
		finish(call, NULL, &err);
	}
	arena_fini(&arena);
}

void c2n_on_answer(struct control *c, const struct key *machine, struct http_exchange *x,
		   const struct http_request *req)
{
	struct bytes token = bytes_from(req->path, sizeof("/c2n/") - 1);

	list_each_safe (it, &c->c2n_calls) {
		struct call *call = list_entry(it, struct call, link);

		if (token.n != sizeof(call->token) - 1 || !key_equal(&call->machine, machine) ||
		    !secret_equal(token.p, call->token, token.n))
			continue;
		take_answer(call, req->body);
		http_reply(x, 200, NULL, (struct bytes){ 0 });
		return;
	}
	http_reply_text(x, 404, "nobody waits for that answer");
}

void c2n_fini(struct control *c)
{
	struct err err;

	(void)err_set(&err, ERR_REFUSED, "the server stops");
	list_each_safe (it, &c->c2n_calls)
		finish(list_entry(it, struct call, link), NULL, &err);
}
