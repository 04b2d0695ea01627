#include "wire/ippkt.h"

#include "kit/kit.h"

#define V6                                                                                         \
	"fd7a115ca1e000000000000000000001"                                                         \
	"fd7a115ca1e000000000000000000002"
#define TCP "1f90005000000001000000025012ffff00000000"

static struct ippkt parse(const char *hex)
{
	struct ippkt pkt;

	CHECK(ippkt_parse(&pkt, kit_hex(hex)));
	return pkt;
}

TEST(tcp_over_ipv4_with_options)
{
	struct ippkt p = parse("4600002c00004000400600006440000164400002"
			       "01010100" TCP);

	CHECK(p.version == 4 && p.proto == IPPKT_TCP && p.has_ports && p.has_extensions);
	CHECK(p.src_port == 8080 && p.dst_port == 80 && p.tcp_flags == (TCP_SYN | TCP_ACK));
	CHECK(ip_equal(p.src, ip_v4(100, 64, 0, 1)) && ip_equal(p.dst, ip_v4(100, 64, 0, 2)));
	CHECK(p.transport == 24 && p.payload == 44 && p.length == 44 && !ippkt_is_tcp_open(&p));
}

TEST(tsmp_is_named_and_has_no_ports)
{
	struct ippkt p = parse("4500001d000000004063b1fb6440000164400002700102030405060708");

	CHECK(p.proto == IPPKT_TSMP && !p.has_ports && p.transport == 20 && p.payload == 20);
}

TEST(extension_headers_are_walked_to_udp)
{
	struct ippkt p =
	    parse("6000000000200040" V6 /* hop by hop, destination, fragment (atomic) */
		  "3c00010400000000"
		  "2c00010400000000"
		  "1100000000000001"
		  "00350035000800ff");

	CHECK(p.proto == IPPKT_UDP && p.has_ports && p.has_extensions);
	CHECK(p.fragment == IPPKT_WHOLE && p.src_port == 53 && p.transport == 64);
}

TEST(fragments_say_which_part_they_are)
{
	struct ippkt first = parse("6000000000102c40" V6 "1100000100000001"
				   "00350035000800ff");
	struct ippkt later = parse("6000000000102c40" V6 "1100005100000001"
				   "00350035000800ff");
	struct ippkt v4 = parse("4500001c0000000a401100006440000164400002"
				"00350035000800ff");

	CHECK(first.fragment == IPPKT_FIRST && first.has_ports);
	CHECK(later.fragment == IPPKT_LATER && !later.has_ports && later.fragment_offset == 80);
	CHECK(v4.fragment == IPPKT_LATER && v4.fragment_offset == 80 && !v4.has_ports);
	CHECK(v4.proto == IPPKT_UDP);
}

TEST(what_cannot_be_read_has_no_ports)
{
	struct ippkt cut = parse("4500001a00000000401100006440000164400002"
				 "003500350008");
	struct ippkt chain = parse("6000000000080040" V6 "3c02010400000000"); /* longer than is */
	struct ippkt icmp4_in_6 = parse("6000000000080140" V6 "0800000000000000");
	struct ippkt offset = parse("4500002800004000400600006440000164400002"
				    "1f90005000000001000000024012ffff00000000");

	CHECK(cut.proto == IPPKT_UDP && !cut.has_ports && cut.payload == cut.transport);
	CHECK(chain.proto == IPPKT_UNKNOWN && !chain.has_ports);
	CHECK(!icmp4_in_6.has_icmp && !offset.has_ports);
}

TEST(icmp_types_are_read)
{
	struct ippkt p = parse("6000000000083a40" V6 "8100000000000000");

	CHECK(p.has_icmp && p.icmp_type == 129 && p.icmp_code == 0);
}

TEST(broken_ip_headers_do_not_parse)
{
	struct bytes good = kit_hex("4500002800004000400600006440000164400002" TCP);
	struct bytes good6 = kit_hex("6000000000140640" V6 TCP);
	struct ippkt p;
	struct ip ip;

	for (size_t n = 0; n < good.n; n++)
		CHECK(!ippkt_parse(&p, kit_copy(bytes_of(good.p, n))));
	for (size_t n = 0; n < good6.n; n++)
		CHECK(!ippkt_parse(&p, kit_copy(bytes_of(good6.p, n))));
	CHECK(ippkt_parse(&p, good) && ippkt_parse(&p, good6));
	CHECK(!ippkt_parse(&p, kit_hex("4400002800004000400600006440000164400002" TCP)));
	CHECK(!ippkt_parse(&p, kit_hex("4f00002800004000400600006440000164400002" TCP)));
	CHECK(!ippkt_parse(&p, kit_hex("5500002800004000400600006440000164400002" TCP)));
	CHECK(!ippkt_dst(&ip, kit_hex("45")) && ippkt_dst(&ip, good6) && ip.b[15] == 2);
	CHECK(ippkt_src(&ip, good) && ip.b[3] == 1);
}

TEST(padding_behind_the_packet_is_not_part_of_it)
{
	struct bytes padded = kit_hex("4500001d000000004063b1fb6440000164400002700102030405060708"
				      "000000");

	CHECK_INT(ippkt_length(padded), 29);
}
