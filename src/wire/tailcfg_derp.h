/*
 * wire/tailcfg_derp.h - the relay map (upstream: tailcfg/derpmap.go).
 */
#pragma once

#include "wire/schema.h"

struct tailcfg_derp_node {
	struct bytes name; /* unique, such as 900a */
	int64_t region_id;
	struct bytes host_name;
	struct bytes cert_name; /* expected name; sha256-raw:HEX pins a certificate */
	struct bytes ipv4;      /* address instead of DNS; any other text switches the family off */
	struct bytes ipv6;
	int64_t stun_port; /* 0: 3478, -1: none */
	bool stun_only;
	int64_t derp_port; /* 0: 443 */
	bool insecure_for_tests;
	struct bytes stun_test_ip;
	bool can_port_80;
};
extern const struct schema tailcfg_derp_node_schema;
struct tailcfg_derp_node_list {
	struct tailcfg_derp_node *v;
	size_t n;
	bool set;
};

struct tailcfg_derp_region {
	int64_t region_id;
	struct bytes region_code;
	struct bytes region_name;
	double latitude;
	double longitude;
	bool avoid;
	bool no_measure_no_home;
	struct tailcfg_derp_node_list nodes;
};
extern const struct schema tailcfg_derp_region_schema;

struct tailcfg_derp_home_params {
	struct bytes region_score; /* {region id: factor} */
};
extern const struct schema tailcfg_derp_home_params_schema;

struct tailcfg_derp_map {
	struct tailcfg_derp_home_params *home_params;
	struct id_object_list regions; /* the key equals RegionID; unset keeps what was known;
					  struct tailcfg_derp_region */
	bool omit_default_regions;
};
extern const struct schema tailcfg_derp_map_schema;
