#include "part/stun_server.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "io/loop.h"
#include "io/sockaddr.h"
#include "wire/stun.h"

#include "kit/kit.h"

struct bench {
	struct loop *loop;
	struct stun_server *server;
	int fd;
};

static bool bench_init(struct bench *b, const char *at, struct stun_server_conf conf)
{
	struct sockaddr_storage sa;
	socklen_t len;
	struct err err;

	*b = (struct bench){ .loop = loop_create(NULL), .fd = -1 };
	CHECK(addrport_parse(&conf.at, bytes_str(at)));
	b->server = stun_server_create(b->loop, &conf, &err);
	if (!b->server) {
		loop_destroy(b->loop);
		return false;
	}
	len = sockaddr_of(stun_server_address(b->server), &sa);
	b->fd = socket(sa.ss_family, SOCK_DGRAM, 0);
	CHECK(connect(b->fd, (struct sockaddr *)&sa, len) == 0);
	return true;
}

static void bench_fini(struct bench *b)
{
	(void)close(b->fd);
	stun_server_destroy(b->server);
	loop_turn(b->loop, false);
	loop_destroy(b->loop);
}

/* How many of n copies are answered; the last answer is in out. */
static int ask(struct bench *b, struct bytes request, int n, uint8_t out[64], ssize_t *len)
{
	int answers = 0;
	ssize_t got;

	for (int i = 0; i < n; i++)
		CHECK(send(b->fd, request.p, request.n, 0) == (ssize_t)request.n);
	for (int i = 0; i < 5; i++)
		loop_turn(b->loop, false);
	while ((got = recv(b->fd, out, 64, MSG_DONTWAIT)) > 0) {
		answers++;
		*len = got;
	}
	return answers;
}

static void answers_on(const char *at)
{
	struct stun_txid txid = { { 1, 2, 3 } }, got;
	struct addrport seen = { 0 };
	struct sockaddr_storage sa;
	socklen_t sa_len = sizeof(sa);
	uint8_t request[STUN_REQUEST_LEN], out[64];
	struct bench b;
	ssize_t len = 0;

	if (!bench_init(&b, at, (struct stun_server_conf){ 0 }))
		kit_skip("this address family is not available");
	(void)stun_request_encode(request, &txid);
	CHECK_INT(ask(&b, bytes_of(request, sizeof(request)), 40, out, &len), 40);
	CHECK(stun_response_decode(bytes_of(out, (size_t)len), &got, &seen));
	CHECK(memcmp(&got, &txid, sizeof(txid)) == 0);
	CHECK(getsockname(b.fd, (struct sockaddr *)&sa, &sa_len) == 0);
	CHECK(addrport_equal(seen, sockaddr_addrport(&sa)));
	bench_fini(&b);
}

TEST(stun_server_answers_nodes)
{
	answers_on("127.0.0.1:0");
}

TEST(stun_server_answers_nodes_over_six)
{
	answers_on("[::1]:0");
}

TEST(stun_server_answers_others_rarely)
{
	struct bytes plain = kit_hex("000100002112a4420102030405060708090a0b0c");
	struct bytes change = kit_hex("000100082112a4420102030405060708090a0b0c0003000400000006");
	struct stun_stats st;
	struct bench b;
	uint8_t out[64];
	ssize_t len = 0;

	CHECK(bench_init(&b, "127.0.0.1:0", (struct stun_server_conf){ .plain_rate = 5 }));
	CHECK_INT(ask(&b, plain, 3, out, &len), 3);
	CHECK(len == 32 && out[0] == 1 && out[1] == 1);
	CHECK_INT(ask(&b, change, 1, out, &len), 1);
	CHECK(out[0] == 1 && out[1] == 0x11);
	CHECK_INT(ask(&b, plain, 30, out, &len), 1); /* the rest of five */
	CHECK_INT(ask(&b, bytes_str("rubbish"), 3, out, &len), 0);
	CHECK_INT(ask(&b, kit_hex("010100002112a4420102030405060708090a0b0c"), 1, out, &len), 0);
	stun_server_stats(b.server, &st);
	CHECK(st.plain == 4 && st.limited == 29 && st.ignored == 4 && st.sent == 5);
	bench_fini(&b);
	CHECK(bench_init(&b, "127.0.0.1:0", (struct stun_server_conf){ .nodes_only = true }));
	CHECK_INT(ask(&b, plain, 3, out, &len), 0);
	bench_fini(&b);
}

TEST(stun_server_answers_from_the_address_that_was_asked)
{
	struct stun_txid txid = { { 9 } };
	struct sockaddr_storage sa, from;
	socklen_t len, from_len = sizeof(from);
	uint8_t request[STUN_REQUEST_LEN], out[64];
	struct bench b;
	struct addrport to;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	CHECK(bench_init(&b, "0.0.0.0:0", (struct stun_server_conf){ 0 }));
	to = (struct addrport){ ip_v4(127, 0, 0, 99), stun_server_address(b.server).port };
	len = sockaddr_of(to, &sa);
	(void)stun_request_encode(request, &txid);
	CHECK(sendto(fd, request, sizeof(request), 0, (struct sockaddr *)&sa, len) > 0);
	for (int i = 0; i < 5; i++)
		loop_turn(b.loop, false);
	CHECK(recvfrom(fd, out, sizeof(out), MSG_DONTWAIT, (struct sockaddr *)&from, &from_len) >
	      0);
	CHECK(addrport_equal(sockaddr_addrport(&from), to));
	(void)close(fd);
	bench_fini(&b);
}
