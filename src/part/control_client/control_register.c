/*
 * part/control_client/control_register.c - login and logout: one question, its answers, its keys.
 */
#include "part/control_client/control_impl.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/json.h"
#include "base/text.h"
#include "crypto/x25519.h"
#include "wire/tailcfg_register.h"

enum {
	LOGOUT_TIMEOUT_MS = 10 * 1000,
	RETRY_AFTER_MAX_S = 3600,
	LOGOUT_EXPIRY_S = 123, /* the protocol's word for "now" */
};

/* ---- registration ---- */

static void on_register_head(void *arg, unsigned status, const struct http_header *headers,
			     size_t n)
{
	struct control_client *c = arg;
	uint64_t seconds;

	c->reg_status = status;
	c->retry_after_s = 0;
	for (size_t i = 0; i < n; i++)
		if (bytes_equal_str(headers[i].name, "retry-after") &&
		    text_u64(headers[i].value, RETRY_AFTER_MAX_S, &seconds))
			c->retry_after_s = (int64_t)seconds;
}

static void on_register_body(void *arg, struct bytes data)
{
	struct control_client *c = arg;

	(void)buf_append(&c->reg_body, data);
}

void control_forget_auth_key(struct control_client *c)
{
	if (!c->auth_key)
		return;
	secret_wipe(c->auth_key, strlen(c->auth_key));
	mem_free(c->auth_key);
	c->auth_key = NULL;
}

void control_try_new_key(struct control_client *c)
{
	x25519_generate(&c->trying, &c->conf.rng);
	c->trying_is_new = true;
	c->followup[0] = '\0';
}

static void accepted(struct control_client *c, const struct tailcfg_register_response *r)
{
	struct control_keys *keys = &c->conf.keys;

	if (!secret_equal(&c->trying, &keys->node, sizeof(c->trying))) {
		if (!secret_is_zero(keys->node.b, sizeof(keys->node.b)))
			keys->old_node = keys->node;
		keys->node = c->trying;
	}
	c->trying_is_new = false;
	c->registered = true;
	c->failures = 0;
	c->update_due = true;
	c->followup[0] = '\0';
	control_forget_auth_key(c);
	c->conf.on_auth_url(c->conf.arg, "");
	if (!c->destroyed)
		c->conf.on_login(c->conf.arg, keys, r);
	if (!c->destroyed)
		control_step(c);
}

static void follow_up(struct control_client *c, struct bytes url)
{
	bool same = bytes_equal_str(url, c->followup);
	struct err err;

	if (!bytes_to_cstr(url, c->followup, sizeof(c->followup))) {
		c->followup[0] = '\0';
		(void)err_set(&err, ERR_LIMIT, "the login URL is too long");
		control_failed(c, &err);
		return;
	}
	if (same) {
		c->failures++;
		control_retry_in(c, control_backoff_ms(c, c->failures));
		return;
	}
	control_set_state(c, CONTROL_WAITING);
	if (!c->destroyed)
		c->conf.on_auth_url(c->conf.arg, c->followup);
	if (!c->destroyed)
		control_step(c);
}

/* The order is the protocol's: Error, signature, expiry, URL, success. */
static void take_answer(struct control_client *c, const struct tailcfg_register_response *r)
{
	struct err err = { 0 };

	if (r->error.n) {
		(void)err_set(&err, ERR_REFUSED, "%.*s", BYTES_FMT(r->error));
	} else if (r->node_key_signature.n) {
		(void)err_set(&err, ERR_REFUSED,
			      "the tailnet lock wants a signature that this node cannot make");
	} else if (r->node_key_expired && c->trying_is_new) {
		(void)err_set(&err, ERR_REFUSED, "the server calls a fresh node key expired");
	} else if (r->node_key_expired) {
		log_info(&c->conf.log, "node key expired, asking for a new one");
		control_try_new_key(c);
		control_step(c);
		return;
	} else if (r->auth_url.n) {
		follow_up(c, r->auth_url);
		return;
	} else {
		accepted(c, r);
		return;
	}
	control_failed(c, &err);
}

static void too_many(struct control_client *c)
{
	int64_t s = c->retry_after_s;

	if (s <= 0)
		s = 5 + (int64_t)rng_below(&c->conf.rng, 6);
	log_warn(&c->conf.log, "server says there are too many logins, retrying in %lld s",
		 (long long)s);
	control_retry_in(c, s * 1000);
}

static void on_register_done(void *arg, const struct err *why)
{
	struct control_client *c = arg;
	struct tailcfg_register_response r = { 0 };
	struct bytes body = buf_bytes(&c->reg_body);
	struct arena arena;
	struct err err = *why;

	c->reg = NULL;
	if (err.code == ERR_NONE && c->reg_status == 429) {
		too_many(c);
		return;
	}
	arena_init(&arena, 32 << 20);
	if (err.code == ERR_NONE && c->reg_status != 200)
		(void)err_set(
		    &err, ERR_REFUSED, "register: status %u: %.*s", c->reg_status,
		    (int)(body.n < CONTROL_ERROR_BODY_MAX ? body.n : CONTROL_ERROR_BODY_MAX),
		    (const char *)body.p);
	else if (err.code == ERR_NONE)
		(void)schema_decode(&r, &tailcfg_register_response_schema, &arena, body, &err);
	if (err.code != ERR_NONE)
		control_failed(c, &err);
	else
		take_answer(c, &r);
	arena_fini(&arena);
}

void control_start_register(struct control_client *c)
{
	struct tailcfg_hostinfo hostinfo = control_hostinfo(c);
	struct tailcfg_register_auth auth = { 0 };
	struct tailcfg_register_request r = {
		.version = CONTROL_CAPVER,
		.node_key = control_public(&c->trying),
		.nl_key = c->conf.nl_key,
		.hostinfo = &hostinfo,
		.ephemeral = c->conf.ephemeral,
		.followup = bytes_str(c->followup),
	};
	struct http_call_conf call = { .body_max = CONTROL_REGISTER_BODY_MAX,
				       .on_head = on_register_head,
				       .on_body = on_register_body,
				       .on_done = on_register_done };

	r.old_node_key =
	    control_public(c->trying_is_new ? &c->conf.keys.node : &c->conf.keys.old_node);
	if (c->auth_key) {
		auth.auth_key = bytes_str(c->auth_key);
		r.auth = &auth;
	}
	buf_clear(&c->reg_body);
	c->reg_body.bad = false;
	if (!c->followup[0])
		control_set_state(c, CONTROL_REGISTERING);
	if (c->destroyed)
		return;
	/* No timeout with a followup: a person is on the way. */
	call.timeout_ms = c->followup[0] ? 0 : CONTROL_UPDATE_TIMEOUT_MS;
	c->reg = control_post(c, "/machine/register", &tailcfg_register_request_schema, &r, call);
}

/* ---- logout ---- */

void control_logged_out(struct control_client *c, const struct err *err)
{
	secret32_wipe(&c->conf.keys.node);
	c->logging_out = false;
	control_drop_connection(c);
	io_timer_stop(&c->retry);
	control_set_state(c, CONTROL_IDLE);
	if (!c->destroyed)
		c->conf.on_logout(c->conf.arg, err);
}

static void on_logout_done(void *arg, const struct err *err)
{
	struct control_client *c = arg;

	c->logout = NULL;
	control_logged_out(c, err);
}

void control_start_logout(struct control_client *c)
{
	struct tailcfg_hostinfo hostinfo = control_hostinfo(c);
	struct tailcfg_register_request r = {
		.version = CONTROL_CAPVER,
		.node_key = control_public(&c->conf.keys.node),
		.old_node_key = control_public(&c->conf.keys.old_node),
		.nl_key = c->conf.nl_key,
		.hostinfo = &hostinfo,
		.expiry = wall_from_s(LOGOUT_EXPIRY_S),
	};
	struct http_call_conf call = { .body_max = CONTROL_REGISTER_BODY_MAX,
				       .timeout_ms = LOGOUT_TIMEOUT_MS,
				       .on_done = on_logout_done };

	c->logout =
	    control_post(c, "/machine/register", &tailcfg_register_request_schema, &r, call);
}
