/* node/relays.c - see relays.h. */
#include "node/relays.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/text.h"
#include "io/loop.h"
#include "io/tls.h"
#include "part/derp_client.h"
#include "wire/tailcfg_derp.h"

enum {
	IDLE_MS = 60 * 1000, /* a relay that is not home and not written to */
	SWEEP_MS = 15 * 1000,
	BACKOFF_MAX_MS = 5000,
	CHECK_MS = 3000,
	NODES_MAX = 8,
	REVERSE_MAX = 4096, /* peers whose way back is remembered */
	HOST_MAX = 256,
};

struct relay_node {
	char name[64], host[HOST_MAX], cert_name[HOST_MAX];
	struct ip ip4, ip6;
	uint16_t port;
	bool insecure;
};

struct relay {
	struct relays *all;
	int region;
	struct relay_node nodes[NODES_MAX];
	size_t node_count, next_node;
	struct derp_client *client;
	struct tls_ctx *tls;
	struct io_timer redial;
	unsigned failures;
	bool wanted; /* packets were sent there and it is not idle yet */
	struct mono last_write, last_heard;
	char problem[256];
};

/* The last way a peer reached us by. */
struct reverse {
	struct key from;
	int region;
};

struct relays {
	struct loop *loop;
	struct relays_conf conf;
	struct relay **v;
	size_t n;
	int home;
	struct io_timer sweep;
	struct map reverse;
};

static struct bytes key_of_reverse(const void *item)
{
	return bytes_of(((const struct reverse *)item)->from.b, 32);
}

static struct relay *relay_of(const struct relays *r, int region)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->v[i]->region == region)
			return r->v[i];
	return NULL;
}

/* ---- one connection ---- */

static void hang_up(struct relay *r)
{
	derp_client_destroy(r->client);
	r->client = NULL;
	tls_ctx_unref(r->tls);
	r->tls = NULL;
	io_timer_stop(&r->redial);
}

static void on_up(void *arg)
{
	struct relay *r = arg;

	log_info(&r->all->conf.log, "relay %d is up%s", r->region,
		 r->region == r->all->home ? ", it is home" : "");
	r->failures = 0;
	r->problem[0] = '\0';
	r->last_heard = loop_now(r->all->loop);
	r->all->conf.on_change(r->all->conf.arg);
}

static void note_reverse(struct relays *all, const struct key *from, int region)
{
	struct reverse *known = map_get(&all->reverse, bytes_of(from->b, 32));

	if (!known) {
		if (all->reverse.n >= REVERSE_MAX)
			return;
		known = mem_alloc(sizeof(*known));
		known->from = *from;
		(void)map_put(&all->reverse, known);
	}
	known->region = region;
}

static void on_packet(void *arg, const struct key *from, struct bytes pkt)
{
	struct relay *r = arg;

	r->last_heard = loop_now(r->all->loop);
	note_reverse(r->all, from, r->region);
	r->all->conf.on_packet(r->all->conf.arg, r->region, from, pkt);
}

static void on_peer_gone(void *arg, const struct key *peer, enum derp_gone why)
{
	struct relay *r = arg;
	struct reverse *known = map_get(&r->all->reverse, bytes_of(peer->b, 32));

	(void)why;
	if (known && known->region == r->region)
		mem_free(map_remove(&r->all->reverse, bytes_of(peer->b, 32)));
}

static bool is_needed(const struct relay *r)
{
	return r->region == r->all->home || r->wanted;
}

static void redial_later(struct relay *r)
{
	int64_t ms = (int64_t)r->failures * r->failures * 50;

	if (is_needed(r))
		io_timer_in_ms(r->all->loop, &r->redial, ms > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : ms);
}

static void on_down(void *arg, const struct err *why)
{
	struct relay *r = arg;

	if (r->failures == 0 || derp_client_is_up(r->client))
		log_info(&r->all->conf.log, "relay %d is down: %s", r->region, why->text);
	(void)snprintf(r->problem, sizeof(r->problem), "%s", why->text);
	hang_up(r);
	r->failures++;
	r->next_node++;
	redial_later(r);
	r->all->conf.on_change(r->all->conf.arg);
}

/* "sha256-raw:HEX" pins a certificate; other text is the name that must be in it. */
static struct tls_ctx *tls_for(const struct relay_node *node, struct err *err)
{
	struct tls_client_conf conf = { .alpn = "http/1.1", .insecure = node->insecure };
	static const char pin[] = "sha256-raw:";

	if (!strncmp(node->cert_name, pin, sizeof(pin) - 1) &&
	    !text_unhex(bytes_str(node->cert_name + sizeof(pin) - 1), conf.pin_sha256, 32)) {
		err_set(err, ERR_MALFORMED, "the relay's certificate pin is no SHA-256");
		return NULL;
	}
	return tls_ctx_client(&conf, err);
}

static bool on_socket(void *arg, int fd)
{
	struct relay *r = arg;

	return r->all->conf.on_socket(r->all->conf.arg, fd);
}

static void dial(struct relay *r)
{
	const struct relay_node *node;
	struct derp_client_conf conf = { .private_key = &r->all->conf.node_key,
					 .home = r->region == r->all->home,
					 .log = &r->all->conf.log,
					 .on_socket = r->all->conf.on_socket ? on_socket : NULL,
					 .on_up = on_up,
					 .on_packet = on_packet,
					 .on_peer_gone = on_peer_gone,
					 .on_down = on_down,
					 .arg = r };
	struct err err;

	if (r->client || !r->node_count)
		return;
	node = &r->nodes[r->next_node % r->node_count];
	r->tls = tls_for(node, &err);
	if (!r->tls) {
		(void)snprintf(r->problem, sizeof(r->problem), "%s", err.text);
		log_warn(&r->all->conf.log, "relay %d: %s", r->region, err.text);
		return;
	}
	conf.host =
	    node->cert_name[0] && !strchr(node->cert_name, ':') ? node->cert_name : node->host;
	conf.port = node->port;
	conf.ip4 = node->ip4;
	conf.ip6 = node->ip6;
	conf.tls = r->tls;
	conf.ideal = r->next_node % r->node_count ? r->nodes[0].name : NULL;
	r->client = derp_client_create(r->all->loop, &conf);
}

static void on_redial(struct io_timer *t)
{
	struct relay *r = container_of(t, struct relay, redial);

	if (is_needed(r))
		dial(r);
}

/* ---- the map ---- */

static bool take_node(struct relay_node *out, const struct tailcfg_derp_node *in)
{
	*out = (struct relay_node){ .insecure = in->insecure_for_tests };
	if (in->stun_only || in->derp_port < 0 || in->derp_port > UINT16_MAX)
		return false;
	out->port = in->derp_port ? (uint16_t)in->derp_port : 443;
	if (in->ipv4.n)
		(void)ip_parse(&out->ip4, in->ipv4);
	if (in->ipv6.n)
		(void)ip_parse(&out->ip6, in->ipv6);
	return bytes_to_cstr(in->name, out->name, sizeof(out->name)) &&
	       bytes_to_cstr(in->host_name, out->host, sizeof(out->host)) &&
	       bytes_to_cstr(in->cert_name, out->cert_name, sizeof(out->cert_name)) && out->host[0];
}

static void relay_free(struct relay *r)
{
	hang_up(r);
	loop_free_later(r->all->loop, r);
}

static struct relay *relay_make(struct relays *all, const struct tailcfg_derp_region *in)
{
	struct relay *r = mem_alloc(sizeof(*r));

	r->all = all;
	r->region = (int)in->region_id;
	io_timer_init(&r->redial, on_redial);
	for (size_t i = 0; i < in->nodes.n && r->node_count < NODES_MAX; i++)
		if (take_node(&r->nodes[r->node_count], &in->nodes.v[i]))
			r->node_count++;
	return r;
}

static bool same_nodes(const struct relay *a, const struct relay *b)
{
	/* Made by take_node() from zeroes, so padding is equal too. */
	return a->node_count == b->node_count &&
	       !memcmp(a->nodes, b->nodes, a->node_count * sizeof(a->nodes[0]));
}

void relays_set_map(struct relays *r, const struct tailcfg_derp_map *map)
{
	size_t n = map ? map->regions.n : 0, kept = 0;
	struct relay **v = mem_alloc((n + 1) * sizeof(*v));

	for (size_t i = 0; i < n; i++) {
		struct relay *made = relay_make(r, map->regions.v[i].object);
		struct relay *old = relay_of(r, made->region);

		if (old && same_nodes(old, made)) {
			relay_free(made);
			v[kept++] = old;
			for (size_t j = 0; j < r->n; j++)
				if (r->v[j] == old)
					r->v[j] = r->v[--r->n];
		} else {
			v[kept++] = made;
		}
	}
	while (r->n)
		relay_free(r->v[--r->n]);
	mem_free(r->v);
	r->v = v;
	r->n = kept;
	if (!relay_of(r, r->home))
		r->home = 0;
	if (r->home)
		dial(relay_of(r, r->home));
}

/* ---- public ---- */

void relays_set_home(struct relays *r, int region)
{
	struct relay *old = relay_of(r, r->home), *new = relay_of(r, region);

	if (region == r->home)
		return;
	r->home = new ? region : 0;
	log_info(&r->conf.log, "home relay is %d", r->home);
	if (old && old->client) {
		derp_client_note_home(old->client, false);
		old->wanted = true; /* until it is idle */
	}
	if (new &&new->client)
		derp_client_note_home(new->client, true);
	else if (new)
		dial(new);
}

int relays_home(const struct relays *r)
{
	return r->home;
}

static struct relay *way_to(struct relays *r, int region, const struct key *to)
{
	struct relay *there = relay_of(r, region);
	const struct reverse *back = map_get(&r->reverse, bytes_of(to->b, 32));
	struct relay *other = back ? relay_of(r, back->region) : NULL;

	if (there && there->client)
		return there;
	if (other && other->client && derp_client_is_up(other->client))
		return other;
	return there;
}

bool relays_send(struct relays *r, int region, const struct key *to, struct bytes pkt)
{
	struct relay *way = way_to(r, region, to);

	if (!way)
		return false;
	way->wanted = true;
	way->last_write = loop_now(r->loop);
	if (!way->client && !heap_has(&way->redial.node))
		dial(way);
	return way->client && derp_client_send(way->client, to, pkt);
}

void relays_check(struct relays *r)
{
	for (size_t i = 0; i < r->n; i++) {
		struct relay *one = r->v[i];

		if (one->client)
			derp_client_check(one->client, CHECK_MS);
		else if (is_needed(one))
			io_timer_in_ms(r->loop, &one->redial, 0);
	}
}

static void on_sweep(struct io_timer *t)
{
	struct relays *r = container_of(t, struct relays, sweep);
	struct mono now = loop_now(r->loop);

	for (size_t i = 0; i < r->n; i++) {
		struct relay *one = r->v[i];

		if (!one->wanted || mono_since_ms(now, one->last_write) < IDLE_MS)
			continue;
		one->wanted = false;
		if (one->region != r->home && one->client) {
			log_debug(&r->conf.log, "relay %d was idle, closed", one->region);
			hang_up(one);
		}
	}
	io_timer_in_ms(r->loop, &r->sweep, SWEEP_MS);
}

bool relays_is_up(const struct relays *r, int region)
{
	const struct relay *one = relay_of(r, region);

	return one && one->client && derp_client_is_up(one->client);
}

size_t relays_up_count(const struct relays *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++)
		n += r->v[i]->client && derp_client_is_up(r->v[i]->client);
	return n;
}

int64_t relays_heard_ms(const struct relays *r, int region)
{
	const struct relay *one = relay_of(r, region);
	struct derp_client_stats stats;

	if (!one || !one->client || !derp_client_is_up(one->client))
		return -1;
	derp_client_stats(one->client, &stats);
	return stats.idle_in_ms;
}

const char *relays_problem(const struct relays *r, int region)
{
	const struct relay *one = relay_of(r, region);

	return one ? one->problem : "";
}

struct relays *relays_create(struct loop *loop, const struct relays_conf *conf)
{
	struct relays *r = mem_alloc(sizeof(*r));
	struct rng rng = rng_system();
	uint8_t seed[16];

	r->loop = loop;
	r->conf = *conf;
	rng.fill(&rng, seed, sizeof(seed));
	map_init(&r->reverse, key_of_reverse, seed);
	io_timer_init(&r->sweep, on_sweep);
	io_timer_in_ms(loop, &r->sweep, SWEEP_MS);
	return r;
}

void relays_destroy(struct relays *r)
{
	struct reverse *one;
	size_t it = 0;

	if (!r)
		return;
	io_timer_stop(&r->sweep);
	while (r->n)
		relay_free(r->v[--r->n]);
	mem_free(r->v);
	while ((one = map_next(&r->reverse, &it)))
		mem_free(one);
	map_fini(&r->reverse);
	secret32_wipe(&r->conf.node_key);
	loop_free_later(r->loop, r);
}
