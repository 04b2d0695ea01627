/*
 * app/control/admin.h - the unix socket behind the command line: one route, argv in, JSON out.
 * Who may open the socket is an admin; the kernel says who they are.
 */
#pragma once

struct control;
struct err;
struct httpd;
struct tcp_listener;

struct httpd *admin_httpd(struct control *c);
struct tcp_listener *admin_listen(struct control *c, struct err *err);
