#include "os/tun.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/err.h"
#include "wire/inetsum.h"

#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

_Static_assert(TUN_HDR_LEN == sizeof(struct virtio_net_hdr), "the header of a frame");

/* Each step adds to the last one; what the kernel takes, stays. */
static void negotiate(struct tun *tun, bool no_tso, bool no_uso)
{
	unsigned long tso = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;

	tun->tso = tun->uso = false;
	if (!tun->vnet)
		return;
	if (no_tso) {
		(void)ioctl(tun->fd, TUNSETOFFLOAD, TUN_F_CSUM);
		return;
	}
	tun->tso = ioctl(tun->fd, TUNSETOFFLOAD, tso) == 0;
	if (tun->tso && !no_uso)
		tun->uso = ioctl(tun->fd, TUNSETOFFLOAD, tso | TUN_F_USO4 | TUN_F_USO6) == 0;
}

int tun_attach(struct tun *tun, int fd, bool no_tso, bool no_uso, struct err *err)
{
	struct tun t = { .fd = fd };
	struct ifreq req = { 0 };
	int header = 0;

	if (ioctl(fd, TUNGETIFF, &req) < 0)
		return err_sys(err, "fd %d is no TUN device", fd);
	if (req.ifr_flags & IFF_TAP || !(req.ifr_flags & IFF_NO_PI))
		return err_set(err, ERR_USAGE,
			       "device %s is not a TUN device without packet information",
			       req.ifr_name);
	memcpy(t.name, req.ifr_name, sizeof(t.name) - 1);
	t.vnet = req.ifr_flags & IFF_VNET_HDR;
	if (t.vnet && (ioctl(fd, TUNGETVNETHDRSZ, &header) < 0 || header != TUN_HDR_LEN))
		return err_set(err, ERR_USAGE, "device %s uses frame headers of %d bytes, not %d",
			       t.name, header, TUN_HDR_LEN);
	t.index = if_nametoindex(t.name);
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
		return err_sys(err, "device %s", t.name);
	negotiate(&t, no_tso, no_uso);
	*tun = t;
	return 0;
}

static int explain(struct err *err, const char *name)
{
	switch (errno) {
	case EBUSY:
		return err_set(err, ERR_REFUSED, "device %s is in use by another program", name);
	case EPERM:
		return err_set(err, ERR_REFUSED,
			       "device %s: creating it needs root or CAP_NET_ADMIN", name);
	default:
		return err_sys(err, "create device %s", name);
	}
}

static int create(int fd, const struct tun_conf *conf, struct err *err)
{
	struct ifreq req = { .ifr_flags = IFF_TUN | IFF_NO_PI };

	if (strlen(conf->name) >= sizeof(req.ifr_name))
		return err_set(err, ERR_USAGE, "device name '%s' is longer than %zu characters",
			       conf->name, sizeof(req.ifr_name) - 1);
	memcpy(req.ifr_name, conf->name, strlen(conf->name));
	if (!conf->plain) {
		req.ifr_flags |= IFF_VNET_HDR;
		if (ioctl(fd, TUNSETIFF, &req) == 0)
			return 0;
		if (errno != EINVAL)
			return explain(err, conf->name);
		req.ifr_flags &= ~IFF_VNET_HDR;
	}
	return ioctl(fd, TUNSETIFF, &req) == 0 ? 0 : explain(err, conf->name);
}

int tun_open(struct tun *tun, const struct tun_conf *conf, struct err *err)
{
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return err_sys(err, errno == ENOENT || errno == ENODEV || errno == ENXIO
					? "this kernel or container has no TUN devices (`modprobe "
					  "tun`, or start weftd with --tun none): open /dev/net/tun"
					: "open /dev/net/tun");
	if (create(fd, conf, err) < 0 || tun_attach(tun, fd, conf->no_tso, conf->no_uso, err) < 0) {
		(void)close(fd);
		return -1;
	}
	return 0;
}

void tun_close(struct tun *tun)
{
	if (tun->fd >= 0)
		(void)close(tun->fd);
	tun->fd = -1;
}

bool tun_probe_coalescing(const struct tun *tun)
{
	/* 100.100.100.100 to itself, TCP port 9 to 9, ACK, two payloads of one byte. */
	uint8_t packet[42] = { 0x45, 0,   0,   42,  0,   0,   0x40, 0,   64,   6,    0, 0,
			       100,  100, 100, 100, 100, 100, 100,  100, 0,    9,    0, 9,
			       0,    0,   0,   1,   0,   0,   0,    1,   0x50, 0x10, 0, 1 };
	struct virtio_net_hdr hdr = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				      .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
				      .hdr_len = 40,
				      .gso_size = 1,
				      .csum_start = 20,
				      .csum_offset = 16 };
	struct iovec iov[2] = { { &hdr, sizeof(hdr) }, { packet, sizeof(packet) } };
	uint16_t sum = (uint16_t)~inetsum_fold(inetsum_add(0, packet, 20));

	if (!tun->vnet || !tun->tso)
		return false;
	packet[10] = (uint8_t)(sum >> 8);
	packet[11] = (uint8_t)sum;
	sum = inetsum_fold(inetsum_pseudo(packet, 6, 22));
	packet[36] = (uint8_t)(sum >> 8);
	packet[37] = (uint8_t)sum;
	return tun_write(tun, iov, 2) == 0 || errno != EINVAL;
}

long tun_read(const struct tun *tun, void *frame, size_t size)
{
	ssize_t n;

	do
		n = read(tun->fd, frame, size);
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	return n;
}

int tun_write(const struct tun *tun, const struct iovec *iov, int n)
{
	ssize_t done;

	do
		done = writev(tun->fd, iov, n);
	while (done < 0 && errno == EINTR);
	return done < 0 ? -1 : 0;
}

unsigned tun_gso_segments(unsigned mtu)
{
	enum { UDP_PAYLOAD = 65507, TAIL = 1, OVERHEAD = 32, GENEVE = 8 };
	unsigned padded = (mtu + 15) & ~15U, segments;

	if (padded > mtu)
		padded = mtu;
	segments = (UDP_PAYLOAD - TAIL) / (padded + OVERHEAD + GENEVE);
	return segments > 64 ? 64 : segments ? segments : 1;
}
