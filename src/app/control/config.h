/* app/control/config.h - the one configuration file of the server: few keys, each with a default.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "app/control/origin.h"
#include "base/bytes.h"

struct err;

enum { CONFIG_DATABASE_MAX = 1024 };

struct config {
	char state_dir[256];
	char database[CONFIG_DATABASE_MAX]; /* postgres:// URL with its password; empty: SQLite in
					       state_dir */
	char listen[64];                    /* address:port of the front */
	char server_url[256];               /* what nodes were told; empty: made from listen */
	char tls_cert[256], tls_key[256];
	char tls_self_signed[256]; /* names; no certificate of its own */
	char base_domain[200];     /* MagicDNS suffix of the first tailnet */
	char derp_map[256];        /* JSON file; empty: only the relay below */
	bool relay;                /* run a relay on the same listener */
	char relay_host[128];      /* its name for clients; empty: from server_url */
	int64_t stun_port;
	int64_t key_expiry_days; /* of new nodes of users; 0: never */
	int64_t ephemeral_grace_s;
	bool device_approval;
	char oidc_issuer[256]; /* empty: users of this server log in by password */
	char oidc_client_id[200], oidc_client_secret_file[256];
	char oidc_scopes[200], oidc_groups_claim[200], oidc_ca_file[256];
	char oidc_allowed_domains[1024], oidc_allowed_users[2048], oidc_allowed_groups[1024];
	bool oidc_unverified_email;
	char admin_socket[256];         /* empty: STATE_DIR/admin.sock */
	char trusted_proxies[512];      /* whose X-Forwarded-For counts */
	int64_t connections_per_minute; /* of one address */
	char log_level[16];
	struct origin_proxies proxies; /* trusted_proxies, parsed by config_finish() */
};

void config_defaults(struct config *c);
/* YAML. Unknown keys and wrong values are errors that name file, line and what is accepted. */
int config_read(struct config *c, const char *path, struct err *err);
/* WEFT_CONTROL_<KEY> in the environment wins over the file. */
int config_environment(struct config *c, char *const *environment, struct err *err);
/* What is derived, and what cannot work: says what to write. */
int config_finish(struct config *c, struct err *err);
/* Where the network is kept: the URL, or the path of the SQLite file. */
void config_database(const struct config *c, char out[CONFIG_DATABASE_MAX]);
/* The password of the database is not printed. */
void config_print(const struct config *c, struct buf *out); /* YAML, with a sentence per key */
