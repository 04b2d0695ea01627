/* app/control/machine.h - the requests inside the Noise channel. */
#pragma once

struct control;
struct httpd;
struct httpd_route;
struct key;

/* Who is on the other end of one Noise connection: the machine key it proved. */
struct machine_conn;
struct machine_conn *machine_conn_create(const struct key *machine, unsigned version);
void machine_conn_destroy(void *conn);

struct httpd *machine_httpd(struct control *c);
