/* Tables: member names and omission as upstream has them, one row per member, aligned by nobody. */
#include "wire/tailcfg_derp.h"

// clang-format off

static const struct field derp_node_fields[] = {
	{ "Name", FIELD_TEXT, offsetof(struct tailcfg_derp_node, name), .flags = FIELD_ALWAYS },
	{ "RegionID", FIELD_I64, offsetof(struct tailcfg_derp_node, region_id), .flags = FIELD_ALWAYS },
	{ "HostName", FIELD_TEXT, offsetof(struct tailcfg_derp_node, host_name), .flags = FIELD_ALWAYS },
	{ "CertName", FIELD_TEXT, offsetof(struct tailcfg_derp_node, cert_name) },
	{ "IPv4", FIELD_TEXT, offsetof(struct tailcfg_derp_node, ipv4) },
	{ "IPv6", FIELD_TEXT, offsetof(struct tailcfg_derp_node, ipv6) },
	{ "STUNPort", FIELD_I64, offsetof(struct tailcfg_derp_node, stun_port) },
	{ "STUNOnly", FIELD_BOOL, offsetof(struct tailcfg_derp_node, stun_only) },
	{ "DERPPort", FIELD_I64, offsetof(struct tailcfg_derp_node, derp_port) },
	{ "InsecureForTests", FIELD_BOOL, offsetof(struct tailcfg_derp_node, insecure_for_tests) },
	{ "STUNTestIP", FIELD_TEXT, offsetof(struct tailcfg_derp_node, stun_test_ip) },
	{ "CanPort80", FIELD_BOOL, offsetof(struct tailcfg_derp_node, can_port_80) },
};

const struct schema tailcfg_derp_node_schema = {
	.noun = "DERPNode", .size = sizeof(struct tailcfg_derp_node), .fields = derp_node_fields, .n = sizeof(derp_node_fields) / sizeof(derp_node_fields[0]),
};

static const struct field derp_region_fields[] = {
	{ "RegionID", FIELD_I64, offsetof(struct tailcfg_derp_region, region_id), .flags = FIELD_ALWAYS },
	{ "RegionCode", FIELD_TEXT, offsetof(struct tailcfg_derp_region, region_code), .flags = FIELD_ALWAYS },
	{ "RegionName", FIELD_TEXT, offsetof(struct tailcfg_derp_region, region_name), .flags = FIELD_ALWAYS },
	{ "Latitude", FIELD_REAL, offsetof(struct tailcfg_derp_region, latitude) },
	{ "Longitude", FIELD_REAL, offsetof(struct tailcfg_derp_region, longitude) },
	{ "Avoid", FIELD_BOOL, offsetof(struct tailcfg_derp_region, avoid) },
	{ "NoMeasureNoHome", FIELD_BOOL, offsetof(struct tailcfg_derp_region, no_measure_no_home) },
	{ "Nodes", FIELD_OBJECTS, offsetof(struct tailcfg_derp_region, nodes), .flags = FIELD_ALWAYS, .sub = &tailcfg_derp_node_schema },
};

const struct schema tailcfg_derp_region_schema = {
	.noun = "DERPRegion", .size = sizeof(struct tailcfg_derp_region), .fields = derp_region_fields, .n = sizeof(derp_region_fields) / sizeof(derp_region_fields[0]),
};

static const struct field derp_home_params_fields[] = {
	{ "RegionScore", FIELD_JSON, offsetof(struct tailcfg_derp_home_params, region_score) },
};

const struct schema tailcfg_derp_home_params_schema = {
	.noun = "HomeParams", .size = sizeof(struct tailcfg_derp_home_params), .fields = derp_home_params_fields, .n = sizeof(derp_home_params_fields) / sizeof(derp_home_params_fields[0]),
};

static const struct field derp_map_fields[] = {
	{ "HomeParams", FIELD_OBJECT, offsetof(struct tailcfg_derp_map, home_params), .sub = &tailcfg_derp_home_params_schema },
	{ "Regions", FIELD_ID_OBJECTS, offsetof(struct tailcfg_derp_map, regions), .flags = FIELD_ALWAYS, .sub = &tailcfg_derp_region_schema },
	{ "omitDefaultRegions", FIELD_BOOL, offsetof(struct tailcfg_derp_map, omit_default_regions) },
};

const struct schema tailcfg_derp_map_schema = {
	.noun = "DERPMap", .size = sizeof(struct tailcfg_derp_map), .fields = derp_map_fields, .n = sizeof(derp_map_fields) / sizeof(derp_map_fields[0]),
};

// clang-format on
