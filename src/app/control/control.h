/*
 * app/control/control.h - the coordination server: one loop, one model, one writer.
 *
 *   front (HTTP/1.1, TLS)  /key, /ts2021, login pages, /health, /metrics
 *     -> Noise -> inner (HTTP/2)  /machine/register, /machine/map
 *   admin (HTTP/1.1 on a unix socket)  the command line
 */
#pragma once

#include "app/control/config.h"

struct control;
struct err;
struct log_sink;
struct loop;

struct control *control_create(struct loop *loop, const struct config *conf, struct log_sink *sink,
			       struct err *err);
/* Opens the listeners. */
int control_start(struct control *c, struct err *err);
/* Reads certificate and relay map again; the old ones stay on failure. */
void control_reload(struct control *c);
void control_destroy(struct control *c); /* ends every stream, writes what is left */
/* The front's port, for a server that listens on port 0. */
unsigned control_port(const struct control *c);
