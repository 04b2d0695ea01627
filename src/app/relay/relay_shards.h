/*
 * app/relay/relay_shards.h - the relay on several threads: in each a loop, an engine, its HTTP and
 * its handshakes, joined by a bus.
 *
 * Shard 0 lives on the main loop, with everything there is one of: listeners, STUN, admission, the
 * links of the mesh, signals, numbers. It accepts for all and deals connections out in turn, so two
 * busy clients do not share a core while another idles, as they would by chance with SO_REUSEPORT.
 */
#pragma once

#include "io/tls_accept.h"
#include "part/derp_server/derp_server.h"

struct err;
struct relay_shards;

struct relay_shards_conf {
	struct loop *main;
	size_t count;
	struct derp_server_conf
	    derp; /* on_verify and arg are not used; limits are for all together */
	const struct log *log;
	size_t connections, handshakes; /* for all together */
	/* Main loop; answer with relay_shards_decide(). */
	void (*on_verify)(void *arg, uint64_t client, const struct key *key, struct addrport from);
	void *arg;
};

struct relay_shards *relay_shards_create(const struct relay_shards_conf *conf, struct err *err);
/* With set_tls() before it handshakes are made, without connections are plain. */
int relay_shards_start(struct relay_shards *s, struct err *err);
/* Ends the threads and drops all connections; what is under way comes to nothing. */
void relay_shards_close(struct relay_shards *s);
void relay_shards_destroy(struct relay_shards *s); /* after the main loop */

/* All of these from the main loop. */
struct derp_server *relay_shards_main(const struct relay_shards *s); /* of shard 0 */
void relay_shards_set_tls(struct relay_shards *s, struct tls_ctx *ctx);
void relay_shards_accept(struct relay_shards *s, int fd, struct addrport peer); /* takes fd */
void relay_shards_decide(struct relay_shards *s, uint64_t client, bool allow);
void relay_shards_recheck(struct relay_shards *s);
void relay_shards_drain(struct relay_shards *s, uint32_t spread_ms, void (*on_idle)(void *arg),
			void *arg);

struct relay_report {
	size_t threads;
	struct derp_numbers derp;
	struct tls_accept_stats tls;
	bool has_tls;
	struct buf clients; /* elements of a JSON array, when they were asked for */
};
/* on_report is called once, in any case, later or at once. */
void relay_shards_report(struct relay_shards *s, bool clients,
			 void (*on_report)(void *arg, const struct relay_report *r), void *arg);
