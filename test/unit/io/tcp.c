#include "io/tcp.h"

#include <netdb.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/sock.h"
#include "io/sockaddr.h"
#include "kit/kit.h"
#include "support.h"

struct net {
	struct loop *loop;
	struct tcp_listener *listener;
	struct ear client, server;
	struct addrport peer;
	unsigned accepts;
};

static void on_accept(void *arg, struct stream *s, struct addrport peer)
{
	struct net *n = arg;

	if (n->accepts++)
		stream_destroy(n->server.s);
	n->peer = peer;
	ear_init(&n->server, s);
}

static void net_init(struct net *n)
{
	struct err err = { 0 };

	*n = (struct net){ .loop = test_loop() };
	n->listener =
	    tcp_listen(n->loop, (struct addrport){ ip_v4(127, 0, 0, 1), 0 }, on_accept, n, &err);
	CHECK_STR(err.text, "");
}

static void net_connect(struct net *n)
{
	struct tcp_conf conf = { .to = tcp_listener_address(n->listener) };

	ear_init(&n->client, tcp_connect(n->loop, &conf));
	CHECK(turn_until(n->loop, &n->client.opens, 1));
	CHECK(turn_until(n->loop, &n->accepts, 1));
}

static void net_fini(struct net *n)
{
	ear_fini(&n->client);
	if (n->accepts)
		ear_fini(&n->server);
	tcp_listener_destroy(n->listener);
	loop_destroy(n->loop);
}

TEST(tcp_talks_on_loopback)
{
	struct net n;

	net_init(&n);
	net_connect(&n);
	CHECK(n.server.s->open);
	CHECK(ip_equal(n.peer.ip, ip_v4(127, 0, 0, 1)));
	CHECK(addrport_equal(tcp_peer(n.server.s), n.peer));
	CHECK(addrport_equal(tcp_peer(n.client.s), tcp_listener_address(n.listener)));
	CHECK(tcp_fd(n.client.s) >= 0);
	stream_send(n.client.s, bytes_str("hello "));
	stream_send(n.client.s, bytes_str("world"));
	CHECK(turn_until_n(n.loop, &n.server.got.n, 11));
	CHECK_STR(buf_cstr(&n.server.got), "hello world");
	stream_send(n.server.s, bytes_str("back"));
	stream_finish(n.server.s);
	CHECK(turn_until(n.loop, &n.client.closes, 1));
	CHECK_STR(buf_cstr(&n.client.got), "back");
	CHECK_INT(n.client.why.code, ERR_NONE);
	net_fini(&n);
}

TEST(tcp_finish_hears_the_peers_answer_before_the_end)
{
	struct net n;

	net_init(&n);
	net_connect(&n);
	stream_send(n.client.s, bytes_str("q"));
	CHECK(turn_until_n(n.loop, &n.server.got.n, 1));
	stream_finish(n.server.s);
	stream_send(n.client.s, bytes_str("late"));
	CHECK(turn_until(n.loop, &n.client.closes, 1));
	stream_destroy(n.client.s);
	n.client.s = NULL;
	CHECK(turn_until(n.loop, &n.server.closes, 1));
	CHECK_INT(n.server.why.code, ERR_NONE);
	CHECK_STR(buf_cstr(&n.server.got), "qlate");
	net_fini(&n);
}

static uint16_t closed_port(void)
{
	struct net n;
	uint16_t port;

	net_init(&n);
	port = tcp_listener_address(n.listener).port;
	tcp_listener_destroy(n.listener);
	loop_destroy(n.loop);
	return port;
}

TEST(tcp_refused_says_so)
{
	struct loop *loop = test_loop();
	struct tcp_conf conf = { .to = { ip_v4(127, 0, 0, 1), closed_port() } };
	struct tcp_conf named = { .host = "127.0.0.1", .port = conf.to.port };
	char want[128];
	struct ear e;

	ear_init(&e, tcp_connect(loop, &conf));
	CHECK(turn_until(loop, &e.closes, 1));
	(void)snprintf(want, sizeof(want), "connect 127.0.0.1:%u: Connection refused",
		       conf.to.port);
	CHECK_STR(e.why.text, want);
	CHECK_INT(e.why.code, ERR_SYSTEM);
	CHECK_INT(e.why.sys, ECONNREFUSED);
	CHECK_INT(e.opens, 0);
	ear_fini(&e);

	ear_init(&e, tcp_connect(loop, &named));
	CHECK(turn_until(loop, &e.closes, 1));
	CHECK_STR(e.why.text, want);
	ear_fini(&e);
	loop_destroy(loop);
}

TEST(tcp_unknown_name_says_so)
{
	struct loop *loop = test_loop();
	struct tcp_conf conf = { .host = "", .port = 80 };
	struct ear e;

	ear_init(&e, tcp_connect(loop, &conf));
	CHECK(turn_until(loop, &e.closes, 1));
	CHECK_STR(e.why.text, "connect :80: resolve: a name has 1 to 253 characters");
	ear_fini(&e);
	loop_destroy(loop);
}

TEST(tcp_connects_by_name_trying_both_families)
{
	struct net n;
	struct tcp_conf conf = { .host = "localhost" };
	struct addrinfo *found;

	if (getaddrinfo("localhost", NULL, NULL, &found) != 0)
		kit_skip("this host has no /etc/hosts with localhost in it");
	freeaddrinfo(found);
	net_init(&n);
	conf.port = tcp_listener_address(n.listener).port;
	ear_init(&n.client, tcp_connect(n.loop, &conf));
	/* ::1 may come first and refuses: nobody listens there. */
	CHECK(turn_until(n.loop, &n.client.opens, 1));
	CHECK(turn_until(n.loop, &n.accepts, 1));
	net_fini(&n);
}

/* A listener with a full queue: the kernel drops the SYN, as a dead address would. */
struct silent {
	int fd, fill[4];
	struct addrport at;
};

static void silent_init(struct silent *s)
{
	struct sockaddr_storage sa;
	socklen_t len = sockaddr_of((struct addrport){ ip_v4(127, 0, 0, 1), 0 }, &sa);

	s->fd = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(bind(s->fd, (struct sockaddr *)&sa, len) == 0);
	CHECK(listen(s->fd, 0) == 0);
	CHECK(getsockname(s->fd, (struct sockaddr *)&sa, &len) == 0);
	s->at = sockaddr_addrport(&sa);
	for (size_t i = 0; i < array_len(s->fill); i++) {
		s->fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(s->fill[i], (struct sockaddr *)&sa, len);
	}
}

static void silent_fini(struct silent *s)
{
	for (size_t i = 0; i < array_len(s->fill); i++)
		(void)close(s->fill[i]);
	(void)close(s->fd);
}

TEST(tcp_silent_address_times_out)
{
	struct loop *loop = test_loop();
	struct silent silent;
	struct tcp_conf conf = { .timeout_ms = 20 };
	char want[128], text[ADDRPORT_TEXT_MAX];
	struct ear e;

	silent_init(&silent);
	conf.to = silent.at;
	ear_init(&e, tcp_connect(loop, &conf));
	CHECK(turn_until(loop, &e.closes, 1));
	(void)snprintf(want, sizeof(want), "connect %s: no answer",
		       addrport_format(silent.at, text));
	CHECK_STR(e.why.text, want);
	CHECK_INT(e.why.code, ERR_TIMEOUT);
	ear_fini(&e);
	silent_fini(&silent);
	loop_destroy(loop);
}

TEST(tcp_next_address_is_tried_while_the_first_is_silent)
{
	struct net n;
	struct silent silent;
	struct addrport to[2];
	struct tcp_conf conf = { .addresses = to, .address_count = 2 };
	struct mono start = mono_now();

	net_init(&n);
	silent_init(&silent);
	to[0] = silent.at;
	to[1] = tcp_listener_address(n.listener);
	ear_init(&n.client, tcp_connect(n.loop, &conf));
	CHECK(turn_until(n.loop, &n.client.opens, 1));
	CHECK(mono_since_ms(mono_now(), start) >= 250);
	CHECK(addrport_equal(tcp_peer(n.client.s), to[1]));
	CHECK(turn_until(n.loop, &n.accepts, 1));
	silent_fini(&silent);
	net_fini(&n);
}

TEST(tcp_next_address_is_tried_at_once_when_the_first_refuses)
{
	struct net n;
	struct addrport to[3] = { { ip_v4(127, 0, 0, 1), closed_port() },
				  { ip_v6_of((const uint8_t[16]){ [15] = 1 }), 1 } };
	struct tcp_conf conf = { .addresses = to, .address_count = 3 };
	struct mono start = mono_now();

	net_init(&n);
	to[2] = tcp_listener_address(n.listener);
	ear_init(&n.client, tcp_connect(n.loop, &conf));
	CHECK(turn_until(n.loop, &n.client.opens, 1));
	CHECK(mono_since_ms(mono_now(), start) < 450); /* not two times 250 */
	CHECK(turn_until(n.loop, &n.accepts, 1));
	net_fini(&n);
}

TEST(tcp_may_be_destroyed_while_connecting)
{
	struct net n;
	struct tcp_conf conf = { .host = "localhost", .port = 1 };

	net_init(&n);
	for (unsigned turns = 0; turns < 6; turns++) {
		struct stream *s = tcp_connect(n.loop, &conf);

		for (unsigned i = 0; i < turns; i++)
			loop_turn(n.loop, false);
		stream_send(s, bytes_str("never"));
		stream_destroy(s);
	}
	ear_init(&n.client, tcp_connect(n.loop, &conf));
	net_fini(&n);
}

static bool refuse_socket(void *arg, int fd)
{
	*(int *)arg = fd;
	return false;
}

TEST(tcp_on_socket_may_fail_the_attempt)
{
	struct loop *loop = test_loop();
	int fd = -1;
	struct tcp_conf conf = { .to = { ip_v4(127, 0, 0, 1), 1 },
				 .on_socket = refuse_socket,
				 .arg = &fd };
	struct ear e;

	ear_init(&e, tcp_connect(loop, &conf));
	CHECK(turn_until(loop, &e.closes, 1));
	CHECK(fd >= 0);
	CHECK_STR(e.why.text, "connect 127.0.0.1:1: Operation not permitted");
	ear_fini(&e);
	loop_destroy(loop);
}

TEST(tcp_moves_megabytes_with_back_pressure)
{
	enum { TOTAL = 8 << 20, STEP = 100000 };
	struct net n;
	uint8_t *data = mem_alloc(TOTAL);
	size_t sent = 0;
	bool paused = false;

	net_init(&n);
	net_connect(&n);
	fill_pattern(data, TOTAL, 0);
	for (unsigned turn = 0; n.server.got.n < TOTAL && turn < 100000; turn++) {
		while (sent < TOTAL && stream_queued(n.client.s) < STREAM_HIGH) {
			size_t len = TOTAL - sent < STEP ? TOTAL - sent : STEP;

			stream_send(n.client.s, bytes_of(data + sent, len));
			sent += len;
		}
		if (turn % 7 == 0)
			stream_pause(n.server.s, paused = !paused);
		loop_turn(n.loop, false);
	}
	CHECK_INT(n.server.got.n, TOTAL);
	CHECK(memcmp(n.server.got.p, data, TOTAL) == 0);
	CHECK(n.client.drains > 0);
	mem_free(data);
	net_fini(&n);
}

TEST(tcp_reset_is_an_error)
{
	struct net n;
	struct linger hard = { .l_onoff = 1 };

	net_init(&n);
	net_connect(&n);
	CHECK(setsockopt(tcp_fd(n.server.s), SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)) == 0);
	stream_destroy(n.server.s);
	n.server.s = NULL;
	CHECK(turn_until(n.loop, &n.client.closes, 1));
	CHECK_STR(n.client.why.text, "receive: Connection reset by peer");
	net_fini(&n);
}

TEST(tcp_broken_write_still_hears_what_the_peer_said)
{
	enum { MUCH = 100000 }; /* written at once, not at the end of the turn */
	struct loop *loop = test_loop();
	uint8_t *data = mem_alloc(MUCH);
	struct ear e;
	int fd[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
	ear_init(&e, tcp_from_fd(loop, fd[0]));
	CHECK(e.s->open);
	CHECK(fcntl(fd[0], F_GETFD) == FD_CLOEXEC);
	CHECK(write(fd[1], "bye", 3) == 3);
	(void)close(fd[1]);
	stream_send(e.s, bytes_of(data, MUCH));
	CHECK_INT(e.closes, 0); /* never from inside a call */
	CHECK(turn_until(loop, &e.closes, 1));
	CHECK_STR(buf_cstr(&e.got), "bye");
	CHECK_STR(e.why.text, "send: Broken pipe");
	CHECK_INT(stream_queued(e.s), 0);
	mem_free(data);
	ear_fini(&e);
	loop_destroy(loop);
}

/* Both waits after stream_finish(), with the timer moved forward. */
TEST(tcp_finish_does_not_wait_for_ever)
{
	for (int stalled = 0; stalled < 2; stalled++) {
		struct loop *loop = test_loop();
		uint8_t *data = mem_alloc(4 << 20);
		struct ear e;
		int fd[2];

		CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
		ear_init(&e, tcp_from_fd(loop, fd[0]));
		stream_send(e.s, bytes_of(data, stalled ? 4 << 20 : 1));
		stream_finish(e.s);
		loop_turn(loop, false);
		CHECK_INT(e.closes, 0);
		CHECK(heap_has(&sock_below(e.s)->linger.node));
		io_timer_in_ms(loop, &sock_below(e.s)->linger, 0);
		loop_turn(loop, false);
		CHECK_INT(e.closes, 1);
		CHECK_INT(e.why.code, stalled ? ERR_TIMEOUT : ERR_NONE);
		mem_free(data);
		ear_fini(&e);
		(void)close(fd[1]);
		loop_destroy(loop);
	}
}

TEST(tcp_listens_on_any_address_of_both_families)
{
	struct net n = { .loop = test_loop() };
	struct err err = { 0 };
	struct tcp_conf conf = { .host = "127.0.0.1" };

	n.listener = tcp_listen(n.loop, (struct addrport){ 0 }, on_accept, &n, &err);
	CHECK_STR(err.text, "");
	conf.port = tcp_listener_address(n.listener).port;
	ear_init(&n.client, tcp_connect(n.loop, &conf));
	CHECK(turn_until(n.loop, &n.accepts, 1));
	CHECK_INT(n.peer.ip.family, 4); /* not its IPv6 disguise */
	net_fini(&n);
}

TEST(tcp_listens_on_an_inherited_socket)
{
	struct net n = { .loop = test_loop() };
	struct err err = { 0 };
	struct tcp_conf conf = { 0 };
	struct sockaddr_storage sa;
	socklen_t len = sockaddr_of((struct addrport){ ip_v4(127, 0, 0, 1), 0 }, &sa);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	CHECK(bind(fd, (struct sockaddr *)&sa, len) == 0 && listen(fd, 5) == 0);
	n.listener = tcp_listen_fd(n.loop, fd, on_accept, &n, &err);
	CHECK_STR(err.text, "");
	conf.to = tcp_listener_address(n.listener);
	ear_init(&n.client, tcp_connect(n.loop, &conf));
	CHECK(turn_until(n.loop, &n.accepts, 1));
	CHECK(stream_find(n.server.s, "tcp") == n.server.s);
	CHECK(tcp_listen_fd(n.loop, -1, on_accept, &n, &err) == NULL);
	CHECK_STR(err.text, "listen on inherited socket: Bad file descriptor");
	net_fini(&n);
}

static void destroy_listener(void *arg, struct stream *s, struct addrport peer)
{
	struct net *n = arg;

	(void)peer;
	n->accepts++;
	stream_destroy(s);
	tcp_listener_destroy(n->listener);
	n->listener = NULL;
}

TEST(tcp_listener_may_be_destroyed_while_accepting)
{
	struct net n = { .loop = test_loop() };
	struct tcp_conf conf = { 0 };

	n.listener = tcp_listen(n.loop, (struct addrport){ ip_v4(127, 0, 0, 1), 0 },
				destroy_listener, &n, NULL);
	conf.to = tcp_listener_address(n.listener);
	ear_init(&n.client, tcp_connect(n.loop, &conf));
	CHECK(turn_until(n.loop, &n.accepts, 1));
	CHECK(turn_until(n.loop, &n.client.closes, 1));
	ear_fini(&n.client);
	loop_destroy(n.loop);
}

TEST(tcp_destroy_in_callbacks)
{
	for (int which = 0; which < 3; which++) {
		struct net n;
		struct tcp_conf conf = { 0 };

		net_init(&n);
		conf.to = tcp_listener_address(n.listener);
		ear_init(&n.client, tcp_connect(n.loop, &conf));
		n.client.destroy_on_open = which == 0;
		n.client.destroy_on_data = which == 1;
		n.client.destroy_on_close = which == 2;
		CHECK(turn_until(n.loop, &n.accepts, 1));
		stream_send(n.server.s, bytes_str("data"));
		stream_finish(n.server.s);
		CHECK(turn_until(n.loop, &n.server.closes, 1));
		CHECK(n.client.s == NULL);
		net_fini(&n);
	}
}

TEST(tcp_listen_in_use_says_where)
{
	struct net n;
	struct err err;
	struct addrport at;
	char want[128], text[ADDRPORT_TEXT_MAX];

	net_init(&n);
	at = tcp_listener_address(n.listener);
	CHECK(tcp_listen(n.loop, at, on_accept, &n, &err) == NULL);
	(void)snprintf(want, sizeof(want), "listen on %s: Address already in use",
		       addrport_format(at, text));
	CHECK_STR(err.text, want);
	net_fini(&n);
}

/* Counts in the one field of the sink that nobody else needs here. */
static void take_line(struct log_sink *sink, enum log_level level, const char *line, size_t n)
{
	static const char end[] = "pausing for 100 ms\n";

	sink->fd++;
	CHECK_INT(level, LOG_WARN);
	CHECK(n >= strlen(end) && memcmp(line + n - strlen(end), end, strlen(end)) == 0);
}

static int lines_taken(const struct log_sink *sink)
{
	return sink->fd + 1; /* was born with -1 */
}

TEST(tcp_accepting_pauses_when_out_of_descriptors)
{
	struct net n;
	struct tcp_conf conf = { 0 };
	struct rlimit before, tight;
	struct log_sink sink;
	struct log log;
	int fd;

	net_init(&n);
	conf.to = tcp_listener_address(n.listener);
	ear_init(&n.client, tcp_connect(n.loop, &conf));
	log_sink_init(&sink, -1);
	sink.write = take_line;
	log = log_of(&sink, "test", "");
	tcp_listener_set_log(n.listener, &log);
	loop_turn(n.loop, false); /* the deferred connect: in the backlog, not accepted */
	CHECK_INT(n.accepts, 0);
	fd = dup(0);
	(void)close(fd);
	CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
	tight = before;
	tight.rlim_cur = (rlim_t)fd;
	CHECK(setrlimit(RLIMIT_NOFILE, &tight) == 0);
	CHECK(turn_until(n.loop, &n.client.opens, 1));
	for (int i = 0; i < 20; i++)
		loop_turn(n.loop, false);
	CHECK_INT(n.accepts, 0);
	CHECK_INT(lines_taken(&sink), 1); /* and not one per turn */
	CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
	CHECK(turn_until(n.loop, &n.accepts, 1));
	net_fini(&n);
}

/* ---- unix ---- */

static void make_folder(char path[64])
{
	(void)snprintf(path, 64, "/tmp/weft-unit-XXXXXX");
	CHECK(mkdtemp(path) != NULL);
}

TEST(unix_credentials_and_mode)
{
	struct net n = { .loop = test_loop() };
	struct err err = { 0 };
	char folder[64], path[80];
	struct unix_cred cred;
	struct stat st;

	make_folder(folder);
	(void)snprintf(path, sizeof(path), "%s/s", folder);
	n.listener = unix_listen(n.loop, path, 0600, on_accept, &n, &err);
	CHECK_STR(err.text, "");
	CHECK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
	ear_init(&n.client, unix_connect(n.loop, path));
	CHECK(turn_until(n.loop, &n.client.opens, 1));
	CHECK(turn_until(n.loop, &n.accepts, 1));
	CHECK(unix_peer_cred(n.server.s, &cred));
	CHECK_INT(cred.pid, getpid());
	CHECK_INT(cred.uid, getuid());
	CHECK_INT(cred.gid, getgid());
	stream_send(n.client.s, bytes_str("over unix"));
	CHECK(turn_until_n(n.loop, &n.server.got.n, 9));
	CHECK(unix_listen(n.loop, path, 0600, on_accept, &n, &err) == NULL);
	CHECK_INT(err.code, ERR_REFUSED);
	CHECK(strstr(err.text, "belongs to a running process") != NULL);
	net_fini(&n);
	CHECK(access(path, F_OK) < 0); /* cleaned up */
	(void)rmdir(folder);
}

TEST(unix_replaces_a_dead_socket_and_nothing_else)
{
	struct net n = { .loop = test_loop() };
	struct err err = { 0 };
	char folder[64], path[80], kept[96];
	int fd;

	make_folder(folder);
	(void)snprintf(path, sizeof(path), "%s/s", folder);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	(void)close(fd);
	CHECK(unix_listen(n.loop, path, 0600, on_accept, &n, &err) == NULL);
	CHECK(strstr(err.text, "exists and is no socket") != NULL);
	(void)unlink(path);

	n.listener = unix_listen(n.loop, path, 0600, on_accept, &n, &err);
	CHECK(n.listener != NULL);
	/* As after a crash: the fd is gone, the file is there. */
	(void)snprintf(kept, sizeof(kept), "%s.kept", path);
	CHECK(link(path, kept) == 0);
	tcp_listener_destroy(n.listener);
	CHECK(rename(kept, path) == 0);
	n.listener = unix_listen(n.loop, path, 0600, on_accept, &n, &err);
	CHECK(n.listener != NULL);
	tcp_listener_destroy(n.listener);
	loop_destroy(n.loop);
	(void)rmdir(folder);
}

TEST(unix_connect_to_nothing_says_so)
{
	struct loop *loop = test_loop();
	char path[200];
	struct ear e;

	ear_init(&e, unix_connect(loop, "/nonexistent/socket"));
	CHECK(turn_until(loop, &e.closes, 1));
	CHECK_STR(e.why.text, "connect /nonexistent/socket: No such file or directory");
	ear_fini(&e);
	memset(path, 'a', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	ear_init(&e, unix_connect(loop, path));
	CHECK(turn_until(loop, &e.closes, 1));
	CHECK_INT(e.why.code, ERR_USAGE);
	ear_fini(&e);
	loop_destroy(loop);
}

TEST(unix_connect_waits_for_a_place_in_the_queue)
{
	struct loop *loop = test_loop();
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	char folder[64];
	struct ear e, first;
	int fd, taken;

	make_folder(folder);
	(void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/s", folder);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK(bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 && listen(fd, 0) == 0);
	ear_init(&first, unix_connect(loop, sa.sun_path));
	CHECK(turn_until(loop, &first.opens, 1));
	ear_init(&e, unix_connect(loop, sa.sun_path));
	for (int i = 0; i < 10; i++)
		loop_turn(loop, false);
	CHECK_INT(e.opens + e.closes, 0);
	taken = accept(fd, NULL, NULL);
	CHECK(turn_until(loop, &e.opens, 1));
	(void)close(taken);
	(void)close(fd);
	ear_fini(&e);
	ear_fini(&first);
	(void)unlink(sa.sun_path);
	(void)rmdir(folder);
	loop_destroy(loop);
}
