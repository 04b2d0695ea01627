/*
 * wire/tailcfg_node.h - nodes as maps carry them: Node, PeerChange, UserProfile (upstream:
 * tailcfg/tailcfg.go).
 */
#pragma once

#include "wire/schema.h"
#include "wire/tailcfg_dns.h"
#include "wire/tailcfg_hostinfo.h"

struct tailcfg_node {
	int64_t id;
	struct bytes stable_id;
	struct bytes name; /* FQDN with trailing dot */
	int64_t user;
	int64_t sharer;
	struct key key;
	struct wall key_expiry; /* unset: never */
	struct bytes key_signature;
	struct key machine;
	struct key disco_key;
	struct prefix_list addresses;   /* exactly [IPv4/32, IPv6/128] */
	struct prefix_list allowed_ips; /* unset: Addresses */
	struct addrport_list endpoints;
	struct bytes legacy_derp; /* before capver 111: 127.3.3.40:REGION */
	int64_t home_derp;
	struct tailcfg_hostinfo *hostinfo;
	struct wall created;
	int64_t cap;
	struct text_list tags;
	struct prefix_list primary_routes;
	struct opt_time last_seen;
	enum opt_bool online;
	bool machine_authorized;
	struct text_list capabilities;
	struct named_json_list cap_map; /* name: null or a list of anything */
	bool unsigned_peer_api_only;
	struct bytes data_plane_audit_log_id;
	bool expired;
	struct ip self_node_v4_masq_addr_for_this_peer;
	struct ip self_node_v6_masq_addr_for_this_peer;
	bool is_wireguard_only;
	bool is_jailed;
	struct tailcfg_resolver_list exit_node_dns_resolvers;
};
extern const struct schema tailcfg_node_schema;
struct tailcfg_node_list {
	struct tailcfg_node *v;
	size_t n;
	bool set;
};

struct tailcfg_peer_change {
	int64_t node_id;
	int64_t derp_region;
	int64_t cap;
	struct named_json_list cap_map;
	struct addrport_list endpoints; /* set and empty: clears */
	struct key key;
	struct bytes key_signature;
	struct key disco_key;
	enum opt_bool online;
	struct opt_time last_seen;
	struct opt_time key_expiry; /* set to zero: never expires */
};
extern const struct schema tailcfg_peer_change_schema;
struct tailcfg_peer_change_list {
	struct tailcfg_peer_change *v;
	size_t n;
	bool set;
};

struct tailcfg_user_profile {
	int64_t id;
	struct bytes login_name;
	struct bytes display_name;
	struct bytes profile_pic_url;
	struct text_list groups;
};
extern const struct schema tailcfg_user_profile_schema;
struct tailcfg_user_profile_list {
	struct tailcfg_user_profile *v;
	size_t n;
	bool set;
};
