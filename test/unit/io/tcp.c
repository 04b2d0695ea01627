#include "io/tcp.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
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
	(void)snprintf(want, sizeof(want), "connect 127.0.0.1:%u: 127.0.0.1:%u: Connection refused",
		       named.port, named.port);
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

	net_init(&n);
	conf.port = tcp_listener_address(n.listener).port;
	ear_init(&n.client, tcp_connect(n.loop, &conf));
	/* ::1 may come first and refuses: nobody listens there. */
	CHECK(turn_until(n.loop, &n.client.opens, 1));
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

TEST(tcp_accepting_pauses_when_out_of_descriptors)
{
	struct net n;
	struct tcp_conf conf = { 0 };
	struct rlimit before, tight;
	int fd;

	net_init(&n);
	conf.to = tcp_listener_address(n.listener);
	ear_init(&n.client, tcp_connect(n.loop, &conf));
	loop_turn(n.loop, false); /* the deferred connect: in the backlog, not accepted */
	if (!n.accepts) {
		fd = dup(0);
		(void)close(fd);
		CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
		tight = before;
		tight.rlim_cur = (rlim_t)fd;
		CHECK(setrlimit(RLIMIT_NOFILE, &tight) == 0);
		CHECK(turn_until(n.loop, &n.client.opens, 1));
		loop_turn(n.loop, false);
		CHECK_INT(n.accepts, 0);
		CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
	}
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
