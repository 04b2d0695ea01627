/* app/weftd/localapi_status.c - Status, Prefs, LoginProfile: member names and order as the original
 * has them (upstream: ipn/ipnstate, ipn/prefs.go). */
#include <stdio.h>
#include <string.h>

#include "app/weftd/localapi_priv.h"
#include "base/mem.h"
#include "node/hostinfo.h"
#include "node/netmap.h"
#include "node/peerapi_at.h"
#include "node/prefs.h"
#include "node/routes.h"
#include "node/routes_health.h"
#include "node/state.h"

static const char zero_time[] = "0001-01-01T00:00:00Z";

static void text(struct json_out *o, const char *key, const char *v)
{
	json_key(o, key);
	json_put_cstr(o, v);
}

static void bytes(struct json_out *o, const char *key, struct bytes v)
{
	json_key(o, key);
	json_put_string(o, v);
}

static void truth(struct json_out *o, const char *key, bool v)
{
	json_key(o, key);
	json_put_bool(o, v);
}

static void number(struct json_out *o, const char *key, int64_t v)
{
	json_key(o, key);
	json_put_i64(o, v);
}

static void moment(struct json_out *o, const char *key, int64_t ns)
{
	char out[WALL_TEXT_MAX];

	text(o, key, ns ? wall_format((struct wall){ ns }, out) : zero_time);
}

static void node_ips(struct json_out *o, const char *key, const struct tailcfg_node *n)
{
	char out[IP_TEXT_MAX];

	json_key(o, key);
	json_open_array(o);
	for (size_t i = 0; n && i < n->addresses.n; i++)
		json_put_cstr(o, ip_format(n->addresses.v[i].addr, out));
	json_close_array(o);
}

static void prefixes(struct json_out *o, const char *key, const struct prefix_list *list)
{
	char out[PREFIX_TEXT_MAX];

	json_key(o, key);
	json_open_array(o);
	for (size_t i = 0; i < list->n; i++)
		json_put_cstr(o, prefix_format(list->v[i], out));
	json_close_array(o);
}

static void relay_code(struct json_out *o, const struct node *n, int64_t region)
{
	const struct netmap *map = node_map(n);
	const struct tailcfg_derp_region *r = map ? netmap_region(map, region) : NULL;

	bytes(o, "Relay", r ? r->region_code : bytes_str(""));
}

static void cap_map(struct json_out *o, const struct tailcfg_node *n)
{
	if (!n->cap_map.n)
		return;
	json_key(o, "Capabilities");
	json_open_array(o);
	json_put_cstr(o, "HTTPS://TAILSCALE.COM/s/DEPRECATED-NODE-CAPS#see-https://github.com/"
			 "tailscale/tailscale/issues/11508");
	for (size_t i = 0; i < n->cap_map.n; i++)
		json_put_string(o, n->cap_map.v[i].name);
	json_close_array(o);
	json_key(o, "CapMap");
	json_open_object(o);
	for (size_t i = 0; i < n->cap_map.n; i++) {
		json_key_bytes(o, n->cap_map.v[i].name);
		json_put_raw(o, n->cap_map.v[i].json.n ? n->cap_map.v[i].json : bytes_str("null"));
	}
	json_close_object(o);
}

static void own_addresses(struct json_out *o, const struct node *n, bool self)
{
	struct tunnel_endpoint v[TUNNEL_ENDPOINTS_MAX];
	struct tunnel *t = node_tunnel(n);
	char out[ADDRPORT_TEXT_MAX];
	size_t count = self && t ? tunnel_endpoints(t, v, TUNNEL_ENDPOINTS_MAX) : 0;

	json_key(o, "Addrs");
	if (!count) {
		json_put_null(o);
		return;
	}
	json_open_array(o);
	for (size_t i = 0; i < count; i++)
		json_put_cstr(o, addrport_format(v[i].at, out));
	json_close_array(o);
}

/* Ourselves: every one. A peer: the one that we would use. */
static void peerapi_urls(struct json_out *o, const struct node *n, const struct tailcfg_node *p,
			 bool self)
{
	struct addrport v[PEERAPI_ADDRESSES_MAX];
	char url[PEERAPI_URL_MAX];
	size_t count = 0;

	if (self)
		count = node_peerapi(n, v);
	else if (p && node_map(n) && peerapi_of(netmap_self(node_map(n)), p, &v[0]))
		count = 1;
	json_key(o, "PeerAPIURL");
	if (!count) {
		json_put_null(o);
		return;
	}
	json_open_array(o);
	for (size_t i = 0; i < count; i++)
		json_put_cstr(o, peerapi_url(v[i], url));
	json_close_array(o);
}

static void put_identity(struct json_out *o, const struct node *n, const struct tailcfg_node *p,
			 bool self)
{
	char key[KEYTEXT_MAX], name[256];
	struct key own = node_key(n);

	bytes(o, "ID", p ? p->stable_id : bytes_str(""));
	number(o, "NodeID", p ? p->id : 0);
	text(o, "PublicKey", keytext_format(p ? &p->key : &own, KEY_NODE, key));
	if (p && p->hostinfo && p->hostinfo->hostname.n) {
		bytes(o, "HostName", p->hostinfo->hostname);
	} else {
		hostinfo_name(node_prefs(n), name, sizeof(name));
		bytes(o, "HostName", self ? bytes_str(name) : netmap_node_label(p));
	}
	bytes(o, "DNSName", p ? p->name : bytes_str(""));
	bytes(o, "OS",
	      p && p->hostinfo && p->hostinfo->os.n ? p->hostinfo->os
						    : bytes_str(self ? "linux" : ""));
	number(o, "UserID", p ? p->user : 0);
	node_ips(o, "TailscaleIPs", p);
	if (p && p->allowed_ips.n)
		prefixes(o, "AllowedIPs", &p->allowed_ips);
	if (p && p->tags.n) {
		json_key(o, "Tags");
		json_open_array(o);
		for (size_t i = 0; i < p->tags.n; i++)
			json_put_string(o, p->tags.v[i]);
		json_close_array(o);
	}
	if (p && p->primary_routes.n)
		prefixes(o, "PrimaryRoutes", &p->primary_routes);
}

static int64_t ago(int64_t ms)
{
	return ms < 0 ? 0 : wall_now().ns - ms * 1000000;
}

/* Ours, unknown to the original: clients skip what they do not know. */
static void put_why(struct json_out *o, const struct tunnel_peer_status *s, bool known)
{
	if (!known || s->why == PATHWHY_DIRECT)
		return;
	text(o, "WeftWhyRelayed", pathwhy_code(s->why));
	text(o, "WeftWhyRelayedText", pathwhy_sentence(s->why));
}

/* p NULL: ourselves before the first map. */
static void put_node(struct json_out *o, const struct node *n, const struct tailcfg_node *p,
		     bool self)
{
	struct tunnel_peer_status s = { .handshake_ms_ago = -1, .write_ms_ago = -1 };
	struct tunnel *t = node_tunnel(n);
	char out[ADDRPORT_TEXT_MAX];
	const struct tailcfg_node *peer = self ? NULL : p;
	bool known = peer && t && tunnel_peer_status(t, peer->id, &s);
	bool online = peer ? peer->online == OPT_TRUE : node_is_online(n);

	json_open_object(o);
	put_identity(o, n, p, self);
	own_addresses(o, n, self);
	text(o, "CurAddr", ip_is_valid(s.direct.ip) ? addrport_format(s.direct, out) : "");
	relay_code(o, n, peer ? peer->home_derp : t ? tunnel_home(t) : 0);
	text(o, "PeerRelay", "");
	put_why(o, &s, known);
	number(o, "RxBytes", (int64_t)s.rx_bytes);
	number(o, "TxBytes", (int64_t)s.tx_bytes);
	moment(o, "Created", p ? p->created.ns : 0);
	moment(o, "LastWrite", ago(s.write_ms_ago));
	moment(o, "LastSeen", peer && !online && peer->last_seen.set ? peer->last_seen.at.ns : 0);
	moment(o, "LastHandshake", ago(s.handshake_ms_ago));
	truth(o, "Online", online);
	truth(o, "ExitNode",
	      peer && node_map(n) && routes_exit_node(node_map(n), node_prefs(n)) == peer);
	truth(o, "ExitNodeOption", p && routes_is_exit_option(p));
	truth(o, "Active", s.active);
	peerapi_urls(o, n, p, self);
	number(o, "TaildropTarget", 0);
	text(o, "NoFileSharingReason", "");
	if (self && p)
		cap_map(o, p);
	if (p && p->hostinfo && p->hostinfo->sharee_node)
		truth(o, "ShareeNode", true);
	truth(o, "InNetworkMap", p != NULL);
	truth(o, "InMagicSock", known);
	truth(o, "InEngine", s.handshake_ms_ago >= 0);
	if (p && p->expired)
		truth(o, "Expired", true);
	if (p && p->key_expiry.ns)
		moment(o, "KeyExpiry", p->key_expiry.ns / 1000000000 * 1000000000);
	json_close_object(o);
}

static void put_sentence(void *arg, const char *code, const char *sentence)
{
	(void)code;
	json_put_cstr(arg, sentence);
}

static void put_health(struct json_out *o, const struct node *n)
{
	const struct netmap *map = node_map(n);

	json_key(o, "Health");
	json_open_array(o);
	if (node_notice(n))
		json_put_cstr(o, node_notice(n));
	if (*node_error(n))
		json_put_cstr(o, node_error(n));
	if (node_state(n) == NODE_NEEDS_LOGIN && !node_prefs(n)->v.want_running)
		json_put_cstr(o, "You are logged out.");
	if (node_state(n) == NODE_STOPPED)
		json_put_cstr(o, "Tailscale is stopped.");
	if (map && node_map_is_stale(n))
		json_put_cstr(o, "The network map is from the last run: control was not heard "
				 "since.");
	if (node_prefs(n)->v.want_running)
		routes_health(map, node_prefs(n), node_host(n), put_sentence, o);
	for (size_t i = 0; map && i < netmap_health(map)->n; i++)
		json_put_string(o, netmap_health(map)->v[i]);
	json_close_array(o);
}

void localapi_user_profile(const struct node *n, int64_t id, struct json_out *o)
{
	const struct netmap *map = node_map(n);
	const struct tailcfg_user_profile *p = map ? netmap_profile(map, id) : NULL;

	json_open_object(o);
	number(o, "ID", id);
	bytes(o, "LoginName", p ? p->login_name : bytes_str(""));
	bytes(o, "DisplayName", p ? p->display_name : bytes_str(""));
	if (p && p->profile_pic_url.n)
		bytes(o, "ProfilePicURL", p->profile_pic_url);
	json_close_object(o);
}

static void put_users(struct json_out *o, const struct node *n, bool with_peers)
{
	const struct netmap *map = node_map(n);

	json_key(o, "User");
	if (!map) {
		json_put_null(o);
		return;
	}
	json_open_object(o);
	for (size_t i = 0; i < netmap_profile_count(map); i++) {
		const struct tailcfg_user_profile *p = netmap_profile_at(map, i);
		char id[24];

		if (!with_peers && p->id != netmap_self(map)->user)
			continue;
		(void)snprintf(id, sizeof(id), "%lld", (long long)p->id);
		json_key(o, id);
		localapi_user_profile(n, p->id, o);
	}
	json_close_object(o);
}

static void put_tailnet(struct json_out *o, const struct node *n)
{
	const struct netmap *map = node_map(n);

	bytes(o, "MagicDNSSuffix", map ? netmap_node_suffix(netmap_self(map)) : bytes_str(""));
	json_key(o, "CurrentTailnet");
	if (!map) {
		json_put_null(o);
		return;
	}
	json_open_object(o);
	bytes(o, "Name", netmap_domain(map));
	bytes(o, "MagicDNSSuffix", netmap_node_suffix(netmap_self(map)));
	truth(o, "MagicDNSEnabled", netmap_dns(map) && netmap_dns(map)->proxied);
	json_close_object(o);
}

static void put_exit_status(struct json_out *o, const struct netmap *map, const struct prefs *prefs)
{
	const struct tailcfg_node *exit = map ? routes_exit_node(map, prefs) : NULL;

	if (!exit)
		return;
	json_key(o, "ExitNodeStatus");
	json_open_object(o);
	bytes(o, "ID", exit->stable_id);
	truth(o, "Online", exit->online == OPT_TRUE);
	prefixes(o, "TailscaleIPs", &exit->addresses);
	json_close_object(o);
}

void localapi_status(const struct node *n, bool with_peers, struct json_out *o)
{
	const struct netmap *map = node_map(n);
	const struct tailcfg_node *self = map ? netmap_self(map) : NULL;

	json_open_object(o);
	text(o, "Version", node_version(n));
	truth(o, "TUN", true);
	text(o, "BackendState", node_state_name(node_state(n)));
	truth(o, "HaveNodeKey", node_has_key(n));
	text(o, "AuthURL", node_auth_url(n));
	node_ips(o, "TailscaleIPs", self);
	json_key(o, "Self");
	put_node(o, n, self, true);
	put_exit_status(o, map, node_prefs(n));
	put_health(o, n);
	put_tailnet(o, n);
	json_key(o, "CertDomains");
	json_put_null(o);
	json_key(o, "ExtraRecords");
	json_put_null(o);
	json_key(o, "Peer");
	if (with_peers && map) {
		json_open_object(o);
		for (size_t i = 0; i < netmap_peer_count(map); i++) {
			char key[KEYTEXT_MAX];

			json_key(o, keytext_format(&netmap_peer(map, i)->key, KEY_NODE, key));
			put_node(o, n, netmap_peer(map, i), false);
		}
		json_close_object(o);
	} else {
		json_put_null(o);
	}
	put_users(o, n, with_peers);
	json_key(o, "ClientVersion");
	json_put_null(o);
	json_close_object(o);
}

/* Keys are never told. */
void localapi_prefs(const struct node *n, struct json_out *o)
{
	const struct state_profile *p = node_profile(n);
	struct json_out config;
	struct buf buf;

	buf_init(&buf, 64 << 10);
	json_out_init(&config, &buf);
	json_open_object(&config);
	text(&config, "PrivateNodeKey",
	     "privkey:0000000000000000000000000000000000000000000000000000000000000000");
	text(&config, "OldPrivateNodeKey",
	     "privkey:0000000000000000000000000000000000000000000000000000000000000000");
	json_key(&config, "UserProfile");
	json_put_raw(&config, bytes_str(*p->user ? p->user : "{}"));
	text(&config, "NetworkLockKey",
	     "nlpriv:00000000000000000000000000000000000000000000000000000000000000000000000000000"
	     "000000000000000000000000000000000000000000000000000");
	text(&config, "NodeID", p->stable_id);
	json_close_object(&config);
	prefs_write(o, node_prefs(n), buf_bytes(&buf));
	buf_fini(&buf);
}
