#include "app/control/control.h"

#include <stdio.h>
#include <zstd.h>

#include "app/control/admin.h"
#include "app/control/c2n.h"
#include "app/control/attributes.h"
#include "app/control/core.h"
#include "app/control/derpmap.h"
#include "app/control/front.h"
#include "app/control/machine.h"
#include "app/control/mapstream.h"
#include "app/control/oidc_login.h"
#include "app/control/store.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/x25519.h"
#include "io/file.h"
#include "io/httpd.h"
#include "io/tcp.h"
#include "io/tls.h"
#include "io/tls_sniff.h"
#include "part/derp_server/derp_server.h"
#include "part/stun_server.h"

enum {
	PRUNE_MS = 60000,
	CHANGES_KEPT = 100000,
	SWEEP_MS = 1000,
	LOGIN_PER_MINUTE = 20,
	REFUSED_PER_MINUTE = 60,
};

/* ---- timers ---- */

static void on_commit(struct io_timer *timer)
{
	struct control *c = container_of(timer, struct control, commit_timer);
	struct err err;

	(void)core_commit_now(c, &err);
}

static void go_offline(struct control *c, struct tn_node *n)
{
	struct access_ids ids = { 0 };
	struct err err;

	n->offline_since = (struct mono){ 0 };
	n->online = false;
	n->last_seen = wall_now();
	model_touch(&c->model, n, PART_ONLINE);
	access_node_online(n, &ids);
	core_affected(n->tailnet, &ids);
	core_node_touched(c, n);
	if (store_put_node(c->store, n, &err) == 0)
		core_commit_soon(c);
}

static void end_attributes(struct control *c, struct tn_node *n)
{
	struct err err;

	if (!attributes_prune(n, wall_now()))
		return;
	if (store_put_attributes(c->store, n, &err) == 0)
		core_commit_soon(c);
	core_node_changed(c, n);
}

static bool serves(const struct tn_node *n, struct prefix route)
{
	return prefix_set_has(&n->approved, route) && prefix_set_has(&n->advertised, route);
}

/*
 * Another node that is here serves a subnet of n: traffic waits for n to be called gone. Asked only
 * of the few nodes that lost their stream.
 */
static bool has_standby(const struct tn_node *n)
{
	for (size_t i = 0; i < n->approved.n; i++) {
		struct prefix route = n->approved.v[i];

		if (!route.len || !serves(n, route))
			continue; /* exit nodes are chosen by the user */
		list_each (it, &n->tailnet->nodes) {
			const struct tn_node *other = list_entry(it, struct tn_node, link);

			if (other != n && other->streams_open && serves(other, route))
				return true;
		}
	}
	return false;
}

/* True when n was deleted. */
static bool sweep_node(struct control *c, struct tn_node *n)
{
	int64_t away, grace;
	struct err err;

	end_attributes(c, n);
	if (n->streams_open || !n->offline_since.ns)
		return false;
	away = mono_since_ms(loop_now(c->loop), n->offline_since) / 1000;
	grace = n->polled ? c->conf.ephemeral_grace_s : FIRST_POLL_GRACE_S;
	if (n->ephemeral && away >= grace) {
		core_audit(c, n->tailnet, "server", "node.delete", n->name, "ephemeral node left");
		return core_delete_node(c, n, &err) == 0;
	}
	if (n->online && away >= (has_standby(n) ? STANDBY_GRACE_S : OFFLINE_GRACE_S)) {
		struct mono since = n->offline_since;

		go_offline(c, n);
		if (n->ephemeral)
			n->offline_since = since; /* its second date is still to come */
	}
	return false;
}

static void prune(struct control *c)
{
	struct err err;

	if (c->pruned.ns && mono_since_ms(loop_now(c->loop), c->pruned) < PRUNE_MS)
		return;
	c->pruned = loop_now(c->loop);
	if (store_prune_changes(c->store, CHANGES_KEPT, &err) == 0)
		core_commit_soon(c);
}

/* Minted tokens are forgotten when their hour is over; what people made stays, to be seen. */
static void sweep_tokens(struct control *c)
{
	struct wall now = wall_now();
	struct err err;

	list_each_safe (it, &c->tokens.all) {
		struct token *k = list_entry(it, struct token, link);

		if (k->kind != TOKEN_ACCESS || k->expiry.ns > now.ns)
			continue;
		if (store_delete_token(c->store, k, &err) == 0)
			core_commit_soon(c);
		token_remove(&c->tokens, k);
	}
}

static void on_sweep(struct io_timer *timer)
{
	struct control *c = container_of(timer, struct control, sweep_timer);

	list_each (it, &c->model.tailnets) {
		struct tailnet *t = list_entry(it, struct tailnet, link);

		list_each_safe (node, &t->nodes)
			(void)sweep_node(c, list_entry(node, struct tn_node, link));
	}
	logins_expire(&c->logins, loop_now(c->loop));
	prune(c);
	sweep_tokens(c);
	io_timer_in_ms(c->loop, &c->sweep_timer, SWEEP_MS);
}

/* ---- start ---- */

static int first_tailnet(struct control *c, struct err *err)
{
	struct tailnet *t;

	if (!list_is_empty(&c->model.tailnets))
		return 0;
	t = model_add_tailnet(&c->model, 0, "default", c->conf.base_domain);
	t->device_approval = c->conf.device_approval;
	t->key_expiry_s = c->conf.key_expiry_days * 86400;
	return store_put_tailnet(c->store, t, err);
}

/* The newest policy that loads; with none, nobody reaches more than their own nodes. */
static void load_last_good(struct control *c, struct tailnet *t, struct access_ids *ids)
{
	int64_t id = INT64_MAX;
	struct err err;
	struct buf text;
	bool loaded = false;

	while (!loaded && store_policy_before(c->store, t, &id, &text, &err) == 0) {
		loaded = access_load(t, buf_bytes(&text), ids, &err) == 0;
		if (loaded) {
			log_warn(&c->log, "policy %lld of tailnet %s is in force instead",
				 (long long)id, t->name);
			mem_free(t->policy);
			t->policy = bytes_strdup(buf_bytes(&text));
		}
		buf_fini(&text);
	}
	if (loaded)
		return;
	log_error(&c->log, "tailnet %s has no policy that loads: nodes reach their owner's alone",
		  t->name);
	(void)access_load(t, (struct bytes){ 0 }, ids, &err);
}

static void load_access(struct control *c)
{
	list_each (it, &c->model.tailnets) {
		struct tailnet *t = list_entry(it, struct tailnet, link);
		struct access_ids ids = { 0 };
		struct err err;

		if (access_load(t, bytes_str(t->policy ? t->policy : ""), &ids, &err) < 0) {
			log_error(&c->log, "newest policy of tailnet %s does not load: %s", t->name,
				  err.text);
			load_last_good(c, t, &ids);
		}
		list_each (node, &t->nodes) {
			struct tn_node *n = list_entry(node, struct tn_node, link);

			n->polled = true;
			n->offline_since = loop_now(c->loop);
			access_node_changed(n, &ids);
		}
		access_ids_fini(&ids);
	}
}

static int open_store(struct control *c, struct err *err)
{
	char where[sizeof(c->conf.database)];

	if (file_mkdirs(c->conf.state_dir, 0700, err) < 0)
		return -1;
	config_database(&c->conf, where);
	c->store = store_open(where, c->conf.state_dir, err);
	secret_wipe(where, sizeof(where));
	if (!c->store || store_load(c->store, &c->model, err) < 0 ||
	    store_load_tokens(c->store, &c->model, &c->tokens, err) < 0 ||
	    store_secret(c->store, "noise key", &c->noise_key, err) < 0 ||
	    first_tailnet(c, err) < 0 || store_commit(c->store, err) < 0)
		return -1;
	if (store_skipped(c->store))
		log_warn(&c->log, "%zu nodes in the database are damaged, left out",
			 store_skipped(c->store));
	x25519_public(c->noise_public.b, &c->noise_key);
	return 0;
}

/* ---- the relay inside ---- */

static void on_verify(void *arg, uint64_t client, const struct key *key, struct addrport from)
{
	struct control *c = arg;

	(void)from;
	derp_server_decide(c->derp, client, model_node_by_key(&c->model, key) != NULL);
}

static int open_relay(struct control *c, struct err *err)
{
	struct derp_server_conf conf = { .log = &c->log, .on_verify = on_verify, .arg = c };

	if (!c->conf.relay)
		return 0;
	if (store_secret(c->store, "relay key", &conf.private_key, err) < 0 ||
	    store_commit(c->store, err) < 0)
		return -1;
	c->derp = derp_server_create(c->loop, &conf);
	secret32_wipe(&conf.private_key);
	return 0;
}

static int start_stun(struct control *c, struct addrport at, struct err *err)
{
	struct stun_server_conf conf = { .at = { at.ip, (uint16_t)c->conf.stun_port } };

	if (!c->conf.relay || !c->conf.stun_port)
		return 0;
	c->stun = stun_server_create(c->loop, &conf, err);
	return c->stun ? 0 : err_wrap(err, "STUN of the relay (stun_port: 0 turns it off)");
}

static void on_sniffed(void *arg, struct stream *s, struct addrport peer, bool tls)
{
	struct control *c = arg;

	if (tls)
		s = tls_server(s, c->relay_tls);
	httpd_serve(c->front, s, HTTPD_H1, peer, NULL, NULL);
}

static int open_tls(struct control *c, struct err *err)
{
	struct tls_server_conf conf = { .alpn = "http/1.1" };

	if (c->conf.tls_cert[0]) {
		conf.cert_file = c->conf.tls_cert;
		conf.key_file = c->conf.tls_key;
	} else if (c->conf.tls_self_signed[0]) {
		conf.self_signed_for = c->conf.tls_self_signed;
	} else {
		return 0;
	}
	c->tls = tls_ctx_server(&conf, err);
	return c->tls ? 0 : -1;
}

/* Made once and kept: a new certificate would be a new pin in every map. */
static int relay_certificate(const char *cert, const char *key, const char *names, struct err *err)
{
	struct buf cert_pem, key_pem;
	int ret;

	if (file_exists(cert) && file_exists(key))
		return 0;
	if (tls_self_signed(names, &cert_pem, &key_pem, err) < 0)
		return -1;
	ret = file_write(key, buf_bytes(&key_pem), 0600, err);
	if (ret == 0)
		ret = file_write(cert, buf_bytes(&cert_pem), 0600, err);
	secret_wipe(key_pem.p, key_pem.n);
	buf_fini(&key_pem);
	buf_fini(&cert_pem);
	return ret;
}

/*
 * Relay clients speak TLS to any relay. A server on plain HTTP therefore shows them a certificate
 * of its own on the same port (io/tls_sniff.h), and the map pins it.
 */
static int open_relay_tls(struct control *c, struct err *err)
{
	char cert[320], key[320];
	struct tls_server_conf conf = { .cert_file = cert, .key_file = key, .alpn = "http/1.1" };
	struct tls_sniff_conf sniff = { .on_stream = on_sniffed, .arg = c };

	if (c->tls || !c->conf.relay)
		return 0;
	(void)snprintf(cert, sizeof(cert), "%s/relay-cert.pem", c->conf.state_dir);
	(void)snprintf(key, sizeof(key), "%s/relay-key.pem", c->conf.state_dir);
	if (relay_certificate(cert, key, c->conf.relay_host, err) < 0)
		return err_wrap(err, "certificate of the relay");
	c->relay_tls = tls_ctx_server(&conf, err);
	if (!c->relay_tls)
		return -1;
	c->sniff = tls_sniff_create(c->loop, &sniff);
	return 0;
}

/* "sha256-raw:" and the fingerprint of the relay's own certificate, or "". */
static void relay_pin(const struct control *c, char out[96])
{
	uint8_t fingerprint[32];
	char hex[TEXT_HEX_LEN(32) + 1];

	out[0] = '\0';
	if (!c->relay_tls)
		return;
	tls_ctx_fingerprint(c->relay_tls, fingerprint);
	text_hex(bytes_of(fingerprint, sizeof(fingerprint)), hex);
	(void)snprintf(out, 96, "sha256-raw:%s", hex);
}

static int load_derp_map(struct control *c, struct err *err)
{
	struct buf next;
	char pin[96];

	relay_pin(c, pin);
	if (derpmap_build(&c->conf, pin, &next, err) < 0) {
		buf_fini(&next);
		return -1;
	}
	buf_fini(&c->derp_map);
	c->derp_map = next;
	c->derp_hash = mapview_hash(buf_bytes(&next));
	return 0;
}

struct control *control_create(struct loop *loop, const struct config *conf, struct log_sink *sink,
			       struct err *err)
{
	struct control *c = mem_alloc(sizeof(*c));

	c->loop = loop;
	c->conf = *conf;
	c->sink = sink;
	c->log = log_of(sink, "control", "");
	c->rng = rng_system();
	model_init(&c->model);
	logins_init(&c->logins);
	rate_init(&c->login_rate, LOGIN_PER_MINUTE);
	rate_init(&c->connect_rate, (unsigned)conf->connections_per_minute);
	rate_init(&c->refused_rate, REFUSED_PER_MINUTE);
	tokens_init(&c->tokens);
	core_init(c);
	buf_init(&c->derp_map, DERPMAP_MAX);
	io_timer_init(&c->commit_timer, on_commit);
	io_timer_init(&c->sweep_timer, on_sweep);
	c->zstd = ZSTD_createCCtx();
	if (open_store(c, err) < 0 || open_relay(c, err) < 0 || open_tls(c, err) < 0 ||
	    open_relay_tls(c, err) < 0 || load_derp_map(c, err) < 0 ||
	    oidc_login_open(c, err) < 0) {
		control_destroy(c);
		return NULL;
	}
	load_access(c);
	c->front = front_httpd(c);
	c->inner = machine_httpd(c);
	c->admin = admin_httpd(c);
	return c;
}

static void on_accept(void *arg, struct stream *s, struct addrport peer)
{
	struct control *c = arg;

	if (c->sniff) {
		tls_sniff_add(c->sniff, s, peer);
		return;
	}
	if (c->tls)
		s = tls_server(s, c->tls);
	httpd_serve(c->front, s, HTTPD_H1, peer, NULL, NULL);
}

int control_start(struct control *c, struct err *err)
{
	struct addrport at;
	char text[ADDRPORT_TEXT_MAX];

	if (!addrport_parse(&at, bytes_str(c->conf.listen)))
		return err_set(err, ERR_USAGE, "listen: needs ADDRESS:PORT");
	c->front_listener = tcp_listen(c->loop, at, on_accept, c, err);
	if (!c->front_listener)
		return -1;
	if (start_stun(c, at, err) < 0)
		return -1;
	c->admin_listener = admin_listen(c, err);
	if (!c->admin_listener)
		return -1;
	io_timer_in_ms(c->loop, &c->sweep_timer, SWEEP_MS);
	log_info(&c->log, "listening on %s, nodes log in to %s",
		 addrport_format(tcp_listener_address(c->front_listener), text),
		 c->conf.server_url);
	return 0;
}

unsigned control_port(const struct control *c)
{
	return c->front_listener ? tcp_listener_address(c->front_listener).port : 0;
}

static void derp_map_changed(struct control *c)
{
	list_each (it, &c->model.tailnets)
		list_each (node, &list_entry(it, struct tailnet, link)->nodes)
			list_each (s, &list_entry(node, struct tn_node, link)->streams) {
				mapstream_view(mapstream_of(s))->derp_due = true;
				mapstream_due(mapstream_of(s));
			}
}

void control_reload(struct control *c)
{
	struct err err;

	if (c->tls && tls_ctx_reload(c->tls, &err) < 0)
		log_error(&c->log, "certificate not reloaded, the old one stays: %s", err.text);
	if (load_derp_map(c, &err) < 0)
		log_error(&c->log, "relay map not reloaded, the old one stays: %s", err.text);
	else
		derp_map_changed(c);
}

void control_destroy(struct control *c)
{
	struct err err;

	if (!c)
		return;
	c->stopping = true;
	tcp_listener_destroy(c->front_listener);
	tcp_listener_destroy(c->admin_listener);
	list_each (it, &c->model.tailnets)
		list_each (node, &list_entry(it, struct tailnet, link)->nodes) {
			struct tn_node *n = list_entry(node, struct tn_node, link);

			list_each_safe (s, &n->streams)
				mapstream_end(mapstream_of(s));
			if (n->online && c->store) {
				n->last_seen = wall_now();
				(void)store_put_node(c->store, n, &err);
			}
		}
	if (c->store)
		(void)core_commit_now(c, &err);
	oidc_login_close(c->oidc);
	c2n_fini(c);
	logins_fini(&c->logins);
	derp_server_destroy(c->derp);
	stun_server_destroy(c->stun);
	httpd_destroy(c->front);
	httpd_destroy(c->inner);
	httpd_destroy(c->admin);
	io_timer_stop(&c->commit_timer);
	io_timer_stop(&c->sweep_timer);
	core_fini(c);
	list_each (it, &c->model.tailnets)
		access_free(list_entry(it, struct tailnet, link));
	tokens_fini(&c->tokens);
	model_fini(&c->model);
	store_close(c->store);
	tls_sniff_destroy(c->sniff);
	tls_ctx_unref(c->relay_tls);
	tls_ctx_unref(c->tls);
	buf_fini(&c->derp_map);
	ZSTD_freeCCtx(c->zstd);
	secret32_wipe(&c->noise_key);
	secret_wipe(&c->conf, sizeof(c->conf)); /* the database's password */
	mem_free(c);
}
