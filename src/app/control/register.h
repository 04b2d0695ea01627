/*
 * app/control/register.h - who may join: the decision table of POST /machine/register.
 *
 * The machine key is the one the Noise channel proved; nothing in the request can replace it.
 */
#pragma once

#include "base/bytes.h"

struct control;
struct err;
struct http_exchange;
struct key;
struct login;
struct tailnet;
struct tailcfg_register_request;
struct tn_node;
struct tn_user;

/* Answers x, now or when a person has decided. */
void register_request(struct control *c, const struct key *machine, struct http_exchange *x,
		      const struct tailcfg_register_request *r);

/* A person let the node in: answers what is parked; login is gone. */
int register_complete(struct control *c, struct login *login, struct tailnet *t,
		      struct tn_user *user, const char *actor, struct err *err);
void register_deny(struct control *c, struct login *login, const char *why);
