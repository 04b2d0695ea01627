/* What happens to a connection when the host loses its address: io/tcp in a namespace of its own.
 */
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "io/loop.h"
#include "io/stream.h"
#include "io/tcp.h"
#include "kit/kit.h"
#include "netns.h"
#include "os/rtnl/rtnl.h"

TEST(tcp_knows_that_its_address_is_gone)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t len = sizeof(at);
	struct prefix addr = { ip_v4(192, 0, 2, 7), 32 };
	int ear, fd;
	struct loop *loop;
	struct stream *s;
	struct rtnl *r;
	unsigned lo;

	netns_enter();
	r = rtnl_open(NULL);
	lo = if_nametoindex("lo");
	CHECK(r && rtnl_addr_add(r, lo, addr, NULL) == 0);
	CHECK(inet_pton(AF_INET, "192.0.2.7", &at.sin_addr) == 1);
	ear = socket(AF_INET, SOCK_STREAM, 0);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(bind(ear, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(ear, 1) == 0);
	CHECK(getsockname(ear, (struct sockaddr *)&at, &len) == 0);
	CHECK(connect(fd, (struct sockaddr *)&at, len) == 0);
	loop = loop_create(NULL);
	s = tcp_from_fd(loop, fd);
	CHECK(!tcp_address_is_gone(s));
	CHECK(rtnl_addr_del(r, lo, addr, NULL) == 0);
	CHECK(tcp_address_is_gone(s));
	stream_destroy(s);
	(void)close(ear);
	(void)loop_turn(loop, false);
	loop_destroy(loop);
	rtnl_close(r);
}
