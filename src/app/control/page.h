/*
 * app/control/page.h - the login page that an AuthURL leads to: works without scripts, proves the
 * person by password, shows which machine asks.
 */
#pragma once

struct http_exchange;
struct http_request;

void page_login(void *arg, struct http_exchange *x, const struct http_request *req);
void page_login_post(void *arg, struct http_exchange *x, const struct http_request *req);
