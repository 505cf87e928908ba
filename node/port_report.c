/* port_report.c: see port_report.h. */
#include "node/port_report.h"

#include <inttypes.h>

static uint64_t seen(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

void port_report_add(struct dataplane_counts *sum, const struct dataplane_counts *c)
{
	sum->packets += seen(&c->packets);
	sum->accept += seen(&c->accept);
	sum->log += seen(&c->log);
	sum->drop += seen(&c->drop);
	for (int i = 0; i < VERDICT_ERROR_KINDS; i++)
		sum->errors[i] += seen(&c->errors[i]);
	sum->sent += seen(&c->sent);
	sum->send_dropped += seen(&c->send_dropped);
}

static void print_string(const char *text, FILE *out)
{
	fputc('"', out);
	for (const char *p = text; *p; p++) {
		if (*p == '"' || *p == '\\')
			fprintf(out, "\\%c", *p);
		else if ((unsigned char)*p < 0x20)
			fprintf(out, "\\u%04x", (unsigned)*p);
		else
			fputc(*p, out);
	}
	fputc('"', out);
}

void port_report_counts(const struct dataplane_counts *c, FILE *out)
{
	fprintf(out, "\"packets\":%" PRIu64 ",\"accept\":%" PRIu64 ",\"drop\":%" PRIu64 ",\"log\":%" PRIu64 ",\"errors\":{",
		c->packets, c->accept, c->drop, c->log);
	for (int i = 0; i < VERDICT_ERROR_KINDS; i++)
		fprintf(out, "%s\"%s\":%" PRIu64, i ? "," : "", verdict_error_name((enum verdict_error_index)i), c->errors[i]);
	fprintf(out, "},\"forwarded\":%" PRIu64 ",\"send_dropped\":%" PRIu64, c->sent, c->send_dropped);
}

void port_report_json(struct io *port, const struct dataplane_counts *counts, FILE *out)
{
	struct io_counters c;

	io_counters(port, &c);
	fputs("{\"name\":", out);
	print_string(port->name, out);
	fprintf(out, ",\"link\":%s,\"time\":\"%s\",", io_link_up(port) ? "true" : "false", port->time);
#define IO_COUNTER_JSON(name, text) fprintf(out, "\"" #name "\":%" PRIu64 ",", c.name);
	IO_COUNTERS(IO_COUNTER_JSON)
#undef IO_COUNTER_JSON
	port_report_counts(counts, out);
	fputc('}', out);
}

void port_report_print(struct io *port, const struct dataplane_counts *c, FILE *out)
{
	uint64_t errors = c->packets - c->accept - c->drop;
	struct io_counters io;

	io_counters(port, &io);
	fprintf(out,
		"  port %-20s %s  time %-7s  received %" PRIu64 " (missed %" PRIu64 ", no buffer %" PRIu64 ", damaged %" PRIu64
		")  accept %" PRIu64 " (log %" PRIu64 ")  drop %" PRIu64 "  errors %" PRIu64 "  sent on %" PRIu64
		" (queue full %" PRIu64 ")\n",
		port->name, io_link_up(port) ? "up  " : "down", port->time, io.received, io.missed, io.no_buffer, io.rx_errors,
		c->accept, c->log, c->drop, errors, c->sent, c->send_dropped);
}
