#include "engine/relay/relay.h"

#include "base/rand.h"
#include "crypto/x25519.h"
#include "engine/relay/relay_state.h"

#include "kit/kit.h"

enum { LOG_MAX = 4096 };

/* A client as the engine sees it: bytes in, frames out. */
struct end {
	struct relay *r;
	uint64_t id;
	struct secret32 priv;
	struct key key;
	struct derp_reader in;
	uint8_t types[LOG_MAX];
	size_t n;
	struct key peer; /* of the last packet, PeerGone or PeerPresent */
	uint8_t reason;
	char payload[64];
	unsigned present, gone, packets;
};

static struct rng rng;
static struct mono now;

static void begin(void)
{
	rng = rng_seeded(1);
	now = (struct mono){ 5000000000 };
}

static struct relay *new_relay(uint8_t secret, bool mesh)
{
	struct relay_conf conf = { .rng = &rng };

	memset(conf.private_key.b, secret, 32);
	if (mesh)
		memset(conf.mesh_key.b, 0x42, 32);
	return relay_create(&conf);
}

static void feed(struct end *e, struct bytes frame)
{
	struct reader h = reader_of(frame);
	struct derp_frame f = { .type = read_u8(&h) };

	read_skip(&h, 4);
	f.body = read_rest(&h);
	(void)relay_input(e->r, now, e->id, &f);
}

static void greet(struct end *e, bool mesh, bool upstream)
{
	struct derp_client_info info = {
		.key = e->key, .version = 2, .can_ack_pings = upstream, .has_mesh_key = mesh
	};
	uint8_t frame[512], nonce[24] = { 1 };
	struct writer w = writer_of(frame, sizeof(frame));
	struct secret32 shared;

	memset(info.mesh_key.b, 0x42, 32);
	CHECK(box_shared(&shared, &e->priv, relay_key(e->r)->b));
	derp_put_client_info(&w, &info, &shared, nonce);
	feed(e, bytes_of(frame, writer_done(&w)));
}

static void open_end(struct end *e, struct relay *r, uint8_t secret)
{
	*e = (struct end){ .r = r };
	memset(e->priv.b, secret, 32);
	x25519_public(e->key.b, &e->priv);
	e->id = relay_accept(r, now, (struct addrport){ ip_v4(192, 0, 2, secret), 4000 }, false);
	derp_reader_init(&e->in, derp_take_by_client);
}

static void join(struct end *e, struct relay *r, uint8_t secret)
{
	open_end(e, r, secret);
	greet(e, false, true);
	relay_admit(r, now, e->id, true);
}

static void join_mesh(struct end *e, struct relay *r, uint8_t secret)
{
	open_end(e, r, secret);
	greet(e, true, true);
}

static void leave(struct end *e)
{
	relay_remove(e->r, now, e->id);
	derp_reader_fini(&e->in);
}

static void note(struct end *e, struct derp_frame f)
{
	struct derp_present present;
	struct bytes payload;

	if (e->n < LOG_MAX)
		e->types[e->n++] = f.type;
	if (f.type == DERP_RECV_PACKET && derp_get_packet(f.body, &e->peer, &payload)) {
		e->packets++;
		(void)bytes_to_cstr(payload, e->payload, sizeof(e->payload));
	} else if (f.type == DERP_PEER_GONE) {
		e->gone += derp_get_peer_gone(f.body, &e->peer, &e->reason);
	} else if (f.type == DERP_PEER_PRESENT && derp_get_peer_present(f.body, &present)) {
		e->present++;
		e->peer = present.peer;
	}
}

/* Fetches everything the engine has for this end. */
static void read_all(struct end *e)
{
	struct derp_frame f;
	struct buf out;
	bool more = true;

	buf_init(&out, 1 << 20);
	while (more) {
		buf_clear(&out);
		more = relay_output(e->r, now, e->id, &out, 2000);
		derp_reader_feed(&e->in, buf_bytes(&out));
		while (derp_reader_next(&e->in, &f) == DERP_PARSE_FRAME)
			note(e, f);
	}
	buf_fini(&out);
}

static void send_bytes(struct end *e, const struct key *to, struct bytes payload)
{
	uint8_t frame[2048];
	struct writer w = writer_of(frame, sizeof(frame));

	derp_put_packet(&w, DERP_SEND_PACKET, to, payload);
	feed(e, bytes_of(frame, writer_done(&w)));
}

static void send_text(struct end *e, const struct key *to, const char *text)
{
	send_bytes(e, to, bytes_str(text));
}

static void send_empty(struct end *e, enum derp_type type)
{
	uint8_t frame[8];
	struct writer w = writer_of(frame, sizeof(frame));

	derp_put_empty(&w, type);
	feed(e, bytes_of(frame, writer_done(&w)));
}

static unsigned wants(struct relay *r, uint64_t id)
{
	unsigned sum = 0, w;
	uint64_t who;

	while ((who = relay_next(r, &w)) != 0)
		sum |= who == id ? w : 0;
	return sum;
}

TEST(relay_greets_admits_and_delivers)
{
	struct relay *r;
	struct end a, b;
	struct relay_stats st;

	begin();
	r = new_relay(0x77, false);
	open_end(&a, r, 1);
	CHECK(wants(r, a.id) == RELAY_WANT_OUTPUT);
	read_all(&a);
	CHECK(a.n == 1 && a.types[0] == DERP_SERVER_KEY);
	greet(&a, false, true);
	CHECK(wants(r, a.id) == RELAY_WANT_ADMISSION);
	read_all(&a);
	CHECK(a.n == 1); /* silence until somebody decides */
	relay_admit(r, now, a.id, true);
	CHECK(wants(r, a.id) == (RELAY_WANT_OUTPUT | RELAY_WANT_INPUT));
	read_all(&a);
	CHECK(a.n == 2 && a.types[1] == DERP_SERVER_INFO);
	join(&b, r, 2);
	send_text(&a, &b.key, "hello");
	read_all(&b);
	CHECK(b.packets == 1 && key_equal(&b.peer, &a.key));
	CHECK_STR(b.payload, "hello");
	relay_stats(r, &st);
	CHECK(st.clients == 2 && st.packets_out == 1 && st.queued_bytes == 0);
	leave(&a);
	leave(&b);
	relay_destroy(r);
}

TEST(relay_refuses_the_wrong_and_the_late)
{
	struct relay *r;
	struct end a, b, c;
	uint8_t ping[13] = { DERP_PING, 0, 0, 0, 8 };

	begin();
	r = new_relay(0x77, false);
	open_end(&a, r, 1);
	feed(&a, bytes_of(ping, sizeof(ping)));
	CHECK(wants(r, a.id) & RELAY_WANT_CLOSE);
	CHECK_STR(relay_close_reason(r, a.id), "first frame was not ClientInfo");
	open_end(&b, r, 2);
	greet(&b, false, true);
	relay_admit(r, now, b.id, false);
	CHECK(wants(r, b.id) & RELAY_WANT_CLOSE);
	open_end(&c, r, 3);
	now = mono_add_s(now, 9);
	relay_tick(r, now);
	CHECK(!(wants(r, c.id) & RELAY_WANT_CLOSE));
	CHECK(relay_deadline(r).ns != INT64_MAX);
	now = mono_add_s(now, 1);
	relay_tick(r, now);
	CHECK(wants(r, c.id) & RELAY_WANT_CLOSE);
	leave(&a);
	leave(&b);
	leave(&c);
	relay_destroy(r);
}

TEST(relay_frames_of_the_mesh_need_its_key)
{
	struct relay *r;
	struct end a, b;

	begin();
	r = new_relay(0x77, true);
	join(&a, r, 1);
	send_empty(&a, DERP_WATCH_CONNS);
	CHECK(wants(r, a.id) & RELAY_WANT_CLOSE);
	/* a wrong mesh key makes an ordinary client */
	open_end(&b, r, 2);
	r->conf.mesh_key.b[31] ^= 1;
	greet(&b, true, true);
	CHECK(wants(r, b.id) & RELAY_WANT_ADMISSION);
	leave(&a);
	leave(&b);
	relay_destroy(r);
}

TEST(relay_duplicates_share_a_key_without_a_fight)
{
	struct relay *r;
	struct end a, one, two;

	begin();
	r = new_relay(0x77, false);
	join(&a, r, 1);
	join(&one, r, 2);
	join(&two, r, 2);
	send_text(&a, &one.key, "x");
	read_all(&one);
	read_all(&two);
	CHECK(one.packets == 0 && two.packets == 1); /* the newest */
	send_text(&one, &a.key, "y");
	send_text(&a, &one.key, "z");
	read_all(&one);
	read_all(&two);
	CHECK(one.packets == 1 && two.packets == 1); /* the last that spoke */
	read_all(&a);
	leave(&one);
	read_all(&a);
	CHECK(a.gone == 0); /* the key is still here */
	send_text(&a, &two.key, "w");
	read_all(&two);
	CHECK(two.packets == 2);
	leave(&two);
	read_all(&a);
	CHECK(a.gone == 1 && a.reason == DERP_GONE_DISCONNECTED);
	leave(&a);
	relay_destroy(r);
}

TEST(relay_tells_only_those_who_heard_from_the_peer)
{
	struct relay *r;
	struct end a, b, c;

	begin();
	r = new_relay(0x77, false);
	join(&a, r, 1);
	join(&b, r, 2);
	join(&c, r, 3);
	send_text(&a, &b.key, "x");
	leave(&a);
	read_all(&b);
	read_all(&c);
	CHECK(b.gone == 1 && key_equal(&b.peer, &a.key) && c.gone == 0);
	leave(&b);
	leave(&c);
	CHECK(r->peers.n == 0 && r->trails.n == 0);
	relay_destroy(r);
}

TEST(relay_not_here_answers_discovery_slowly)
{
	struct relay *r;
	struct end a;
	struct key nobody = { { 9 } };
	uint8_t disco[62] = { 0x54, 0x53, 0xf0, 0x9f, 0x92, 0xac };
	struct relay_stats st;

	begin();
	r = new_relay(0x77, false);
	join(&a, r, 1);
	send_text(&a, &nobody, "data gets no answer");
	for (int i = 0; i < 10; i++)
		send_bytes(&a, &nobody, bytes_of(disco, sizeof(disco)));
	read_all(&a);
	CHECK(a.gone == 3 && a.reason == DERP_GONE_NOT_HERE);
	now = mono_add_s(now, 1);
	for (int i = 0; i < 10; i++)
		send_bytes(&a, &nobody, bytes_of(disco, sizeof(disco)));
	read_all(&a);
	CHECK(a.gone == 4);
	relay_stats(r, &st);
	CHECK(st.drops[RELAY_DROP_UNKNOWN_DEST] == 21);
	leave(&a);
	relay_destroy(r);
}

TEST(relay_pings_keepalives_and_home)
{
	struct relay *r;
	struct end a;
	uint8_t ping[13] = { DERP_PING, 0, 0, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8 };
	uint8_t home[6] = { DERP_NOTE_PREFERRED, 0, 0, 0, 1, 1 };
	struct relay_client info;

	begin();
	r = new_relay(0x77, false);
	join(&a, r, 1);
	read_all(&a);
	for (int i = 0; i < 5; i++)
		feed(&a, bytes_of(ping, sizeof(ping)));
	read_all(&a);
	CHECK(a.n == 3 && a.types[2] == DERP_PONG); /* one for a burst */
	feed(&a, bytes_of(home, sizeof(home)));
	CHECK(relay_client(r, a.id, &info) && info.home && info.admitted);
	now = mono_add_s(now, 66);
	relay_tick(r, now);
	CHECK(wants(r, a.id) & RELAY_WANT_OUTPUT);
	read_all(&a);
	CHECK(a.n == 4 && a.types[3] == DERP_KEEP_ALIVE);
	now = mono_add_s(now, 59);
	relay_tick(r, now);
	read_all(&a);
	CHECK(a.n == 4);
	leave(&a);
	relay_destroy(r);
}

/* One client that reads nothing while many send to it. */
TEST(relay_slow_reader_costs_a_bounded_amount)
{
	struct relay *r;
	struct end slow, src[8], other;
	uint8_t data[1400] = { 4 };
	struct relay_stats st;

	begin();
	r = new_relay(0x77, false);
	join(&slow, r, 1);
	join(&other, r, 2);
	for (uint8_t i = 0; i < 8; i++)
		join(&src[i], r, 10 + i);
	for (int n = 0; n < 1000; n++)
		for (int i = 0; i < 8; i++)
			send_bytes(&src[i], &slow.key, bytes_of(data, sizeof(data)));
	relay_stats(r, &st);
	CHECK(st.queued_bytes <= 512 << 10 && st.drops[RELAY_DROP_QUEUE_HEAD] > 7000);
	send_text(&src[0], &other.key, "fine");
	read_all(&other);
	CHECK_STR(other.payload, "fine");
	leave(&slow);
	relay_stats(r, &st);
	CHECK(st.queued_bytes == 0 && st.flows == 0);
	CHECK(st.drops[RELAY_DROP_GONE] + st.drops[RELAY_DROP_QUEUE_HEAD] == 8000);
	leave(&other);
	for (int i = 0; i < 8; i++)
		leave(&src[i]);
	relay_destroy(r);
}

TEST(relay_rate_limit_delays_reading)
{
	struct relay *r;
	struct end a, b;
	uint8_t data[1000] = { 4 };
	struct derp_frame f = { .type = DERP_SEND_PACKET };
	uint8_t body[1032];
	int sent = 0;

	begin();
	r = new_relay(0x77, false);
	relay_set_rates(r, 100000, 0, 0, 0);
	join(&a, r, 1);
	join(&b, r, 2);
	(void)wants(r, 0);
	memcpy(body, b.key.b, 32);
	memcpy(body + 32, data, sizeof(data));
	f.body = bytes_of(body, sizeof(body));
	while (relay_input(r, now, a.id, &f) == RELAY_GO)
		sent++;
	CHECK(sent >= 63 && sent < 70); /* the burst: one largest packet */
	CHECK(!(wants(r, a.id) & RELAY_WANT_INPUT));
	CHECK(relay_input(r, now, b.id, &f) == RELAY_GO); /* others are not held */
	now = relay_deadline(r);
	relay_tick(r, now);
	CHECK(wants(r, a.id) & RELAY_WANT_INPUT);
	CHECK(relay_input(r, now, a.id, &f) == RELAY_HOLD); /* ten milliseconds a frame */
	leave(&a);
	leave(&b);
	relay_destroy(r);
}

/* Two relays: `out` is our link as the engine knows it, `in` the same connection at the far end. */
struct pair {
	struct end out, in;
};

static void mesh(struct pair *p, struct relay *from, struct relay *to, uint8_t secret)
{
	p->out = (struct end){ .r = from, .id = relay_link(from, now) };
	derp_reader_init(&p->out.in, derp_take_by_server);
	join_mesh(&p->in, to, secret);
}

static bool carry_one(struct end *from, struct end *to)
{
	struct buf out;
	struct derp_frame f;
	bool moved;

	buf_init(&out, 1 << 20);
	(void)relay_output(from->r, now, from->id, &out, 1 << 16);
	moved = out.n != 0;
	derp_reader_feed(&from->in, buf_bytes(&out));
	while (derp_reader_next(&from->in, &f) == DERP_PARSE_FRAME)
		(void)relay_input(to->r, now, to->id, &f);
	buf_fini(&out);
	return moved;
}

static void carry(struct pair *p, size_t n)
{
	bool moved = true;

	while (moved) {
		moved = false;
		for (size_t i = 0; i < n; i++) {
			moved |= carry_one(&p[i].out, &p[i].in);
			moved |= carry_one(&p[i].in, &p[i].out);
		}
	}
}

TEST(relay_mesh_of_three)
{
	struct relay *r[3];
	struct pair links[6];
	struct end a, b, c;
	struct relay_stats st;
	size_t n = 0;

	begin();
	for (uint8_t i = 0; i < 3; i++)
		r[i] = new_relay(0x71 + i, true);
	join(&a, r[0], 1);
	for (uint8_t i = 0; i < 3; i++)
		for (uint8_t k = 0; k < 3; k++)
			if (i != k)
				mesh(&links[n++], r[i], r[k], 0x71 + i);
	carry(links, 6);
	join(&b, r[1], 2);
	join(&c, r[2], 3);
	carry(links, 6);
	send_text(&a, &b.key, "a to b");
	send_text(&b, &c.key, "b to c");
	send_text(&c, &a.key, "c to a");
	carry(links, 6);
	read_all(&a);
	read_all(&b);
	read_all(&c);
	CHECK_STR(b.payload, "a to b");
	CHECK_STR(c.payload, "b to c");
	CHECK_STR(a.payload, "c to a");
	CHECK(key_equal(&a.peer, &c.key));
	relay_stats(r[0], &st);
	CHECK(st.packets_forwarded_out == 1 && st.packets_forwarded_in == 1);
	CHECK(st.links == 2 && st.watchers == 2 && st.clients == 1);
	CHECK(a.present == 0); /* strict readers never hear of the mesh */

	/* c leaves: b, who is elsewhere and had not heard from c, hears nothing; a does. */
	leave(&c);
	carry(links, 6);
	read_all(&a);
	read_all(&b);
	CHECK(a.gone == 1 && a.reason == DERP_GONE_DISCONNECTED && b.gone == 0);
	/* the link breaks: what it announced is forgotten */
	leave(&links[0].out);
	send_text(&a, &b.key, "lost");
	relay_stats(r[0], &st);
	CHECK(st.drops[RELAY_DROP_UNKNOWN_DEST] == 1);
	leave(&links[0].in);
	leave(&a);
	leave(&b);
	for (size_t i = 1; i < 6; i++) {
		leave(&links[i].out);
		leave(&links[i].in);
	}
	for (int i = 0; i < 3; i++)
		relay_destroy(r[i]);
}

/* Two shards of one relay, joined to each other. */
static void make_shards(struct relay *r[2], struct pair *p)
{
	for (int i = 0; i < 2; i++)
		r[i] = new_relay(0x77, true);
	p->out = (struct end){ .r = r[0], .id = relay_sibling(r[0]) };
	p->in = (struct end){ .r = r[1], .id = relay_sibling(r[1]) };
	derp_reader_init(&p->out.in, relay_take_by_sibling);
	derp_reader_init(&p->in.in, relay_take_by_sibling);
}

static void destroy_shards(struct relay *r[2], struct pair *p)
{
	for (int i = 0; i < 2; i++)
		relay_destroy(r[i]);
	derp_reader_fini(&p->out.in);
	derp_reader_fini(&p->in.in);
}

TEST(relay_shards_are_one_relay_to_their_clients)
{
	struct relay *r[2];
	struct pair p;
	struct end a, b, watcher;
	struct relay_stats st;

	begin();
	make_shards(r, &p);
	join(&a, r[0], 1);
	join_mesh(&watcher, r[1], 9);
	send_empty(&watcher, DERP_WATCH_CONNS);
	carry(&p, 1);
	read_all(&watcher);
	CHECK(watcher.present == 1 && key_equal(&watcher.peer, &a.key)); /* at the other shard */
	join(&b, r[1], 2);
	carry(&p, 1);
	send_text(&a, &b.key, "over there");
	send_text(&b, &a.key, "and back");
	carry(&p, 1);
	read_all(&a);
	read_all(&b);
	CHECK_STR(b.payload, "over there");
	CHECK_STR(a.payload, "and back");
	CHECK(key_equal(&a.peer, &b.key) && key_equal(&b.peer, &a.key));
	relay_stats(r[0], &st);
	CHECK(st.packets_handed_over == 1 && st.packets_forwarded_out == 0 && st.packets_out == 1);
	CHECK(st.connections == 1 && st.clients == 1 && st.remote_keys == 0);
	/* Gone at one shard is gone for those at the other who heard from it. */
	leave(&a);
	carry(&p, 1);
	read_all(&b);
	read_all(&watcher);
	CHECK(b.gone == 1 && key_equal(&b.peer, &a.key));
	CHECK(watcher.gone == 1);
	leave(&b);
	leave(&watcher);
	carry(&p, 1);
	CHECK(r[0]->peers.n == 0 && r[1]->peers.n == 0);
	destroy_shards(r, &p);
}

TEST(relay_duplicates_at_two_shards)
{
	struct relay *r[2];
	struct pair p;
	struct end a, one, two;

	begin();
	make_shards(r, &p);
	join(&a, r[0], 1);
	join(&one, r[0], 2);
	carry(&p, 1);
	join(&two, r[1], 2);
	carry(&p, 1);
	send_text(&a, &one.key, "x");
	carry(&p, 1);
	read_all(&one);
	read_all(&two);
	CHECK(one.packets == 0 && two.packets == 1); /* the newest */
	send_text(&one, &a.key, "y");
	send_text(&a, &one.key, "z");
	carry(&p, 1);
	read_all(&one);
	read_all(&two);
	CHECK(one.packets == 1 && two.packets == 1); /* the last that spoke */
	read_all(&a);
	leave(&one);
	carry(&p, 1);
	read_all(&a);
	CHECK(a.gone == 0); /* the key is still here, at the other shard */
	send_text(&a, &two.key, "w");
	carry(&p, 1);
	read_all(&two);
	CHECK(two.packets == 2);
	leave(&two);
	carry(&p, 1);
	read_all(&a);
	CHECK(a.gone == 1);
	leave(&a);
	destroy_shards(r, &p);
}

/* One shard holds the link to another relay; the members of the mesh may come in at any. */
TEST(relay_shards_share_the_mesh)
{
	struct relay *r[2], *far = NULL;
	struct pair p, link, back;
	struct end a, b;

	begin();
	make_shards(r, &p);
	far = new_relay(0x72, true);
	mesh(&link, r[0], far, 0x77);
	mesh(&back, far, r[1], 0x72);
	join(&a, r[1], 1);
	join(&b, far, 2);
	for (int i = 0; i < 3; i++) {
		carry(&p, 1);
		carry(&link, 1);
		carry(&back, 1);
	}
	send_text(&a, &b.key, "out by the other shard");
	carry(&p, 1);
	carry(&link, 1);
	read_all(&b);
	CHECK_STR(b.payload, "out by the other shard");
	send_text(&b, &a.key, "home");
	carry(&back, 1);
	read_all(&a);
	CHECK_STR(a.payload, "home");
	/* The link breaks: nobody at any shard believes in what it announced. */
	leave(&link.out);
	carry(&p, 1);
	read_all(&a);
	CHECK(a.gone == 1 && key_equal(&a.peer, &b.key));
	CHECK(!peer_find(r[1], &b.key));
	leave(&a);
	leave(&b);
	leave(&link.in);
	leave(&back.out);
	leave(&back.in);
	destroy_shards(r, &p);
	relay_destroy(far);
}

TEST(relay_forwarded_packets_go_no_further)
{
	struct relay *r[2];
	struct pair link[1];
	struct end a;
	uint8_t frame[128];
	struct writer w = writer_of(frame, sizeof(frame));
	struct key src = { { 7 } };
	struct relay_stats st;

	begin();
	r[0] = new_relay(0x71, true);
	r[1] = new_relay(0x72, true);
	mesh(link, r[0], r[1], 0x71);
	join(&a, r[1], 1);
	carry(link, 1);
	/* r0 knows that a is at r1, and still keeps a packet that was forwarded to it. */
	leave(&link[0].in);
	join_mesh(&link[0].in, r[0], 0x72);
	derp_put_forward(&w, &src, &a.key, bytes_str("round and round"));
	feed(&link[0].in, bytes_of(frame, writer_done(&w)));
	relay_stats(r[0], &st);
	CHECK(st.drops[RELAY_DROP_UNKNOWN_DEST_ON_FWD] == 1 && st.packets_forwarded_out == 0);
	relay_destroy(r[0]);
	relay_destroy(r[1]);
	derp_reader_fini(&a.in);
	derp_reader_fini(&link[0].in.in);
	derp_reader_fini(&link[0].out.in);
}

TEST(relay_closes_a_peer_when_the_mesh_asks)
{
	struct relay *r;
	struct end a, twin, m;
	uint8_t frame[64];
	struct writer w = writer_of(frame, sizeof(frame));

	begin();
	r = new_relay(0x71, true);
	join(&a, r, 1);
	join(&twin, r, 1);
	join_mesh(&m, r, 9);
	send_empty(&m, DERP_WATCH_CONNS);
	derp_put_close_peer(&w, &a.key);
	feed(&m, bytes_of(frame, writer_done(&w)));
	read_all(&m);
	CHECK(m.present == 1 && m.gone == 1);
	CHECK(wants(r, a.id) & RELAY_WANT_CLOSE);
	leave(&a);
	leave(&twin);
	leave(&m);
	relay_destroy(r);
}

TEST(relay_drains_without_strange_frames)
{
	struct relay *r;
	struct end go, strict;

	begin();
	r = new_relay(0x77, false);
	join(&go, r, 1);
	open_end(&strict, r, 2);
	{ /* tailscale-rs writes other names, so it asked for nothing */
		static const char json[] = "{\"version\":2,\"can_ack_pings\":true}";
		uint8_t body[256], nonce[24] = { 0 };
		struct secret32 shared;
		struct derp_frame f = { .type = DERP_CLIENT_INFO };

		CHECK(box_shared(&shared, &strict.priv, relay_key(r)->b));
		memcpy(body, strict.key.b, 32);
		box_seal(body + 32, &shared, nonce, bytes_str(json));
		f.body = bytes_of(body, 32 + BOX_OVERHEAD + strlen(json));
		CHECK(relay_input(r, now, strict.id, &f) == RELAY_HOLD);
		relay_admit(r, now, strict.id, true);
	}
	relay_drain(r, now, 5000, 10000);
	CHECK(relay_accept(r, now, (struct addrport){ 0 }, false) == 0);
	read_all(&go);
	read_all(&strict);
	CHECK(go.types[go.n - 1] == DERP_RESTARTING);
	CHECK(strict.types[strict.n - 1] == DERP_SERVER_INFO);
	send_text(&go, &strict.key, "still served");
	read_all(&strict);
	CHECK_STR(strict.payload, "still served");
	now = mono_add_ms(now, 5001);
	(void)wants(r, 0);
	relay_tick(r, now);
	CHECK(wants(r, go.id) & RELAY_WANT_CLOSE);
	leave(&go);
	leave(&strict);
	relay_destroy(r);
}

TEST(relay_idle_client_is_small)
{
	CHECK(sizeof(struct conn) + sizeof(struct peer) < 1024);
}
