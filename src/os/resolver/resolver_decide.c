/* upstream: net/dns/manager_linux.go draws nearly the same lines; differences are in the design
 * page. */
#include "os/resolver/resolver_decide.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"

const char *resolver_manager_name(uint8_t manager)
{
	static const char *const names[RESOLVER_MANAGERS] = {
		[RESOLVER_NONE] = "none",
		[RESOLVER_RESOLVED] = "systemd-resolved",
		[RESOLVER_RESOLVCONF] = "resolvconf",
		[RESOLVER_OPENRESOLV] = "openresolv",
		[RESOLVER_FILE] = "file",
		[RESOLVER_IN_PLACE] = "file in place",
		[RESOLVER_MOUNT] = "mount",
	};

	return manager < RESOLVER_MANAGERS ? names[manager] : "?";
}

const char *resolver_state_name(uint8_t state)
{
	static const char *const names[RESOLVER_STATES] = {
		[RESOLVER_OFF] = "off",         [RESOLVER_WAITING] = "waiting",
		[RESOLVER_SET] = "set",         [RESOLVER_FAILED] = "failed",
		[RESOLVER_YIELDED] = "yielded",
	};

	return state < RESOLVER_STATES ? names[state] : "?";
}

enum resolvconf_kind resolvconf_kind_of(int exit_status, struct bytes output)
{
	struct bytes line = output;

	(void)text_split(&output, '\n', &line);
	if (exit_status == 99 || bytes_has_prefix(line, "Debian resolvconf"))
		return RESOLVCONF_DEBIAN; /* old ones do not know --version */
	if (bytes_has_prefix(line, "systemd"))
		return RESOLVCONF_RESOLVECTL;
	if (exit_status != 0 && !bytes_has_prefix(line, "openresolv"))
		return RESOLVCONF_BROKEN;
	return RESOLVCONF_OPENRESOLV;
}

static bool line_has_resolve(struct bytes line)
{
	struct bytes word;

	while (text_word(&line, &word)) {
		if (bytes_equal_str(word, "resolve"))
			return true;
		if (bytes_equal_str(word, "dns"))
			return false;
	}
	return false;
}

bool nsswitch_has_resolve(struct bytes text)
{
	struct bytes line, head;

	while (text_split(&text, '\n', &line)) {
		line = text_trim(line);
		head = line;
		if (!text_split(&head, ':', &line) || !bytes_equal_str(text_trim(line), "hosts"))
			continue;
		(void)text_split(&head, '#', &line);
		return line_has_resolve(line);
	}
	return false;
}

static void say(struct resolver_decision *d, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void say(struct resolver_decision *d, const char *fmt, ...)
{
	size_t n = strlen(d->why);
	va_list args;

	if (n && n + 2 < sizeof(d->why))
		n += (size_t)snprintf(d->why + n, sizeof(d->why) - n, " ");
	va_start(args, fmt);
	(void)vsnprintf(d->why + n, sizeof(d->why) - n, fmt, args);
	va_end(args);
}

static void choose(struct resolver_decision *d, enum resolver_manager manager)
{
	d->manager = manager;
	d->can_split = manager == RESOLVER_RESOLVED;
}

static bool link_has(const struct resolver_facts *f, const char *part)
{
	return strstr(f->link, part) != NULL;
}

/* Versions that take foreign links' settings away again when they write to resolved. */
static bool nm_resets_links(const char *version)
{
	static const char bad[] = "1.26.";
	const char *rest = version + sizeof(bad) - 1;

	return !strncmp(version, bad, sizeof(bad) - 1) && rest[0] >= '0' && rest[0] <= '5' &&
	       (rest[1] < '0' || rest[1] > '9');
}

/* True when the decision is made. */
static bool try_resolved(struct resolver_decision *d, const struct resolver_facts *f)
{
	bool owns = f->file.writer == RESOLV_CONF_RESOLVED || link_has(f, "systemd/resolve/") ||
		    link_has(f, "/systemd/resolv.conf");

	if (!owns && !f->file.only_stub)
		return false;
	if (owns)
		say(d, "/etc/resolv.conf belongs to systemd-resolved.");
	else
		say(d, "/etc/resolv.conf names only systemd-resolved.");
	if (!f->resolved && !f->waited) {
		say(d, "It is not on D-Bus yet; waiting for it.");
		d->wait = true;
		return true;
	}
	if (!f->resolved) {
		say(d, "It is not on D-Bus.");
		return false;
	}
	if (!f->file.only_stub && !f->nss_resolve) {
		say(d, "It runs, but programs do not ask it: the file names other servers and "
		       "nsswitch.conf does not ask it first.");
		return false;
	}
	if (nm_resets_links(f->nm_version)) {
		say(d, "NetworkManager %s would reset what is told to it.", f->nm_version);
		return false;
	}
	say(d, "It runs and programs ask it.");
	choose(d, RESOLVER_RESOLVED);
	return true;
}

static bool try_resolvconf(struct resolver_decision *d, const struct resolver_facts *f)
{
	if (f->file.writer != RESOLV_CONF_RESOLVCONF && !link_has(f, "resolvconf/"))
		return false;
	say(d, "/etc/resolv.conf was made by resolvconf.");
	switch (f->resolvconf) {
	case RESOLVCONF_DEBIAN:
		say(d, "The program is Debian's.");
		choose(d, RESOLVER_RESOLVCONF);
		return true;
	case RESOLVCONF_OPENRESOLV:
		say(d, "The program is openresolv.");
		choose(d, RESOLVER_OPENRESOLV);
		return true;
	case RESOLVCONF_RESOLVECTL:
		say(d, "The program of that name is resolvectl, which is something else.");
		return false;
	case RESOLVCONF_BROKEN:
		say(d, "The program does not answer.");
		return false;
	case RESOLVCONF_ABSENT:
		break;
	}
	say(d, "The program is not there.");
	return false;
}

static void say_who(struct resolver_decision *d, const struct resolver_facts *f)
{
	if (d->why[0])
		return; /* said before */
	if (!f->exists && f->link[0])
		say(d, "/etc/resolv.conf leads to %.100s, which is not there.", f->link);
	else if (!f->exists)
		say(d, "There is no /etc/resolv.conf.");
	else if (f->file.writer == RESOLV_CONF_NETWORKMANAGER)
		say(d, "/etc/resolv.conf was written by NetworkManager without "
		       "systemd-resolved.");
	else
		say(d, "Nobody is known to manage /etc/resolv.conf.");
}

static void use_file(struct resolver_decision *d, const struct resolver_facts *f)
{
	say_who(d, f);
	if (f->immutable) {
		say(d, "The file is marked immutable, so it stays as it is: names of the network "
		       "do not resolve on this host, the tunnel works.");
	} else if (f->mount_point && f->file_writable) {
		say(d, "It is a mount point, so it is written in place.");
		choose(d, RESOLVER_IN_PLACE);
	} else if (!f->mount_point && f->folder_writable) {
		say(d, "The file is replaced and watched.");
		choose(d, RESOLVER_FILE);
	} else if (f->exists && f->can_mount) {
		say(d, "It is read-only, so a file is mounted over it.");
		choose(d, RESOLVER_MOUNT);
	} else {
		say(d, "It is read-only and cannot be mounted over: names of the network do not "
		       "resolve on this host, the tunnel works.");
	}
}

void resolver_decide(struct resolver_decision *d, const struct resolver_facts *f)
{
	*d = (struct resolver_decision){ 0 };
	if (!try_resolved(d, f) && !try_resolvconf(d, f))
		use_file(d, f);
}
