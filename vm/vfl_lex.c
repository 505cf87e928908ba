/* vfl_lex.c: text to tokens. An atom is a run of bytes up to white space, a parenthesis or a comment; what it is follows from its
 * form: numbers begin with a digit (or - and a digit), keywords with one colon, IPv6 and MAC addresses have two colons or more. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "vm/vfl.h"

#define SHOWN_BYTES 40 /* of an atom in a message */

static void say(struct vfl *c, enum diag_severity severity, const struct vfl_sexp *at, const char *format, va_list args)
{
	char text[DIAG_TEXT_BYTES];

	vsnprintf(text, sizeof(text), format, args);
	diag_add(c->diags, severity, at ? at->line : 0, at ? at->column : 0, "%s", text);
}

void vfl_error(struct vfl *c, const struct vfl_sexp *at, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(c, DIAG_ERROR, at, format, args);
	va_end(args);
}

void vfl_warn(struct vfl *c, const struct vfl_sexp *at, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(c, DIAG_WARNING, at, format, args);
	va_end(args);
}

bool vfl_is(const struct vfl_sexp *s, const char *name)
{
	return s->kind == VFL_SYMBOL && s->bytes == strlen(name) && !memcmp(s->text, name, s->bytes);
}

void vfl_lex_begin(struct vfl *c, const char *source, uint32_t bytes)
{
	c->source = source;
	c->source_bytes = bytes;
	c->at = 0;
	c->line = 1;
	c->line_start = 0;
}

static bool ends_atom(unsigned char ch)
{
	return isspace(ch) || ch == '(' || ch == ')' || ch == ';';
}

static void skip_blank(struct vfl *c)
{
	while (c->at < c->source_bytes) {
		char ch = c->source[c->at];

		if (ch == ';') {
			while (c->at < c->source_bytes && c->source[c->at] != '\n')
				c->at++;
		} else if (isspace((unsigned char)ch)) {
			c->at++;
			if (ch == '\n') {
				c->line++;
				c->line_start = c->at;
			}
		} else {
			return;
		}
	}
}

static int shown(const struct vfl_sexp *t)
{
	return t->bytes < SHOWN_BYTES ? (int)t->bytes : SHOWN_BYTES;
}

static void bad(struct vfl *c, struct vfl_sexp *t, const char *why)
{
	vfl_error(c, t, "'%.*s': %s", shown(t), t->text, why);
	t->kind = VFL_BAD;
}

static int digit_of(char ch)
{
	if (ch >= '0' && ch <= '9')
		return ch - '0';
	ch = (char)tolower((unsigned char)ch);
	return ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : 99;
}

/* Reads digits of a base; returns how many bytes they take, -1 if the number does not fit 64 bits. */
static int read_digits(const char *text, uint32_t bytes, unsigned base, uint64_t *value)
{
	uint32_t i;
	bool over = false;

	*value = 0;
	for (i = 0; i < bytes && digit_of(text[i]) < (int)base; i++) {
		uint64_t digit = (uint64_t)digit_of(text[i]);

		over |= *value > (UINT64_MAX - digit) / base;
		*value = *value * base + digit;
	}
	return over ? -1 : (int)i;
}

static uint64_t unit_us(const char *text, uint32_t bytes)
{
	static const struct {
		const char *name;
		uint64_t us;
	} units[] = {{"us", 1}, {"ms", 1000}, {"s", 1000000}, {"min", 60000000}, {"h", 3600000000}};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (bytes == strlen(units[i].name) && !memcmp(text, units[i].name, bytes))
			return units[i].us;
	return 0;
}

static void read_number(struct vfl *c, struct vfl_sexp *t)
{
	bool negative = t->text[0] == '-';
	const char *text = t->text + negative;
	uint32_t bytes = t->bytes - negative;
	unsigned base = 10;
	uint64_t unit;
	int used;

	if (bytes > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
		base = 16;
	else if (bytes > 2 && text[0] == '0' && (text[1] == 'b' || text[1] == 'B'))
		base = 2;
	if (base != 10) {
		text += 2;
		bytes -= 2;
	}
	used = read_digits(text, bytes, base, &t->value);
	if (used < 0 || (negative && t->value > 1ULL << 63)) {
		bad(c, t,
		    negative ? "the number is out of range; the least is -9223372036854775808"
			     : "the number is out of range; the largest is 18446744073709551615");
		return;
	}
	t->kind = VFL_NUMBER;
	if (negative)
		t->value = -t->value;
	if ((uint32_t)used == bytes)
		return;
	unit = base == 10 && !negative ? unit_us(text + used, bytes - (uint32_t)used) : 0;
	if (!unit) {
		bad(c, t,
		    "not a number; write decimal, 0x hexadecimal, 0b binary, an address, or a duration like 10s, 500ms, 5min");
		return;
	}
	if (t->value > UINT64_MAX / unit) {
		bad(c, t, "the duration is out of range");
		return;
	}
	t->value *= unit;
	t->kind = VFL_DURATION;
}

/* Splits "address/prefix"; the prefix must not exceed max. False: reported. */
static bool read_prefix(struct vfl *c, struct vfl_sexp *t, uint32_t max, char *address, size_t room)
{
	const char *slash = memchr(t->text, '/', t->bytes);
	uint32_t bytes = slash ? (uint32_t)(slash - t->text) : t->bytes;
	uint64_t prefix = max;

	if (slash) {
		uint32_t digits = t->bytes - bytes - 1;

		if (!digits || read_digits(slash + 1, digits, 10, &prefix) != (int)digits || prefix > max) {
			vfl_error(c, t, "'%.*s': the prefix length is out of range; write /0 to /%u", shown(t), t->text, max);
			t->kind = VFL_BAD;
			return false;
		}
	}
	if (bytes >= room) {
		bad(c, t, "not an address");
		return false;
	}
	memcpy(address, t->text, bytes);
	address[bytes] = 0;
	t->prefix = (uint32_t)prefix;
	return true;
}

static void read_ip4(struct vfl *c, struct vfl_sexp *t)
{
	char address[INET_ADDRSTRLEN];
	struct in_addr in;

	if (!read_prefix(c, t, 32, address, sizeof(address)))
		return;
	if (inet_pton(AF_INET, address, &in) != 1) {
		bad(c, t, "not an IPv4 address; write four numbers from 0 to 255, like 10.0.0.1");
		return;
	}
	t->value = ntohl(in.s_addr);
	t->kind = memchr(t->text, '/', t->bytes) ? VFL_NETWORK4 : VFL_NUMBER;
	if (t->kind == VFL_NETWORK4 && t->prefix < 32 && (t->value & (UINT32_MAX >> t->prefix)))
		bad(c, t, "the address has bits beyond its prefix; clear them or lengthen the prefix");
}

static uint64_t be64(const uint8_t *p)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

/* hi and lo of the network of an IPv6 prefix. */
static void mask6(uint32_t prefix, uint64_t *hi, uint64_t *lo)
{
	*hi = prefix == 0 ? 0 : prefix >= 64 ? UINT64_MAX : UINT64_MAX << (64 - prefix);
	*lo = prefix <= 64 ? 0 : UINT64_MAX << (128 - prefix);
}

static void read_ip6(struct vfl *c, struct vfl_sexp *t)
{
	char address[INET6_ADDRSTRLEN];
	uint8_t in[16];
	uint64_t hi, lo;

	if (!read_prefix(c, t, 128, address, sizeof(address)))
		return;
	if (inet_pton(AF_INET6, address, in) != 1) {
		bad(c, t, "not an IPv6 or MAC address; write one like 2001:db8::1 or 02:00:00:00:00:01");
		return;
	}
	t->hi = be64(in);
	t->value = be64(in + 8);
	t->kind = VFL_ADDRESS6;
	mask6(t->prefix, &hi, &lo);
	if ((t->hi & ~hi) || (t->value & ~lo))
		bad(c, t, "the address has bits beyond its prefix; clear them or lengthen the prefix");
}

/* Six groups of two hexadecimal digits: a number of 48 bits. */
static bool read_mac(struct vfl_sexp *t)
{
	uint64_t value = 0;

	if (t->bytes != 17)
		return false;
	for (uint32_t i = 0; i < 17; i++) {
		if (i % 3 == 2) {
			if (t->text[i] != ':')
				return false;
		} else {
			if (digit_of(t->text[i]) > 15)
				return false;
			value = value << 4 | (unsigned)digit_of(t->text[i]);
		}
	}
	t->kind = VFL_NUMBER;
	t->value = value;
	return true;
}

static void read_atom(struct vfl *c, struct vfl_sexp *t)
{
	const char *colon = memchr(t->text, ':', t->bytes);
	const char *second = colon ? memchr(colon + 1, ':', t->bytes - (size_t)(colon + 1 - t->text)) : NULL;
	bool minus = t->bytes > 1 && t->text[0] == '-';

	for (uint32_t i = 0; i < t->bytes; i++) {
		if (!isgraph((unsigned char)t->text[i])) {
			vfl_error(c, t, "byte 0x%02x cannot stand here; write names in ASCII", (unsigned char)t->text[i]);
			t->kind = VFL_BAD;
			return;
		}
	}
	if (second) {
		if (!read_mac(t))
			read_ip6(c, t);
	} else if (colon == t->text && t->bytes > 1) {
		t->kind = VFL_KEYWORD;
		t->text++;
		t->bytes--;
	} else if (isdigit((unsigned char)t->text[minus])) {
		if (memchr(t->text, '.', t->bytes) || memchr(t->text, '/', t->bytes))
			read_ip4(c, t);
		else
			read_number(c, t);
	} else {
		t->kind = VFL_SYMBOL;
	}
}

void vfl_lex(struct vfl *c, struct vfl_sexp *token)
{
	uint32_t start;

	skip_blank(c);
	memset(token, 0, sizeof(*token));
	start = c->at;
	token->line = c->line;
	token->column = start - c->line_start + 1;
	token->text = c->source + start;
	token->bytes = 1;
	if (start == c->source_bytes) {
		token->bytes = 0;
		token->kind = VFL_END;
		return;
	}
	if (c->source[start] == '(' || c->source[start] == ')') {
		token->kind = c->source[start] == '(' ? VFL_OPEN : VFL_CLOSE;
		c->at++;
		return;
	}
	while (c->at < c->source_bytes && !ends_atom((unsigned char)c->source[c->at]))
		c->at++;
	token->bytes = c->at - start;
	read_atom(c, token);
}
