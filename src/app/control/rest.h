/*
 * app/control/rest.h - the management API, /api/v2: one table says of every operation its method,
 * path, scope, function and description. Requests are matched, authorised and documented by it and
 * by nothing else.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "app/control/core.h"
#include "app/control/scope.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "io/httpd.h"

enum rest_limits {
	REST_BODY_MAX = 1 << 20,
	REST_POLICY_MAX = 5 << 20,
	REST_ANSWER_MAX = 64 << 20,
	REST_PARAMS_MAX = 4,
	REST_ACTOR_MAX = 160,
	REST_LIST_MAX = 1024, /* elements of any list in a request */
};

enum rest_auth {
	REST_SCOPED, /* zero: a credential that has the scope */
	REST_ANY,    /* any credential; the function looks closer */
	REST_OPEN,   /* none: the token endpoint and the description */
};

enum rest_body { REST_NO_BODY, REST_JSON, REST_RAW };

struct rest;
struct rest_op {
	const char *method, *path; /* below /api/v2: "/device/{id}/routes" */
	enum scope scope;
	bool write;
	enum rest_body body;
	int (*run)(struct rest *r);
	const char *id, *says;      /* operationId and summary */
	const char *takes, *yields; /* names of schemas, or NULL */
	enum scope role_scope;      /* what a role needs where it is another right; 0: the same */
	enum rest_auth auth;
};

extern const struct rest_op rest_devices[], rest_keys[], rest_network[], rest_people[];
extern const size_t rest_devices_n, rest_keys_n, rest_network_n, rest_people_n;
/* The i-th operation of all tables; NULL past the end. */
const struct rest_op *rest_op_at(size_t i);

struct rest { /* one request */
	struct control *c;
	struct http_exchange *x;
	const struct http_request *req;
	const struct rest_op *op;
	struct token *token;     /* NULL where none is needed */
	struct scopes may;       /* what the credential and its person allow */
	struct tailnet *tailnet; /* the credential's */
	char actor[REST_ACTOR_MAX];
	struct http_header params[REST_PARAMS_MAX]; /* what stands in the braces */
	size_t n_params;
	const struct json *body; /* of REST_JSON: an object */
	struct arena arena;
	struct buf text;
	struct json_out out; /* the answer, one value */
	unsigned status;     /* of the answer; 0: 200, or 400 after -1 */
	const char *content_type;
	struct err err;
};

/* All of them answer x. Routes for the front; more specific ones first. */
void rest_handle(void *arg, struct http_exchange *x, const struct http_request *req);

#define REST_ROUTES                                                                                \
	{ NULL, "/api/v2/tailnet/{t}/acl", rest_handle, REST_POLICY_MAX },                         \
	    { NULL, "/api/v2/tailnet/{t}/acl/validate", rest_handle, REST_POLICY_MAX },            \
	    { NULL, "/api/v2/tailnet/{t}/acl/preview", rest_handle, REST_POLICY_MAX },             \
	    { NULL, "/api/v2/weft/command", rest_handle, REST_POLICY_MAX },                        \
	{                                                                                          \
		NULL, "/api/v2/*", rest_handle, REST_BODY_MAX                                      \
	}

/* ---- for the files with operations ---- */

struct bytes rest_param(const struct rest *r, const char *name);
/* -1 with that status and sentence: `return rest_refuse(r, 404, "no such device")`. */
int rest_refuse(struct rest *r, unsigned status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The change is written, logged with its actor, and on the disk. */
int rest_done(struct rest *r, const char *action, const char *target, const char *was,
	      const char *is);
/* Answers {} */
int rest_empty(struct rest *r);
int rest_node(struct rest *r, struct tn_node **out); /* {id} */
int rest_user(struct rest *r, struct tn_user **out);
/* A list of texts in the body; *n 0 and 0 when it is absent and not needed. Borrowed. */
int rest_texts(struct rest *r, const struct json *list, const char *name, struct bytes *out,
	       size_t *n);
int rest_bool(struct rest *r, const char *name, bool *out);
/* "tag:a", each known to be one. */
int rest_tags(struct rest *r, const struct json *list, struct bytes *out, size_t *n);
/* May this credential give these tags? */
int rest_may_tag(struct rest *r, const struct bytes *tags, size_t n);

/* "" for 0, as devices have it; elsewhere callers cannot read that, and absent times are left out.
 */
void rest_put_time(struct json_out *o, const char *name, struct wall at);
void rest_put_time_if(struct json_out *o, const char *name, struct wall at);
void rest_put_tailnet_id(struct json_out *o, const char *name, const struct tailnet *t);

/* The OpenAPI document made from the tables; appends JSON. */
void rest_describe(const struct control *c, struct buf *out);
