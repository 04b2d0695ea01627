/*
 * sd-bus, called synchronously with a limit each: the thread is ours. Who restarts resolved makes
 * it forget; NameOwnerChanged tells.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <systemd/sd-bus.h>

#include "base/err.h"
#include "base/mono.h"
#include "os/resolver/resolver_priv.h"

enum { BUS_TIMEOUT_MS = 1000 };

static const char resolve1[] = "org.freedesktop.resolve1";
static const char resolve1_path[] = "/org/freedesktop/resolve1";
static const char resolve1_manager[] = "org.freedesktop.resolve1.Manager";
static const char network_manager[] = "org.freedesktop.NetworkManager";

static int on_owner_changed(sd_bus_message *m, void *arg, sd_bus_error *error)
{
	struct resolver_bus *b = arg;

	(void)m;
	(void)error;
	b->changed = true;
	return 0;
}

/* sd_bus_call() would wait 90 s for a bus that accepts and says nothing. */
static bool wait_until_ready(sd_bus *bus)
{
	struct mono end = mono_add_ms(mono_now(), BUS_TIMEOUT_MS);

	while (sd_bus_is_ready(bus) == 0) {
		struct mono now = mono_now();
		int r = sd_bus_process(bus, NULL);

		if (r < 0 || mono_reached(now, end))
			return false;
		if (r == 0 && sd_bus_wait(bus, (uint64_t)(end.ns - now.ns) / 1000) < 0)
			return false;
	}
	return sd_bus_is_ready(bus) > 0;
}

bool resolver_bus_open(struct resolver_bus *b)
{
	if (b->bus)
		return true;
	if (sd_bus_open_system(&b->bus) < 0) {
		b->bus = NULL;
		return false;
	}
	(void)sd_bus_set_method_call_timeout(b->bus, BUS_TIMEOUT_MS * 1000ULL);
	(void)sd_bus_set_exit_on_disconnect(b->bus, 0);
	if (!wait_until_ready(b->bus) ||
	    sd_bus_add_match(b->bus, NULL,
			     "type='signal',sender='org.freedesktop.DBus',"
			     "path='/org/freedesktop/DBus',interface='org.freedesktop.DBus',"
			     "member='NameOwnerChanged',arg0='org.freedesktop.resolve1'",
			     on_owner_changed, b) < 0) {
		resolver_bus_close(b);
		return false;
	}
	return true;
}

void resolver_bus_close(struct resolver_bus *b)
{
	/* Not flush_close: a bus that does not read would hold us. */
	if (b->bus)
		sd_bus_close(b->bus);
	b->bus = sd_bus_unref(b->bus);
}

int resolver_bus_fd(const struct resolver_bus *b, short *events)
{
	int e;

	if (!b->bus)
		return -1;
	e = sd_bus_get_events(b->bus);
	*events = e > 0 ? (short)e : POLLIN;
	return sd_bus_get_fd(b->bus);
}

bool resolver_bus_process(struct resolver_bus *b)
{
	int r = 1;

	while (b->bus && r > 0)
		r = sd_bus_process(b->bus, NULL);
	if (r >= 0 || !b->bus)
		return true;
	resolver_bus_close(b);
	b->changed = true;
	return false;
}

/* ---- who is there ---- */

static bool has_owner(sd_bus *bus, const char *name)
{
	sd_bus_message *reply = NULL;
	int owned = 0;

	if (sd_bus_call_method(bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
			       "org.freedesktop.DBus", "NameHasOwner", NULL, &reply, "s",
			       name) < 0 ||
	    sd_bus_message_read(reply, "b", &owned) < 0)
		owned = 0;
	(void)sd_bus_message_unref(reply);
	return owned;
}

/* Owning the name is not enough: one that hangs is as good as absent. */
static bool answers(sd_bus *bus)
{
	return sd_bus_call_method(bus, resolve1, resolve1_path, "org.freedesktop.DBus.Peer", "Ping",
				  NULL, NULL, "") >= 0;
}

void resolver_bus_look(struct resolver_bus *b, struct resolver_facts *f)
{
	char *version = NULL;

	if (!b->bus)
		return;
	f->resolved = has_owner(b->bus, resolve1) && answers(b->bus);
	if (has_owner(b->bus, network_manager) &&
	    sd_bus_get_property_string(b->bus, network_manager, "/org/freedesktop/NetworkManager",
				       network_manager, "Version", NULL, &version) >= 0)
		(void)snprintf(f->nm_version, sizeof(f->nm_version), "%s", version);
	free(version);
}

/* ---- systemd-resolved ---- */

static int fail(struct err *err, const char *method, int r, const sd_bus_error *e)
{
	errno = -r;
	if (r == -ETIMEDOUT)
		return err_set(err, ERR_TIMEOUT, "systemd-resolved did not answer %s within %d s",
			       method, BUS_TIMEOUT_MS / 1000);
	if (e->message)
		return err_set(err, ERR_REFUSED, "systemd-resolved refused %s: %s", method,
			       e->message);
	return err_sys(err, "ask systemd-resolved for %s", method);
}

/* Takes m, which may be NULL when r says why. */
static int ask(struct resolver_bus *b, sd_bus_message *m, int r, const char *method,
	       struct err *err)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	int ret = 0;

	if (r >= 0)
		r = sd_bus_call(b->bus, m, 0, &error, NULL);
	if (r < 0)
		ret = fail(err, method, r, &error);
	sd_bus_error_free(&error);
	(void)sd_bus_message_unref(m);
	return ret;
}

static int begin(struct resolver_bus *b, sd_bus_message **m, const char *method, uint32_t index)
{
	int r = sd_bus_message_new_method_call(b->bus, m, resolve1, resolve1_path, resolve1_manager,
					       method);

	return r < 0 ? r : sd_bus_message_append(*m, "i", (int)index);
}

static int set_servers(struct resolver_bus *b, const struct resolver_want *want, struct err *err)
{
	sd_bus_message *m = NULL;
	int r = begin(b, &m, "SetLinkDNS", want->index);

	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "(iay)");
	for (unsigned i = 0; r >= 0 && i < want->server_count; i++) {
		const struct ip *ip = &want->servers[i];

		r = sd_bus_message_open_container(m, 'r', "iay");
		if (r >= 0)
			r = sd_bus_message_append(m, "i", ip->family == 4 ? AF_INET : AF_INET6);
		if (r >= 0)
			r = sd_bus_message_append_array(m, 'y', ip->b, ip_len(*ip));
		if (r >= 0)
			r = sd_bus_message_close_container(m);
	}
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	return ask(b, m, r, "SetLinkDNS", err);
}

/* Search domains route, too; the same name again as routing only would end the search. */
static bool is_searched(const struct resolver_want *want, const char *name)
{
	for (unsigned i = 0; i < want->search_count; i++)
		if (!strcasecmp(want->search[i], name))
			return true;
	return false;
}

static int set_domains(struct resolver_bus *b, const struct resolver_want *want, struct err *err)
{
	sd_bus_message *m = NULL;
	int r = begin(b, &m, "SetLinkDomains", want->index);

	if (r >= 0)
		r = sd_bus_message_open_container(m, 'a', "(sb)");
	for (unsigned i = 0; r >= 0 && i < want->search_count; i++)
		r = sd_bus_message_append(m, "(sb)", want->search[i], 0);
	for (unsigned i = 0; r >= 0 && i < want->match_count; i++)
		if (!is_searched(want, want->match[i]))
			r = sd_bus_message_append(m, "(sb)", want->match[i], 1);
	if (r >= 0 && want->override_all)
		r = sd_bus_message_append(m, "(sb)", ".", 1);
	if (r >= 0)
		r = sd_bus_message_close_container(m);
	return ask(b, m, r, "SetLinkDomains", err);
}

static int set_default_route(struct resolver_bus *b, const struct resolver_want *want,
			     struct err *err)
{
	sd_bus_message *m = NULL;
	int r = begin(b, &m, "SetLinkDefaultRoute", want->index);

	if (r >= 0)
		r = sd_bus_message_append(m, "b", (int)want->override_all);
	return ask(b, m, r, "SetLinkDefaultRoute", err);
}

/* Nice to have: what this version does not know stays as it is. */
static void switch_off(struct resolver_bus *b, uint32_t index)
{
	static const char *const methods[] = { "SetLinkLLMNR", "SetLinkMulticastDNS",
					       "SetLinkDNSSEC", "SetLinkDNSOverTLS" };

	for (unsigned i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		(void)sd_bus_call_method(b->bus, resolve1, resolve1_path, resolve1_manager,
					 methods[i], NULL, NULL, "is", (int)index, "no");
	(void)sd_bus_call_method(b->bus, resolve1, resolve1_path, resolve1_manager, "FlushCaches",
				 NULL, NULL, "");
}

int resolver_bus_set(struct resolver_bus *b, const struct resolver_want *want, struct err *err)
{
	if (!b->bus)
		return err_set(err, ERR_REFUSED, "the connection to D-Bus is gone");
	if (!want->index)
		return err_set(err, ERR_INTERNAL, "systemd-resolved needs the index of the device");
	if (set_servers(b, want, err) < 0 || set_domains(b, want, err) < 0)
		return -1;
	if (set_default_route(b, want, err) < 0 && err->code != ERR_REFUSED)
		return -1; /* refused: older than version 240, which has no such thing */
	switch_off(b, want->index);
	return 0;
}

int resolver_bus_undo(struct resolver_bus *b, uint32_t index, struct err *err)
{
	sd_bus_message *m = NULL;
	int r;

	if (!b->bus || !index)
		return 0;
	r = begin(b, &m, "RevertLink", index);
	if (ask(b, m, r, "RevertLink", err) == 0)
		return 0;
	/* Refused: the link or resolved itself is gone, and with it what was set. */
	return err->code == ERR_REFUSED ? 0 : -1;
}
