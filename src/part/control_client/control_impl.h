/*
 * part/control_client/control_impl.h - the client's inside, shared by its own files only.
 *
 *   control_client.c    what is wanted, what is missing, the connection, pauses
 *   control_register.c  login and logout
 *   control_map.c       the map stream, requests in it, updates of ours
 */
#pragma once

#include "base/mem.h"
#include "io/httpc.h"
#include "io/loop.h"
#include "part/control_client/control_client.h"
#include "part/control_client/control_dial.h"
#include "part/control_client/control_frames.h"

struct schema;
struct tailcfg_hostinfo;
struct tls_ctx;

enum {
	CONTROL_REGISTER_BODY_MAX = 1 << 20,
	CONTROL_ERROR_BODY_MAX = 200,
	CONTROL_UPDATE_TIMEOUT_MS = 30 * 1000,
	CONTROL_URL_MAX = 2048,
};

struct control_client {
	struct loop *loop;
	struct control_client_conf conf;
	struct control_server server;
	struct key server_key;
	struct tls_ctx *tls;
	bool destroyed;

	enum control_state state;
	bool wanted; /* somebody asked for a login, and has not logged out */
	bool paused, logging_out;
	bool registered; /* the current keys were accepted since the last login call */

	struct control_dial *dial;
	struct httpc *http;
	struct mono last_dial;
	struct io_timer retry;
	unsigned failures; /* in a row */

	/* registration */
	struct http_call *reg;
	struct secret32 trying; /* the key we ask for */
	bool trying_is_new;
	char *auth_key;
	char followup[CONTROL_URL_MAX];
	struct buf reg_body;
	unsigned reg_status;
	int64_t retry_after_s;

	/* map stream */
	struct http_call *map;
	struct control_frames frames;
	bool map_first; /* the next frame that is no keep-alive is the first */
	unsigned map_status;
	struct io_timer watchdog;
	char ping_url[CONTROL_URL_MAX]; /* of the last request of control */

	/* lite updates */
	struct http_call *update;
	bool update_due;
	unsigned update_status, update_failures;
	struct io_timer update_retry;
	struct buf hostinfo;
	struct key disco;
	struct control_endpoint endpoints[CONTROL_ENDPOINTS_MAX];
	size_t endpoint_count;

	struct http_call *logout;
};

/* Starts the one thing that is missing; whatever ends calls it again. */
void control_step(struct control_client *c);
void control_set_state(struct control_client *c, enum control_state next);
/* Something broke: tell, wait, start over. */
void control_failed(struct control_client *c, const struct err *why);
void control_drop_connection(struct control_client *c);
void control_cancel(struct http_call **call);
int64_t control_backoff_ms(struct control_client *c, unsigned n);
void control_retry_in(struct control_client *c, int64_t ms);
struct http_call *control_post(struct control_client *c, const char *path,
			       const struct schema *schema, const void *message,
			       struct http_call_conf call);
struct key control_public(const struct secret32 *s);
struct tailcfg_hostinfo control_hostinfo(struct control_client *c);

void control_start_register(struct control_client *c);
void control_start_logout(struct control_client *c);
void control_logged_out(struct control_client *c, const struct err *err);
void control_forget_auth_key(struct control_client *c);
void control_try_new_key(struct control_client *c);

void control_start_map(struct control_client *c);
void control_start_update(struct control_client *c);
void control_on_watchdog(struct io_timer *t);
void control_on_update_retry(struct io_timer *t);
