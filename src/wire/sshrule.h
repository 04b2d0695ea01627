/*
 * wire/sshrule.h - SSH rules as the control server sends them
 * (upstream: tailcfg/tailcfg.go SSHPolicy, SSHRule, SSHAction).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/ip.h"

struct json_out;

struct ssh_user {
	struct bytes login; /* as requested; "*": any other */
	struct bytes local; /* "=": the same name; "": refused */
};

struct ssh_rule {
	const struct ip *principals; /* source addresses */
	size_t n_principals;
	const struct ssh_user *users;
	size_t n_users;
	const struct bytes *accept_env;
	size_t n_accept_env;
	const struct addrport *recorders;
	size_t n_recorders;
	bool check;            /* hold and delegate; else accept */
	bool enforce_recorder; /* no recorder, no session */
};

/* Path and query of the URL a node asks in check mode; it fills in the $NAMES. */
#define SSH_CHECK_PATH "/machine/ssh/action/$SRC_NODE_ID/to/$DST_NODE_ID?local_user=$LOCAL_USER"

/* Appends the rules as one JSON array of SSHRule; base_url stands before SSH_CHECK_PATH. */
void ssh_rules_encode(struct json_out *o, const struct ssh_rule *rules, size_t n,
		      const char *base_url);
