#include "wire/dnsmsg.h"

enum { WANTS_DNSSEC = 0x8000, POINTER = 0xc000, RECORD_FIXED_LEN = 10 };

/*
 *   off  len  header
 *     0    2  id
 *     2    2  flags: QR, opcode 4, AA, TC, RD, RA, Z, AD, CD, rcode 4
 *     4    2  questions
 *     6    6  records: answer, authority, additional
 */
bool dnsmsg_open(struct dnsmsg *m, struct bytes whole)
{
	struct reader r = reader_of(whole);

	*m = (struct dnsmsg){ .whole = whole, .at = DNSMSG_HEADER_LEN };
	m->header.id = read_be16(&r);
	m->header.flags = read_be16(&r);
	m->header.questions = read_be16(&r);
	for (int i = 0; i < 3; i++)
		m->header.records[i] = read_be16(&r);
	return !r.bad && whole.n <= DNSMSG_MAX;
}

bool dnsmsg_question(struct dnsmsg *m, struct dnsmsg_question *q)
{
	struct reader r;

	if (!dnsname_read(&q->name, m->whole, &m->at))
		return false;
	r = reader_of(bytes_from(m->whole, m->at));
	q->type = read_be16(&r);
	q->class = read_be16(&r);
	m->at += 4;
	return !r.bad;
}

/* Names in data, n of them from `at` on, then exactly `rest` bytes to the end of the record. */
static bool names_fit(const struct dnsmsg *m, const struct dnsmsg_record *r, size_t at, int n,
		      size_t rest)
{
	struct dnsname name;

	at += r->data_at;
	while (n-- > 0)
		if (!dnsname_read(&name, m->whole, &at))
			return false;
	return at + rest == r->data_at + r->data.n;
}

/* <character-string>s that fill the data. */
static bool strings_fit(struct bytes data)
{
	struct reader r = reader_of(data);

	while (reader_left(&r))
		read_skip(&r, read_u8(&r));
	return !r.bad && data.n > 0;
}

static bool data_is_sound(const struct dnsmsg *m, const struct dnsmsg_record *r)
{
	switch (r->type) {
	case DNSMSG_A:
		return r->class != DNSMSG_IN || r->data.n == 4;
	case DNSMSG_AAAA:
		return r->class != DNSMSG_IN || r->data.n == 16;
	case DNSMSG_NS:
	case DNSMSG_CNAME:
	case DNSMSG_PTR:
		return names_fit(m, r, 0, 1, 0);
	case DNSMSG_SOA:
		return names_fit(m, r, 0, 2, 20);
	case DNSMSG_MX:
		return r->data.n > 2 && names_fit(m, r, 2, 1, 0);
	case DNSMSG_SRV:
		return r->data.n > 6 && names_fit(m, r, 6, 1, 0);
	case DNSMSG_TXT:
		return strings_fit(r->data);
	default:
		return true;
	}
}

static bool read_record(struct dnsmsg *m, struct dnsmsg_record *rec)
{
	struct reader r;

	rec->start = m->at;
	if (!dnsname_read(&rec->name, m->whole, &m->at))
		return false;
	r = reader_of(bytes_from(m->whole, m->at));
	rec->type = read_be16(&r);
	rec->class = read_be16(&r);
	rec->ttl = read_be32(&r);
	rec->data = read_bytes(&r, read_be16(&r));
	if (r.bad)
		return false;
	rec->ttl_at = m->at + 4;
	rec->data_at = m->at + RECORD_FIXED_LEN;
	m->at = rec->data_at + rec->data.n;
	return data_is_sound(m, rec);
}

enum dnsmsg_next dnsmsg_next(struct dnsmsg *m, struct dnsmsg_record *r)
{
	while (m->section < 3 && m->done == m->header.records[m->section]) {
		m->section++;
		m->done = 0;
	}
	if (m->section == 3)
		return DNSMSG_END;
	m->done++;
	r->section = (enum dnsmsg_section)m->section;
	return read_record(m, r) ? DNSMSG_RECORD : DNSMSG_BAD;
}

/* OPT: the class is the sender's UDP size; the TTL is rcode high 8, version 8, flags 16. */
struct dnsmsg_edns dnsmsg_edns_of(const struct dnsmsg_record *opt)
{
	return (struct dnsmsg_edns){ .present = true,
				     .wants_dnssec = opt->ttl & WANTS_DNSSEC,
				     .version = (uint8_t)(opt->ttl >> 16),
				     .rcode_high = (uint8_t)(opt->ttl >> 24),
				     .size = opt->class };
}

bool dnsmsg_data_name(const struct dnsmsg *m, const struct dnsmsg_record *r, struct dnsname *name)
{
	size_t at = r->data_at;

	return dnsname_read(name, m->whole, &at);
}

bool dnsmsg_soa_minimum(const struct dnsmsg_record *soa, uint32_t *minimum)
{
	struct reader r;

	if (soa->type != DNSMSG_SOA || soa->data.n < 22)
		return false;
	r = reader_of(bytes_from(soa->data, soa->data.n - 4));
	*minimum = read_be32(&r);
	return true;
}

bool dnsmsg_address(const struct dnsmsg_record *r, struct ip *ip)
{
	if (r->type == DNSMSG_A && r->data.n == 4)
		*ip = ip_v4(r->data.p[0], r->data.p[1], r->data.p[2], r->data.p[3]);
	else if (r->type == DNSMSG_AAAA && r->data.n == 16)
		*ip = ip_v6_of(r->data.p);
	else
		return false;
	return true;
}

void dnsmsg_begin(struct dnsmsg_out *o, void *p, size_t cap, uint16_t id, uint16_t flags,
		  const struct dnsmsg_question *q)
{
	o->w = writer_of(p, cap);
	o->questions = q ? 1 : 0;
	memset(o->records, 0, sizeof(o->records));
	o->question.n = 0;
	write_be16(&o->w, id);
	write_be16(&o->w, flags);
	write_zeros(&o->w, 8);
	if (!q)
		return;
	o->question.n = q->name.n;
	memcpy(o->question.b, q->name.b, q->name.n);
	write_bytes(&o->w, dnsname_bytes(&q->name));
	write_be16(&o->w, q->type);
	write_be16(&o->w, q->class);
}

/* Labels until the rest is a tail of the question's name, then a pointer to that. */
static void put_name(struct dnsmsg_out *o, const struct dnsname *name)
{
	struct bytes rest = dnsname_bytes(name), question = dnsname_bytes(&o->question);

	for (; rest.n > 1; rest = dnsname_parent(rest)) {
		if (question.n >= rest.n && dnsname_is_under(question, rest)) {
			size_t at = DNSMSG_HEADER_LEN + (question.n - rest.n);

			write_be16(&o->w, (uint16_t)(POINTER | at));
			return;
		}
		write_copy(&o->w, rest.p, 1 + (size_t)rest.p[0]);
	}
	write_u8(&o->w, 0);
}

static void put_head(struct dnsmsg_out *o, enum dnsmsg_section s, const struct dnsname *name,
		     uint16_t type, uint32_t ttl)
{
	o->records[s]++;
	put_name(o, name);
	write_be16(&o->w, type);
	write_be16(&o->w, DNSMSG_IN);
	write_be32(&o->w, ttl);
}

/* The length of data that begins at `from` goes into the two bytes before it. */
static void put_length(struct dnsmsg_out *o, size_t from)
{
	size_t n = o->w.n - from;

	if (o->w.bad)
		return;
	o->w.p[from - 2] = (uint8_t)(n >> 8);
	o->w.p[from - 1] = (uint8_t)n;
}

void dnsmsg_put(struct dnsmsg_out *o, enum dnsmsg_section s, const struct dnsname *name,
		uint16_t type, uint32_t ttl, struct bytes data)
{
	put_head(o, s, name, type, ttl);
	write_be16(&o->w, (uint16_t)data.n);
	write_bytes(&o->w, data);
}

void dnsmsg_put_ip(struct dnsmsg_out *o, const struct dnsname *name, uint32_t ttl, struct ip ip)
{
	dnsmsg_put(o, DNSMSG_ANSWER, name, ip.family == 4 ? DNSMSG_A : DNSMSG_AAAA, ttl,
		   bytes_of(ip.b, ip_len(ip)));
}

void dnsmsg_put_name(struct dnsmsg_out *o, enum dnsmsg_section s, const struct dnsname *name,
		     uint16_t type, uint32_t ttl, const struct dnsname *target)
{
	size_t from;

	put_head(o, s, name, type, ttl);
	write_be16(&o->w, 0);
	from = o->w.n;
	put_name(o, target);
	put_length(o, from);
}

void dnsmsg_put_soa(struct dnsmsg_out *o, enum dnsmsg_section s, uint32_t ttl,
		    const struct dnsmsg_soa *soa)
{
	size_t from;

	put_head(o, s, soa->zone, DNSMSG_SOA, ttl);
	write_be16(&o->w, 0);
	from = o->w.n;
	put_name(o, soa->zone);
	put_name(o, soa->zone);
	write_be32(&o->w, soa->serial);
	for (int i = 0; i < 4; i++)
		write_be32(&o->w, soa->times_s);
	put_length(o, from);
}

void dnsmsg_put_opt(struct dnsmsg_out *o, uint16_t size, uint8_t rcode_high, bool wants_dnssec)
{
	o->records[DNSMSG_ADDITIONAL]++;
	write_u8(&o->w, 0);
	write_be16(&o->w, DNSMSG_OPT);
	write_be16(&o->w, size);
	write_be32(&o->w, (uint32_t)rcode_high << 24 | (wants_dnssec ? WANTS_DNSSEC : 0));
	write_be16(&o->w, 0);
}

size_t dnsmsg_done(struct dnsmsg_out *o)
{
	struct writer w = writer_of(o->w.p, o->w.cap);

	if (!writer_done(&o->w))
		return 0;
	w.n = 4;
	write_be16(&w, o->questions);
	for (int i = 0; i < 3; i++)
		write_be16(&w, o->records[i]);
	return o->w.n;
}

void dnsmsg_set_id(uint8_t *message, uint16_t id)
{
	message[0] = (uint8_t)(id >> 8);
	message[1] = (uint8_t)id;
}

void dnsmsg_set_flags(uint8_t *message, uint16_t flags)
{
	message[2] = (uint8_t)(flags >> 8);
	message[3] = (uint8_t)flags;
}

size_t dnsmsg_truncate(uint8_t *message, size_t n)
{
	struct dnsmsg_question q;
	struct dnsmsg m;

	if (!dnsmsg_open(&m, bytes_of(message, n)))
		return 0;
	if (m.header.questions != 1 || !dnsmsg_question(&m, &q)) {
		memset(message + 4, 0, 2);
		m.at = DNSMSG_HEADER_LEN;
	}
	dnsmsg_set_flags(message, m.header.flags | DNSMSG_TC);
	memset(message + 6, 0, 6);
	return m.at;
}
