#include "os/sdnotify.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/text.h"

bool sdnotify(const char *text)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	const char *path = getenv("NOTIFY_SOCKET");
	size_t n = path ? strlen(path) : 0;
	ssize_t sent;
	int fd;

	if (n < 2 || n >= sizeof(sa.sun_path) || (*path != '/' && *path != '@'))
		return false;
	memcpy(sa.sun_path, path, n);
	if (*path == '@') /* an abstract name */
		sa.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	sent = sendto(fd, text, strlen(text), MSG_NOSIGNAL, (const struct sockaddr *)&sa,
		      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
	(void)close(fd);
	return sent >= 0;
}

int64_t sdnotify_watchdog_ms(void)
{
	const char *text = getenv("WATCHDOG_USEC");
	uint64_t us;

	/* Half of the time after which we are taken for dead (sd_watchdog_enabled(3)). */
	if (!text || !text_u64(bytes_str(text), INT64_MAX, &us) || us < 2000)
		return 0;
	return (int64_t)(us / 2000);
}
