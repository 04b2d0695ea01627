/*
 * wire/tailcfg_register.h - registration, both directions (upstream: tailcfg.RegisterRequest,
 * RegisterResponse).
 */
#pragma once

#include "wire/schema.h"
#include "wire/tailcfg_hostinfo.h"

struct tailcfg_register_auth {
	struct bytes auth_key;
};
extern const struct schema tailcfg_register_auth_schema;

struct tailcfg_register_request {
	int64_t version;
	struct key node_key;
	struct key old_node_key; /* sticky: no sign of a rotation */
	struct key nl_key;
	struct tailcfg_register_auth *auth;
	struct wall expiry;
	struct bytes followup;
	struct tailcfg_hostinfo *hostinfo;
	bool ephemeral;
	struct bytes node_key_signature;
	struct bytes signature_type;
	struct wall timestamp;
	struct bytes device_cert;
	struct bytes signature;
	struct bytes tailnet;
};
extern const struct schema tailcfg_register_request_schema;

struct tailcfg_user {
	int64_t id;
	struct bytes display_name;
	struct bytes profile_pic_url;
	struct wall created;
};
extern const struct schema tailcfg_user_schema;

struct tailcfg_login {
	int64_t id;
	struct bytes provider;
	struct bytes login_name; /* never empty in a finished login */
	struct bytes display_name;
	struct bytes profile_pic_url;
};
extern const struct schema tailcfg_login_schema;

/* Every member is written: some clients refuse an answer that lacks one. */
struct tailcfg_register_response {
	struct tailcfg_user *user;
	struct tailcfg_login *login;
	bool node_key_expired;
	bool machine_authorized;
	struct bytes auth_url;
	struct bytes node_key_signature;
	struct bytes error;
};
extern const struct schema tailcfg_register_response_schema;
