/*
 * part/stun_server.h - answers STUN binding requests on one UDP address.
 *
 * Nodes of the network get the answer their protocol expects. Ordinary STUN clients are answered
 * too unless told otherwise, at a much lower rate per source network, because their requests are
 * shorter than the answers. Nothing else is answered. Answers leave from the address that was
 * asked.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ip.h"

struct err;
struct loop;
struct stun_server;

struct stun_server_conf {
	struct addrport at;  /* an IPv6 address serves IPv6 alone: run one server for each family */
	bool nodes_only;     /* silence for ordinary STUN clients */
	unsigned node_rate;  /* per second and source network (/24, /64); 0: 2000 */
	unsigned plain_rate; /* the same for ordinary clients; 0: 20 */
};

struct stun_stats {
	uint64_t received, nodes, plain, refused_attributes, ignored, limited, sent, send_errors;
};

struct stun_server *stun_server_create(struct loop *loop, const struct stun_server_conf *conf,
				       struct err *err);
void stun_server_destroy(struct stun_server *s); /* NULL is a no-op */
struct addrport stun_server_address(const struct stun_server *s);
void stun_server_stats(const struct stun_server *s, struct stun_stats *out);
