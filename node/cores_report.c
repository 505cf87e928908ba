/* cores_report.c: what the cores of a cluster's node on live ports counted. See cores.h. */
#include <inttypes.h>

#include "node/cores.h"
#include "node/port_report.h"

static struct dataplane_counts port_counts(const struct cores_view *v, uint32_t port)
{
	struct dataplane_counts sum = {0};

	for (uint32_t i = 0; i < v->cores; i++) {
		struct dataplane_counts c = live_counts(daemon_live(v->daemons[i]), port);

		port_report_add(&sum, &c);
	}
	return sum;
}

static uint64_t released(const struct live *l)
{
	return live_counts(l, 0).packets + live_counts(l, 1).packets;
}

struct totals {
	struct dataplane_counts counts;
	uint64_t held, mirrored, mirror_lost;
	uint32_t streams;
};

static struct totals totals_of(const struct cores_view *v)
{
	struct totals t = {.counts = port_counts(v, 0)};
	struct dataplane_counts other = port_counts(v, 1);

	port_report_add(&t.counts, &other);
	for (uint32_t i = 0; i < v->cores; i++) {
		t.held += live_held(daemon_live(v->daemons[i]));
		t.streams += live_streams(daemon_live(v->daemons[i]));
	}
	for (uint32_t i = 0; i < v->n_mirrors; i++) {
		t.mirrored += mirror_written(v->mirrors[i]);
		t.mirror_lost += mirror_lost(v->mirrors[i]);
	}
	return t;
}

/* Without its name, which may be any text. */
static void json_core(const struct daemon *d, FILE *out)
{
	const struct live *l = daemon_live(d);

	fprintf(out,
		"{\"incarnation\":\"%016" PRIx64 "\",\"streams\":%u,\"packets\":%" PRIu64 ",\"held\":%" PRIu64
		",\"executed\":%" PRIu64 "}",
		daemon_self(d), live_streams(l), released(l), live_held(l), daemon_view(d).executed);
}

void cores_report_json(const struct cores_view *v, FILE *out)
{
	struct totals t = totals_of(v);

	fputc('{', out);
	port_report_counts(&t.counts, out);
	fputs(",\"ports\":[", out);
	for (uint32_t i = 0; i < 2; i++) {
		struct dataplane_counts c = port_counts(v, i);

		fputs(i ? "," : "", out);
		port_report_json(v->ports[i], &c, out);
	}
	fputs("],\"cores\":[", out);
	for (uint32_t i = 0; i < v->cores; i++) {
		fputs(i ? "," : "", out);
		json_core(v->daemons[i], out);
	}
	fprintf(out, "],\"streams\":%u,\"held\":%" PRIu64 ",\"mirrored\":%" PRIu64 ",\"mirror_lost\":%" PRIu64 "}\n", t.streams,
		t.held, t.mirrored, t.mirror_lost);
}

void cores_report_print(const struct cores_view *v, FILE *out)
{
	struct totals t = totals_of(v);

	fprintf(out,
		"%" PRIu64 " packets: %" PRIu64 " accepted (%" PRIu64 " logged), %" PRIu64 " dropped, %" PRIu64 " errors; %" PRIu64
		" held, %u streams\n",
		t.counts.packets, t.counts.accept, t.counts.log, t.counts.drop, t.counts.packets - t.counts.accept - t.counts.drop,
		t.held, t.streams);
	for (uint32_t i = 0; i < 2; i++) {
		struct dataplane_counts c = port_counts(v, i);

		port_report_print(v->ports[i], &c, out);
	}
	for (uint32_t i = 0; i < v->cores; i++) {
		const struct live *l = daemon_live(v->daemons[i]);

		fprintf(out,
			"  core %-2u ran %" PRIu64 " packets as owner, let go of %" PRIu64
			" that came by its queues (%u), holds %" PRIu64 "; node %s, %016" PRIx64 "\n",
			i, daemon_view(v->daemons[i]).executed, released(l), live_streams(l), live_held(l),
			daemon_name(v->daemons[i]), daemon_self(v->daemons[i]));
	}
	for (uint32_t i = 0; i < v->n_mirrors; i++)
		fprintf(out, "  mirror %u wrote %" PRIu64 " packets, lost %" PRIu64 "\n", i, mirror_written(v->mirrors[i]),
			mirror_lost(v->mirrors[i]));
}
