/* os/rtnl/rtnl_parse.h - kernel messages to the structs of os/rtnl/rtnl.h; shared by requests and
 * watching.
 */
#pragma once

#include <libmnl/libmnl.h>
#include <stdbool.h>

#include "os/rtnl/rtnl.h"

bool rtnl_parse_link(const struct nlmsghdr *h, struct rtnl_link *out);
bool rtnl_parse_addr(const struct nlmsghdr *h, struct rtnl_addr *out);
bool rtnl_parse_route(const struct nlmsghdr *h, struct rtnl_route *out);
bool rtnl_parse_rule(const struct nlmsghdr *h, struct rtnl_rule *out);
