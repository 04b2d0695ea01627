/* Tables: member names and omission as upstream has them, one row per member, aligned by nobody. */
#include "wire/tailcfg_node.h"

// clang-format off

static const struct field node_fields[] = {
	{ "ID", FIELD_I64, offsetof(struct tailcfg_node, id), .flags = FIELD_ALWAYS },
	{ "StableID", FIELD_TEXT, offsetof(struct tailcfg_node, stable_id), .flags = FIELD_ALWAYS },
	{ "Name", FIELD_TEXT, offsetof(struct tailcfg_node, name), .flags = FIELD_ALWAYS },
	{ "User", FIELD_I64, offsetof(struct tailcfg_node, user), .flags = FIELD_ALWAYS },
	{ "Sharer", FIELD_I64, offsetof(struct tailcfg_node, sharer) },
	{ "Key", FIELD_KEY, offsetof(struct tailcfg_node, key), .flags = FIELD_ALWAYS, .key = KEY_NODE },
	{ "KeyExpiry", FIELD_TIME, offsetof(struct tailcfg_node, key_expiry) },
	{ "KeySignature", FIELD_BASE64, offsetof(struct tailcfg_node, key_signature) },
	{ "Machine", FIELD_KEY, offsetof(struct tailcfg_node, machine), .key = KEY_MACHINE },
	{ "DiscoKey", FIELD_KEY, offsetof(struct tailcfg_node, disco_key), .key = KEY_DISCO },
	{ "Addresses", FIELD_PREFIXES, offsetof(struct tailcfg_node, addresses), .flags = FIELD_ALWAYS },
	{ "AllowedIPs", FIELD_PREFIXES, offsetof(struct tailcfg_node, allowed_ips) },
	{ "Endpoints", FIELD_ADDRPORTS, offsetof(struct tailcfg_node, endpoints) },
	{ "DERP", FIELD_TEXT, offsetof(struct tailcfg_node, legacy_derp) },
	{ "HomeDERP", FIELD_I64, offsetof(struct tailcfg_node, home_derp) },
	{ "Hostinfo", FIELD_OBJECT, offsetof(struct tailcfg_node, hostinfo), .sub = &tailcfg_hostinfo_schema },
	{ "Created", FIELD_TIME, offsetof(struct tailcfg_node, created) },
	{ "Cap", FIELD_I64, offsetof(struct tailcfg_node, cap) },
	{ "Tags", FIELD_TEXTS, offsetof(struct tailcfg_node, tags) },
	{ "PrimaryRoutes", FIELD_PREFIXES, offsetof(struct tailcfg_node, primary_routes) },
	{ "LastSeen", FIELD_OPT_TIME, offsetof(struct tailcfg_node, last_seen) },
	{ "Online", FIELD_OPT_BOOL, offsetof(struct tailcfg_node, online) },
	{ "MachineAuthorized", FIELD_BOOL, offsetof(struct tailcfg_node, machine_authorized) },
	{ "Capabilities", FIELD_TEXTS, offsetof(struct tailcfg_node, capabilities) },
	{ "CapMap", FIELD_NAMED_JSONS, offsetof(struct tailcfg_node, cap_map) },
	{ "UnsignedPeerAPIOnly", FIELD_BOOL, offsetof(struct tailcfg_node, unsigned_peer_api_only) },
	{ "DataPlaneAuditLogID", FIELD_TEXT, offsetof(struct tailcfg_node, data_plane_audit_log_id) },
	{ "Expired", FIELD_BOOL, offsetof(struct tailcfg_node, expired) },
	{ "SelfNodeV4MasqAddrForThisPeer", FIELD_IP, offsetof(struct tailcfg_node, self_node_v4_masq_addr_for_this_peer) },
	{ "SelfNodeV6MasqAddrForThisPeer", FIELD_IP, offsetof(struct tailcfg_node, self_node_v6_masq_addr_for_this_peer) },
	{ "IsWireGuardOnly", FIELD_BOOL, offsetof(struct tailcfg_node, is_wireguard_only) },
	{ "IsJailed", FIELD_BOOL, offsetof(struct tailcfg_node, is_jailed) },
	{ "ExitNodeDNSResolvers", FIELD_OBJECTS, offsetof(struct tailcfg_node, exit_node_dns_resolvers), .sub = &tailcfg_resolver_schema },
};

const struct schema tailcfg_node_schema = {
	.noun = "Node", .size = sizeof(struct tailcfg_node), .fields = node_fields, .n = sizeof(node_fields) / sizeof(node_fields[0]),
};

static const struct field peer_change_fields[] = {
	{ "NodeID", FIELD_I64, offsetof(struct tailcfg_peer_change, node_id), .flags = FIELD_ALWAYS },
	{ "DERPRegion", FIELD_I64, offsetof(struct tailcfg_peer_change, derp_region) },
	{ "Cap", FIELD_I64, offsetof(struct tailcfg_peer_change, cap) },
	{ "CapMap", FIELD_NAMED_JSONS, offsetof(struct tailcfg_peer_change, cap_map) },
	{ "Endpoints", FIELD_ADDRPORTS, offsetof(struct tailcfg_peer_change, endpoints) },
	{ "Key", FIELD_KEY, offsetof(struct tailcfg_peer_change, key), .key = KEY_NODE },
	{ "KeySignature", FIELD_BASE64, offsetof(struct tailcfg_peer_change, key_signature) },
	{ "DiscoKey", FIELD_KEY, offsetof(struct tailcfg_peer_change, disco_key), .key = KEY_DISCO },
	{ "Online", FIELD_OPT_BOOL, offsetof(struct tailcfg_peer_change, online) },
	{ "LastSeen", FIELD_OPT_TIME, offsetof(struct tailcfg_peer_change, last_seen) },
	{ "KeyExpiry", FIELD_OPT_TIME, offsetof(struct tailcfg_peer_change, key_expiry) },
};

const struct schema tailcfg_peer_change_schema = {
	.noun = "PeerChange", .size = sizeof(struct tailcfg_peer_change), .fields = peer_change_fields, .n = sizeof(peer_change_fields) / sizeof(peer_change_fields[0]),
};

static const struct field user_profile_fields[] = {
	{ "ID", FIELD_I64, offsetof(struct tailcfg_user_profile, id), .flags = FIELD_ALWAYS },
	{ "LoginName", FIELD_TEXT, offsetof(struct tailcfg_user_profile, login_name), .flags = FIELD_ALWAYS },
	{ "DisplayName", FIELD_TEXT, offsetof(struct tailcfg_user_profile, display_name), .flags = FIELD_ALWAYS },
	{ "ProfilePicURL", FIELD_TEXT, offsetof(struct tailcfg_user_profile, profile_pic_url) },
	{ "Groups", FIELD_TEXTS, offsetof(struct tailcfg_user_profile, groups) },
};

const struct schema tailcfg_user_profile_schema = {
	.noun = "UserProfile", .size = sizeof(struct tailcfg_user_profile), .fields = user_profile_fields, .n = sizeof(user_profile_fields) / sizeof(user_profile_fields[0]),
};

// clang-format on
