/* report_html.c: the analysis as one self-contained page: no script, nothing loaded from elsewhere. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "analysis/report.h"

#define TEXT_BYTES 1024

static const char style[] =
	"<style>\n"
	":root{--ink:#1c2430;--soft:#5d6b7e;--line:#d9e0e8;--page:#f6f8fa;--card:#fff;--owned:#b4552d;--partial:#2f7d5b;--config:#"
	"3b66a8}\n"
	"body{margin:0;background:var(--page);color:var(--ink);font:16px/1.5 system-ui,'Segoe UI',sans-serif}\n"
	"main{max-width:1080px;margin:0 auto;padding:28px 24px 60px}\n"
	"h1{font-size:15px;font-weight:600;color:var(--soft);margin:0 0 6px;letter-spacing:.02em}\n"
	".verdict{font-size:25px;line-height:1.3;font-weight:600;margin:0 0 4px;max-width:40em}\n"
	".badge{display:inline-block;padding:2px "
	"12px;border-radius:999px;color:#fff;font-size:14px;font-weight:600;margin-bottom:10px}\n"
	".stateless,.partitionable{background:#2f7d5b}.conditional{background:#a87412}.pinned{background:#a8352d}\n"
	"h2{font-size:18px;margin:34px 0 10px}\n"
	".card{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:14px 18px;overflow-x:auto}\n"
	"table{border-collapse:collapse;width:100%}\n"
	"th{text-align:left;font-size:13px;color:var(--soft);font-weight:600;padding:4px 14px 6px 0;vertical-align:bottom}\n"
	"td{padding:6px 14px 6px 0;border-top:1px solid var(--line);vertical-align:top}\n"
	"td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}\n"
	".kind{display:inline-block;padding:0 9px;border-radius:4px;color:#fff;font-size:13px}\n"
	".owned{background:var(--owned)}.partial{background:var(--partial)}.config{background:var(--config)}\n"
	".wrap{white-space:pre-wrap;overflow-wrap:anywhere}\n"
	"pre{margin:0;font:13.5px/1.55 ui-monospace,'DejaVu Sans Mono',monospace}\n"
	".row{display:block;padding:0 8px;border-left:4px solid transparent}.row.o{border-color:var(--owned);background:#fbf0ea}\n"
	".row.p{border-color:var(--partial);background:#ebf5f0}.row.c{border-color:var(--config);background:#edf2fa}\n"
	".row .pc{color:#98a4b3}.row .at{color:var(--soft);font-style:italic}\n"
	".soft{color:var(--soft)}svg text{font:13px system-ui,'Segoe UI',sans-serif;fill:var(--ink)}\n"
	"</style>\n";

static void escape(const char *text, FILE *out)
{
	for (; *text; text++)
		switch (*text) {
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '&':
			fputs("&amp;", out);
			break;
		default:
			fputc(*text, out);
		}
}

static void print_head(const struct analysis *a, const char *name, FILE *out)
{
	const char *verdict = split_name(a->split.verdict);
	char text[TEXT_BYTES];

	fputs("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<title>", out);
	escape(name, out);
	fprintf(out, "</title>\n%s</head><body><main>\n<h1>", style);
	escape(name, out);
	fprintf(out, ", %u bytes</h1>\n<span class=\"badge %s\">%s</span>\n<p class=\"verdict\">", a->program->len, verdict,
		verdict);
	report_sentence(a, text, sizeof(text));
	escape(text, out);
	fputs("</p>\n", out);
	if (a->split.verdict == SPLIT_PINNED) {
		fputs("<p class=\"soft\">", out);
		escape(a->split.reason, out);
		fputs("</p>\n", out);
	}
	for (int i = 0; i < SPLIT_LIMIT_COUNT; i++)
		if (a->split.limits >> i & 1)
			fprintf(out, "<p class=\"soft\">given up: %s</p>\n", split_limit_text(i));
}

/* The ways to split that a capture chose among. */
static void print_choice(const struct choice *c, FILE *out)
{
	if (!c->n)
		return;
	fprintf(out,
		"<h2>Ways to split</h2>\n<div class=\"card\"><p class=\"soft\">By %" PRIu64
		" packets of the capture; the one whose "
		"largest class is smallest is taken.</p>\n<table>\n<tr><th>by<th class=\"n\">classes<th class=\"n\">largest "
		"class<th></tr>\n",
		c->results[0].packets);
	for (uint32_t i = 0; i < c->n; i++) {
		const struct balance_result *r = &c->results[i];
		char by[TEXT_BYTES];

		report_dims(&c->by[i], by, sizeof(by));
		fputs("<tr><td>", out);
		escape(by, out);
		fprintf(out, "<td class=\"n\">%" PRIu64 "<td class=\"n\">%.1f %%<td>%s</tr>\n", r->classes,
			r->packets ? 100.0 * (double)r->largest / (double)r->packets : 0, i == c->taken ? "taken" : "");
	}
	fputs("</table></div>\n", out);
}

static void print_stages(const struct analysis *a, FILE *out)
{
	const struct stage_counts *n = &a->stages.counts;

	fprintf(out,
		"<h2>Stages</h2>\n<div class=\"card\"><table>\n<tr><th class=\"n\">Step 0<br>all values<th class=\"n\">table "
		"access<br>sites"
		"<th class=\"n\">Step 1<br>per-/cross-flow objects<th class=\"n\">Step 2<br>updateable<th class=\"n\">Step 4<br>"
		"output-impacting<th class=\"n\">Step 5<br>tracked sites</tr>\n<tr><td class=\"n\">%u<td class=\"n\">%u<td "
		"class=\"n\">%u"
		"<td class=\"n\">%u<td class=\"n\">%u<td class=\"n\">%u</tr>\n</table></div>\n",
		n->values, n->persistent, n->flow, n->updateable, n->impacting, n->tracked);
}

static void print_object(const struct analysis *a, uint32_t i, FILE *out)
{
	const struct object *o = &a->objects.items[i];
	const struct object_stages *s = &a->stages.objects[i];
	char dims[TEXT_BYTES];

	report_dims(&s->dims, dims, sizeof(dims));
	fprintf(out, "<tr><td>%u<td>%u<td><span class=\"kind %s\">%s</span>", i, o->table, report_kind(o), report_kind(o));
	if (o->kind == OBJECT_PARTIAL)
		fprintf(out, " %s", cert_class_name(o->merge_class));
	fprintf(out, "<td>%s<td>%s<td>", scope_name(s->scope), report_access(s));
	escape(dims[0] ? dims : "nothing of the packet", out);
	fprintf(out, "%s<td>%s%s</tr>\n", s->symmetric ? " <span class=\"soft\">(both directions alike)</span>" : "",
		output_name(s->output), s->coupled ? " <span class=\"soft\">(shares its table)</span>" : "");
}

static void print_objects(const struct analysis *a, FILE *out)
{
	if (a->objects.n == 0)
		return;
	fputs("<h2>State</h2>\n<div class=\"card\"><table>\n<tr><th>object<th>table<th>kind<th>scope<th>access<th>keyed "
	      "by<th>decides</tr>\n",
	      out);
	for (uint32_t i = 0; i < a->objects.n; i++)
		print_object(a, i, out);
	fputs("</table></div>\n", out);
}

/* ---- the drawing: fields, objects, verdict, from left to right ---- */

#define FIELD_X      8u
#define OBJECT_X     380u
#define VERDICT_X    760u
#define BOX_WIDTH_PX 200u
#define ROW_PX       46u
#define BOX_PX       32u
#define MAX_NODES    64

struct drawing {
	uint32_t n_fields;
	char fields[MAX_NODES][DIM_NAME_BYTES + 24];
};

static uint32_t field_row(struct drawing *d, const struct dim *dim)
{
	char name[DIM_NAME_BYTES + 24];

	report_dim(dim, name, sizeof(name));
	for (uint32_t i = 0; i < d->n_fields; i++)
		if (!strcmp(d->fields[i], name))
			return i;
	if (d->n_fields == MAX_NODES)
		return MAX_NODES - 1;
	memcpy(d->fields[d->n_fields], name, sizeof(name));
	return d->n_fields++;
}

static void draw_box(unsigned x, unsigned row, const char *colour, const char *text, FILE *out)
{
	fprintf(out,
		"<rect x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\" rx=\"6\" fill=\"#fff\" stroke=\"%s\" stroke-width=\"2\"/>"
		"<text x=\"%u\" y=\"%u\">",
		x, row * ROW_PX + 6, BOX_WIDTH_PX, BOX_PX, colour, x + 12, row * ROW_PX + 27);
	escape(text, out);
	fputs("</text>\n", out);
}

static void draw_edge(unsigned x0, unsigned row0, unsigned x1, unsigned row1, const char *colour, FILE *out)
{
	unsigned y0 = row0 * ROW_PX + 22, y1 = row1 * ROW_PX + 22, middle = (x0 + x1) / 2;

	fprintf(out,
		"<path d=\"M%u %u C%u %u %u %u %u %u\" fill=\"none\" stroke=\"%s\" stroke-width=\"1.6\" "
		"marker-end=\"url(#tip)\"/>\n",
		x0, y0, middle, y0, middle, y1, x1, y1, colour);
}

static void draw_object(const struct analysis *a, uint32_t i, struct drawing *d, FILE *out)
{
	static const char *const colours[] = {"#3b66a8", "#2f7d5b", "#b4552d"};
	const struct object *o = &a->objects.items[i];
	const struct object_stages *s = &a->stages.objects[i];
	char text[64];

	for (uint32_t k = 0; k < s->dims.n; k++)
		draw_edge(FIELD_X + BOX_WIDTH_PX, field_row(d, &s->dims.items[k]), OBJECT_X - 4, i, "#98a4b3", out);
	if (s->output != OUTPUT_NONE) {
		draw_edge(OBJECT_X + BOX_WIDTH_PX, i, VERDICT_X - 4, 0, colours[o->kind], out);
		fprintf(out, "<text x=\"%u\" y=\"%u\">%s</text>\n", OBJECT_X + BOX_WIDTH_PX + 8, i * ROW_PX + 16,
			output_name(s->output));
	}
	snprintf(text, sizeof(text), "object %u, table %u, %s", i, o->table, report_kind(o));
	draw_box(OBJECT_X, i, colours[o->kind], text, out);
}

static void print_drawing(const struct analysis *a, FILE *out)
{
	uint32_t rows = a->objects.n < MAX_NODES ? a->objects.n : MAX_NODES, height;
	struct drawing d = {0};

	if (a->objects.n == 0)
		return;
	for (uint32_t i = 0; i < rows; i++)
		for (uint32_t k = 0; k < a->stages.objects[i].dims.n; k++)
			field_row(&d, &a->stages.objects[i].dims.items[k]);
	height = (rows > d.n_fields ? rows : d.n_fields) * ROW_PX + 8;
	fprintf(out,
		"<h2>What depends on what</h2>\n<div class=\"card\"><svg width=\"%u\" height=\"%u\" role=\"img\">\n"
		"<defs><marker id=\"tip\" markerWidth=\"8\" markerHeight=\"8\" refX=\"6\" refY=\"3\" orient=\"auto\">"
		"<path d=\"M0 0L6 3L0 6z\" fill=\"#5d6b7e\"/></marker></defs>\n",
		VERDICT_X + BOX_WIDTH_PX + 8, height);
	for (uint32_t i = 0; i < rows; i++)
		draw_object(a, i, &d, out);
	for (uint32_t i = 0; i < d.n_fields; i++)
		draw_box(FIELD_X, i, "#5d6b7e", d.fields[i], out);
	draw_box(VERDICT_X, 0, "#1c2430", "verdict of the packet", out);
	fputs("</svg></div>\n", out);
}

/* ---- the program ---- */

static uint32_t object_at(const struct analysis *a, uint32_t pc)
{
	for (uint32_t i = 0; i < a->objects.n; i++)
		for (uint32_t j = 0; j < a->objects.items[i].n_sites; j++)
			if (a->ir->values[a->objects.items[i].sites[j]].pc == pc)
				return i;
	return IR_NONE;
}

static void print_operand(const struct vfm_insn *insn, FILE *out)
{
	const struct vfm_op_info *info = &vfm_ops[insn->op];

	if (info->flags & VFM_F_JUMP)
		fprintf(out, " %u", insn->target);
	else if (info->operand == VFM_OPERAND_TABLE)
		fprintf(out, " %u", insn->table);
	else if (info->operand == VFM_OPERAND_DECLARE)
		fprintf(out, " %u %" PRIu64 " %u", insn->table, insn->imm, insn->idle_s);
	else if (info->operand != VFM_OPERAND_NONE)
		fprintf(out, insn->imm > 4096 ? " 0x%" PRIx64 : " %" PRIu64, insn->imm);
}

static void print_program(const struct analysis *a, FILE *out)
{
	static const char *const classes[] = {" c", " p", " o"};

	fputs("<h2>Program</h2>\n<div class=\"card\"><pre>", out);
	for (uint32_t i = 0; i < a->program->proof.n && i < REPORT_MAX_INSNS; i++) {
		const struct vfm_insn *insn = &a->program->proof.insns[i];
		uint32_t object = vfm_ops[insn->op].flags & (VFM_F_READ | VFM_F_UPDATE) ? object_at(a, insn->pc) : IR_NONE;

		fprintf(out, "<span class=\"row%s\"><span class=\"pc\">%5u</span>  %s",
			object == IR_NONE ? "" : classes[a->objects.items[object].kind], insn->pc, vfm_ops[insn->op].mnemonic);
		print_operand(insn, out);
		if (object != IR_NONE)
			fprintf(out, "   <span class=\"at\">object %u, %s</span>", object, report_kind(&a->objects.items[object]));
		fputs("</span>", out);
	}
	if (a->program->proof.n > REPORT_MAX_INSNS)
		fprintf(out, "<span class=\"row soft\">... and %u instructions more</span>",
			a->program->proof.n - REPORT_MAX_INSNS);
	fputs("</pre></div>\n", out);
}

static void print_transfer(const struct transfer_sums *s, FILE *out)
{
	if (!s->packets)
		return;
	fprintf(out,
		"<h2>Keeping a standby up to date</h2>\n<div class=\"card\"><table>\n<tr><th>sent (over %" PRIu64
		" packets)<th class=\"n\">bytes a packet<th class=\"n\">(a) is so many times as much</tr>\n",
		s->packets);
#define ROW(letter, text) \
	fprintf(out, "<tr><td>(%c) %s<td class=\"n\">%.2f<td class=\"n\">%.1f</tr>\n", #letter[0] + 32, text, \
		transfer_bytes_per_packet(s, TRANSFER_##letter), transfer_ratio(s, TRANSFER_##letter));
	TRANSFER_BASELINES(ROW)
#undef ROW
	fputs("</table></div>\n", out);
}

static void print_limits(const struct analysis *a, FILE *out)
{
	const struct ir_path *p = &a->ir->path;

	fprintf(out, "<p class=\"soft\">A packet: no byte behind the first %u is read", a->stages.readable_bytes);
	if (p->insns != IR_UNBOUNDED)
		fprintf(out, ", at most %" PRIu64 " instructions, %" PRIu64 " table accesses, %" PRIu64 " updates", p->insns,
			p->accesses, p->updates);
	fputs(".</p>\n", out);
}

void report_html(const struct analysis *a, const char *name, FILE *out)
{
	print_head(a, name, out);
	print_stages(a, out);
	print_objects(a, out);
	print_drawing(a, out);
	print_choice(&a->choice, out);
	print_transfer(&a->transfer, out);
	if (a->split.verdict >= SPLIT_CONDITIONAL) {
		fputs("<h2>What would make it split</h2>\n<div class=\"card\"><pre class=\"wrap\">", out);
		report_explain(a, out); /* its text has none of the characters to be escaped */
		fputs("</pre></div>\n", out);
	}
	print_program(a, out);
	print_limits(a, out);
	fputs("</main></body></html>\n", out);
}
