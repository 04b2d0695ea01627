/* Changes as the kernel announces them: see os/rtnl/rtnl.h. */
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/mem.h"
#include "os/rtnl/rtnl.h"
#include "os/rtnl/rtnl_parse.h"

enum { MESSAGE_MAX = 32768 };

struct rtnl_watch {
	struct mnl_socket *socket;
	void (*each)(void *arg, const struct rtnl_event *e);
	void *arg;
	uint8_t message[MESSAGE_MAX];
};

static const unsigned groups[] = { RTNLGRP_LINK,       RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
				   RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,  RTNLGRP_IPV4_RULE,
				   RTNLGRP_IPV6_RULE };

struct rtnl_watch *rtnl_watch_open(struct err *err)
{
	struct rtnl_watch *w = mem_alloc(sizeof(*w));

	w->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (!w->socket || mnl_socket_bind(w->socket, 0, MNL_SOCKET_AUTOPID) < 0)
		goto failed;
	for (size_t i = 0; i < array_len(groups); i++) {
		int group = (int)groups[i];

		if (mnl_socket_setsockopt(w->socket, NETLINK_ADD_MEMBERSHIP, &group,
					  sizeof(group)) < 0)
			goto failed;
	}
	return w;
failed:
	err_sys(err, "watch rtnetlink");
	rtnl_watch_close(w);
	return NULL;
}

void rtnl_watch_close(struct rtnl_watch *w)
{
	if (!w)
		return;
	if (w->socket)
		(void)mnl_socket_close(w->socket);
	mem_free(w);
}

int rtnl_watch_fd(const struct rtnl_watch *w)
{
	return mnl_socket_get_fd(w->socket);
}

static int on_message(const struct nlmsghdr *h, void *arg)
{
	struct rtnl_watch *w = arg;
	struct rtnl_event e = { 0 };
	struct rtnl_route route;
	struct rtnl_rule rule;

	switch (h->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		e.kind = h->nlmsg_type == RTM_NEWLINK ? RTNL_LINK : RTNL_LINK_GONE;
		if (rtnl_parse_link(h, &e.link))
			w->each(w->arg, &e);
		break;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		e.kind = RTNL_ADDR;
		if (rtnl_parse_addr(h, &e.addr))
			w->each(w->arg, &e);
		break;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		e.kind = RTNL_ROUTE;
		if (rtnl_parse_route(h, &route)) {
			e.route_table = route.table;
			w->each(w->arg, &e);
		}
		break;
	case RTM_DELRULE:
		e.kind = RTNL_RULE_GONE;
		if (rtnl_parse_rule(h, &rule)) {
			e.rule_priority = rule.priority;
			w->each(w->arg, &e);
		}
		break;
	default:
		break;
	}
	return MNL_CB_OK;
}

bool rtnl_watch_read(struct rtnl_watch *w, void (*each)(void *arg, const struct rtnl_event *e),
		     void *arg)
{
	w->each = each;
	w->arg = arg;
	for (;;) {
		ssize_t n = mnl_socket_recvfrom(w->socket, w->message, sizeof(w->message));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN;
		(void)mnl_cb_run(w->message, (size_t)n, 0, 0, on_message, w);
	}
}
