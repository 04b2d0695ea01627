#include "base/wall.h"

#include <stdio.h>
#include <time.h>

enum { NS_PER_S = 1000000000, DAYS_PER_ERA = 146097 };

struct wall wall_now(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return (struct wall){ (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec };
}

/* Days since 1970-01-01 of a proleptic Gregorian date; eras of 400 years starting in March. */
static int64_t days_of(int y, int m, int d)
{
	int64_t year = m <= 2 ? y - 1 : y;
	int64_t era = (year >= 0 ? year : year - 399) / 400;
	int64_t yoe = year - era * 400;
	int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;

	return era * DAYS_PER_ERA + doe - 719468;
}

static bool digits(struct reader *r, int n, int *out)
{
	int v = 0;

	for (int i = 0; i < n; i++) {
		uint8_t c = read_u8(r);

		if (c < '0' || c > '9')
			return false;
		v = v * 10 + (c - '0');
	}
	*out = v;
	return true;
}

static bool date_time(struct reader *r, int64_t *s)
{
	static const uint8_t month_days[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int y, mo, d, h, mi, sec;
	uint8_t t;

	if (!digits(r, 4, &y) || read_u8(r) != '-' || !digits(r, 2, &mo) || read_u8(r) != '-' ||
	    !digits(r, 2, &d))
		return false;
	t = read_u8(r);
	if ((t != 'T' && t != 't') || !digits(r, 2, &h) || read_u8(r) != ':' ||
	    !digits(r, 2, &mi) || read_u8(r) != ':' || !digits(r, 2, &sec))
		return false;
	if (mo < 1 || mo > 12 || d < 1 || d > month_days[mo - 1] || h > 23 || mi > 59 || sec > 60)
		return false;
	*s = days_of(y, mo, d) * 86400 + h * 3600 + mi * 60 + sec;
	return true;
}

static bool fraction(struct reader *r, uint8_t *after, int64_t *ns)
{
	int64_t scale = NS_PER_S / 10;
	uint8_t c = read_u8(r);
	int count = 0;

	*ns = 0;
	if (c != '.') {
		*after = c;
		return true;
	}
	for (c = read_u8(r); c >= '0' && c <= '9'; c = read_u8(r), count++, scale /= 10)
		*ns += scale * (c - '0');
	*after = c;
	return count > 0;
}

static bool offset(struct reader *r, uint8_t sign, int64_t *s)
{
	int h, m;

	*s = 0;
	if (sign == 'Z' || sign == 'z')
		return true;
	if ((sign != '+' && sign != '-') || !digits(r, 2, &h) || read_u8(r) != ':' ||
	    !digits(r, 2, &m) || h > 23 || m > 59)
		return false;
	*s = (h * 3600 + m * 60) * (sign == '-' ? -1 : 1);
	return true;
}

bool wall_parse(struct wall *t, struct bytes text)
{
	struct reader r = reader_of(text);
	int64_t s, ns, off;
	uint8_t after;

	if (!date_time(&r, &s) || !fraction(&r, &after, &ns) || !offset(&r, after, &off) || r.bad ||
	    reader_left(&r))
		return false;
	s -= off;
	if (s >= INT64_MAX / NS_PER_S)
		t->ns = INT64_MAX;
	else if (s <= INT64_MIN / NS_PER_S)
		t->ns = INT64_MIN;
	else
		t->ns = s * NS_PER_S + ns;
	return true;
}

const char *wall_format(struct wall t, char out[WALL_TEXT_MAX])
{
	time_t s = (time_t)wall_s(t);
	int64_t ns = t.ns % NS_PER_S;
	struct tm tm;
	size_t n;

	if (ns < 0)
		ns += NS_PER_S;
	if (t.ns == INT64_MIN) {
		s = (time_t)WALL_ZERO_S;
		ns = 0;
	}
	(void)gmtime_r(&s, &tm);
	n = (size_t)snprintf(out, WALL_TEXT_MAX, "%04d-%02d-%02dT%02d:%02d:%02d", tm.tm_year + 1900,
			     tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
	if (ns) {
		n += (size_t)snprintf(out + n, WALL_TEXT_MAX - n, ".%09lld", (long long)ns);
		while (out[n - 1] == '0')
			n--;
	}
	(void)snprintf(out + n, WALL_TEXT_MAX - n, "Z");
	return out;
}
