/* Numbers for machines: Prometheus text and JSON, both from one table. */
#include <inttypes.h>

#include "base/json.h"
#include "base/text.h"
#include "part/derp_server/derp_server.h"
#include "part/derp_server/derp_server_state.h"

enum { CLIENTS_MAX = 1000 };

struct number {
	const char *name, *help;
	size_t at;
	bool gauge;
};

#define COUNTER(f, text)                                                                           \
	{                                                                                          \
#f, text, offsetof(struct relay_stats, f), false                                   \
	}
#define GAUGE(f, text)                                                                             \
	{                                                                                          \
#f, text, offsetof(struct relay_stats, f), true                                    \
	}

static const struct number numbers[] = {
	COUNTER(accepted, "connections that were upgraded"),
	COUNTER(refused, "connections that were not admitted or came too many"),
	COUNTER(protocol_errors, "connections closed for breaking the protocol"),
	COUNTER(handshake_timeouts, "connections that did not greet in time"),
	COUNTER(packets_in, "packets from clients"),
	COUNTER(bytes_in, "bytes of packets from clients"),
	COUNTER(packets_out, "packets to clients and to other relays"),
	COUNTER(bytes_out, "bytes of frames with packets to clients and to other relays"),
	COUNTER(packets_forwarded_in, "packets from other relays"),
	COUNTER(packets_forwarded_out, "packets to other relays"),
	COUNTER(packets_handed_over, "packets from one thread to another"),
	COUNTER(disco_in, "packets of path discovery from clients"),
	COUNTER(pings, "pings from clients"),
	COUNTER(peer_gone_disconnected, "notices that a peer has left"),
	COUNTER(peer_gone_not_here, "notices that a peer is not here"),
	COUNTER(held_for_rate, "times that reading waited for a rate limit"),
	COUNTER(notices_lost, "notices that did not fit"),
	GAUGE(connections, "connections and links"),
	GAUGE(clients, "admitted clients"),
	GAUGE(home, "clients whose home this is"),
	GAUGE(watchers, "relays that watch this one"),
	GAUGE(links, "relays that this one watches"),
	GAUGE(remote_keys, "clients known to be at other relays"),
	GAUGE(queued_bytes, "bytes that wait in queues"),
	GAUGE(flows, "flows that wait in queues"),
};

/* Counters are uint64_t and sizes are size_t; both are eight bytes where this runs. */
_Static_assert(sizeof(size_t) == sizeof(uint64_t), "relay_stats is read as 64-bit numbers");

static uint64_t value_of(const struct relay_stats *st, const struct number *n)
{
	uint64_t v;

	memcpy(&v, (const char *)st + n->at, sizeof(v));
	return v;
}

void derp_server_stats(const struct derp_server *s, struct relay_stats *out)
{
	relay_stats(s->relay, out);
}

static void put_metric(struct buf *out, const char *name, const char *help, bool gauge, uint64_t v)
{
	const char *total = gauge ? "" : "_total";

	(void)buf_printf(out,
			 "# HELP weft_relay_%s%s %s\n# TYPE weft_relay_%s%s %s\n"
			 "weft_relay_%s%s %" PRIu64 "\n",
			 name, total, help, name, total, gauge ? "gauge" : "counter", name, total,
			 v);
}

void derp_server_numbers(const struct derp_server *s, struct derp_numbers *out)
{
	relay_stats(s->relay, &out->relay);
	out->websockets = s->websockets;
	out->slow_closed = s->slow_closed;
	out->bad_frames = s->bad_frames;
}

/* Nothing but 64-bit numbers, as above. */
void derp_numbers_add(struct derp_numbers *sum, const struct derp_numbers *more)
{
	for (size_t at = 0; at < sizeof(*sum); at += sizeof(uint64_t)) {
		uint64_t a, b;

		memcpy(&a, (const char *)sum + at, sizeof(a));
		memcpy(&b, (const char *)more + at, sizeof(b));
		a += b;
		memcpy((char *)sum + at, &a, sizeof(a));
	}
}

void derp_numbers_metrics(const struct derp_numbers *n, struct buf *out)
{
	for (size_t i = 0; i < array_len(numbers); i++)
		put_metric(out, numbers[i].name, numbers[i].help, numbers[i].gauge,
			   value_of(&n->relay, &numbers[i]));
	put_metric(out, "websockets", "connections over WebSocket", false, n->websockets);
	put_metric(out, "slow_closed", "clients that were closed because they did not read", false,
		   n->slow_closed);
	put_metric(out, "bad_frames", "connections closed for a frame out of bounds", false,
		   n->bad_frames);
	(void)buf_append_str(out, "# HELP weft_relay_dropped_total packets dropped, by reason\n"
				  "# TYPE weft_relay_dropped_total counter\n");
	for (int i = 0; i < RELAY_DROP_COUNT; i++)
		(void)buf_printf(out, "weft_relay_dropped_total{reason=\"%s\"} %" PRIu64 "\n",
				 relay_drop_name((enum relay_drop)i), n->relay.drops[i]);
}

void derp_server_metrics(const struct derp_server *s, struct buf *out)
{
	struct derp_numbers n;

	derp_server_numbers(s, &n);
	derp_numbers_metrics(&n, out);
}

static void put_number(struct json_out *o, const char *name, uint64_t v)
{
	json_key(o, name);
	json_put_u64(o, v);
}

static void put_client(struct json_out *o, const struct relay_client *c)
{
	char text[ADDRPORT_TEXT_MAX], key[KEYTEXT_MAX];

	json_open_object(o);
	json_key(o, "key");
	json_put_cstr(o, keytext_format(&c->key, KEY_NODE, key));
	json_key(o, "kind");
	json_put_cstr(o, c->link ? "link" : c->mesh ? "relay" : c->prober ? "prober" : "client");
	if (!c->link) {
		json_key(o, "from");
		json_put_cstr(o, addrport_format(c->from, text));
	}
	json_key(o, "home");
	json_put_bool(o, c->home);
	put_number(o, "packets_in", c->packets_in);
	put_number(o, "bytes_in", c->bytes_in);
	put_number(o, "packets_out", c->packets_out);
	put_number(o, "bytes_out", c->bytes_out);
	put_number(o, "dropped", c->drops);
	put_number(o, "queued_bytes", c->queued_bytes);
	put_number(o, "flows", c->flows);
	json_close_object(o);
}

size_t derp_server_clients(const struct derp_server *s, struct json_out *o)
{
	struct relay_client c;
	size_t it = 0, n = 0;
	uint64_t id;

	while (n < CLIENTS_MAX && (id = relay_each(s->relay, &it)) != 0) {
		if (!relay_client(s->relay, id, &c))
			continue;
		put_client(o, &c);
		n++;
	}
	return n;
}

void derp_numbers_status(const struct derp_numbers *n, struct json_out *o)
{
	for (size_t i = 0; i < array_len(numbers); i++)
		put_number(o, numbers[i].name, value_of(&n->relay, &numbers[i]));
	json_key(o, "dropped");
	json_open_object(o);
	for (int i = 0; i < RELAY_DROP_COUNT; i++)
		put_number(o, relay_drop_name((enum relay_drop)i), n->relay.drops[i]);
	json_close_object(o);
}

void derp_server_head(const struct derp_server *s, struct json_out *o)
{
	char hex[TEXT_HEX_LEN(DERP_KEY_LEN) + 1];

	text_hex(bytes_of(relay_key(s->relay)->b, DERP_KEY_LEN), hex);
	json_key(o, "relay_key");
	json_put_cstr(o, hex);
	put_number(o, "uptime_seconds",
		   (uint64_t)mono_since_ms(loop_now(s->loop), s->started) / 1000);
}

void derp_server_status(const struct derp_server *s, struct json_out *o, bool clients)
{
	struct derp_numbers n;

	derp_server_numbers(s, &n);
	json_open_object(o);
	derp_server_head(s, o);
	derp_numbers_status(&n, o);
	if (clients) {
		json_key(o, "connected");
		json_open_array(o);
		(void)derp_server_clients(s, o);
		json_close_array(o);
	}
	json_close_object(o);
}
