#include "sim/hostile.h"

#include "base/mem.h"
#include "crypto/box.h"
#include "sim/expect.h"
#include "sim/host.h"
#include "sim/talk.h"
#include "wire/disco.h"

/* What a stranger can send: noise, damaged and repeated copies of real datagrams. */
void hostile(struct city *c)
{
	struct addrport from = { ip_v4(198, 51, 100, 66), 666 };
	uint8_t junk[1500];

	populate(c, good);
	talk(c, 5);
	for (unsigned round = 0; round < 200; round++) {
		for (uint32_t i = 0; i < c->n; i++) {
			size_t n = 1 + (size_t)rng_below(&c->w.rng, sizeof(junk) - 1);

			c->w.rng.fill(&c->w.rng, junk, n);
			if (n > 4 && rng_below(&c->w.rng, 2)) {
				memset(junk, 0, 4);
				junk[0] = (uint8_t)(1 + rng_below(&c->w.rng, 4));
			}
			host_attack(&c->hosts[i], from, bytes_of(junk, n));
		}
		world_run_until(&c->w, mono_add_ms(c->w.now, 10));
	}
	talk(c, 10);
	expect_connected(c, 1000);
	expect_paths(c);
}

/* ---- a peer with real keys ---- */

/* Seals a disco message as the host itself would. */
static size_t forge(struct host *mallory, const struct host *victim, struct bytes body,
		    uint8_t *out)
{
	struct key from = magic_disco_key(mallory->magic), to = magic_disco_key(victim->magic);
	struct secret32 shared;
	uint8_t nonce[BOX_NONCE_LEN];

	if (!box_shared(&shared, &mallory->disco_private, to.b))
		return 0;
	mallory->rng.fill(&mallory->rng, nonce, sizeof(nonce));
	return disco_seal(out, &from, &shared, nonce, body);
}

/* A ping that names another's node key, from an address that is not ours. */
static void lie_in_ping(struct host *mallory, struct host *victim, const struct host *other)
{
	struct disco_ping ping = { .has_node_key = true, .node_key = other->node_key };
	uint8_t body[DISCO_PING_LEN], out[256];
	size_t n;

	mallory->rng.fill(&mallory->rng, ping.txid, sizeof(ping.txid));
	n = forge(mallory, victim, bytes_of(body, disco_ping_encode(&ping, body, sizeof(body))),
		  out);
	host_attack(victim, (struct addrport){ other->gateway->outside, 4242 }, bytes_of(out, n));
	host_attack(victim, (struct addrport){ ip_v4(203, 0, 113, 66), 66 }, bytes_of(out, n));
}

/* Call-me-maybe with a third party's addresses: over the relay, and by UDP where it must not be. */
static void lie_in_call(struct host *mallory, struct host *victim, const struct host *other)
{
	struct disco_call_me_maybe call = { .n = 2 };
	uint8_t body[64], out[256];
	size_t n;

	call.endpoints[0] = (struct addrport){ ip_v4(203, 0, 113, 66), 66 };
	call.endpoints[1] = (struct addrport){ other->gateway->outside, INSIDE_PORT };
	n = disco_call_me_maybe_encode(&call, body, sizeof(body));
	n = forge(mallory, victim, bytes_of(body, n), out);
	host_attack(victim, (struct addrport){ mallory->gateway->outside, INSIDE_PORT },
		    bytes_of(out, n));
	wire_send(&mallory->wires[victim->home - 1], &victim->node_key, bytes_of(out, n));
}

/* Everything that was heard on the wire, again, some of it from somewhere else. */
static void replay(struct city *c)
{
	struct addrport elsewhere = { ip_v4(203, 0, 113, 66), 66 };

	for (size_t i = 0; i < c->tape_count; i++) {
		const struct tape *t = &c->tape[i];

		host_spoof_udp(&c->hosts[0], t->from, t->to, bytes_of(t->bytes, t->n));
		host_spoof_udp(&c->hosts[0], elsewhere, t->to, bytes_of(t->bytes, t->n));
	}
}

void hostile_peer(struct city *c)
{
	struct host *mallory = &c->hosts[0];

	populate(c, good);
	c->tape = mem_alloc(TAPE_MAX * sizeof(*c->tape));
	talk(c, 8);
	for (unsigned round = 0; round < 20; round++) {
		for (size_t i = 0; i < mallory->peer_count; i++) {
			struct host *victim = &c->hosts[mallory->peers[i].host];
			const struct host *other = &c->hosts[(victim->index + 1) % c->n];

			lie_in_ping(mallory, victim, other);
			lie_in_call(mallory, victim, other);
		}
		replay(c);
		talk(c, 1);
	}
	expect_connected(c, 1000);
	talk(c, 15);
	expect_paths(c);
	mem_free(c->tape);
	c->tape = NULL;
}
