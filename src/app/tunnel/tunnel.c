#include "app/tunnel/tunnel.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/capability.h>
#include <malloc.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/tunnel/conf.h"
#include "app/tunnel/device.h"
#include "app/tunnel/netconf.h"
#include "app/tunnel/uapi_socket.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/text.h"
#include "io/file.h"
#include "os/rtnl/rtnl.h"
#include "os/sandbox/sandbox.h"
#include "os/sandbox/sandbox_paths.h"

enum { EXIT_USAGE = 2 };

struct tunnel {
	const char *config;
	char name[TUN_NAME_MAX];
	struct device_conf device_conf;
	struct log_sink sink;
	struct log log;
	struct tunnel_conf conf;
	struct device *device;
	struct uapi_socket *uapi;
	struct rtnl *rtnl;
	struct rtnl_watch *watch;
	int signals;
	uint32_t mark;
	bool stop, failed;
};

static const char usage[] =
    "usage: weftd tunnel [options] FILE\n"
    "\n"
    "Runs a WireGuard interface from a wg-quick style file until it is told to stop.\n"
    "`wg show`, `wg set` and `wg syncconf` work on it.\n"
    "\n"
    "  --config FILE       the same as FILE; wg0.conf makes interface wg0\n"
    "  --interface NAME    another name for the interface\n"
    "  --crypto NAME       avx512, ipsec-mb or openssl; default: the fastest that runs here\n"
    "  --threads N         0: one thread for everything; 2: one per direction\n"
    "  --memory KIB        for packet buffers; default: by the size of the machine\n"
    "  --no-gso --no-gro   do without UDP segmentation, without UDP merging\n"
    "  --no-tso --no-uso   the same for TCP and UDP on the side of the device\n"
    "  --no-coalesce       write single packets to the device\n"
    "  --plain-tun         a device without virtio header\n"
    "  --never-equal-tail  for peers that run Linux 7.0.0 to 7.1.4\n"
    "  --verbose           say more\n"
    "\n"
    "SIGUSR1 prints the counters; SIGTERM and SIGINT stop.\n";

/* --- options --- */

enum {
	OPT_CONFIG = 256,
	OPT_INTERFACE,
	OPT_CRYPTO,
	OPT_THREADS,
	OPT_MEMORY,
	OPT_NO_GSO,
	OPT_NO_GRO,
	OPT_NO_TSO,
	OPT_NO_USO,
	OPT_NO_COALESCE,
	OPT_PLAIN_TUN,
	OPT_NEVER_EQUAL_TAIL,
	OPT_VERBOSE,
	OPT_HELP,
};

static const struct option options[] = {
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "interface", required_argument, NULL, OPT_INTERFACE },
	{ "crypto", required_argument, NULL, OPT_CRYPTO },
	{ "threads", required_argument, NULL, OPT_THREADS },
	{ "memory", required_argument, NULL, OPT_MEMORY },
	{ "no-gso", no_argument, NULL, OPT_NO_GSO },
	{ "no-gro", no_argument, NULL, OPT_NO_GRO },
	{ "no-tso", no_argument, NULL, OPT_NO_TSO },
	{ "no-uso", no_argument, NULL, OPT_NO_USO },
	{ "no-coalesce", no_argument, NULL, OPT_NO_COALESCE },
	{ "plain-tun", no_argument, NULL, OPT_PLAIN_TUN },
	{ "never-equal-tail", no_argument, NULL, OPT_NEVER_EQUAL_TAIL },
	{ "verbose", no_argument, NULL, OPT_VERBOSE },
	{ "help", no_argument, NULL, OPT_HELP },
	{ 0 },
};

static bool take_number(const char *what, uint64_t max, uint64_t *out)
{
	if (text_u64(bytes_str(optarg), max, out))
		return true;
	(void)fprintf(stderr, "weftd tunnel: %s: must be a number up to %llu\n", what,
		      (unsigned long long)max);
	return false;
}

static bool take_interface(struct tunnel *t, struct bytes name)
{
	if (name.n > 0 && bytes_to_cstr(name, t->name, sizeof(t->name)) &&
	    !memchr(name.p, '/', name.n))
		return true;
	(void)fprintf(stderr, "weftd tunnel: an interface name has 1 to 15 characters and no '/'; "
			      "name it with --interface\n");
	return false;
}

static bool take_option(struct tunnel *t, int opt)
{
	struct device_conf *c = &t->device_conf;
	uint64_t n;

	switch (opt) {
	case OPT_CONFIG:
		t->config = optarg;
		return true;
	case OPT_INTERFACE:
		return take_interface(t, bytes_str(optarg));
	case OPT_CRYPTO:
		c->crypto = optarg;
		return true;
	case OPT_THREADS:
		if (!take_number("--threads", 2, &n))
			return false;
		c->threads = (int)n;
		return true;
	case OPT_MEMORY:
		if (!take_number("--memory", 1 << 20, &n))
			return false;
		c->memory_bytes = (size_t)n << 10;
		return true;
	case OPT_NO_GSO:
		return c->no_gso = true;
	case OPT_NO_GRO:
		return c->no_gro = true;
	case OPT_NO_TSO:
		return c->no_tso = true;
	case OPT_NO_USO:
		return c->no_uso = true;
	case OPT_NO_COALESCE:
		return c->no_coalesce = true;
	case OPT_PLAIN_TUN:
		return c->plain_tun = true;
	case OPT_NEVER_EQUAL_TAIL:
		return c->never_equal_tail = true;
	case OPT_VERBOSE:
		t->sink.level = LOG_DEBUG;
		return true;
	default:
		return false;
	}
}

/* wg0 from /etc/wireguard/wg0.conf */
static bool name_from_file(struct tunnel *t)
{
	struct bytes path = bytes_str(t->config), base = path;

	for (size_t i = 0; i < path.n; i++)
		if (path.p[i] == '/')
			base = bytes_from(path, i + 1);
	if (base.n > 5 && memcmp(base.p + base.n - 5, ".conf", 5) == 0)
		base.n -= 5;
	return take_interface(t, base);
}

static int misused(const char *about, const char *word)
{
	(void)fprintf(stderr, "weftd tunnel: %s%s; `weftd tunnel --help` says more\n", about, word);
	return EXIT_USAGE;
}

/* -1: go on; else the exit status. */
static int take_options(struct tunnel *t, int argc, char **argv)
{
	int opt;

	optind = 1;
	opterr = 0; /* we say it ourselves */
	while ((opt = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (opt == OPT_HELP || opt == 'h') {
			(void)fputs(usage, stdout);
			return 0;
		}
		if (opt == ':' || opt == '?')
			return misused(opt == ':' ? "a value is missing behind "
						  : "there is no option ",
				       argv[optind - 1]);
		if (!take_option(t, opt))
			return EXIT_USAGE;
	}
	if (!t->config && optind < argc)
		t->config = argv[optind++];
	if (optind < argc)
		return misused("one word too many: ", argv[optind]);
	if (!t->config)
		return misused("name the file with the interface, such as /etc/wireguard/wg0.conf",
			       "");
	return t->name[0] || name_from_file(t) ? -1 : EXIT_USAGE;
}

/* --- the file --- */

static int read_all(int fd, struct buf *text)
{
	enum { PIECE = 65536 };
	ssize_t n;

	do {
		uint8_t *room = buf_reserve(text, PIECE);

		if (!room) {
			errno = EFBIG;
			return -1;
		}
		n = read(fd, room, PIECE);
		if (n > 0)
			text->n += (size_t)n;
	} while (n > 0 || (n < 0 && errno == EINTR));
	return n < 0 ? -1 : 0;
}

static int load(struct tunnel *t, struct err *err)
{
	int fd = open(t->config, O_RDONLY | O_CLOEXEC), ret = -1;
	struct stat st;
	struct buf text;

	if (fd < 0)
		return err_sys(err, "open %s", t->config);
	buf_init(&text, TUNNEL_FILE_MAX);
	if (fstat(fd, &st) == 0 && st.st_mode & 0007)
		log_warn(&t->log, "%s is open to everybody, although it holds a private key",
			 t->config);
	if (read_all(fd, &text) < 0)
		err_sys(err, "read %s", t->config);
	else
		ret = tunnel_conf_parse(&t->conf, t->config, buf_bytes(&text), err);
	if (text.p)
		secret_wipe(text.p, text.cap);
	buf_fini(&text);
	(void)close(fd);
	return ret;
}

/* --- setting up --- */

static int resolve(const char *text, struct addrport *out, struct err *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_DGRAM }, *found;
	char host[TUNNEL_ENDPOINT_MAX], *colon;
	int e;

	if (addrport_parse(out, bytes_str(text)))
		return 0;
	(void)snprintf(host, sizeof(host), "%s", text);
	colon = strrchr(host, ':');
	if (!colon)
		return err_set(err, ERR_USAGE, "endpoint %s has no port", text);
	*colon = 0;
	e = getaddrinfo(host, colon + 1, &hints, &found);
	if (e != 0)
		return err_set(err, ERR_SYSTEM, "endpoint %s: %s", text, gai_strerror(e));
	if (found->ai_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)found->ai_addr;

		*out =
		    (struct addrport){ ip_v4_of(ntohl(in->sin_addr.s_addr)), ntohs(in->sin_port) };
	} else {
		const struct sockaddr_in6 *in6 = (const void *)found->ai_addr;

		*out = (struct addrport){ ip_v6_of(in6->sin6_addr.s6_addr), ntohs(in6->sin6_port) };
	}
	freeaddrinfo(found);
	return 0;
}

static int add_peer(struct tunnel *t, const struct tunnel_peer_conf *c, struct err *err)
{
	struct device_peer *p = device_peer_add(t->device, &c->public_key, err);
	struct addrport endpoint;
	struct err why;

	if (!p)
		return err_wrap(err, "%s:%u: [Peer]", t->config, c->line);
	if (device_peer_set_psk(t->device, p, &c->psk, err) < 0)
		return -1;
	for (size_t i = 0; i < c->allowed_count; i++)
		device_peer_allow(t->device, p, c->allowed[i]);
	/* A name that does not resolve now must not keep the others from working. */
	if (c->endpoint[0] && resolve(c->endpoint, &endpoint, &why) < 0)
		log_warn(&t->log, "%s, waiting for the peer to call", why.text);
	else if (c->endpoint[0])
		device_peer_set_endpoint(t->device, p, &endpoint);
	device_peer_set_keepalive(t->device, p, c->keepalive_s);
	return 0;
}

static int configure(struct tunnel *t, struct err *err)
{
	t->mark = t->conf.fwmark;
	if (netconf_apply(t->rtnl, t->device->tun.index, t->device->mtu, &t->conf, &t->mark, err) <
	    0)
		return -1;
	if ((t->mark && device_set_fwmark(t->device, t->mark, err) < 0) ||
	    (t->conf.listen_port && device_set_port(t->device, t->conf.listen_port, err) < 0) ||
	    device_set_private_key(t->device, &t->conf.private_key, err) < 0)
		return -1;
	for (size_t i = 0; i < t->conf.peer_count; i++)
		if (add_peer(t, &t->conf.peers[i], err) < 0)
			return -1;
	device_commit(t->device);
	tunnel_conf_forget_peers(&t->conf);
	(void)malloc_trim(0); /* thousands of peers leave megabytes of holes */
	return 0;
}

static void on_broken(void *arg, const struct err *why)
{
	struct tunnel *t = arg;

	if (!t->stop) /* else its cause was told already */
		log_error(&t->log, "tunnel stopped: %s", why->text);
	t->stop = t->failed = true;
}

static void ignore(void *arg, const struct rtnl_event *e)
{
	(void)arg;
	(void)e;
}

/*
 * After the file was read, before the device: with the one capability that addresses, routes and
 * marks take for as long as the interface lives, and nothing else. There is no second process here,
 * because nothing but WireGuard datagrams comes from outside.
 */
static int fence(const struct tunnel *t, struct err *err)
{
	const uint64_t keep = 1ULL << CAP_NET_ADMIN | 1ULL << CAP_NET_BIND_SERVICE;
	struct sandbox_paths read = { 0 }, write = { 0 };
	struct sandbox_conf conf = { sandbox_paths_list(&read), sandbox_paths_list(&write), false };
	struct sandbox_report report = { 0 };
	int ret = -1;

	sandbox_paths_add_system(&read);
	sandbox_paths_add(&write, "/dev/net/tun");
	sandbox_paths_add(&write, UAPI_FOLDER);
	if (file_mkdirs(UAPI_FOLDER, 0755, err) == 0 && sandbox_keep_capabilities(keep, err) == 0)
		ret = sandbox_enter(&conf, &report, err);
	sandbox_paths_fini(&read);
	sandbox_paths_fini(&write);
	if (ret == 0 && report.missing[0])
		log_warn(&t->log, "%s", report.missing);
	return ret;
}

static int set_up(struct tunnel *t, struct err *err)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGUSR1);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	t->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (t->signals < 0)
		return err_sys(err, "signalfd");
	if (secret_harden_process(err) < 0 || load(t, err) < 0 || fence(t, err) < 0)
		return -1;
	t->device_conf.name = t->name;
	t->device_conf.mtu = t->conf.mtu;
	t->rtnl = rtnl_open(err);
	t->watch = t->rtnl ? rtnl_watch_open(err) : NULL;
	t->device = t->watch ? device_create(&t->device_conf, err) : NULL;
	if (!t->device || configure(t, err) < 0)
		return -1;
	(void)rtnl_watch_read(t->watch, ignore, NULL); /* our own doing */
	if (!t->device_conf.no_coalesce && t->device->tun.tso &&
	    !tun_probe_coalescing(&t->device->tun))
		log_warn(&t->log, "kernel refused merged packets, writing single ones");
	t->uapi = uapi_socket_create(t->device, t->name, err);
	return t->uapi ? 0 : -1;
}

static void tear_down(struct tunnel *t)
{
	uapi_socket_destroy(t->uapi);
	if (t->rtnl && t->device)
		netconf_undo(t->rtnl, &t->conf, t->mark);
	device_destroy(t->device);
	rtnl_watch_close(t->watch);
	rtnl_close(t->rtnl);
	tunnel_conf_fini(&t->conf);
	if (t->signals >= 0)
		(void)close(t->signals);
}

/* --- running --- */

static void print_counters(const struct tunnel *t)
{
	const struct datapath *dp = t->device->datapath;

	for (int c = 0; c < DATAPATH_COUNTER_COUNT; c++) {
		uint64_t n = datapath_count(dp, (enum datapath_counter)c);

		if (n)
			log_info(&t->log, "counted %llu %s", (unsigned long long)n,
				 datapath_counter_sentence((enum datapath_counter)c));
	}
	for (int v = 0; v < WG_VERDICT_COUNT; v++) {
		uint64_t n = wg_count_verdict(t->device->wg, (enum wg_verdict)v);

		if (n)
			log_info(&t->log, "counted %llu %s", (unsigned long long)n,
				 wg_verdict_sentence((enum wg_verdict)v));
	}
}

static void take_signals(struct tunnel *t)
{
	struct signalfd_siginfo info;

	while (read(t->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGUSR1) {
			print_counters(t);
			continue;
		}
		log_info(&t->log, "tunnel stopped by signal %u", info.ssi_signo);
		t->stop = true;
	}
}

static void on_change(void *arg, const struct rtnl_event *e)
{
	struct tunnel *t = arg;

	if ((e->kind != RTNL_LINK && e->kind != RTNL_LINK_GONE) ||
	    e->link.index != t->device->tun.index || t->stop)
		return;
	if (e->kind == RTNL_LINK_GONE) {
		log_error(&t->log, "tunnel stopped: interface %s was deleted", t->name);
		t->stop = t->failed = true;
	} else if (e->link.mtu) {
		device_set_mtu(t->device, e->link.mtu);
	}
}

static int timeout(const struct tunnel *t)
{
	struct mono deadline = datapath_deadline(t->device->datapath);
	int64_t ms;

	if (deadline.ns == MONO_NEVER.ns)
		return -1;
	ms = (deadline.ns - mono_now().ns + 999999) / 1000000;
	return ms < 0 ? 0 : ms > 60000 ? 60000 : (int)ms;
}

static void run(struct tunnel *t)
{
	enum { DATAPATH, SIGNALS, WATCH, UAPI };

	while (!t->stop) {
		struct pollfd fds[UAPI + UAPI_POLL_MAX] = {
			[DATAPATH] = { datapath_fd(t->device->datapath), POLLIN, 0 },
			[SIGNALS] = { t->signals, POLLIN, 0 },
			[WATCH] = { rtnl_watch_fd(t->watch), POLLIN, 0 },
		};
		int n = uapi_socket_fds(t->uapi, fds + UAPI);

		(void)poll(fds, UAPI + (nfds_t)n, timeout(t));
		if (fds[WATCH].revents)
			(void)rtnl_watch_read(t->watch, on_change, t);
		if (fds[SIGNALS].revents)
			take_signals(t);
		uapi_socket_serve(t->uapi, fds + UAPI, n);
		device_turn(t->device);
	}
}

static void say_ready(const struct tunnel *t)
{
	struct datapath_features f = datapath_features(t->device->datapath);

	log_info(&t->log, "interface %s up on UDP port %u, %zu peers", t->name,
		 t->device->listen_port, t->device->peer_count);
	log_info(&t->log, "packets go through %s, %u data threads; device: %s%s%s%s; UDP:%s%s%s",
		 f.crypto, f.threads, f.tun_vnet ? "virtio" : "plain", f.tun_tso ? " tso" : "",
		 f.tun_uso ? " uso" : "", f.coalesce ? " merging" : "", f.udp4_gso ? " gso" : "",
		 f.udp4_gro ? " gro" : "", f.udp4_gso || f.udp4_gro ? "" : " single datagrams");
}

int tunnel_main(int argc, char **argv)
{
	struct tunnel t = { .signals = -1, .device_conf = { .threads = -1 } };
	struct err err = { 0 };
	int status;

	log_sink_init(&t.sink, STDERR_FILENO);
	status = take_options(&t, argc, argv);
	if (status >= 0)
		return status;
	t.log = log_of(&t.sink, "tunnel", t.name);
	t.device_conf.log = &t.log;
	t.device_conf.on_broken = on_broken;
	t.device_conf.arg = &t;
	if (set_up(&t, &err) < 0) {
		(void)fprintf(stderr, "weftd tunnel: %s\n", err.text);
		tear_down(&t);
		return err.code == ERR_USAGE ? EXIT_USAGE : EXIT_FAILURE;
	}
	say_ready(&t);
	run(&t);
	if (t.sink.level >= LOG_DEBUG)
		print_counters(&t);
	tear_down(&t);
	return t.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
