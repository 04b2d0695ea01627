/*
 * app/control/c2n.h - calls from here to a node: a PingRequest in a frame of its own on the node's
 * map stream carries an HTTP request, the node posts the answer inside its Noise channel.
 *
 * upstream: tailcfg/tailcfg.go (PingRequest), feature/c2n/c2n.go. An answer counts only with the
 * unguessable token of the call and from the machine key that was asked.
 */
#pragma once

#include <stdint.h>

#include "base/bytes.h"

struct control;
struct err;
struct http_exchange;
struct http_request;
struct key;
struct tn_node;

struct c2n_answer {
	unsigned status;
	struct bytes body; /* borrowed */
	int64_t ms;
};

/* Called once, later. answer is NULL when none came; err says why then. */
typedef void c2n_done(void *arg, const struct c2n_answer *answer, const struct err *err);

/* request: "POST /echo HTTP/1.1\r\n..." . -1 when the node has no stream or too many calls wait. */
int c2n_call(struct control *c, struct tn_node *n, struct bytes request, int64_t timeout_ms,
	     c2n_done *on_done, void *arg, struct err *err);
/* POST /c2n/TOKEN from the machine. */
void c2n_on_answer(struct control *c, const struct key *machine, struct http_exchange *x,
		   const struct http_request *req);
void c2n_fini(struct control *c); /* calls that wait end with an error */
