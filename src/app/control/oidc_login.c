#include "app/control/oidc_login.h"

#include <stdio.h>

#include "app/control/core.h"
#include "app/control/page.h"
#include "app/control/person.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/text.h"
#include "engine/oidc/oidc.h"
#include "io/file.h"
#include "io/httpc.h"
#include "io/httpd.h"

enum {
	STARTS_PER_MINUTE = 60, /* and address */
	SECRET_FILE_MAX = 4096,
	QUERY_MAX = 4096,
	COOKIE_NAME_DIGITS = 6, /* of the state: tabs side by side do not overwrite each other */
};

struct oidc_login {
	struct control *c;
	struct oidc *oidc;
	uint64_t last_ticket;
	struct list waiting, fetches;
	struct io_timer timer;
	struct rate rate;
	bool pumping, closing;
};

struct waiting { /* a browser's request */
	struct oidc_login *o;
	struct http_exchange *x;
	uint64_t ticket;
	struct list link;
};

struct fetching {
	struct oidc_login *o;
	struct http_fetch *fetch;
	uint64_t id;
	struct list link;
};

static void pump(struct oidc_login *o);

static struct oidc_now now_of(const struct oidc_login *o)
{
	return (struct oidc_now){ loop_now(o->c->loop), wall_now() };
}

/* ---- browsers ---- */

static void browser_gone(void *arg)
{
	struct waiting *w = arg;

	oidc_forget(w->o->oidc, w->ticket);
	list_remove(&w->link);
	mem_free(w);
}

static struct waiting *wait_for(struct oidc_login *o, struct http_exchange *x)
{
	struct waiting *w = mem_alloc(sizeof(*w));

	w->o = o;
	w->x = x;
	w->ticket = ++o->last_ticket;
	list_append(&o->waiting, &w->link);
	http_on_gone(x, browser_gone, w);
	return w;
}

/* Takes w out; the exchange is the caller's to answer. */
static struct http_exchange *take(struct waiting *w)
{
	struct http_exchange *x = w->x;

	http_on_gone(x, NULL, NULL);
	list_remove(&w->link);
	mem_free(w);
	return x;
}

static struct http_exchange *take_ticket(struct oidc_login *o, uint64_t ticket)
{
	list_each (it, &o->waiting) {
		struct waiting *w = list_entry(it, struct waiting, link);

		if (w->ticket == ticket)
			return take(w);
	}
	return NULL;
}

/* ---- fetches ---- */

static void on_fetched(void *arg, unsigned status, struct bytes body, const struct err *err)
{
	struct fetching *f = arg;
	struct oidc_login *o = f->o;
	uint64_t id = f->id;
	bool whole = err->code == ERR_NONE;

	list_remove(&f->link);
	mem_free(f);
	oidc_answer(o->oidc, now_of(o), id, whole ? status : 0, body, err);
	pump(o);
}

static void start_fetch(struct oidc_login *o, const struct oidc_fetch *want)
{
	struct http_header headers[3];
	struct http_fetch_conf conf = {
		.method = want->method,
		.url = want->url,
		.headers = headers,
		.body = want->body,
		.body_max = OIDC_BODY_MAX,
		.timeout_ms = OIDC_FETCH_S * 1000,
		.ca_file = o->c->conf.oidc_ca_file[0] ? o->c->conf.oidc_ca_file : NULL,
		.on_done = on_fetched,
	};
	struct fetching *f = mem_alloc(sizeof(*f));
	struct err err = { 0 };

	headers[conf.header_count++] =
	    (struct http_header){ bytes_str("accept"), bytes_str("application/json") };
	if (want->authorization)
		headers[conf.header_count++] =
		    (struct http_header){ bytes_str("authorization"),
					  bytes_str(want->authorization) };
	if (want->content_type)
		headers[conf.header_count++] =
		    (struct http_header){ bytes_str("content-type"),
					  bytes_str(want->content_type) };
	f->o = o;
	f->id = want->id;
	conf.arg = f;
	f->fetch = http_fetch(o->c->loop, &conf, &err);
	if (f->fetch) {
		list_append(&o->fetches, &f->link);
		return;
	}
	mem_free(f);
	oidc_answer(o->oidc, now_of(o), want->id, 0, (struct bytes){ 0 }, &err);
}

/* ---- what the machine says ---- */

static void cookie_name(const char *state, char out[32])
{
	(void)snprintf(out, 32, "weft_login_%.*s", COOKIE_NAME_DIGITS, state);
}

static void put_cookie(const struct oidc_login *o, struct http_exchange *x, const char *state,
		       const char *value, int seconds)
{
	bool secure = strncmp(o->c->conf.server_url, "https://", 8) == 0;
	char name[32], text[256];

	cookie_name(state, name);
	(void)snprintf(text, sizeof(text),
		       "%s=%s; Path=/oidc/callback; Max-Age=%d; HttpOnly; SameSite=Lax%s", name,
		       value, seconds, secure ? "; Secure" : "");
	http_add_header(x, "set-cookie", text);
}

static void send_away(struct oidc_login *o, struct http_exchange *x, const struct oidc_event *e)
{
	put_cookie(o, x, e->state, e->cookie, OIDC_LOGIN_S);
	http_add_header(x, "location", e->url);
	http_add_header(x, "cache-control", "no-store");
	http_add_header(x, "referrer-policy", "no-referrer");
	http_reply(x, 302, NULL, (struct bytes){ 0 });
}

static void refuse(struct oidc_login *o, struct http_exchange *x, const char *subject,
		   const char *why)
{
	log_warn(&o->c->log, "login %.8s through the provider was refused: %s",
		 subject[0] ? subject : "unknown", why);
	page_say(x, 403, "Not logged in", why);
}

static void take_person(struct oidc_login *o, struct http_exchange *x, const struct oidc_event *e)
{
	struct control *c = o->c;
	struct oidc_admission rules = { c->conf.oidc_allowed_domains, c->conf.oidc_allowed_users,
					c->conf.oidc_allowed_groups,
					c->conf.oidc_unverified_email };
	struct login *l = login_find(&c->logins, bytes_str(e->subject), loop_now(c->loop));
	struct tailnet *t;
	struct tn_user *u;
	struct err err;

	if (!l) {
		page_gone(x);
		return;
	}
	t = page_tailnet(c, l);
	if (oidc_admit(&rules, e->identity, &err) < 0) {
		core_audit(c, t, e->identity->subject, "login.refuse", l->hostname, err.text);
		refuse(o, x, e->subject, err.text);
		return;
	}
	u = person_login(c, t, e->identity, &err);
	if (!u) {
		refuse(o, x, e->subject, err.text);
		return;
	}
	login_prove(l, &c->rng, t->id, u->id);
	page_confirm(x, l, u->login);
}

static void take_event(struct oidc_login *o, const struct oidc_event *e)
{
	struct http_exchange *x = take_ticket(o, e->ticket);

	if (!x)
		return;
	if (e->kind == OIDC_REDIRECT)
		send_away(o, x, e);
	else if (e->kind == OIDC_IDENTITY)
		take_person(o, x, e);
	else
		refuse(o, x, e->subject, e->why);
}

/* Fetches out, events in, until the machine is quiet. */
static void pump(struct oidc_login *o)
{
	struct oidc_fetch want;
	struct oidc_event e;
	bool busy = !o->pumping;

	if (o->closing)
		return;
	while (busy) { /* an answer inside comes back here: the outer call goes on with it */
		o->pumping = true;
		busy = false;
		while (oidc_next_fetch(o->oidc, &want)) {
			start_fetch(o, &want);
			busy = true;
		}
		while (oidc_next_event(o->oidc, &e)) {
			take_event(o, &e);
			oidc_event_fini(&e);
			busy = true;
		}
		o->pumping = false;
	}
	io_timer_at(o->c->loop, &o->timer, oidc_deadline(o->oidc));
}

static void on_timer(struct io_timer *timer)
{
	struct oidc_login *o = container_of(timer, struct oidc_login, timer);

	oidc_tick(o->oidc, now_of(o));
	pump(o);
}

/* ---- the two requests ---- */

void oidc_login_start(struct control *c, struct http_exchange *x, const struct http_request *req,
		      const struct login *l)
{
	struct oidc_login *o = c->oidc;
	struct waiting *w;
	struct err err;

	if (!rate_allow(&o->rate, origin_of(&c->conf.proxies, req).ip, loop_now(c->loop))) {
		http_add_header(x, "retry-after", "60");
		page_say(x, 429, "Too many tries", "Wait a minute, then try again.");
		return;
	}
	w = wait_for(o, x);
	if (oidc_begin(o->oidc, now_of(o), w->ticket, l->token, &err) < 0)
		page_say(take(w), 500, "Not logged in", err.text);
	pump(o);
}

/* The value of one cookie; empty when there is none. */
static struct bytes cookie_of(const struct http_request *req, const char *name)
{
	struct bytes rest = http_header_get(req, "cookie"), pair, key;

	while (text_split(&rest, ';', &pair)) {
		pair = text_trim(pair);
		if (text_split(&pair, '=', &key) && bytes_equal_str(key, name))
			return pair;
	}
	return (struct bytes){ 0 };
}

void oidc_login_callback(void *arg, struct http_exchange *x, const struct http_request *req)
{
	static const char *const names[] = { "state", "code", "error", "error_description", "iss" };
	char value[5][QUERY_MAX], name[32];
	uint8_t raw[(OIDC_SECRET_SIZE - 1) / 2];
	struct control *c = arg;
	struct oidc_return back;
	struct waiting *w;
	struct err err;

	if (!c->oidc) {
		page_gone(x);
		return;
	}
	if (!rate_allow(&c->oidc->rate, origin_of(&c->conf.proxies, req).ip, loop_now(c->loop))) {
		http_add_header(x, "retry-after", "60");
		page_say(x, 429, "Too many tries", "Wait a minute, then start again.");
		return;
	}
	for (size_t i = 0; i < array_len(names); i++)
		if (!http_query_get(req, names[i], value[i], sizeof(value[i])))
			value[i][0] = 0;
	cookie_name(value[0], name);
	back = (struct oidc_return){ .state = bytes_str(value[0]),
				     .code = bytes_str(value[1]),
				     .error = bytes_str(value[2]),
				     .error_description = bytes_str(value[3]),
				     .iss = bytes_str(value[4]),
				     .cookie = cookie_of(req, name) };
	if (text_unhex(back.state, raw, sizeof(raw)))
		put_cookie(c->oidc, x, value[0], "", 0); /* it has done its work */
	w = wait_for(c->oidc, x);
	if (oidc_returned(c->oidc->oidc, now_of(c->oidc), w->ticket, &back, &err) < 0)
		refuse(c->oidc, take(w), "", err.text);
	pump(c->oidc);
}

/* ---- life ---- */

static int read_secret(const char *path, struct buf *out, struct err *err)
{
	struct bytes text;

	buf_init(out, SECRET_FILE_MAX);
	if (!path[0])
		return 0;
	if (file_read(path, SECRET_FILE_MAX, out, err) < 0)
		return err_wrap(err, "oidc_client_secret_file");
	text = text_trim(buf_bytes(out));
	if (!text.n || memchr(text.p, 0, text.n))
		return err_set(err, ERR_USAGE, "oidc_client_secret_file %s holds no secret", path);
	memmove(out->p, text.p, text.n);
	out->n = text.n;
	return 0;
}

int oidc_login_open(struct control *c, struct err *err)
{
	char redirect[sizeof(c->conf.server_url) + 32];
	struct oidc_conf conf = { .issuer = c->conf.oidc_issuer,
				  .client_id = c->conf.oidc_client_id,
				  .redirect_uri = redirect,
				  .scopes = c->conf.oidc_scopes,
				  .groups_claim = c->conf.oidc_groups_claim,
				  .rng = &c->rng };
	struct oidc_login *o;
	struct buf secret;

	if (!c->conf.oidc_issuer[0])
		return 0;
	if (read_secret(c->conf.oidc_client_secret_file, &secret, err) < 0) {
		buf_fini(&secret);
		return -1;
	}
	(void)snprintf(redirect, sizeof(redirect), "%s/oidc/callback", c->conf.server_url);
	conf.client_secret = buf_cstr(&secret);
	o = mem_alloc(sizeof(*o));
	o->c = c;
	o->oidc = oidc_create(&conf);
	if (secret.p)
		secret_wipe(secret.p, secret.n);
	buf_fini(&secret);
	list_init(&o->waiting);
	list_init(&o->fetches);
	io_timer_init(&o->timer, on_timer);
	rate_init(&o->rate, STARTS_PER_MINUTE);
	c->oidc = o;
	return 0;
}

void oidc_login_close(struct oidc_login *o)
{
	if (!o)
		return;
	o->closing = true;
	io_timer_stop(&o->timer);
	list_each_safe (it, &o->fetches) {
		struct fetching *f = list_entry(it, struct fetching, link);

		http_fetch_cancel(f->fetch);
		list_remove(&f->link);
		mem_free(f);
	}
	list_each_safe (it, &o->waiting)
		http_reply_abort(take(list_entry(it, struct waiting, link)));
	oidc_destroy(o->oidc);
	mem_free(o);
}
