/*
 * os/tun.h - a TUN device: frames with a virtio header, so that 64 KiB super-packets pass whole.
 *
 * Opening needs privileges (tun_open), using does not (tun_attach): a small root process may open
 * the device and pass the fd. What the kernel can do is asked of the kernel, never concluded from
 * its version.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct err;

enum {
	TUN_NAME_MAX = 16,
	TUN_HDR_LEN = 10,           /* struct virtio_net_hdr */
	TUN_FRAME_MAX = 10 + 65535, /* header and the largest super-packet */
};

struct tun_conf {
	const char *name; /* "weft0", or with %d */
	bool plain;       /* no virtio header: neither super-packets in nor out */
	bool no_tso, no_uso;
};

struct tun {
	int fd; /* -1: none */
	char name[TUN_NAME_MAX];
	unsigned index; /* of the interface */
	bool vnet;      /* frames carry the virtio header */
	bool tso, uso;  /* super-packets of TCP, of UDP */
};

/* Creates the device, or attaches to it if it exists and is free. */
int tun_open(struct tun *tun, const struct tun_conf *conf, struct err *err);
/* Takes an fd from tun_open() or from another program: name and abilities are read back. */
int tun_attach(struct tun *tun, int fd, bool no_tso, bool no_uso, struct err *err);
void tun_close(struct tun *tun); /* no-op when none */
/* Writes two coalesced TCP segments that go nowhere: false when the kernel refuses its own format.
 * The interface must be up. */
bool tun_probe_coalescing(const struct tun *tun);

/* One frame, with its header when tun->vnet. Length; 0: nothing there; -1: errno. */
long tun_read(const struct tun *tun, void *frame, size_t size);
/* 0, or -1 with errno. EINVAL: the kernel does not like the header. EIO: interface is down. */
int tun_write(const struct tun *tun, const struct iovec *iov, int n);
/* How many segments a super-packet may have so that it becomes one UDP send (IFLA_GSO_MAX_SEGS). */
unsigned tun_gso_segments(unsigned mtu);
