/* Tables: member names and omission as upstream has them, one row per member, aligned by nobody. */
#include "wire/tailcfg_map.h"

// clang-format off

static const struct field map_request_fields[] = {
	{ "Version", FIELD_I64, offsetof(struct tailcfg_map_request, version), .flags = FIELD_ALWAYS },
	{ "Compress", FIELD_TEXT, offsetof(struct tailcfg_map_request, compress) },
	{ "KeepAlive", FIELD_BOOL, offsetof(struct tailcfg_map_request, keep_alive) },
	{ "NodeKey", FIELD_KEY, offsetof(struct tailcfg_map_request, node_key), .flags = FIELD_ALWAYS, .key = KEY_NODE },
	{ "DiscoKey", FIELD_KEY, offsetof(struct tailcfg_map_request, disco_key), .flags = FIELD_ALWAYS, .key = KEY_DISCO },
	{ "HardwareAttestationKey", FIELD_TEXT, offsetof(struct tailcfg_map_request, hardware_attestation_key) },
	{ "HardwareAttestationKeySignature", FIELD_BASE64, offsetof(struct tailcfg_map_request, hardware_attestation_key_signature) },
	{ "HardwareAttestationKeySignatureTimestamp", FIELD_TIME, offsetof(struct tailcfg_map_request, hardware_attestation_key_signature_timestamp) },
	{ "Stream", FIELD_BOOL, offsetof(struct tailcfg_map_request, stream) },
	{ "Hostinfo", FIELD_OBJECT, offsetof(struct tailcfg_map_request, hostinfo), .sub = &tailcfg_hostinfo_schema },
	{ "MapSessionHandle", FIELD_TEXT, offsetof(struct tailcfg_map_request, map_session_handle) },
	{ "MapSessionSeq", FIELD_I64, offsetof(struct tailcfg_map_request, map_session_seq) },
	{ "Endpoints", FIELD_ADDRPORTS, offsetof(struct tailcfg_map_request, endpoints) },
	{ "EndpointTypes", FIELD_I64S, offsetof(struct tailcfg_map_request, endpoint_types) },
	{ "TKAHead", FIELD_TEXT, offsetof(struct tailcfg_map_request, tka_head) },
	{ "ReadOnly", FIELD_BOOL, offsetof(struct tailcfg_map_request, read_only) },
	{ "OmitPeers", FIELD_BOOL, offsetof(struct tailcfg_map_request, omit_peers) },
	{ "DebugFlags", FIELD_TEXTS, offsetof(struct tailcfg_map_request, debug_flags) },
};

const struct schema tailcfg_map_request_schema = {
	.noun = "MapRequest", .size = sizeof(struct tailcfg_map_request), .fields = map_request_fields, .n = sizeof(map_request_fields) / sizeof(map_request_fields[0]),
};

static const struct field ping_request_fields[] = {
	{ "URL", FIELD_TEXT, offsetof(struct tailcfg_ping_request, url), .flags = FIELD_ALWAYS },
	{ "URLIsNoise", FIELD_BOOL, offsetof(struct tailcfg_ping_request, url_is_noise) },
	{ "Log", FIELD_BOOL, offsetof(struct tailcfg_ping_request, log) },
	{ "Types", FIELD_TEXT, offsetof(struct tailcfg_ping_request, types) },
	{ "IP", FIELD_IP, offsetof(struct tailcfg_ping_request, ip) },
	{ "Payload", FIELD_BASE64, offsetof(struct tailcfg_ping_request, payload) },
};

const struct schema tailcfg_ping_request_schema = {
	.noun = "PingRequest", .size = sizeof(struct tailcfg_ping_request), .fields = ping_request_fields, .n = sizeof(ping_request_fields) / sizeof(ping_request_fields[0]),
};

static const struct field ping_response_fields[] = {
	{ "Type", FIELD_TEXT, offsetof(struct tailcfg_ping_response, type), .flags = FIELD_ALWAYS },
	{ "IP", FIELD_TEXT, offsetof(struct tailcfg_ping_response, ip) },
	{ "NodeIP", FIELD_TEXT, offsetof(struct tailcfg_ping_response, node_ip) },
	{ "NodeName", FIELD_TEXT, offsetof(struct tailcfg_ping_response, node_name) },
	{ "Err", FIELD_TEXT, offsetof(struct tailcfg_ping_response, err) },
	{ "LatencySeconds", FIELD_REAL, offsetof(struct tailcfg_ping_response, latency_seconds) },
	{ "Endpoint", FIELD_TEXT, offsetof(struct tailcfg_ping_response, endpoint) },
	{ "PeerRelay", FIELD_TEXT, offsetof(struct tailcfg_ping_response, peer_relay) },
	{ "DERPRegionID", FIELD_I64, offsetof(struct tailcfg_ping_response, derp_region_id) },
	{ "DERPRegionCode", FIELD_TEXT, offsetof(struct tailcfg_ping_response, derp_region_code) },
	{ "PeerAPIPort", FIELD_I64, offsetof(struct tailcfg_ping_response, peer_api_port) },
	{ "IsLocalIP", FIELD_BOOL, offsetof(struct tailcfg_ping_response, is_local_ip) },
};

const struct schema tailcfg_ping_response_schema = {
	.noun = "PingResponse", .size = sizeof(struct tailcfg_ping_response), .fields = ping_response_fields, .n = sizeof(ping_response_fields) / sizeof(ping_response_fields[0]),
};

static const struct field tka_info_fields[] = {
	{ "Head", FIELD_TEXT, offsetof(struct tailcfg_tka_info, head) },
	{ "Disabled", FIELD_BOOL, offsetof(struct tailcfg_tka_info, disabled) },
};

const struct schema tailcfg_tka_info_schema = {
	.noun = "TKAInfo", .size = sizeof(struct tailcfg_tka_info), .fields = tka_info_fields, .n = sizeof(tka_info_fields) / sizeof(tka_info_fields[0]),
};

static const struct field debug_fields[] = {
	{ "SleepSeconds", FIELD_REAL, offsetof(struct tailcfg_debug, sleep_seconds) },
	{ "DisableLogTail", FIELD_BOOL, offsetof(struct tailcfg_debug, disable_log_tail) },
	{ "Exit", FIELD_I64, offsetof(struct tailcfg_debug, exit) },
};

const struct schema tailcfg_debug_schema = {
	.noun = "Debug", .size = sizeof(struct tailcfg_debug), .fields = debug_fields, .n = sizeof(debug_fields) / sizeof(debug_fields[0]),
};

static const struct field client_version_fields[] = {
	{ "RunningLatest", FIELD_BOOL, offsetof(struct tailcfg_client_version, running_latest) },
	{ "LatestVersion", FIELD_TEXT, offsetof(struct tailcfg_client_version, latest_version) },
	{ "UrgentSecurityUpdate", FIELD_BOOL, offsetof(struct tailcfg_client_version, urgent_security_update) },
	{ "Notify", FIELD_BOOL, offsetof(struct tailcfg_client_version, notify) },
	{ "NotifyURL", FIELD_TEXT, offsetof(struct tailcfg_client_version, notify_url) },
	{ "NotifyText", FIELD_TEXT, offsetof(struct tailcfg_client_version, notify_text) },
};

const struct schema tailcfg_client_version_schema = {
	.noun = "ClientVersion", .size = sizeof(struct tailcfg_client_version), .fields = client_version_fields, .n = sizeof(client_version_fields) / sizeof(client_version_fields[0]),
};

static const struct field dial_candidate_fields[] = {
	{ "IP", FIELD_IP, offsetof(struct tailcfg_dial_candidate, ip) },
	{ "ACEHost", FIELD_TEXT, offsetof(struct tailcfg_dial_candidate, ace_host) },
	{ "DialStartDelaySec", FIELD_REAL, offsetof(struct tailcfg_dial_candidate, dial_start_delay_sec) },
	{ "DialTimeoutSec", FIELD_REAL, offsetof(struct tailcfg_dial_candidate, dial_timeout_sec) },
	{ "Priority", FIELD_I64, offsetof(struct tailcfg_dial_candidate, priority) },
};

const struct schema tailcfg_dial_candidate_schema = {
	.noun = "ControlIPCandidate", .size = sizeof(struct tailcfg_dial_candidate), .fields = dial_candidate_fields, .n = sizeof(dial_candidate_fields) / sizeof(dial_candidate_fields[0]),
};

static const struct field dial_plan_fields[] = {
	{ "Candidates", FIELD_OBJECTS, offsetof(struct tailcfg_dial_plan, candidates), .flags = FIELD_ALWAYS, .sub = &tailcfg_dial_candidate_schema },
};

const struct schema tailcfg_dial_plan_schema = {
	.noun = "ControlDialPlan", .size = sizeof(struct tailcfg_dial_plan), .fields = dial_plan_fields, .n = sizeof(dial_plan_fields) / sizeof(dial_plan_fields[0]),
};

static const struct field map_response_fields[] = {
	{ "MapSessionHandle", FIELD_TEXT, offsetof(struct tailcfg_map_response, map_session_handle) },
	{ "Seq", FIELD_I64, offsetof(struct tailcfg_map_response, seq) },
	{ "KeepAlive", FIELD_BOOL, offsetof(struct tailcfg_map_response, keep_alive) },
	{ "PingRequest", FIELD_OBJECT, offsetof(struct tailcfg_map_response, ping_request), .sub = &tailcfg_ping_request_schema },
	{ "PopBrowserURL", FIELD_TEXT, offsetof(struct tailcfg_map_response, pop_browser_url) },
	{ "Node", FIELD_OBJECT, offsetof(struct tailcfg_map_response, node), .sub = &tailcfg_node_schema },
	{ "DERPMap", FIELD_OBJECT, offsetof(struct tailcfg_map_response, derp_map), .sub = &tailcfg_derp_map_schema },
	{ "Peers", FIELD_OBJECTS, offsetof(struct tailcfg_map_response, peers), .flags = FIELD_LENIENT, .sub = &tailcfg_node_schema },
	{ "PeersChanged", FIELD_OBJECTS, offsetof(struct tailcfg_map_response, peers_changed), .flags = FIELD_LENIENT, .sub = &tailcfg_node_schema },
	{ "PeersRemoved", FIELD_I64S, offsetof(struct tailcfg_map_response, peers_removed) },
	{ "PeersChangedPatch", FIELD_OBJECTS, offsetof(struct tailcfg_map_response, peers_changed_patch), .flags = FIELD_LENIENT, .sub = &tailcfg_peer_change_schema },
	{ "PeerSeenChange", FIELD_ID_BOOLS, offsetof(struct tailcfg_map_response, peer_seen_change) },
	{ "OnlineChange", FIELD_ID_BOOLS, offsetof(struct tailcfg_map_response, online_change) },
	{ "DNSConfig", FIELD_OBJECT, offsetof(struct tailcfg_map_response, dns_config), .sub = &tailcfg_dns_schema },
	{ "Domain", FIELD_TEXT, offsetof(struct tailcfg_map_response, domain) },
	{ "CollectServices", FIELD_OPT_BOOL, offsetof(struct tailcfg_map_response, collect_services) },
	{ "PacketFilter", FIELD_JSON, offsetof(struct tailcfg_map_response, packet_filter) },
	{ "PacketFilters", FIELD_NAMED_JSONS, offsetof(struct tailcfg_map_response, packet_filters) },
	{ "UserProfiles", FIELD_OBJECTS, offsetof(struct tailcfg_map_response, user_profiles), .flags = FIELD_LENIENT, .sub = &tailcfg_user_profile_schema },
	{ "Health", FIELD_TEXTS, offsetof(struct tailcfg_map_response, health) },
	{ "DisplayMessages", FIELD_NAMED_JSONS, offsetof(struct tailcfg_map_response, display_messages) },
	{ "SSHPolicy", FIELD_JSON, offsetof(struct tailcfg_map_response, ssh_policy) },
	{ "ControlTime", FIELD_TIME, offsetof(struct tailcfg_map_response, control_time) },
	{ "TKAInfo", FIELD_OBJECT, offsetof(struct tailcfg_map_response, tka_info), .sub = &tailcfg_tka_info_schema },
	{ "DomainDataPlaneAuditLogID", FIELD_TEXT, offsetof(struct tailcfg_map_response, domain_data_plane_audit_log_id) },
	{ "Debug", FIELD_OBJECT, offsetof(struct tailcfg_map_response, debug), .sub = &tailcfg_debug_schema },
	{ "ControlDialPlan", FIELD_OBJECT, offsetof(struct tailcfg_map_response, control_dial_plan), .sub = &tailcfg_dial_plan_schema },
	{ "ClientVersion", FIELD_OBJECT, offsetof(struct tailcfg_map_response, client_version), .sub = &tailcfg_client_version_schema },
	{ "DefaultAutoUpdate", FIELD_OPT_BOOL, offsetof(struct tailcfg_map_response, default_auto_update) },
};

const struct schema tailcfg_map_response_schema = {
	.noun = "MapResponse", .size = sizeof(struct tailcfg_map_response), .fields = map_response_fields, .n = sizeof(map_response_fields) / sizeof(map_response_fields[0]),
};

static const struct field early_noise_fields[] = {
	{ "nodeKeyChallenge", FIELD_KEY, offsetof(struct tailcfg_early_noise, node_key_challenge), .key = KEY_CHALLENGE },
};

const struct schema tailcfg_early_noise_schema = {
	.noun = "EarlyNoise", .size = sizeof(struct tailcfg_early_noise), .fields = early_noise_fields, .n = sizeof(early_noise_fields) / sizeof(early_noise_fields[0]),
};

// clang-format on
