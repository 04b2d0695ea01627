/*
 * node/prefs.h - what the user wants of this node, with the names and defaults of the original.
 *
 * One table in prefs.c serves the state file, LocalAPI and its masked edits. A struct prefs is a
 * decoded text and never changes; an edit makes a new one.
 */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "wire/schema.h"

struct err;

struct prefs_values {
	struct bytes control_url;
	bool route_all; /* accept routes of others */
	struct bytes exit_node_id;
	struct ip exit_node_ip;
	struct bytes auto_exit_node, internal_exit_node_prior;
	bool exit_node_allow_lan;
	bool corp_dns;
	bool run_ssh, run_web_client;
	bool want_running, logged_out, shields_up;
	struct text_list advertise_tags;
	struct bytes hostname; /* empty: the system's */
	bool notepad_urls, force_daemon;
	struct prefix_list advertise_routes;
	struct text_list advertise_services;
	enum opt_bool sync;
	bool no_snat;
	enum opt_bool no_stateful_filtering;
	int64_t netfilter_mode;
	struct bytes operator_user, profile_name;
	struct bytes auto_update, app_connector; /* JSON objects, kept for their clients */
	bool posture_checking;
	struct bytes netfilter_kind;
	bool remote_config;
	struct bytes drive_shares, relay_server_port, relay_server_endpoints; /* JSON */
};

extern const struct schema prefs_schema;

struct prefs {
	struct arena arena;
	struct bytes text; /* canonical JSON */
	struct prefs_values v;
};

enum { PREFS_TEXT_MAX = 256 << 10 };

struct prefs *prefs_create(void); /* defaults */
struct prefs *prefs_decode(struct bytes json, struct err *err);
void prefs_destroy(struct prefs *p); /* NULL is a no-op */
/* A MaskedPrefs object over p: members whose "...Set" is true. Checked like prefs_check(). */
struct prefs *prefs_edit(const struct prefs *p, struct bytes masked, struct err *err);
/* With single values instead of a mask; used inside the daemon. */
struct prefs *prefs_with(const struct prefs *p, const struct prefs_values *v);
/* Whether this daemon can do it; the sentence is for the user. */
int prefs_check(const struct prefs *p, struct err *err);
/* With "Config" as LocalAPI shows it; config (may be empty) is a JSON object. */
void prefs_write(struct json_out *o, const struct prefs *p, struct bytes config);
