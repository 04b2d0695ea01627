#include "os/tun.h"

#include <errno.h>
#include <unistd.h>

#include "base/err.h"
#include "kit/kit.h"
#include "netns.h"
#include "os/rtnl/rtnl.h"

TEST(segments_of_a_super_packet_fill_one_send)
{
	CHECK_INT(tun_gso_segments(1280), 49);
	CHECK_INT(tun_gso_segments(1420), 44);
	CHECK_INT(tun_gso_segments(8900), 7);
	CHECK_INT(tun_gso_segments(65000), 1);
	CHECK_INT(tun_gso_segments(68), 64);
}

TEST(a_device_is_opened_attached_and_probed)
{
	struct tun_conf conf = { .name = "t%d" }, plain = { .name = "p0", .plain = true };
	struct rtnl_link_change up = { .up = true };
	struct tun tun, same, other;
	uint8_t frame[100] = { 0 };
	struct rtnl *r;
	struct err err;

	netns_enter();
	if (tun_open(&tun, &conf, &err) < 0)
		kit_skip(err.text);
	CHECK_STR(tun.name, "t0");
	CHECK(tun.vnet && tun.tso && tun.index != 0);
	CHECK_INT(tun_read(&tun, frame, sizeof(frame)), 0);
	r = rtnl_open(&err);
	frame[10] = 0x45;
	CHECK(tun_write(&tun, &(struct iovec){ frame, 60 }, 1) < 0 && errno == EIO); /* down */
	CHECK(rtnl_link_change(r, tun.index, &up, &err) == 0);
	CHECK(tun_probe_coalescing(&tun));

	CHECK(tun_attach(&same, dup(tun.fd), true, true, &err) == 0);
	CHECK_STR(same.name, "t0");
	CHECK(same.vnet && !same.tso && !same.uso && same.index == tun.index);
	CHECK(!tun_probe_coalescing(&same));
	tun_close(&same);

	CHECK(tun_open(&other, &(struct tun_conf){ .name = "t0" }, &err) < 0);
	CHECK_STR(err.text, "device t0 is in use by another program");
	CHECK(tun_open(&other, &(struct tun_conf){ .name = "a-name-that-is-too-long" }, &err) < 0);
	CHECK(err.code == ERR_USAGE);
	CHECK(tun_attach(&other, 0, false, false, &err) < 0);

	CHECK(tun_open(&other, &plain, &err) == 0 && !other.vnet && !other.tso && !other.uso);
	tun_close(&other);
	tun_close(&tun);
	rtnl_close(r);
}
