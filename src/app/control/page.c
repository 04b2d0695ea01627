#include "app/control/page.h"

#include <stdio.h>

#include "app/control/core.h"
#include "app/control/oidc_login.h"
#include "app/control/password.h"
#include "app/control/register.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/text.h"
#include "io/httpd.h"
#include "io/worker.h"

enum { TRIES_MAX = 10, LOGIN_NAME_MAX = 128 };

static const char style[] =
    "<style>body{font:16px system-ui,sans-serif;max-width:26em;margin:3em auto;padding:0 1em}"
    "label{display:block;margin:1em 0}input{display:block;width:100%;font:inherit;padding:.4em;"
    "box-sizing:border-box}button{font:inherit;padding:.5em 1.5em}code{overflow-wrap:anywhere}"
    ".bad{color:#a00}</style>";

static void page_open(struct buf *b, const char *title)
{
	buf_init(b, 1 << 16);
	(void)buf_printf(b,
			 "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport "
			 "content=\"width=device-width\"><title>%s</title>%s<h1>%s</h1>",
			 title, style, title);
}

static void page_send(struct http_exchange *x, unsigned status, struct buf *b)
{
	http_add_security_headers(x, "default-src 'none'; style-src 'unsafe-inline'; "
				     "form-action 'self'; frame-ancestors 'none'; base-uri 'none'");
	http_add_header(x, "cache-control", "no-store");
	http_add_header(x, "referrer-policy", "no-referrer");
	http_reply(x, status, "text/html; charset=utf-8", buf_bytes(b));
	buf_fini(b);
}

void page_say(struct http_exchange *x, unsigned status, const char *title, const char *text)
{
	struct buf b;

	page_open(&b, title);
	(void)buf_append_str(&b, "<p>");
	text_html(&b, bytes_str(text));
	page_send(x, status, &b);
}

void page_gone(struct http_exchange *x)
{
	page_say(
	    x, 404, "This login is over",
	    "It was finished, replaced by a newer one, or is older than 15 minutes. The device "
	    "shows a fresh link when you log in again.");
}

static void device(struct buf *b, const struct login *l)
{
	char key[KEYTEXT_SHORT_MAX];

	(void)buf_append_str(b, "<p>Device <b>");
	text_html(b, bytes_str(l->hostname[0] ? l->hostname : "without a name"));
	(void)buf_append_str(b, "</b> (");
	text_html(b, bytes_str(l->os[0] ? l->os : "unknown system"));
	(void)buf_append_str(b, ") with machine key <code>");
	text_html(b, bytes_str(keytext_short(&l->machine, KEY_MACHINE, key)));
	(void)buf_append_str(b, "</code> asks to join under your name. Go on only if this is your "
				"device and you started this login.");
}

void page_confirm(struct http_exchange *x, const struct login *l, const char *login)
{
	struct buf b;

	page_open(&b, "Add a device");
	device(&b, l);
	(void)buf_append_str(&b, "<p>You are <b>");
	text_html(&b, bytes_str(login));
	(void)buf_printf(&b,
			 "</b>.<form method=post action=\"/a/%s/confirm\"><input type=hidden "
			 "name=confirm value=%s><button>Add this device</button></form>",
			 l->token, l->confirm);
	page_send(x, 200, &b);
}

static void page_form(struct http_exchange *x, unsigned status, const struct login *l,
		      const char *complaint)
{
	struct buf b;

	page_open(&b, "Add a device");
	device(&b, l);
	if (complaint) {
		(void)buf_append_str(&b, "<p class=bad>");
		text_html(&b, bytes_str(complaint));
	}
	(void)buf_printf(
	    &b,
	    "<form method=post action=\"/a/%s\"><input type=hidden name=csrf value=%s>"
	    "<label>User<input name=user autocomplete=username required autofocus></label>"
	    "<label>Password<input name=password type=password "
	    "autocomplete=current-password required></label>"
	    "<button>Add this device</button></form>",
	    l->token, l->csrf);
	page_send(x, status, &b);
}

void page_login(void *arg, struct http_exchange *x, const struct http_request *req)
{
	struct control *c = arg;
	struct login *l = login_find(&c->logins, http_path_param(x, "token"), loop_now(c->loop));

	if (!l)
		page_gone(x);
	else if (c->oidc)
		oidc_login_start(c, x, req, l);
	else
		page_form(x, 200, l, NULL);
}

/* ---- the password check, off the loop ---- */

struct check {
	struct control *c;
	struct http_exchange *x; /* NULL: the browser left */
	char token[LOGIN_TOKEN_SIZE], user[LOGIN_NAME_MAX], password[PASSWORD_MAX + 1];
	char *hash; /* NULL: no such user, or none that may log in by password */
	bool ok;
};

static void check_gone(void *arg)
{
	((struct check *)arg)->x = NULL;
}

static void check_work(void *arg)
{
	struct check *k = arg;

	k->ok = password_verify(k->hash, bytes_str(k->password));
	secret_wipe(k->password, sizeof(k->password));
}

struct tailnet *page_tailnet(struct control *c, const struct login *l)
{
	struct tailnet *t = l->tailnet[0] ? model_tailnet(&c->model, bytes_str(l->tailnet)) : NULL;

	return t ? t : list_entry(c->model.tailnets.next, struct tailnet, link);
}

static void let_in(struct check *k, struct login *l)
{
	struct tailnet *t = page_tailnet(k->c, l);
	struct tn_user *u = model_user(t, bytes_str(k->user));
	struct err err;

	if (u && register_complete(k->c, l, t, u, u->login, &err) == 0)
		page_say(k->x, 200, "Done", "The device is in. You can close this page.");
	else
		page_say(k->x, 403, "Not added", u ? err.text : "The user is gone.");
}

static void check_done(void *arg)
{
	struct check *k = arg;
	struct login *l = login_find(&k->c->logins, bytes_str(k->token), loop_now(k->c->loop));

	if (k->x) {
		http_on_gone(k->x, NULL, NULL);
		if (!l)
			page_gone(k->x);
		else if (k->ok)
			let_in(k, l);
		else if (++l->tries >= TRIES_MAX) {
			register_deny(k->c, l, "login denied: too many wrong passwords");
			page_gone(k->x);
		} else
			page_form(k->x, 403, l, "User or password is wrong.");
	}
	mem_free(k->hash);
	secret_wipe(k, sizeof(*k));
	mem_free(k);
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One value of an application/x-www-form-urlencoded body. */
static bool form_get(struct bytes body, const char *name, char *out, size_t size)
{
	size_t n = strlen(name), used = 0;
	struct bytes pair = { 0 };

	while (body.n) {
		size_t end = 0;

		while (end < body.n && body.p[end] != '&')
			end++;
		pair = bytes_of(body.p, end);
		body = bytes_from(body, end + 1);
		if (pair.n > n && bytes_has_prefix(pair, name) && pair.p[n] == '=')
			break;
		pair.n = 0;
	}
	for (size_t i = n + 1; i < pair.n; i++) {
		int c = pair.p[i];

		if (c == '+')
			c = ' ';
		if (c == '%') {
			if (i + 2 >= pair.n || hex_digit(pair.p[i + 1]) < 0 ||
			    hex_digit(pair.p[i + 2]) < 0)
				return false;
			c = hex_digit(pair.p[i + 1]) << 4 | hex_digit(pair.p[i + 2]);
			i += 2;
		}
		if (!c || used + 1 >= size)
			return false;
		out[used++] = (char)c;
	}
	out[used] = 0;
	return used > 0;
}

void page_login_post(void *arg, struct http_exchange *x, const struct http_request *req)
{
	struct control *c = arg;
	struct login *l = login_find(&c->logins, http_path_param(x, "token"), loop_now(c->loop));
	char csrf[LOGIN_TOKEN_SIZE];
	struct tn_user *u;
	struct check *k;

	if (!l) {
		page_gone(x);
		return;
	}
	if (c->oidc) {
		page_say(x, 403, "Not here", "People log in through the identity provider.");
		return;
	}
	if (!rate_allow(&c->login_rate, origin_of(&c->conf.proxies, req).ip, loop_now(c->loop))) {
		http_add_header(x, "retry-after", "60");
		page_say(x, 429, "Too many tries", "Wait a minute, then try again.");
		return;
	}
	k = mem_alloc(sizeof(*k));
	if (!form_get(req->body, "csrf", csrf, sizeof(csrf)) ||
	    !secret_equal(csrf, l->csrf, sizeof(csrf)) ||
	    !form_get(req->body, "user", k->user, sizeof(k->user)) ||
	    !form_get(req->body, "password", k->password, sizeof(k->password))) {
		mem_free(k);
		page_form(x, 400, l, "Fill in both fields.");
		return;
	}
	k->c = c;
	k->x = x;
	memcpy(k->token, l->token, sizeof(k->token));
	u = model_user(page_tailnet(c, l), bytes_str(k->user));
	if (u && u->password_hash)
		k->hash = mem_strdup(u->password_hash);
	http_on_gone(x, check_gone, k);
	worker_run(c->loop, check_work, check_done, k);
}

/* ---- the last question after a login elsewhere ---- */

void page_confirm_post(void *arg, struct http_exchange *x, const struct http_request *req)
{
	struct control *c = arg;
	struct login *l = login_find(&c->logins, http_path_param(x, "token"), loop_now(c->loop));
	char confirm[LOGIN_TOKEN_SIZE];
	struct tailnet *t;
	struct tn_user *u;
	struct err err;

	if (!l || !l->confirm[0]) {
		page_gone(x);
		return;
	}
	if (!form_get(req->body, "confirm", confirm, sizeof(confirm)) ||
	    strlen(confirm) != sizeof(confirm) - 1 ||
	    !secret_equal(confirm, l->confirm, sizeof(confirm))) {
		page_say(x, 403, "Not added", "This page is older than the login. Start again.");
		return;
	}
	t = model_tailnet_by_id(&c->model, l->tailnet_id);
	u = t ? model_user_by_id(t, l->user_id) : NULL;
	if (u && register_complete(c, l, t, u, u->login, &err) == 0)
		page_say(x, 200, "Done", "The device is in. You can close this page.");
	else
		page_say(x, 403, "Not added", u ? err.text : "The user is gone.");
}
