/* port_report.h: what was counted at a port, as JSON (keys in docs/dpdk.md) and for people. */
#ifndef NODE_PORT_REPORT_H
#define NODE_PORT_REPORT_H

#include <stdio.h>

#include "node/dataplane.h"

/* Another thread may be counting in c meanwhile. */
void port_report_add(struct dataplane_counts *sum, const struct dataplane_counts *c);
/* The members of an object, without its braces. */
void port_report_counts(const struct dataplane_counts *c, FILE *out);
/* One object: the port's own counters, and what became of the packets that came by it. */
void port_report_json(struct io *port, const struct dataplane_counts *counts, FILE *out);
/* One line. */
void port_report_print(struct io *port, const struct dataplane_counts *c, FILE *out);

#endif
