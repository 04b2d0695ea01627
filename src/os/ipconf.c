/* os/ipconf.c - see ipconf.h. Files below /proc/sys/net show the reader's network namespace. */
#include "os/ipconf.h"

#include <dirent.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"

#define ROOT "/proc/sys/net/"

/* The number in the file; -1: there is none. */
static int number(const char *family, const char *interface, const char *name)
{
	char path[128], text[16];
	ssize_t n;
	long v;
	int fd;

	(void)snprintf(path, sizeof(path), ROOT "%s/conf/%s/%s", family, interface, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, text, sizeof(text) - 1);
	(void)close(fd);
	if (n <= 0)
		return -1;
	text[n] = '\0';
	v = strtol(text, NULL, 10);
	return v < 0 || v > 255 ? -1 : (int)v;
}

static void each_interface(const char *family, void (*each)(void *arg, const char *name), void *arg)
{
	char path[64];
	struct dirent *e;
	DIR *dir;

	(void)snprintf(path, sizeof(path), ROOT "%s/conf", family);
	dir = opendir(path);
	while (dir && (e = readdir(dir)))
		if (e->d_name[0] != '.' && strlen(e->d_name) < IF_NAMESIZE &&
		    strcmp(e->d_name, "all") != 0 && strcmp(e->d_name, "default") != 0 &&
		    strcmp(e->d_name, "lo") != 0)
			each(arg, e->d_name);
	if (dir)
		(void)closedir(dir);
}

static void see4(void *arg, const char *name)
{
	if (number("ipv4", name, "forwarding") > 0)
		*(bool *)arg = true;
}

static void see6(void *arg, const char *name)
{
	if (number("ipv6", name, "forwarding") > 0)
		*(bool *)arg = true;
}

void ipconf_look(struct ipconf *out)
{
	*out = (struct ipconf){ 0 };
	/* conf/all/forwarding of IPv4 is ip_forward by another name. 1 and 2 both mean on. */
	out->forward4 = number("ipv4", "all", "forwarding") > 0;
	out->forward6 = number("ipv6", "all", "forwarding") > 0;
	out->ipv6 = number("ipv6", "all", "disable_ipv6") == 0 &&
		    number("ipv6", "default", "disable_ipv6") == 0;
	each_interface("ipv4", see4, &out->some4);
	each_interface("ipv6", see6, &out->some6);
}

struct strict {
	int all;
	void (*each)(void *arg, const char *interface);
	void *arg;
};

static void see_strict(void *arg, const char *name)
{
	const struct strict *s = arg;
	int own = number("ipv4", name, "rp_filter");

	/* The kernel takes the larger of the two: 1 is strict, 2 is loose. */
	if ((own > s->all ? own : s->all) == 1 && number("ipv4", name, "src_valid_mark") == 0)
		s->each(s->arg, name);
}

void ipconf_strict(void (*each)(void *arg, const char *interface), void *arg)
{
	struct strict s = { number("ipv4", "all", "rp_filter"), each, arg };

	if (number("ipv4", "all", "src_valid_mark") == 0)
		each_interface("ipv4", see_strict, &s);
}

int ipconf_set_mark_check(const char *interface, bool on, struct err *err)
{
	char path[128];
	ssize_t n;
	int fd;

	if (!*interface || *interface == '.' || strchr(interface, '/') ||
	    strlen(interface) >= IF_NAMESIZE)
		return err_set(err, ERR_INTERNAL, "'%.15s' is no interface", interface);
	(void)snprintf(path, sizeof(path), ROOT "ipv4/conf/%s/src_valid_mark", interface);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, "open %s", path);
	n = write(fd, on ? "1" : "0", 1);
	if (n != 1)
		(void)err_sys(err, "write %s", path);
	(void)close(fd);
	return n == 1 ? 0 : -1;
}
