/* node/hostinfo.c - see hostinfo.h. */
#include "node/hostinfo.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/mem.h"
#include "node/peerapi.h"
#include "node/prefs.h"
#include "wire/tailcfg_hostinfo.h"

enum { SERVICES_MAX = 3 };

void hostinfo_name(const struct prefs *prefs, char *out, size_t size)
{
	char *dot;

	if (prefs->v.hostname.n && bytes_to_cstr(prefs->v.hostname, out, size))
		return;
	if (gethostname(out, size) < 0)
		(void)snprintf(out, size, "node");
	out[size - 1] = '\0';
	dot = strchr(out, '.');
	if (dot)
		*dot = '\0';
}

static enum opt_bool opt_of(bool v)
{
	return v ? OPT_TRUE : OPT_FALSE;
}

struct latencies {
	char names[NETCHECK_REGIONS_MAX * 2][16];
	struct named_real v[NETCHECK_REGIONS_MAX * 2];
	size_t n;
};

static void add_latency(struct latencies *l, int region, int family, int64_t ns)
{
	if (ns <= 0)
		return;
	(void)snprintf(l->names[l->n], sizeof(l->names[0]), "%d-v%d", region, family);
	l->v[l->n] = (struct named_real){ bytes_str(l->names[l->n]), (double)ns / 1e9 };
	l->n++;
}

/* Where peers reach us, and whether those who use us as exit node may ask us names. */
static size_t put_services(struct tailcfg_service out[SERVICES_MAX], const struct prefs *prefs,
			   const struct hostinfo_more *more)
{
	size_t n = 0;

	for (size_t i = 0; i < more->peerapi_count && n < SERVICES_MAX - 1; i++) {
		const struct addrport *at = &more->peerapi[i];

		out[n++] = (struct tailcfg_service){
			.proto = bytes_str(at->ip.family == 4 ? "peerapi4" : "peerapi6"),
			.port = at->port,
		};
	}
	if (n && peerapi_offers_exit(prefs))
		out[n++] =
		    (struct tailcfg_service){ .proto = bytes_str("peerapi-dns-proxy"), .port = 1 };
	return n;
}

void hostinfo_write(struct buf *out, const struct prefs *prefs, const struct hostinfo_more *more)
{
	const struct netcheck_report *report = more->report;
	struct tailcfg_service services[SERVICES_MAX];
	struct latencies *latencies = mem_alloc(sizeof(*latencies));
	struct tailcfg_netinfo net = { 0 };
	struct tailcfg_hostinfo host = { 0 };
	struct utsname uts = { 0 };
	struct json_out o;
	char name[256];

	(void)uname(&uts);
	hostinfo_name(prefs, name, sizeof(name));
	host.ipn_version = bytes_str(more->version);
	host.os = bytes_str("linux");
	host.os_version = bytes_str(uts.release);
	host.machine = bytes_str(uts.machine);
	host.hostname = bytes_str(name);
	host.shields_up = prefs->v.shields_up;
	host.exit_node_id = prefs->v.exit_node_id;
	host.routable_ips = prefs->v.advertise_routes;
	host.request_tags = prefs->v.advertise_tags;
	host.services.v = services;
	host.services.n = put_services(services, prefs, more);
	if (report) {
		net.mapping_varies_by_dest_ip =
		    report->varies_known ? opt_of(report->varies) : OPT_UNSET;
		net.working_udp = opt_of(report->udp);
		net.have_port_map = report->ports.mapped;
		if (report->ports.checked) {
			net.pmp = opt_of(report->ports.pmp);
			net.pcp = opt_of(report->ports.pcp);
		}
		net.working_ipv6 = opt_of(report->ipv6);
		net.preferred_derp = report->preferred;
		for (size_t i = 0; i < report->region_count; i++) {
			add_latency(latencies, report->regions[i].id, 4, report->regions[i].v4_ns);
			add_latency(latencies, report->regions[i].id, 6, report->regions[i].v6_ns);
		}
		net.derp_latency =
		    (struct named_real_list){ latencies->v, latencies->n, latencies->n > 0 };
		host.netinfo = &net;
	}
	json_out_init(&o, out);
	schema_encode(&o, &tailcfg_hostinfo_schema, &host);
	mem_free(latencies);
}
