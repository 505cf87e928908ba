/* wire_report.c: what a node on live ports counted, for people and as JSON. See wire.h. */
#include <errno.h>
#include <inttypes.h>

#include "node/eal_dpdk.h"
#include "node/port_report.h"
#include "node/report.h"
#include "node/wire.h"

static void json_core(const struct wire_view *v, uint32_t i, FILE *out)
{
	struct dataplane_core_counts c = dataplane_core_counts(v->dataplane, i);

	fprintf(out,
		"%s{\"executed\":%" PRIu64 ",\"served\":%" PRIu64 ",\"asked\":%" PRIu64 ",\"bursts\":%" PRIu64
		",\"busy_seconds\":%.6f"
		",\"empty_rounds\":%" PRIu64 "}",
		i ? "," : "", c.executed, c.served, c.asked, c.bursts, (double)c.busy_cycles / (double)eal_hz(), c.empty_rounds);
}

/* Shards without a packet are left out. */
static void json_shards(const struct wire_view *v, FILE *out)
{
	const char *comma = "";

	fprintf(out, ",\"shards\":{\"count\":%u,\"packets\":{", v->code->sharded.n);
	for (uint32_t i = 0; i < v->code->sharded.n; i++) {
		uint64_t n = __atomic_load_n(&v->code->shard_packets[i], __ATOMIC_RELAXED);

		if (!n)
			continue;
		fprintf(out, "%s\"%u\":%" PRIu64, comma, i, n);
		comma = ",";
	}
	fputs("}}", out);
}

static int json_table(const struct wire_view *v, FILE *out)
{
	static struct report r; /* large */
	struct report_table sum = {0};

	r = (struct report){0};
	for (uint32_t i = 0; v->stopped && i < v->code->sharded.n; i++)
		if (report_add_shard(&r, v->code->program, v->code->sharded.shards[i]))
			return -ENOMEM;
	for (uint32_t i = 0; i < r.n_tables; i++) {
		sum.entries += r.tables[i].entries;
		sum.capacity += r.tables[i].capacity;
		sum.evictions += r.tables[i].evictions;
		sum.expired += r.tables[i].expired;
	}
	fprintf(out,
		",\"table\":{\"entries\":%" PRIu64 ",\"capacity\":%" PRIu64 ",\"evictions\":%" PRIu64 ",\"expired\":%" PRIu64
		",\"ignored\":%" PRIu64 "}",
		sum.entries, sum.capacity, sum.evictions, sum.expired, r.ignored);
	return 0;
}

static struct dataplane_counts both_ports(const struct wire_view *v)
{
	struct dataplane_counts sum = dataplane_counts(v->dataplane, 0), other = dataplane_counts(v->dataplane, 1);

	port_report_add(&sum, &other);
	return sum;
}

int wire_report_json(const struct wire_view *v, FILE *out)
{
	struct dataplane_counts sum = both_ports(v);
	uint64_t written = 0, lost = 0;
	int rc;

	for (uint32_t i = 0; i < v->n_mirrors; i++) {
		written += mirror_written(v->mirrors[i]);
		lost += mirror_lost(v->mirrors[i]);
	}
	fputc('{', out);
	port_report_counts(&sum, out);
	fputs(",\"ports\":[", out);
	for (uint32_t i = 0; i < 2; i++) {
		struct dataplane_counts c = dataplane_counts(v->dataplane, i);

		fputs(i ? "," : "", out);
		port_report_json(v->ports[i], &c, out);
	}
	fputs("],\"cores\":[", out);
	for (uint32_t i = 0; i < v->cores; i++)
		json_core(v, i, out);
	fputc(']', out);
	json_shards(v, out);
	rc = json_table(v, out);
	fprintf(out,
		",\"mirrored\":%" PRIu64 ",\"mirror_lost\":%" PRIu64
		",\"swaps\":%u,\"moves\":%u,\"longest_move_us\":%.1f,\"seconds\":%.6f,\"pps\":%.0f}\n",
		written, lost, v->swaps, v->moves, (double)v->longest_move_ns / 1e3, v->seconds,
		v->seconds > 0 ? (double)sum.packets / v->seconds : 0);
	return rc;
}

static void print_core(const struct wire_view *v, uint32_t i, FILE *out)
{
	struct dataplane_core_counts c = dataplane_core_counts(v->dataplane, i);

	fprintf(out, "  core %-2u ran %" PRIu64 " packets (%" PRIu64 " for others), asked others for %" PRIu64, i, c.executed,
		c.served, c.asked);
	if (c.executed)
		fprintf(out, ", %.0f cycles a packet while busy", (double)c.busy_cycles / (double)c.executed);
	fputc('\n', out);
}

void wire_report_print(const struct wire_view *v, FILE *out)
{
	struct dataplane_counts sum = both_ports(v);

	fprintf(out,
		"%" PRIu64 " packets: %" PRIu64 " accepted (%" PRIu64 " logged), %" PRIu64 " dropped, %" PRIu64
		" errors; %.1f s, %u shards\n",
		sum.packets, sum.accept, sum.log, sum.drop, sum.packets - sum.accept - sum.drop, v->seconds, v->code->sharded.n);
	for (uint32_t i = 0; i < 2; i++) {
		struct dataplane_counts c = dataplane_counts(v->dataplane, i);

		port_report_print(v->ports[i], &c, out);
	}
	for (uint32_t i = 0; i < v->cores; i++)
		print_core(v, i, out);
	if (v->moves)
		fprintf(out, "  %u times a shard moved to another core, nothing received for at most %.0f us\n", v->moves,
			(double)v->longest_move_ns / 1e3);
	for (uint32_t i = 0; i < v->n_mirrors; i++)
		fprintf(out, "  mirror %u wrote %" PRIu64 " packets, lost %" PRIu64 "\n", i, mirror_written(v->mirrors[i]),
			mirror_lost(v->mirrors[i]));
}
