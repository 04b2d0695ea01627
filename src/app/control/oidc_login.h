/*
 * app/control/oidc_login.h - the login page's way through an identity provider: joins the machine
 * of engine/oidc to the browser's requests and to fetches over TLS.
 */
#pragma once

struct control;
struct err;
struct http_exchange;
struct http_request;
struct login;
struct oidc_login;

/* Sets c->oidc; leaves it NULL when no provider is configured. */
int oidc_login_open(struct control *c, struct err *err);
void oidc_login_close(struct oidc_login *o); /* NULL is a no-op */

/* Sends the browser to the provider, soon. */
void oidc_login_start(struct control *c, struct http_exchange *x, const struct http_request *req,
		      const struct login *l);
/* GET /oidc/callback */
void oidc_login_callback(void *arg, struct http_exchange *x, const struct http_request *req);
