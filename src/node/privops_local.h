/* node/privops_local.h - what this process holds for its privileged operations; for
 * privops_local*.c only. */
#pragma once

#include "base/mem.h"
#include "node/privops.h"

struct resolver;
struct rtnl;

struct local {
	struct privops head;
	struct rtnl *rtnl;
	unsigned index;            /* of the device; 0: none yet */
	struct resolver *resolver; /* NULL until first asked for */
	char device[PRIVOPS_NAME_MAX];
};

static inline struct local *local_of(struct privops *p)
{
	return container_of(p, struct local, head);
}

int local_need_device(const struct local *l, struct err *err);

/* The firewall, and a look at what the kernel is set up for. */
int local_firewall(struct privops *p, const struct privops_firewall *f, struct err *err);
int local_host(struct privops *p, struct privops_host *out, struct err *err);
/* Takes the rules back, and what else we switched. */
void local_firewall_restore(void);
/* The device of somebody who uses our routing table as well; "" for nobody. */
void local_find_rival(struct local *l, char out[PRIVOPS_NAME_MAX]);

/* The host's resolver. */
int local_dns(struct privops *p, const struct privops_dns *dns, struct err *err);
int local_dns_status(struct privops *p, struct resolver_status *out, struct err *err);
int local_dns_watch(struct privops *p, int *fd, struct err *err);
void local_dns_restore(struct local *l);
