#include "os/sdnotify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "kit/kit.h"

TEST(datagrams_reach_the_manager)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	char got[32] = "", dir[] = "/tmp/weft-notify-XXXXXX";
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (!mkdtemp(dir))
		kit_skip("no folder in /tmp");
	(void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/s", dir);
	CHECK(bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0);
	CHECK(setenv("NOTIFY_SOCKET", sa.sun_path, 1) == 0);
	CHECK(sdnotify(SDNOTIFY_READY));
	CHECK(recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT) == 7);
	CHECK_STR(got, "READY=1");
	(void)unlink(sa.sun_path);
	(void)rmdir(dir);
	CHECK(!sdnotify(SDNOTIFY_READY)); /* the manager is gone */
	(void)unsetenv("NOTIFY_SOCKET");
	CHECK(!sdnotify(SDNOTIFY_READY));
	(void)close(fd);
}

TEST(watchdog_is_fed_twice_in_its_time)
{
	(void)setenv("WATCHDOG_USEC", "30000000", 1);
	CHECK_INT(sdnotify_watchdog_ms(), 15000);
	(void)setenv("WATCHDOG_USEC", "-1", 1);
	CHECK_INT(sdnotify_watchdog_ms(), 0);
	(void)unsetenv("WATCHDOG_USEC");
	CHECK_INT(sdnotify_watchdog_ms(), 0);
}
