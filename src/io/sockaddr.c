#include "io/sockaddr.h"

#include <netinet/in.h>

socklen_t sockaddr_of(struct addrport a, struct sockaddr_storage *out)
{
	*out = (struct sockaddr_storage){ 0 };
	if (a.ip.family == 4) {
		struct sockaddr_in *in = (struct sockaddr_in *)out;

		in->sin_family = AF_INET;
		in->sin_port = htons(a.port);
		memcpy(&in->sin_addr, a.ip.b, 4);
		return sizeof(*in);
	}
	if (a.ip.family == 6) {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;

		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(a.port);
		memcpy(&in6->sin6_addr, a.ip.b, 16);
		return sizeof(*in6);
	}
	return 0;
}

struct addrport sockaddr_addrport(const struct sockaddr_storage *sa)
{
	struct addrport a = { 0 };

	if (sa->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)sa;

		a.ip = ip_v4_of(ntohl(in->sin_addr.s_addr));
		a.port = ntohs(in->sin_port);
	} else if (sa->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;

		a.ip = ip_unmap(ip_v6_of(in6->sin6_addr.s6_addr));
		a.port = ntohs(in6->sin6_port);
	}
	return a;
}
