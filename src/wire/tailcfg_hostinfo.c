/* Tables: member names and omission as upstream has them, one row per member, aligned by nobody. */
#include "wire/tailcfg_hostinfo.h"

// clang-format off

static const struct field service_fields[] = {
	{ "Proto", FIELD_TEXT, offsetof(struct tailcfg_service, proto), .flags = FIELD_ALWAYS },
	{ "Port", FIELD_I64, offsetof(struct tailcfg_service, port), .flags = FIELD_ALWAYS },
	{ "Description", FIELD_TEXT, offsetof(struct tailcfg_service, description) },
};

const struct schema tailcfg_service_schema = {
	.noun = "Service", .size = sizeof(struct tailcfg_service), .fields = service_fields, .n = sizeof(service_fields) / sizeof(service_fields[0]),
};

static const struct field netinfo_fields[] = {
	{ "MappingVariesByDestIP", FIELD_OPT_BOOL, offsetof(struct tailcfg_netinfo, mapping_varies_by_dest_ip) },
	{ "WorkingIPv6", FIELD_OPT_BOOL, offsetof(struct tailcfg_netinfo, working_ipv6) },
	{ "OSHasIPv6", FIELD_OPT_BOOL, offsetof(struct tailcfg_netinfo, os_has_ipv6) },
	{ "WorkingUDP", FIELD_OPT_BOOL, offsetof(struct tailcfg_netinfo, working_udp) },
	{ "WorkingICMPv4", FIELD_OPT_BOOL, offsetof(struct tailcfg_netinfo, working_icmpv4) },
	{ "HavePortMap", FIELD_BOOL, offsetof(struct tailcfg_netinfo, have_port_map) },
	{ "UPnP", FIELD_OPT_BOOL, offsetof(struct tailcfg_netinfo, upnp) },
	{ "PMP", FIELD_OPT_BOOL, offsetof(struct tailcfg_netinfo, pmp) },
	{ "PCP", FIELD_OPT_BOOL, offsetof(struct tailcfg_netinfo, pcp) },
	{ "PreferredDERP", FIELD_I64, offsetof(struct tailcfg_netinfo, preferred_derp) },
	{ "LinkType", FIELD_TEXT, offsetof(struct tailcfg_netinfo, link_type) },
	{ "DERPLatency", FIELD_NAMED_REALS, offsetof(struct tailcfg_netinfo, derp_latency) },
	{ "FirewallMode", FIELD_TEXT, offsetof(struct tailcfg_netinfo, firewall_mode) },
};

const struct schema tailcfg_netinfo_schema = {
	.noun = "NetInfo", .size = sizeof(struct tailcfg_netinfo), .fields = netinfo_fields, .n = sizeof(netinfo_fields) / sizeof(netinfo_fields[0]),
};

static const struct field location_fields[] = {
	{ "Country", FIELD_TEXT, offsetof(struct tailcfg_location, country) },
	{ "CountryCode", FIELD_TEXT, offsetof(struct tailcfg_location, country_code) },
	{ "City", FIELD_TEXT, offsetof(struct tailcfg_location, city) },
	{ "CityCode", FIELD_TEXT, offsetof(struct tailcfg_location, city_code) },
	{ "Latitude", FIELD_REAL, offsetof(struct tailcfg_location, latitude) },
	{ "Longitude", FIELD_REAL, offsetof(struct tailcfg_location, longitude) },
	{ "Priority", FIELD_I64, offsetof(struct tailcfg_location, priority) },
};

const struct schema tailcfg_location_schema = {
	.noun = "Location", .size = sizeof(struct tailcfg_location), .fields = location_fields, .n = sizeof(location_fields) / sizeof(location_fields[0]),
};

static const struct field hostinfo_fields[] = {
	{ "IPNVersion", FIELD_TEXT, offsetof(struct tailcfg_hostinfo, ipn_version) },
	{ "FrontendLogID", FIELD_TEXT, offsetof(struct tailcfg_hostinfo, frontend_log_id) },
	{ "BackendLogID", FIELD_TEXT, offsetof(struct tailcfg_hostinfo, backend_log_id) },
	{ "OS", FIELD_TEXT, offsetof(struct tailcfg_hostinfo, os) },
	{ "OSVersion", FIELD_TEXT, offsetof(struct tailcfg_hostinfo, os_version) },
	{ "Container", FIELD_OPT_BOOL, offsetof(struct tailcfg_hostinfo, container) },
	{ "Env", FIELD_TEXT, offsetof(struct tailcfg_hostinfo, env) },
	{ "Distro", FIELD_TEXT, offsetof(struct tailcfg_hostinfo, distro) },
	{ "DistroVersion", FIELD_TEXT, offsetof(struct tailcfg_hostinfo, distro_version) },
	{ "DistroCodeName", FIELD_TEXT, offsetof(struct tailcfg_hostinfo, distro_code_name) },
	{ "App", FIELD_TEXT, offsetof(struct tailcfg_hostinfo, app) },
	{ "Desktop", FIELD_OPT_BOOL, offsetof(struct tailcfg_hostinfo, desktop) },
	{ "Package", FIELD_TEXT, offsetof(struct tailcfg_hostinfo, package) },
	{ "DeviceModel", FIELD_TEXT, offsetof(struct tailcfg_hostinfo, device_model) },
	{ "PushDeviceToken", FIELD_TEXT, offsetof(struct tailcfg_hostinfo, push_device_token) },
	{ "Hostname", FIELD_TEXT, offsetof(struct tailcfg_hostinfo, hostname) },
	{ "ShieldsUp", FIELD_BOOL, offsetof(struct tailcfg_hostinfo, shields_up) },
	{ "ShareeNode", FIELD_BOOL, offsetof(struct tailcfg_hostinfo, sharee_node) },
	{ "NoLogsNoSupport", FIELD_BOOL, offsetof(struct tailcfg_hostinfo, no_logs_no_support) },
	{ "RemoteConfig", FIELD_BOOL, offsetof(struct tailcfg_hostinfo, remote_config) },
	{ "WireIngress", FIELD_BOOL, offsetof(struct tailcfg_hostinfo, wire_ingress) },
	{ "IngressEnabled", FIELD_BOOL, offsetof(struct tailcfg_hostinfo, ingress_enabled) },
	{ "AllowsUpdate", FIELD_BOOL, offsetof(struct tailcfg_hostinfo, allows_update) },
	{ "Machine", FIELD_TEXT, offsetof(struct tailcfg_hostinfo, machine) },
	{ "GoArch", FIELD_TEXT, offsetof(struct tailcfg_hostinfo, go_arch) },
	{ "GoArchVar", FIELD_TEXT, offsetof(struct tailcfg_hostinfo, go_arch_var) },
	{ "GoVersion", FIELD_TEXT, offsetof(struct tailcfg_hostinfo, go_version) },
	{ "RoutableIPs", FIELD_PREFIXES, offsetof(struct tailcfg_hostinfo, routable_ips) },
	{ "RequestTags", FIELD_TEXTS, offsetof(struct tailcfg_hostinfo, request_tags) },
	{ "WoLMACs", FIELD_TEXTS, offsetof(struct tailcfg_hostinfo, wol_macs) },
	{ "Services", FIELD_OBJECTS, offsetof(struct tailcfg_hostinfo, services), .sub = &tailcfg_service_schema },
	{ "NetInfo", FIELD_OBJECT, offsetof(struct tailcfg_hostinfo, netinfo), .sub = &tailcfg_netinfo_schema },
	{ "sshHostKeys", FIELD_TEXTS, offsetof(struct tailcfg_hostinfo, ssh_host_keys) },
	{ "Cloud", FIELD_TEXT, offsetof(struct tailcfg_hostinfo, cloud) },
	{ "Userspace", FIELD_OPT_BOOL, offsetof(struct tailcfg_hostinfo, userspace) },
	{ "UserspaceRouter", FIELD_OPT_BOOL, offsetof(struct tailcfg_hostinfo, userspace_router) },
	{ "AppConnector", FIELD_OPT_BOOL, offsetof(struct tailcfg_hostinfo, app_connector) },
	{ "ServicesHash", FIELD_TEXT, offsetof(struct tailcfg_hostinfo, services_hash) },
	{ "PeerRelay", FIELD_BOOL, offsetof(struct tailcfg_hostinfo, peer_relay) },
	{ "ExitNodeID", FIELD_TEXT, offsetof(struct tailcfg_hostinfo, exit_node_id) },
	{ "Location", FIELD_OBJECT, offsetof(struct tailcfg_hostinfo, location), .sub = &tailcfg_location_schema },
	{ "TPM", FIELD_JSON, offsetof(struct tailcfg_hostinfo, tpm) },
	{ "StateEncrypted", FIELD_OPT_BOOL, offsetof(struct tailcfg_hostinfo, state_encrypted) },
};

const struct schema tailcfg_hostinfo_schema = {
	.noun = "Hostinfo", .size = sizeof(struct tailcfg_hostinfo), .fields = hostinfo_fields, .n = sizeof(hostinfo_fields) / sizeof(hostinfo_fields[0]),
	.raw_at = offsetof(struct tailcfg_hostinfo, raw) + 1,
};

// clang-format on
