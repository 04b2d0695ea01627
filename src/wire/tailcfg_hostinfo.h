/*
 * wire/tailcfg_hostinfo.h - what a node says about itself: Hostinfo, NetInfo, services (upstream:
 * tailcfg/tailcfg.go).
 */
#pragma once

#include "wire/schema.h"

struct tailcfg_service {
	struct bytes proto; /* tcp, udp, peerapi4, peerapi6, peerapi-dns-proxy */
	int64_t port;
	struct bytes description;
};
extern const struct schema tailcfg_service_schema;
struct tailcfg_service_list {
	struct tailcfg_service *v;
	size_t n;
	bool set;
};

struct tailcfg_netinfo {
	enum opt_bool mapping_varies_by_dest_ip;
	enum opt_bool working_ipv6;
	enum opt_bool os_has_ipv6;
	enum opt_bool working_udp;
	enum opt_bool working_icmpv4;
	bool have_port_map;
	enum opt_bool upnp;
	enum opt_bool pmp;
	enum opt_bool pcp;
	int64_t preferred_derp; /* the home relay; 0: none yet */
	struct bytes link_type;
	struct named_real_list derp_latency; /* "900-v4": seconds */
	struct bytes firewall_mode;
};
extern const struct schema tailcfg_netinfo_schema;

struct tailcfg_location {
	struct bytes country;
	struct bytes country_code;
	struct bytes city;
	struct bytes city_code;
	double latitude;
	double longitude;
	int64_t priority;
};
extern const struct schema tailcfg_location_schema;

struct tailcfg_hostinfo {
	struct bytes raw; /* the object as it came; when set, it is what is encoded */
	struct bytes ipn_version;
	struct bytes frontend_log_id;
	struct bytes backend_log_id;
	struct bytes os;
	struct bytes os_version;
	enum opt_bool container;
	struct bytes env;
	struct bytes distro;
	struct bytes distro_version;
	struct bytes distro_code_name;
	struct bytes app;
	enum opt_bool desktop;
	struct bytes package;
	struct bytes device_model;
	struct bytes push_device_token;
	struct bytes hostname;
	bool shields_up;
	bool sharee_node;
	bool no_logs_no_support;
	bool remote_config;
	bool wire_ingress;
	bool ingress_enabled;
	bool allows_update;
	struct bytes machine;
	struct bytes go_arch;
	struct bytes go_arch_var;
	struct bytes go_version;
	struct prefix_list routable_ips; /* advertised routes */
	struct text_list request_tags;
	struct text_list wol_macs;
	struct tailcfg_service_list services;
	struct tailcfg_netinfo *netinfo;
	struct text_list ssh_host_keys; /* present: Tailscale SSH is on */
	struct bytes cloud;
	enum opt_bool userspace;
	enum opt_bool userspace_router;
	enum opt_bool app_connector;
	struct bytes services_hash;
	bool peer_relay;
	struct bytes exit_node_id;
	struct tailcfg_location *location;
	struct bytes tpm;
	enum opt_bool state_encrypted;
};
extern const struct schema tailcfg_hostinfo_schema;
