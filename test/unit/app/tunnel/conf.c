#include "app/tunnel/conf.h"

#include "base/err.h"
#include "kit/kit.h"

#define KEY "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="
#define PUB "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
#define INTERFACE "[Interface]\nPrivateKey = " KEY "\n"

static void refused(const char *text, const char *why)
{
	struct tunnel_conf conf;
	struct err err = { 0 };

	CHECK(tunnel_conf_parse(&conf, "wg0.conf", bytes_str(text), &err) < 0);
	CHECK_STR(err.text, why);
	CHECK(err.code == ERR_USAGE);
	tunnel_conf_fini(&conf);
}

TEST(a_whole_file_is_read)
{
	struct tunnel_conf conf;
	struct err err;
	const char *text = "# mine\r\n[interface]\nprivatekey=" KEY " # secret\n"
			   "ListenPort = 51820\nFwMark = 0xca6c\nMTU = 1380\nTable = 1234\n"
			   "Address = 10.0.0.1/24, fd00::1\nAddress=10.0.1.1\n"
			   "\n[Peer]\nPublicKey = " PUB "\nPresharedKey = " KEY "\n"
			   "AllowedIPs = 10.0.0.2/32, 0.0.0.0/0\nAllowedIPs = fd00::/64\n"
			   "Endpoint = [2001:db8::1]:51820\nPersistentKeepalive = 25\n"
			   "[Peer]\nPublicKey = " KEY "\nAllowedIPs = \nEndpoint = vpn.example:7\n"
			   "PersistentKeepalive = off";

	CHECK(tunnel_conf_parse(&conf, "f", bytes_str(text), &err) == 0);
	CHECK(conf.private_key.b[0] == 0xc8 && conf.listen_port == 51820);
	CHECK(conf.fwmark == 0xca6c && conf.mtu == 1380 && conf.table == 1234);
	CHECK_INT(conf.address_count, 3);
	CHECK(conf.addresses[0].len == 24 && conf.addresses[1].len == 128 &&
	      conf.addresses[2].len == 32);
	CHECK_INT(conf.peer_count, 2);
	CHECK(conf.peers[0].allowed_count == 3 && conf.peers[0].keepalive_s == 25);
	CHECK(conf.peers[0].allowed[1].len == 0 && conf.peers[0].psk.b[0] == 0xc8);
	CHECK_STR(conf.peers[0].endpoint, "[2001:db8::1]:51820");
	CHECK_STR(conf.peers[1].endpoint, "vpn.example:7");
	CHECK(conf.peers[1].allowed_count == 0 && conf.peers[1].keepalive_s == 0);
	CHECK(conf.default4 && !conf.default6);
	tunnel_conf_forget_peers(&conf);
	CHECK(!conf.peers && conf.peer_count == 0 && conf.default4 && conf.address_count == 3);
	tunnel_conf_fini(&conf);
	CHECK(tunnel_conf_parse(&conf, "f", bytes_str(INTERFACE "Table = off\n"), &err) == 0);
	CHECK(conf.table == TUNNEL_TABLE_OFF && conf.listen_port == 0);
	tunnel_conf_fini(&conf);
}

TEST(errors_name_file_line_key_and_what_is_accepted)
{
	refused("", "wg0.conf: [Interface] needs a PrivateKey");
	refused("PrivateKey = x\n", "wg0.conf:1: line: there must be a [section] above it");
	refused("[Interface]\nPrivateKey = short\n",
		"wg0.conf:2: PrivateKey: must be 44 characters of base64, as `wg genkey` prints");
	refused(INTERFACE "ListenPort = 65536\n",
		"wg0.conf:3: ListenPort: must be a number from 0 to 65535");
	refused(INTERFACE "MTU = 500\n", "wg0.conf:3: MTU: must be a number from 576 to 65503");
	refused(INTERFACE "Address = 10.0.0.1/33\n",
		"wg0.conf:3: Address: must be addresses like 10.0.0.1/24, fd00::1/64");
	refused(INTERFACE "FwMark = 0x123456789\n",
		"wg0.conf:3: FwMark: must be 'off', a number or 0x with up to 8 hex digits");
	refused(INTERFACE "Table = 0\n",
		"wg0.conf:3: Table: must be 'auto', 'off' or the number of a routing table");
	refused(INTERFACE "[Peers]\n", "wg0.conf:3: section: must be [Interface] or [Peer]");
	refused(INTERFACE "hello\n",
		"wg0.conf:3: line: must be a [section], 'Key = value' or a # comment");
	refused(INTERFACE "\n[Peer]\nAllowedIPs = ::/0\n", "wg0.conf:4: [Peer]: has no PublicKey");
	refused(INTERFACE "[Peer]\nPublicKey = " PUB "\nEndpoint = fe80::1:7\n",
		"wg0.conf:5: Endpoint: must be host:port, 192.0.2.1:51820 or [2001:db8::1]:51820");
	refused(INTERFACE "[Peer]\nPublicKey = " PUB "\nPersistentKeepalive = 65536\n",
		"wg0.conf:5: PersistentKeepalive: must be 'off' or seconds from 0 to 65535");
	refused(INTERFACE "[Peer]\nPublicKey = " PUB "\nAllowedIPs = 1.2.3.4/40\n",
		"wg0.conf:5: AllowedIPs: must be prefixes like 10.0.0.0/24, ::/0");
}

TEST(what_is_not_done_is_refused_by_name)
{
	refused(INTERFACE "PostUp = iptables -A x\n",
		"wg0.conf:3: PostUp: commands are not run from here; do it in the unit that "
		"starts weftd tunnel");
	refused(INTERFACE "DNS = 9.9.9.9\n",
		"wg0.conf:3: DNS: the resolver is not changed from here; configure it by "
		"resolvectl");
	refused(INTERFACE "SaveConfig = true\n",
		"wg0.conf:3: SaveConfig: the file is never written; use `wg showconf` for that");
	refused(INTERFACE "PublicKey = " PUB "\n", "wg0.conf:3: PublicKey: belongs into [Peer]");
	refused(INTERFACE "ListenPrt = 1\n",
		"wg0.conf:3: 'ListenPrt' is no key; did you mean ListenPort?");
	refused(INTERFACE "Whatever = 1\n", "wg0.conf:3: 'Whatever' is no key of [Interface]");
}
