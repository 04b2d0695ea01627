#include "app/relay/relay_numbers.h"

#include <inttypes.h>

#include "app/relay/relay_admission.h"
#include "app/relay/relay_mesh.h"
#include "app/relay/relay_shards.h"
#include "base/json.h"
#include "base/mem.h"
#include "part/derp_server/derp_server.h"
#include "part/stun_server.h"

enum { NUMBERS_MAX = 32 };

struct number {
	const char *section, *name, *help;
	uint64_t value;
	bool gauge;
};

struct numbers {
	struct number list[NUMBERS_MAX];
	size_t n;
};

static void add(struct numbers *ns, const char *section, const char *name, const char *help,
		bool gauge, uint64_t value)
{
	if (ns->n < NUMBERS_MAX)
		ns->list[ns->n++] = (struct number){ section, name, help, value, gauge };
}

static void add_stun(struct numbers *ns, const struct relay_numbers *n)
{
	struct stun_stats sum = { 0 }, st;

	for (size_t i = 0; i < n->stun_count; i++) {
		stun_server_stats(n->stun[i], &st);
		sum.received += st.received;
		sum.nodes += st.nodes;
		sum.plain += st.plain;
		sum.refused_attributes += st.refused_attributes;
		sum.ignored += st.ignored;
		sum.limited += st.limited;
		sum.sent += st.sent;
		sum.send_errors += st.send_errors;
	}
	add(ns, "stun", "received", "datagrams to the STUN port", false, sum.received);
	add(ns, "stun", "nodes", "requests of nodes that were answered", false, sum.nodes);
	add(ns, "stun", "plain", "requests of ordinary clients that were answered", false,
	    sum.plain);
	add(ns, "stun", "refused_attributes", "requests that demanded what we do not know", false,
	    sum.refused_attributes);
	add(ns, "stun", "ignored", "datagrams that were no request", false, sum.ignored);
	add(ns, "stun", "limited", "requests over the rate of their network", false, sum.limited);
	add(ns, "stun", "sent", "answers", false, sum.sent);
	add(ns, "stun", "send_errors", "answers the kernel did not take", false, sum.send_errors);
}

static void add_tls(struct numbers *ns, const struct tls_accept_stats *a)
{
	const struct tls_accept_stats st = *a;

	add(ns, "tls", "done", "handshakes that succeeded", false, st.done);
	add(ns, "tls", "failed", "handshakes that failed", false, st.failed);
	add(ns, "tls", "timeouts", "handshakes that took too long", false, st.timeouts);
	add(ns, "tls", "refused", "connections that found the queue full", false, st.refused);
	add(ns, "tls", "running", "handshakes under way", true, st.running);
	add(ns, "tls", "waiting", "connections that wait for a handshake", true, st.waiting);
	add(ns, "tls", "waiting_peak", "the most that ever waited", true, st.waiting_peak);
}

static void add_admission(struct numbers *ns, const struct relay_admission *a)
{
	struct relay_admission_stats st;

	relay_admission_stats(a, &st);
	add(ns, "admission", "allowed", "clients that were let in", false, st.allowed);
	add(ns, "admission", "refused", "clients that were refused", false, st.refused);
	add(ns, "admission", "unreachable", "questions that got no answer", false, st.unreachable);
	add(ns, "admission", "too_many", "clients refused because too many asked", false,
	    st.too_many);
	add(ns, "admission", "pending", "questions under way", true, st.pending);
	add(ns, "admission", "listed", "keys on the allow list", true, st.listed);
}

static void collect(const struct relay_numbers *n, struct numbers *ns)
{
	ns->n = 0;
	if (n->admission)
		add_admission(ns, n->admission);
	if (n->report->has_tls)
		add_tls(ns, &n->report->tls);
	add_stun(ns, n);
	add(ns, "process", "threads", "threads that pass packets", true, n->report->threads);
}

void relay_numbers_metrics(const struct relay_numbers *n, struct buf *out)
{
	struct numbers ns;

	derp_numbers_metrics(&n->report->derp, out);
	collect(n, &ns);
	for (size_t i = 0; i < ns.n; i++) {
		const struct number *v = &ns.list[i];
		const char *total = v->gauge ? "" : "_total";

		(void)buf_printf(out,
				 "# HELP weft_relay_%s_%s%s %s\n# TYPE weft_relay_%s_%s%s %s\n"
				 "weft_relay_%s_%s%s %" PRIu64 "\n",
				 v->section, v->name, total, v->help, v->section, v->name, total,
				 v->gauge ? "gauge" : "counter", v->section, v->name, total,
				 v->value);
	}
}

static void put_sections(struct json_out *o, const struct numbers *ns)
{
	const char *open = NULL;

	for (size_t i = 0; i < ns->n; i++) {
		const struct number *v = &ns->list[i];

		if (!open || strcmp(v->section, open) != 0) {
			if (open)
				json_close_object(o);
			json_key(o, v->section);
			json_open_object(o);
			open = v->section;
		}
		json_key(o, v->name);
		json_put_u64(o, v->value);
	}
	if (open)
		json_close_object(o);
}

void relay_numbers_status(const struct relay_numbers *n, struct buf *out, bool clients)
{
	struct numbers ns;
	struct json_out o;

	collect(n, &ns);
	json_out_init(&o, out);
	json_open_object(&o);
	json_key(&o, "relay");
	json_open_object(&o);
	derp_server_head(n->derp, &o);
	derp_numbers_status(&n->report->derp, &o);
	if (clients) {
		json_key(&o, "connected");
		json_open_array(&o);
		if (n->report->clients.n)
			json_put_raw(&o, buf_bytes(&n->report->clients));
		json_close_array(&o);
	}
	json_close_object(&o);
	put_sections(&o, &ns);
	json_key(&o, "mesh");
	relay_mesh_status(n->mesh, &o);
	json_close_object(&o);
	(void)buf_append_u8(out, '\n');
}
