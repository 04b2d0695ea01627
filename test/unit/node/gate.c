#include "node/gate.h"

#include "kit/kit.h"
#include "maps.h"
#include "node/datapath.h"

static struct ippkt tcp_to(struct ip dst, uint16_t port, uint8_t flags)
{
	return (struct ippkt){ .version = 4,
			       .proto = IPPKT_TCP,
			       .has_ports = true,
			       .tcp_flags = flags,
			       .src = ip_v4(100, 64, 0, 2),
			       .dst = dst,
			       .src_port = 5000,
			       .dst_port = port };
}

/* Before the rules: they say no to everything here. */
TEST(gate_services_are_reached_without_a_rule)
{
	const struct addrport at[] = { { ip_v4(100, 64, 0, 1), 40000 } };
	struct netmap *m =
	    maps_make("", MAPS_PEER(2, "", "") "," MAPS_PEER(3, "", ",\"IsJailed\":true"));
	struct prefs *p = maps_prefs("{}");
	struct gate_peer peers[] = { { netmap_peer(m, 0) }, { netmap_peer(m, 1) }, { NULL } };
	struct gate *g = gate_create(m, p, NULL, peers, 3, NULL, NULL);
	struct ippkt pkt = tcp_to(at[0].ip, 40000, TCP_SYN);

	CHECK_INT(gate_in(g, 0, &pkt), DATAPATH_DROP);
	gate_serve(g, at, 1);
	CHECK_INT(gate_in(g, 0, &pkt), DATAPATH_LOCAL);
	CHECK_INT(gate_in(g, 1, &pkt), DATAPATH_DROP); /* jailed */
	CHECK_INT(gate_in(g, 2, &pkt), DATAPATH_DROP); /* nobody has that number */
	CHECK_INT(gate_in(g, 9, &pkt), DATAPATH_DROP);
	CHECK(!gate_allows(g, 0, &pkt)); /* the rules alone */
	pkt.tcp_flags = TCP_ACK;
	CHECK_INT(gate_in(g, 0, &pkt), DATAPATH_LOCAL);
	CHECK_INT(gate_in(g, 1, &pkt), DATAPATH_DROP);
	pkt.dst_port = 40001;
	pkt.tcp_flags = TCP_SYN;
	CHECK_INT(gate_in(g, 0, &pkt), DATAPATH_DROP);
	pkt = tcp_to(ip_v4(100, 64, 0, 7), 40000, TCP_SYN);
	CHECK_INT(gate_in(g, 0, &pkt), DATAPATH_DROP);
	pkt = tcp_to(at[0].ip, 40000, 0);
	pkt.proto = IPPKT_UDP;
	pkt.has_ports = false;
	CHECK_INT(gate_in(g, 0, &pkt), DATAPATH_DROP);
	gate_destroy(g);
	prefs_destroy(p);
	netmap_unref(m);
}
