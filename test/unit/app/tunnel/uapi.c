#include "app/tunnel/uapi.h"

#include <stdio.h>

#include "app/tunnel/device.h"
#include "base/err.h"
#include "base/text.h"
#include "kit/kit.h"

#define HEX32(c) c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c
#define PEER1 HEX32("09")
#define PEER2 HEX32("25")

static struct device *device(void)
{
	static struct log silent;
	struct device_conf conf = { .name = "t0", .log = &silent, .no_tun = true };
	struct device *d;
	struct err err;

	d = device_create(&conf, &err);
	if (!d)
		kit_skip(err.text);
	return d;
}

static void says(struct device *d, const char *request, const char *want)
{
	struct buf out;

	buf_init(&out, 1 << 16);
	CHECK(uapi_answer(d, kit_copy(bytes_str(request)), &out));
	CHECK_STR(buf_cstr(&out), want);
	buf_fini(&out);
}

static bool shows(struct device *d, const char *piece)
{
	struct buf out;
	bool found;

	buf_init(&out, 1 << 16);
	CHECK(uapi_answer(d, bytes_str("get=1\n\n"), &out));
	found = strstr(buf_cstr(&out), piece) != NULL;
	buf_fini(&out);
	return found;
}

TEST(what_is_set_can_be_got)
{
	struct device *d = device();

	says(d,
	     "set=1\nprivate_key=" HEX32(
		 "40") "\nfwmark=0\npublic_key=" PEER1 "\n"
		       "preshared_key=" HEX32(
			   "77") "\nendpoint=[abcd:23::33]:51820\n"
				 "persistent_keepalive_interval=25\nreplace_allowed_ips=true\n"
				 "allowed_ip=192.168.4.4/32\nallowed_ip=10.0.0.0/"
				 "8\npublic_key=" PEER2 "\n"
				 "endpoint=182.122.22.19:3233\nallowed_ip=192.168.4.6/32\n\n",
	     "errno=0\n\n");
	CHECK(shows(d, "private_key=" HEX32("40") "\nlisten_port="));
	CHECK(shows(d,
		    "public_key=" PEER1 "\npreshared_key=" HEX32(
			"77") "\n"
			      "protocol_version=1\nendpoint=[abcd:23::33]:51820\n"
			      "last_handshake_time_sec=0\nlast_handshake_time_nsec=0\ntx_bytes=0\n"
			      "rx_bytes=0\npersistent_keepalive_interval=25\n"
			      "allowed_ip=192.168.4.4/32\nallowed_ip=10.0.0.0/8\n"
			      "public_key=" PEER2 "\n"));
	CHECK_INT(d->peer_count, 2);
	says(d, "set=1\npublic_key=" PEER2 "\nallowed_ip=10.0.0.0/8\n\n", "errno=0\n\n");
	CHECK(shows(d, "allowed_ip=192.168.4.6/32\nallowed_ip=10.0.0.0/8\nerrno=0\n\n"));
	says(d, "set=1\npublic_key=" PEER2 "\nallowed_ip=-10.0.0.0/8\n\n", "errno=0\n\n");
	CHECK(!shows(d, "10.0.0.0/8"));
	says(d, "set=1\npublic_key=" PEER2 "\npreshared_key=" HEX32("66") "\n\n", "errno=0\n\n");
	CHECK(shows(d, "preshared_key=" HEX32("66")) && shows(d, "allowed_ip=192.168.4.6/32"));
	says(d, "set=1\npublic_key=" PEER1 "\nremove=true\n\n", "errno=0\n\n");
	CHECK(!shows(d, PEER1) && d->peer_count == 1);
	says(d, "set=1\nreplace_peers=true\n\n", "errno=0\n\n");
	CHECK_INT(d->peer_count, 0);
	device_destroy(d);
}

TEST(a_peer_that_is_to_be_updated_only_is_not_made)
{
	struct device *d = device();

	says(d, "set=1\npublic_key=" PEER1 "\nupdate_only=true\nallowed_ip=10.0.0.0/8\n\n",
	     "errno=0\n\n");
	CHECK_INT(d->peer_count, 0);
	says(d, "set=1\npublic_key=" PEER1 "\nremove=true\nallowed_ip=10.0.0.0/8\n\n",
	     "errno=0\n\n");
	CHECK_INT(d->peer_count, 0);
	device_destroy(d);
}

TEST(nobody_is_a_peer_of_himself)
{
	struct device *d = device();
	char request[400], hex[65];
	struct key own;

	says(d, "set=1\nprivate_key=" HEX32("40") "\n\n", "errno=0\n\n");
	own = d->public_key;
	text_hex(bytes_of(own.b, 32), hex);
	(void)snprintf(request, sizeof(request), "set=1\npublic_key=%s\nallowed_ip=10.0.0.0/8\n\n",
		       hex);
	says(d, request, "errno=0\n\n");
	CHECK_INT(d->peer_count, 0);
	says(d, "set=1\nprivate_key=" HEX32("41") "\n\n", "errno=0\n\n");
	says(d, request, "errno=0\n\n");
	CHECK_INT(d->peer_count, 1);
	says(d, "set=1\nprivate_key=" HEX32("40") "\n\n", "errno=0\n\n");
	CHECK_INT(d->peer_count, 0);
	device_destroy(d);
}

TEST(bad_lines_stop_a_set_with_an_errno)
{
	struct device *d = device();
	struct buf out;

	says(d, "set=1\nprivate_key=abc\n\n", "errno=22\n\n");
	says(d, "set=1\nlisten_port=70000\n\n", "errno=22\n\n");
	says(d, "set=1\nnonsense=1\n\n", "errno=22\n\n");
	says(d, "set=1\nendpoint=1.2.3.4:5\n\n", "errno=22\n\n"); /* no peer yet */
	says(d, "set=1\nno sign\n\n", "errno=71\n\n");
	says(d, "set=1\npublic_key=" PEER1 "\nallowed_ip=1.2.3.4/40\n\n", "errno=22\n\n");
	says(d, "set=1\npublic_key=" PEER1 "\nprotocol_version=2\n\n", "errno=93\n\n");
	buf_init(&out, 100);
	CHECK(!uapi_answer(d, bytes_str("hello\n\n"), &out));
	CHECK(!uapi_answer(d, bytes_str("get=2\n\n"), &out));
	buf_fini(&out);
	device_destroy(d);
}

TEST(a_request_ends_with_an_empty_line)
{
	CHECK_INT(uapi_request_length(bytes_str("get=1\n")), 0);
	CHECK_INT(uapi_request_length(bytes_str("get=1\n\nset")), 7);
	CHECK_INT(uapi_request_length(bytes_str("")), 0);
}

TEST(the_port_can_be_changed_and_stays_when_it_cannot)
{
	struct device *d = device(), *other = device();
	char request[64], want[40];
	uint16_t port = d->listen_port;

	(void)snprintf(request, sizeof(request), "set=1\nlisten_port=%u\n\n", other->listen_port);
	says(d, request, "errno=98\n\n");
	(void)snprintf(want, sizeof(want), "listen_port=%u\n", port);
	CHECK(shows(d, want));
	says(d, "set=1\nlisten_port=0\n\n", "errno=0\n\n");
	CHECK(d->listen_port != 0 && !shows(d, want));
	device_destroy(d);
	device_destroy(other);
}
