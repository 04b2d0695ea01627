/*
 * wire/tailcfg_map.h - the map poll, both directions (upstream: tailcfg.MapRequest, MapResponse).
 */
#pragma once

#include "wire/schema.h"
#include "wire/tailcfg_derp.h"
#include "wire/tailcfg_dns.h"
#include "wire/tailcfg_node.h"

struct tailcfg_map_request {
	int64_t version;
	struct bytes compress;
	bool keep_alive;
	struct key node_key;
	struct key disco_key;
	struct bytes hardware_attestation_key; /* hwattestpub:... */
	struct bytes hardware_attestation_key_signature;
	struct wall hardware_attestation_key_signature_timestamp;
	bool stream;
	struct tailcfg_hostinfo *hostinfo;
	struct bytes map_session_handle;
	int64_t map_session_seq;
	struct addrport_list endpoints;
	struct i64_list endpoint_types; /* parallel to endpoints; may be shorter */
	struct bytes tka_head;
	bool read_only;
	bool omit_peers;
	struct text_list debug_flags;
};
extern const struct schema tailcfg_map_request_schema;

struct tailcfg_ping_request {
	struct bytes url;
	bool url_is_noise;
	bool log;
	struct bytes types;
	struct ip ip;
	struct bytes payload;
};
extern const struct schema tailcfg_ping_request_schema;

struct tailcfg_ping_response {
	struct bytes type;
	struct bytes ip;
	struct bytes node_ip;
	struct bytes node_name;
	struct bytes err;
	double latency_seconds;
	struct bytes endpoint;
	struct bytes peer_relay;
	int64_t derp_region_id;
	struct bytes derp_region_code;
	int64_t peer_api_port;
	bool is_local_ip;
};
extern const struct schema tailcfg_ping_response_schema;

struct tailcfg_tka_info {
	struct bytes head;
	bool disabled;
};
extern const struct schema tailcfg_tka_info_schema;

struct tailcfg_debug {
	double sleep_seconds;
	bool disable_log_tail;
	int64_t exit;
};
extern const struct schema tailcfg_debug_schema;

struct tailcfg_client_version {
	bool running_latest;
	struct bytes latest_version;
	bool urgent_security_update;
	bool notify;
	struct bytes notify_url;
	struct bytes notify_text;
};
extern const struct schema tailcfg_client_version_schema;

struct tailcfg_dial_candidate {
	struct ip ip;
	struct bytes ace_host;
	double dial_start_delay_sec;
	double dial_timeout_sec;
	int64_t priority;
};
extern const struct schema tailcfg_dial_candidate_schema;
struct tailcfg_dial_candidate_list {
	struct tailcfg_dial_candidate *v;
	size_t n;
	bool set;
};

struct tailcfg_dial_plan {
	struct tailcfg_dial_candidate_list candidates;
};
extern const struct schema tailcfg_dial_plan_schema;

/* set tells an absent list from an empty one where the protocol gives that a meaning. */
struct tailcfg_map_response {
	struct bytes map_session_handle;
	int64_t seq;
	bool keep_alive;
	struct tailcfg_ping_request *ping_request;
	struct bytes pop_browser_url;
	struct tailcfg_node *node;
	struct tailcfg_derp_map *derp_map;
	struct tailcfg_node_list peers;
	struct tailcfg_node_list peers_changed;
	struct i64_list peers_removed;
	struct tailcfg_peer_change_list peers_changed_patch;
	struct id_bool_list peer_seen_change;
	struct id_bool_list online_change;
	struct tailcfg_dns *dns_config;
	struct bytes domain;
	enum opt_bool collect_services;
	struct bytes packet_filter; /* list of FilterRule (wire/filterrule.h) */
	struct named_json_list
	    packet_filters; /* name: list of FilterRule or null; "*": null first clears all */
	struct tailcfg_user_profile_list user_profiles;
	struct text_list health;
	struct named_json_list display_messages;
	struct bytes ssh_policy;
	struct wall control_time;
	struct tailcfg_tka_info *tka_info;
	struct bytes domain_data_plane_audit_log_id;
	struct tailcfg_debug *debug;
	struct tailcfg_dial_plan *control_dial_plan;
	struct tailcfg_client_version *client_version;
	enum opt_bool default_auto_update;
};
extern const struct schema tailcfg_map_response_schema;

struct tailcfg_early_noise {
	struct key node_key_challenge;
};
extern const struct schema tailcfg_early_noise_schema;
