/*
 * app/control/page.h - the login page that an AuthURL leads to: works without scripts, proves the
 * person by password, shows which machine asks.
 */
#pragma once

#include "base/bytes.h"

struct http_exchange;
struct http_request;
struct control;
struct login;
struct tailnet;

void page_login(void *arg, struct http_exchange *x, const struct http_request *req);
void page_login_post(void *arg, struct http_exchange *x, const struct http_request *req);
void page_confirm_post(void *arg, struct http_exchange *x, const struct http_request *req);

/* A page with one sentence. */
void page_say(struct http_exchange *x, unsigned status, const char *title, const char *text);
void page_gone(struct http_exchange *x); /* the login is over */
/* "You are LOGIN; add this device?", after login_prove(). */
void page_confirm(struct http_exchange *x, const struct login *l, const char *login);
/* The network that a login is for: as it wished, or the first. */
struct tailnet *page_tailnet(struct control *c, const struct login *l);
