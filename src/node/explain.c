/* node/explain.c - see explain.h. */
#include "node/explain.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/json.h"
#include "node/explain_rules.h"
#include "node/netmap.h"
#include "node/prefs.h"
#include "node/tunnel.h"
#include "part/netcheck.h"
#include "wire/ippkt.h"
#include "wire/tsmp.h"

enum { RULES_SHOWN = 3, ADVICE_MAX = 8, SESSION_LIFE_MS = 180000, REJECT_FRESH_MS = 300000 };

struct page {
	const struct explain *e;
	struct json_out *o;
	struct bytes name; /* of the peer */
	const char *advice[ADVICE_MAX];
	size_t advice_count;
};

__attribute__((format(printf, 4, 5))) static void line(struct page *p, const char *topic,
						       const char *verdict, const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	json_open_object(p->o);
	json_key(p->o, "Topic");
	json_put_cstr(p->o, topic);
	json_key(p->o, "Verdict");
	json_put_cstr(p->o, verdict);
	json_key(p->o, "Text");
	json_put_cstr(p->o, text);
	json_close_object(p->o);
}

static void advise(struct page *p, const char *sentence)
{
	if (*sentence && p->advice_count < ADVICE_MAX)
		p->advice[p->advice_count++] = sentence;
}

/* ---- who ---- */

static void put_owner(const struct netmap *map, const struct tailcfg_node *n, char *out,
		      size_t size)
{
	const struct tailcfg_user_profile *user = netmap_profile(map, n->user);

	if (n->tags.n)
		(void)snprintf(out, size, "%.*s%s", BYTES_FMT(n->tags.v[0]),
			       n->tags.n > 1 ? " and more tags" : "");
	else if (user)
		(void)snprintf(out, size, "%.*s", BYTES_FMT(user->login_name));
	else
		(void)snprintf(out, size, "user %lld", (long long)n->user);
}

static void put_key(const struct tailcfg_node *n, char *out, size_t size)
{
	char at[WALL_TEXT_MAX];

	/* The zero time of the original lies before 1678 and means never, too. */
	if (n->key_expiry.ns <= 0)
		(void)snprintf(out, size, "key never expires");
	else
		(void)snprintf(out, size, "key valid until %s", wall_format(n->key_expiry, at));
}

static void put_who(struct page *p, const char *topic, const struct tailcfg_node *n)
{
	const struct explain *e = p->e;
	bool expired = netmap_node_is_expired(e->map, n, e->now);
	char owner[160], key[64], ip[IP_TEXT_MAX] = "no address";

	if (n->addresses.n)
		(void)ip_format(n->addresses.v[0].addr, ip);
	put_owner(e->map, n, owner, sizeof(owner));
	put_key(n, key, sizeof(key));
	line(p, topic, expired ? "bad" : "ok", "%.*s, %s, %s, %s", BYTES_FMT(netmap_node_label(n)),
	     ip, owner, expired ? "KEY EXPIRED" : key);
	if (expired)
		advise(p, n == e->peer ? "Log in again on the other node: its key expired."
				       : "Log in again here (`weft up --force-reauth`): the key "
					 "expired.");
}

static void put_online(struct page *p)
{
	const struct tailcfg_node *n = p->e->peer;
	char at[WALL_TEXT_MAX];

	if (n->online == OPT_TRUE)
		line(p, "online", "ok", "the server hears from %.*s", BYTES_FMT(p->name));
	else if (n->online == OPT_FALSE)
		line(p, "online", "bad", "%.*s is offline, last seen %s", BYTES_FMT(p->name),
		     n->last_seen.set ? wall_format(n->last_seen.at, at) : "never");
	else
		line(p, "online", "note", "the server does not say whether it is online");
}

/* ---- who may ---- */

static void put_target(const struct explain *e, char *out, size_t size)
{
	if (e->port)
		(void)snprintf(out, size, "%s port %u", e->proto == IPPKT_UDP ? "UDP" : "TCP",
			       e->port);
	else
		(void)snprintf(out, size, "anything");
}

static void put_inbound(struct page *p)
{
	const struct explain *e = p->e;
	struct bytes rest, one;
	size_t total, found;
	struct buf lines;
	char target[40];

	put_target(e, target, sizeof(target));
	buf_init(&lines, 16 << 10);
	found = explain_rules(e, &lines, RULES_SHOWN, &total);
	if (e->prefs->v.shields_up) {
		line(p, "in", "bad", "shields are up here: nobody may open a connection");
		advise(p, "`weft set --shields-up=false` lets in what the policy allows.");
	} else if (e->peer->is_jailed) {
		line(p, "in", "bad", "the server lets %.*s answer only", BYTES_FMT(p->name));
	} else if (!found) {
		line(p, "in", "bad", "none of %zu rules lets %.*s reach %s here", total,
		     BYTES_FMT(p->name), target);
		advise(p, "If it should come in, an admin must add a rule to the policy.");
	}
	rest = buf_bytes(&lines);
	while (rest.n && found) {
		size_t n = 0;

		while (n < rest.n && rest.p[n] != '\n')
			n++;
		one = bytes_of(rest.p, n);
		rest = bytes_from(rest, n < rest.n ? n + 1 : n);
		line(p, "in", "ok", "%.*s", BYTES_FMT(one));
	}
	if (found > RULES_SHOWN)
		line(p, "in", "ok", "and %zu rules more", found - RULES_SHOWN);
	buf_fini(&lines);
}

static void put_outbound(struct page *p)
{
	const struct explain *e = p->e;

	if (e->peer->hostinfo && e->peer->hostinfo->shields_up) {
		line(p, "out", "bad", "%.*s has its shields up and lets nobody in",
		     BYTES_FMT(p->name));
		advise(p,
		       "Take the shields down on the other node: `weft set --shields-up=false`.");
		return;
	}
	if (e->path && e->path->reject_ms_ago >= 0 && e->path->reject_ms_ago < REJECT_FRESH_MS) {
		line(p, "out", "bad", "%.*s refused protocol %u port %u %lld s ago: %s",
		     BYTES_FMT(p->name), e->path->reject.proto, e->path->reject.port,
		     (long long)(e->path->reject_ms_ago / 1000),
		     tsmp_reason_sentence(e->path->reject.reason));
		return;
	}
	line(p, "out", "note",
	     "nothing is held back here; %.*s decides by its own rules, which only "
	     "it and the server know",
	     BYTES_FMT(p->name));
}

/* ---- how ---- */

static void put_path(struct page *p)
{
	const struct explain *e = p->e;
	const struct tunnel_peer_status *s = e->path;
	const struct tailcfg_derp_region *home = netmap_region(e->map, e->peer->home_derp);
	char at[ADDRPORT_TEXT_MAX];

	if (ip_is_valid(s->direct.ip)) {
		line(p, "path", "ok", "direct to %s, %.1f ms", addrport_format(s->direct, at),
		     (double)s->latency_ns / 1e6);
		return;
	}
	line(p, "path", home ? "note" : "bad", "%s%.*s: %s (%zu addresses known, %zu answered)",
	     home ? "through relay " : "no relay of it is known",
	     BYTES_FMT(home ? home->region_code : bytes_str("")), pathwhy_sentence(s->why),
	     s->candidates, s->answered);
	advise(p, pathwhy_advice(s->why));
}

static const char *nat_here(const struct netcheck_report *r)
{
	if (!r)
		return "not looked at yet";
	if (!r->udp)
		return "no UDP";
	if (!r->varies_known)
		return "UDP works, kind not known";
	return r->varies ? "hard (another port for every destination)" : "easy or none";
}

static const char *nat_there(const struct tailcfg_node *n)
{
	const struct tailcfg_netinfo *i = n->hostinfo ? n->hostinfo->netinfo : NULL;

	if (!i)
		return "not told";
	if (i->working_udp == OPT_FALSE)
		return "no UDP";
	if (i->mapping_varies_by_dest_ip == OPT_UNSET)
		return "kind not known";
	return i->mapping_varies_by_dest_ip == OPT_TRUE ? "hard" : "easy or none";
}

static void put_nat(struct page *p)
{
	bool bad = p->e->report && !p->e->report->udp;

	line(p, "nat", bad ? "bad" : "note", "here: %s; there: %s", nat_here(p->e->report),
	     nat_there(p->e->peer));
}

static void put_session(struct page *p)
{
	const struct tunnel_peer_status *s = p->e->path;

	line(p, "mtu", "ok", "%d bytes inside the tunnel", TUNNEL_MTU);
	if (s->handshake_ms_ago < 0)
		line(p, "handshake", "note", "none yet: %s",
		     s->write_ms_ago < 0 ? "nothing was sent" : "it did not answer");
	else
		line(p, "handshake",
		     s->has_session || s->handshake_ms_ago < SESSION_LIFE_MS ? "ok" : "note",
		     "%lld s ago, %llu bytes sent, %llu received",
		     (long long)(s->handshake_ms_ago / 1000), (unsigned long long)s->tx_bytes,
		     (unsigned long long)s->rx_bytes);
}

void explain_write(const struct explain *e, struct json_out *o)
{
	struct page p = { .e = e, .o = o, .name = netmap_node_label(e->peer) };

	json_open_object(o);
	json_key(o, "Peer");
	json_put_string(o, p.name);
	json_key(o, "Lines");
	json_open_array(o);
	put_who(&p, "you", netmap_self(e->map));
	put_who(&p, "peer", e->peer);
	put_online(&p);
	put_inbound(&p);
	put_outbound(&p);
	if (e->path) {
		put_path(&p);
		put_nat(&p);
		put_session(&p);
	} else {
		line(&p, "path", "bad", "this node does not run");
		advise(&p, "`weft up` starts it.");
	}
	json_close_array(o);
	json_key(o, "Advice");
	json_open_array(o);
	for (size_t i = 0; i < p.advice_count; i++)
		json_put_cstr(o, p.advice[i]);
	json_close_array(o);
	json_close_object(o);
}
