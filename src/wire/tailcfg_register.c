/* Tables: member names and omission as upstream has them, one row per member, aligned by nobody. */
#include "wire/tailcfg_register.h"

// clang-format off

static const struct field register_auth_fields[] = {
	{ "AuthKey", FIELD_TEXT, offsetof(struct tailcfg_register_auth, auth_key) },
};

const struct schema tailcfg_register_auth_schema = {
	.noun = "Auth", .size = sizeof(struct tailcfg_register_auth), .fields = register_auth_fields, .n = sizeof(register_auth_fields) / sizeof(register_auth_fields[0]),
};

static const struct field register_request_fields[] = {
	{ "Version", FIELD_I64, offsetof(struct tailcfg_register_request, version), .flags = FIELD_ALWAYS },
	{ "NodeKey", FIELD_KEY, offsetof(struct tailcfg_register_request, node_key), .flags = FIELD_ALWAYS, .key = KEY_NODE },
	{ "OldNodeKey", FIELD_KEY, offsetof(struct tailcfg_register_request, old_node_key), .flags = FIELD_ALWAYS, .key = KEY_NODE },
	{ "NLKey", FIELD_KEY, offsetof(struct tailcfg_register_request, nl_key), .flags = FIELD_ALWAYS, .key = KEY_NL },
	{ "Auth", FIELD_OBJECT, offsetof(struct tailcfg_register_request, auth), .sub = &tailcfg_register_auth_schema },
	{ "Expiry", FIELD_TIME, offsetof(struct tailcfg_register_request, expiry), .flags = FIELD_ALWAYS },
	{ "Followup", FIELD_TEXT, offsetof(struct tailcfg_register_request, followup), .flags = FIELD_ALWAYS },
	{ "Hostinfo", FIELD_OBJECT, offsetof(struct tailcfg_register_request, hostinfo), .flags = FIELD_ALWAYS, .sub = &tailcfg_hostinfo_schema },
	{ "Ephemeral", FIELD_BOOL, offsetof(struct tailcfg_register_request, ephemeral) },
	{ "NodeKeySignature", FIELD_BASE64, offsetof(struct tailcfg_register_request, node_key_signature), .flags = FIELD_ALWAYS },
	{ "SignatureType", FIELD_TEXT, offsetof(struct tailcfg_register_request, signature_type) },
	{ "Timestamp", FIELD_TIME, offsetof(struct tailcfg_register_request, timestamp) },
	{ "DeviceCert", FIELD_BASE64, offsetof(struct tailcfg_register_request, device_cert) },
	{ "Signature", FIELD_BASE64, offsetof(struct tailcfg_register_request, signature) },
	{ "Tailnet", FIELD_TEXT, offsetof(struct tailcfg_register_request, tailnet) },
};

const struct schema tailcfg_register_request_schema = {
	.noun = "RegisterRequest", .size = sizeof(struct tailcfg_register_request), .fields = register_request_fields, .n = sizeof(register_request_fields) / sizeof(register_request_fields[0]),
};

static const struct field user_fields[] = {
	{ "ID", FIELD_I64, offsetof(struct tailcfg_user, id), .flags = FIELD_ALWAYS },
	{ "DisplayName", FIELD_TEXT, offsetof(struct tailcfg_user, display_name), .flags = FIELD_ALWAYS },
	{ "ProfilePicURL", FIELD_TEXT, offsetof(struct tailcfg_user, profile_pic_url) },
	{ "Created", FIELD_TIME, offsetof(struct tailcfg_user, created) },
};

const struct schema tailcfg_user_schema = {
	.noun = "User", .size = sizeof(struct tailcfg_user), .fields = user_fields, .n = sizeof(user_fields) / sizeof(user_fields[0]),
};

static const struct field login_fields[] = {
	{ "ID", FIELD_I64, offsetof(struct tailcfg_login, id), .flags = FIELD_ALWAYS },
	{ "Provider", FIELD_TEXT, offsetof(struct tailcfg_login, provider), .flags = FIELD_ALWAYS },
	{ "LoginName", FIELD_TEXT, offsetof(struct tailcfg_login, login_name), .flags = FIELD_ALWAYS },
	{ "DisplayName", FIELD_TEXT, offsetof(struct tailcfg_login, display_name), .flags = FIELD_ALWAYS },
	{ "ProfilePicURL", FIELD_TEXT, offsetof(struct tailcfg_login, profile_pic_url) },
};

const struct schema tailcfg_login_schema = {
	.noun = "Login", .size = sizeof(struct tailcfg_login), .fields = login_fields, .n = sizeof(login_fields) / sizeof(login_fields[0]),
};

static const struct field register_response_fields[] = {
	{ "User", FIELD_OBJECT, offsetof(struct tailcfg_register_response, user), .flags = FIELD_ALWAYS, .sub = &tailcfg_user_schema },
	{ "Login", FIELD_OBJECT, offsetof(struct tailcfg_register_response, login), .flags = FIELD_ALWAYS, .sub = &tailcfg_login_schema },
	{ "NodeKeyExpired", FIELD_BOOL, offsetof(struct tailcfg_register_response, node_key_expired), .flags = FIELD_ALWAYS },
	{ "MachineAuthorized", FIELD_BOOL, offsetof(struct tailcfg_register_response, machine_authorized), .flags = FIELD_ALWAYS },
	{ "AuthURL", FIELD_TEXT, offsetof(struct tailcfg_register_response, auth_url), .flags = FIELD_ALWAYS },
	{ "NodeKeySignature", FIELD_BASE64, offsetof(struct tailcfg_register_response, node_key_signature), .flags = FIELD_ALWAYS },
	{ "Error", FIELD_TEXT, offsetof(struct tailcfg_register_response, error), .flags = FIELD_ALWAYS },
};

const struct schema tailcfg_register_response_schema = {
	.noun = "RegisterResponse", .size = sizeof(struct tailcfg_register_response), .fields = register_response_fields, .n = sizeof(register_response_fields) / sizeof(register_response_fields[0]),
};

// clang-format on
