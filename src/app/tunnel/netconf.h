/*
 * app/tunnel/netconf.h - addresses, MTU, routes and rules of a tunnel interface.
 *
 * Everything but the rules goes away with the device; rules are taken away by netconf_undo(), and
 * leftovers of a killed process by the next netconf_apply(): they do nothing while their table is
 * empty.
 */
#pragma once

#include <stdint.h>

struct err;
struct rtnl;
struct tunnel_conf;

/* *mark: FwMark in, and out when default routes need one. */
int netconf_apply(struct rtnl *r, unsigned index, unsigned mtu, const struct tunnel_conf *conf,
		  uint32_t *mark, struct err *err);
void netconf_undo(struct rtnl *r, const struct tunnel_conf *conf, uint32_t mark);
