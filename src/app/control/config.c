#include "app/control/config.h"

#include <stddef.h>
#include <stdio.h>
#include <yaml.h>

#include "base/err.h"
#include "base/ip.h"
#include "base/mem.h"
#include "base/text.h"
#include "io/postgres.h"
#include "wire/url.h"

enum opt_kind { OPT_TEXT, OPT_BOOL, OPT_NUMBER };

struct opt {
	const char *name;
	enum opt_kind kind;
	size_t at, size;
	const char *value; /* default */
	const char *says;
};

#define TEXT(f) OPT_TEXT, offsetof(struct config, f), sizeof(((struct config *)0)->f)
#define BOOL(f) OPT_BOOL, offsetof(struct config, f), 0
#define NUMBER(f) OPT_NUMBER, offsetof(struct config, f), 0

// clang-format off
static const struct opt opts[] = {
	{ "state_dir",         TEXT(state_dir),         "/var/lib/weft-control", "database and keys" },
	{ "database",          TEXT(database),          "",    "postgres://USER:PASSWORD@HOST:PORT/NAME; empty: SQLite in state_dir" },
	{ "listen",            TEXT(listen),            "127.0.0.1:8080", "address and port of the server" },
	{ "server_url",        TEXT(server_url),        "",    "URL that nodes log in to; empty: from listen" },
	{ "tls_cert",          TEXT(tls_cert),          "",    "certificate chain (PEM); empty: plain HTTP" },
	{ "tls_key",           TEXT(tls_key),           "",    "private key (PEM)" },
	{ "tls_self_signed",   TEXT(tls_self_signed),   "",    "names for a certificate made at the start; for local use" },
	{ "base_domain",       TEXT(base_domain),       "weft.internal", "DNS suffix of node names" },
	{ "derp_map",          TEXT(derp_map),          "",    "JSON file with relays beside our own" },
	{ "relay",             BOOL(relay),             "yes", "serve as a relay too" },
	{ "relay_host",        TEXT(relay_host),        "",    "the relay's host name; empty: from server_url" },
	{ "stun_port",         NUMBER(stun_port),       "3478", "UDP port of the relay's STUN; 0: none" },
	{ "key_expiry_days",   NUMBER(key_expiry_days), "0",   "days until users' nodes must log in again; 0: never" },
	{ "ephemeral_grace_s", NUMBER(ephemeral_grace_s), "600", "seconds until an ephemeral node that left is deleted" },
	{ "device_approval",   BOOL(device_approval),   "no",  "an admin approves each new node" },
	{ "oidc_issuer",       TEXT(oidc_issuer),       "",    "URL of the identity provider; empty: local users with passwords" },
	{ "oidc_client_id",    TEXT(oidc_client_id),    "",    "this server's name there" },
	{ "oidc_client_secret_file", TEXT(oidc_client_secret_file), "", "file with its secret; empty: a public client" },
	{ "oidc_scopes",       TEXT(oidc_scopes),       "openid profile email", "what to ask the provider for" },
	{ "oidc_groups_claim", TEXT(oidc_groups_claim), "groups", "claim with a person's groups, such as realm_access.roles" },
	{ "oidc_allowed_domains", TEXT(oidc_allowed_domains), "", "domains of verified addresses that may log in; *: everybody" },
	{ "oidc_allowed_users", TEXT(oidc_allowed_users), "",  "addresses or subjects that may log in" },
	{ "oidc_allowed_groups", TEXT(oidc_allowed_groups), "", "groups whose members may log in" },
	{ "oidc_unverified_email", BOOL(oidc_unverified_email), "no", "trust addresses that the provider did not verify" },
	{ "oidc_ca_file",      TEXT(oidc_ca_file),      "",    "CA certificates for the provider (PEM); empty: the system's" },
	{ "admin_socket",      TEXT(admin_socket),      "",    "unix socket of the command line; empty: STATE_DIR/admin.sock" },
	{ "trusted_proxies",   TEXT(trusted_proxies),   "",    "addresses or prefixes whose X-Forwarded-For is believed" },
	{ "connections_per_minute", NUMBER(connections_per_minute), "30000", "new connections of nodes that one address may make" },
	{ "log_level",         TEXT(log_level),         "info", "error, warn, info or debug" },
};
// clang-format on

static int set_bool(bool *at, struct bytes value, const char *name, struct err *err)
{
	static const char *const yes[] = { "yes", "true", "on" }, *const no[] = { "no", "false",
										  "off" };

	for (int i = 0; i < 3; i++) {
		if (bytes_equal_nocase(value, bytes_str(yes[i]))) {
			*at = true;
			return 0;
		}
		if (bytes_equal_nocase(value, bytes_str(no[i]))) {
			*at = false;
			return 0;
		}
	}
	return err_set(err, ERR_USAGE, "%s takes yes or no", name);
}

static int set_opt(struct config *c, const struct opt *o, struct bytes value, struct err *err)
{
	void *at = (char *)c + o->at;
	uint64_t n;

	if (o->kind == OPT_BOOL)
		return set_bool(at, value, o->name, err);
	if (o->kind == OPT_TEXT)
		return bytes_to_cstr(value, at, o->size)
			   ? 0
			   : err_set(err, ERR_USAGE, "%s takes at most %zu characters", o->name,
				     o->size - 1);
	if (!text_u64(value, INT32_MAX, &n))
		return err_set(err, ERR_USAGE, "%s takes a whole number", o->name);
	*(int64_t *)at = (int64_t)n;
	return 0;
}

void config_defaults(struct config *c)
{
	memset(c, 0, sizeof(*c));
	for (size_t i = 0; i < array_len(opts); i++)
		(void)set_opt(c, &opts[i], bytes_str(opts[i].value), NULL);
}

static const struct opt *opt_find(struct bytes name)
{
	for (size_t i = 0; i < array_len(opts); i++)
		if (bytes_equal_str(name, opts[i].name))
			return &opts[i];
	return NULL;
}

/* A file that was named by mistake may hold secrets: what is no key is not repeated. */
static bool looks_like_key(struct bytes name)
{
	for (size_t i = 0; i < name.n; i++)
		if (!name.p[i] ||
		    !strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-", name.p[i]))
			return false;
	return name.n > 0 && name.n < 32;
}

static int unknown(struct bytes name, struct err *err)
{
	const char *best = NULL;
	size_t distance = 4;

	if (!looks_like_key(name))
		return err_set(err, ERR_USAGE,
			       "needs `key: value`; `weft-control config show` lists the keys");

	for (size_t i = 0; i < array_len(opts); i++) {
		size_t d = text_distance(name, bytes_str(opts[i].name));

		if (d < distance) {
			distance = d;
			best = opts[i].name;
		}
	}
	if (best)
		return err_set(err, ERR_USAGE, "unknown key %.*s; did you mean %s?",
			       BYTES_FMT(name), best);
	return err_set(err, ERR_USAGE, "unknown key %.*s; `weft-control config show` lists all",
		       BYTES_FMT(name));
}

static struct bytes scalar_of(const yaml_node_t *node)
{
	return bytes_of(node->data.scalar.value, node->data.scalar.length);
}

static int read_pairs(struct config *c, yaml_document_t *doc, const yaml_node_t *root,
		      const char *path, struct err *err)
{
	for (yaml_node_pair_t *p = root->data.mapping.pairs.start; p < root->data.mapping.pairs.top;
	     p++) {
		const yaml_node_t *key = yaml_document_get_node(doc, p->key),
				  *value = yaml_document_get_node(doc, p->value);
		unsigned line = (unsigned)key->start_mark.line + 1;
		const struct opt *o;
		int ret;

		if (key->type != YAML_SCALAR_NODE || value->type != YAML_SCALAR_NODE)
			return err_set(err, ERR_USAGE, "%s line %u: needs `key: value`", path,
				       line);
		o = opt_find(scalar_of(key));
		ret = o ? set_opt(c, o, scalar_of(value), err) : unknown(scalar_of(key), err);
		if (ret < 0)
			return err_wrap(err, "%s line %u", path, line);
	}
	return 0;
}

int config_read(struct config *c, const char *path, struct err *err)
{
	FILE *file = fopen(path, "re");
	yaml_parser_t parser;
	yaml_document_t doc;
	const yaml_node_t *root;
	int ret = -1;

	if (!file)
		return err_sys(err, "open %s", path);
	if (!yaml_parser_initialize(&parser)) {
		(void)fclose(file);
		return err_set(err, ERR_SYSTEM, "no memory");
	}
	yaml_parser_set_input_file(&parser, file);
	if (!yaml_parser_load(&parser, &doc)) {
		(void)err_set(err, ERR_USAGE, "%s line %zu: %s", path, parser.problem_mark.line + 1,
			      parser.problem);
		goto out;
	}
	root = yaml_document_get_root_node(&doc);
	if (!root)
		ret = 0;
	else if (root->type != YAML_MAPPING_NODE)
		(void)err_set(err, ERR_USAGE, "%s: needs lines of `key: value`", path);
	else
		ret = read_pairs(c, &doc, root, path, err);
	yaml_document_delete(&doc);
out:
	yaml_parser_delete(&parser);
	(void)fclose(file);
	return ret;
}

static bool is_variable(const char *entry, const char *name, struct bytes *value)
{
	static const char prefix[] = "WEFT_CONTROL_";
	const char *at = entry + sizeof(prefix) - 1;

	if (strncmp(entry, prefix, sizeof(prefix) - 1) != 0)
		return false;
	for (; *name; name++, at++)
		if ((*at | 0x20) != *name && *at != *name)
			return false;
	if (*at != '=')
		return false;
	*value = bytes_str(at + 1);
	return true;
}

int config_environment(struct config *c, char *const *environment, struct err *err)
{
	for (; environment && *environment; environment++)
		for (size_t i = 0; i < array_len(opts); i++) {
			struct bytes value;

			if (is_variable(*environment, opts[i].name, &value) &&
			    set_opt(c, &opts[i], value, err) < 0)
				return err_wrap(err, "environment");
		}
	return 0;
}

static struct bytes host_of(struct bytes url)
{
	struct bytes rest = url;

	if (bytes_has_prefix(url, "https://"))
		rest = bytes_from(url, 8);
	else if (bytes_has_prefix(url, "http://"))
		rest = bytes_from(url, 7);
	for (size_t i = 0; i < rest.n; i++)
		if (rest.p[i] == ':' || rest.p[i] == '/')
			return bytes_of(rest.p, i);
	return rest;
}

/* host is domain, or a name below it. */
static bool is_below(struct bytes host, struct bytes domain)
{
	if (host.n < domain.n || !bytes_equal_nocase(bytes_from(host, host.n - domain.n), domain))
		return false;
	return host.n == domain.n || host.p[host.n - domain.n - 1] == '.';
}

static bool is_loopback(struct bytes host)
{
	struct ip ip;

	return bytes_equal_str(host, "localhost") || (ip_parse(&ip, host) && ip_is_loopback(ip));
}

static int finish_oidc(const struct config *c, struct err *err)
{
	struct bytes issuer = bytes_str(c->oidc_issuer);
	struct url url;

	if (!issuer.n)
		return 0;
	if (!url_parse(&url, issuer) || (!url.tls && !is_loopback(url.host)))
		return err_set(err, ERR_USAGE, "oidc_issuer takes a URL that starts with https://");
	if (!c->oidc_client_id[0])
		return err_set(err, ERR_USAGE, "oidc_issuer needs oidc_client_id beside it");
	if (!c->oidc_allowed_domains[0] && !c->oidc_allowed_users[0] && !c->oidc_allowed_groups[0])
		return err_set(err, ERR_USAGE,
			       "say who may log in: oidc_allowed_domains, oidc_allowed_users or "
			       "oidc_allowed_groups (oidc_allowed_users: \"*\" for everybody the "
			       "provider knows)");
	return 0;
}

int config_finish(struct config *c, struct err *err)
{
	bool tls = c->tls_cert[0] || c->tls_self_signed[0];
	struct addrport at;
	struct bytes url, host;

	if (!addrport_parse(&at, bytes_str(c->listen)))
		return err_set(err, ERR_USAGE, "listen takes ADDRESS:PORT such as 0.0.0.0:443");
	if (!origin_parse(&c->proxies, bytes_str(c->trusted_proxies)))
		return err_set(err, ERR_USAGE,
			       "trusted_proxies takes at most %d addresses or prefixes such as"
			       " 10.0.0.2 192.0.2.0/24",
			       ORIGIN_PROXIES_MAX);
	if (c->database[0] && !postgres_is_url(c->database))
		return err_set(err, ERR_USAGE,
			       "database takes postgres://USER:PASSWORD@HOST:PORT/NAME, or nothing"
			       " for SQLite in state_dir");
	if (c->connections_per_minute < 1)
		return err_set(err, ERR_USAGE, "connections_per_minute is at least 1");
	if (!c->tls_cert[0] != !c->tls_key[0])
		return err_set(err, ERR_USAGE, "tls_cert and tls_key go together");
	if (!c->server_url[0])
		(void)snprintf(c->server_url, sizeof(c->server_url), "%s://%s",
			       tls ? "https" : "http", c->listen);
	url = bytes_str(c->server_url);
	if (!bytes_has_prefix(url, "https://") && !bytes_has_prefix(url, "http://"))
		return err_set(err, ERR_USAGE, "server_url starts with https:// or http://");
	if (url.p[url.n - 1] == '/')
		c->server_url[url.n - 1] = 0;
	host = host_of(bytes_str(c->server_url));
	if (is_below(host, bytes_str(c->base_domain)))
		return err_set(err, ERR_USAGE,
			       "base_domain %s holds the server's own name %.*s: nodes would look"
			       " for it inside the network; choose another, such as net.%s",
			       c->base_domain, BYTES_FMT(host), c->base_domain);
	if (finish_oidc(c, err) < 0)
		return -1;
	if (!c->relay_host[0])
		(void)bytes_to_cstr(host, c->relay_host, sizeof(c->relay_host));
	if (!c->admin_socket[0] &&
	    snprintf(c->admin_socket, sizeof(c->admin_socket), "%s/admin.sock", c->state_dir) >=
		(int)sizeof(c->admin_socket))
		return err_set(err, ERR_USAGE, "state_dir is too long a path");
	return 0;
}

void config_database(const struct config *c, char out[CONFIG_DATABASE_MAX])
{
	if (c->database[0])
		(void)bytes_to_cstr(bytes_str(c->database), out, CONFIG_DATABASE_MAX);
	else
		(void)snprintf(out, CONFIG_DATABASE_MAX, "%s/control.db", c->state_dir);
}

static void print_database(const struct config *c, struct buf *out)
{
	char name[POSTGRES_NAME_MAX];

	postgres_name(c->database, name);
	(void)buf_printf(out, "\"%s\" # without password and options\n", name);
}

void config_print(const struct config *c, struct buf *out)
{
	for (size_t i = 0; i < array_len(opts); i++) {
		const void *at = (const char *)c + opts[i].at;

		(void)buf_printf(out, "# %s\n%s: ", opts[i].says, opts[i].name);
		if (opts[i].kind == OPT_BOOL)
			(void)buf_printf(out, "%s\n", *(const bool *)at ? "yes" : "no");
		else if (opts[i].kind == OPT_NUMBER)
			(void)buf_printf(out, "%lld\n", (long long)*(const int64_t *)at);
		else if (at == c->database && c->database[0])
			print_database(c, out);
		else
			(void)buf_printf(out, "\"%s\"\n", (const char *)at);
	}
}
