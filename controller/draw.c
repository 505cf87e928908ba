#include "controller/draw.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* All in pixels. */
#define WIDTH        1180
#define HEIGHT       680
#define LEFT         84
#define RIGHT        24
#define LABELS_TOP   82
#define RATE_TOP     236
#define RATE_BOTTOM  406
#define WAIT_TOP     440
#define WAIT_BOTTOM  620
#define PLOT         (WIDTH - LEFT - RIGHT)
#define LABEL_STEP   12
#define BINS         240
#define BIN_LEAST_US 10000.0 /* two samples and more */
#define LABELS_MOST  (PLOT / LABEL_STEP)

static const struct {
	const char *name, *colour;
} kinds[WATCH_KINDS] = {[WATCH_MOVE] = {"move of a shard", "#2a6fb0"},
			[WATCH_KILL] = {"kill -9", "#c0272d"},
			[WATCH_PROMOTE] = {"replicas promoted", "#2e8b57"},
			[WATCH_OUT] = {"scale-out", "#8a4fbf"},
			[WATCH_IN] = {"scale-in", "#c77700"}};

struct bin {
	double rate;      /* packets a second; below 0: nothing known */
	double mean, max; /* us; 0: nothing was released */
};

struct drawing {
	const struct watch_record *record;
	FILE *out;
	uint64_t from_us, to_us;
	uint32_t n_bins;
	struct bin bins[BINS];
	double rate_top, wait_low, wait_high;
};

/* ---- what is drawn ---- */

static void find_span(struct drawing *d)
{
	const struct watch_record *r = d->record;
	bool began = false;
	for (uint32_t i = 1; i < r->n_samples; i++) {
		if (r->samples[i].released == r->samples[i - 1].released)
			continue;
		if (!began)
			d->from_us = r->samples[i - 1].at_us;
		began = true;
		d->to_us = r->samples[i].at_us;
	}
	for (uint32_t i = 0; i < r->n_events; i++) {
		if (!began || r->events[i].at_us < d->from_us)
			d->from_us = r->events[i].at_us;
		if (!began || r->events[i].at_us > d->to_us)
			d->to_us = r->events[i].at_us;
		began = true;
	}
	if (d->to_us <= d->from_us)
		d->to_us = d->from_us + 1000000;
	double bins = (double)(d->to_us - d->from_us) / BIN_LEAST_US;
	d->n_bins = bins > BINS ? BINS : bins < 1 ? 1 : (uint32_t)bins;
}

static double bin_us(const struct drawing *d)
{
	return (double)(d->to_us - d->from_us) / d->n_bins;
}

/* Packets released by that time, between the samples around it. */
static double released_at(const struct watch_record *r, double at_us, uint32_t *hint)
{
	while (*hint + 1 < r->n_samples && (double)r->samples[*hint + 1].at_us <= at_us)
		++*hint;
	const struct watch_sample *a = &r->samples[*hint];
	if (*hint + 1 >= r->n_samples || at_us <= (double)a->at_us)
		return (double)a->released;
	double span = (double)(a[1].at_us - a->at_us);
	return (double)a->released + (double)(a[1].released - a->released) * (at_us - (double)a->at_us) / span;
}

static void fill_rates(struct drawing *d)
{
	uint32_t hint = 0;
	double before = d->record->n_samples ? released_at(d->record, (double)d->from_us, &hint) : 0;
	for (uint32_t i = 0; i < d->n_bins && d->record->n_samples; i++) {
		double now = released_at(d->record, (double)d->from_us + (i + 1) * bin_us(d), &hint);
		d->bins[i].rate = (now - before) / bin_us(d) * 1e6;
		before = now;
		if (d->bins[i].rate > d->rate_top)
			d->rate_top = d->bins[i].rate;
	}
}

static void fill_waits(struct drawing *d)
{
	double sum[BINS] = {0}, n[BINS] = {0};
	for (uint32_t i = 0; i < d->record->n_samples; i++) {
		const struct watch_sample *s = &d->record->samples[i];
		if (!s->waits || s->at_us < d->from_us || s->at_us > d->to_us)
			continue;
		uint32_t k = (uint32_t)((double)(s->at_us - d->from_us) / bin_us(d));
		k = k < d->n_bins ? k : d->n_bins - 1;
		sum[k] += (double)s->wait_sum_us;
		n[k] += (double)s->waits;
		d->bins[k].mean = fmax(sum[k] / n[k], 1);
		d->bins[k].max = fmax(d->bins[k].max, fmax((double)s->wait_max_us, 1));
		d->wait_low = fmin(d->wait_low, d->bins[k].mean);
		d->wait_high = fmax(d->wait_high, d->bins[k].max);
	}
	d->wait_low = pow(10, floor(log10(d->wait_low)));
	d->wait_high = pow(10, ceil(log10(fmax(d->wait_high, d->wait_low * 10))));
}

/* ---- places ---- */

static double x_of(const struct drawing *d, double at_us)
{
	return LEFT + (at_us - (double)d->from_us) / (double)(d->to_us - d->from_us) * PLOT;
}

static double y_rate(const struct drawing *d, double rate)
{
	return RATE_BOTTOM - rate / d->rate_top * (RATE_BOTTOM - RATE_TOP);
}

/* Logarithmic: a freeze is a thousand times a quiet wait. */
static double y_wait(const struct drawing *d, double us)
{
	return WAIT_BOTTOM - log10(us / d->wait_low) / log10(d->wait_high / d->wait_low) * (WAIT_BOTTOM - WAIT_TOP);
}

/* 1, 2 or 5 times a power of ten, so that at most n steps make the span. */
static double step_of(double span, int n)
{
	double step = pow(10, floor(log10(span / n)));
	static const double factors[] = {1, 2, 5, 10};
	for (size_t i = 0; i < sizeof factors / sizeof *factors; i++)
		if (span / (step * factors[i]) <= n)
			return step * factors[i];
	return step * 10;
}

/* ---- the parts of the picture ---- */

static void put_text(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '<' || *text == '>' || *text == '&' || *text == '"')
			fprintf(out, "&#%d;", *text);
		else if ((unsigned char)*text >= 32 && (unsigned char)*text < 127)
			fputc(*text, out);
		else
			fputc('?', out); /* XML 1.0 has no place for most control characters, nor UTF-8 for half a letter */
	}
}

static void horizontal(const struct drawing *d, double y, const char *label)
{
	fprintf(d->out,
		"<path class=\"grid\" d=\"M%d %.1fH%d\"/><text class=\"tick\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
		LEFT, y, WIDTH - RIGHT, LEFT - 8, y + 4, label);
}

static void axis_rate(const struct drawing *d)
{
	double step = step_of(d->rate_top, 5);
	char label[32];
	for (double rate = 0; rate <= d->rate_top * 1.0001; rate += step) {
		snprintf(label, sizeof label, d->rate_top >= 5000 ? "%gk" : "%g", d->rate_top >= 5000 ? rate / 1000 : rate);
		horizontal(d, y_rate(d, rate), label);
	}
	fprintf(d->out,
		"<text class=\"axis\" transform=\"translate(24 %d) rotate(-90)\" text-anchor=\"middle\">packets released a "
		"second</text>\n",
		(RATE_TOP + RATE_BOTTOM) / 2);
}

static void axis_wait(const struct drawing *d)
{
	char label[32];
	for (double us = d->wait_low; us <= d->wait_high * 1.0001; us *= 10) {
		if (us < 999)
			snprintf(label, sizeof label, "%g us", us);
		else if (us < 999999)
			snprintf(label, sizeof label, "%g ms", us / 1e3);
		else
			snprintf(label, sizeof label, "%g s", us / 1e6);
		horizontal(d, y_wait(d, us), label);
	}
	fprintf(d->out,
		"<text class=\"axis\" x=\"%d\" y=\"%d\">release latency, from read to released (line: mean, area: up to the "
		"longest; "
		"logarithmic)</text>\n",
		LEFT, WAIT_TOP - 8);
}

static void axis_time(const struct drawing *d)
{
	double span = (double)(d->to_us - d->from_us) / 1e6, step = step_of(span, 12);
	for (double s = 0; s <= span * 1.0001; s += step) {
		double x = x_of(d, (double)d->from_us + s * 1e6);
		fprintf(d->out, "<path class=\"grid\" d=\"M%.1f %dV%d\"/><path class=\"grid\" d=\"M%.1f %dV%d\"/>", x, RATE_TOP,
			RATE_BOTTOM, x, WAIT_TOP, WAIT_BOTTOM);
		fprintf(d->out, "<text class=\"tick\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%g s</text>\n", x,
			WAIT_BOTTOM + 18, s);
	}
	fprintf(d->out, "<text class=\"axis\" x=\"%d\" y=\"%d\" text-anchor=\"end\">time since the first packet</text>\n",
		WIDTH - RIGHT, WAIT_BOTTOM + 38);
}

static double bin_x(const struct drawing *d, uint32_t bin)
{
	return x_of(d, (double)d->from_us + bin * bin_us(d));
}

static void curve_rate(const struct drawing *d)
{
	fprintf(d->out, "<path class=\"rate\" d=\"M%d %d", LEFT, RATE_BOTTOM);
	for (uint32_t i = 0; i < d->n_bins; i++)
		fprintf(d->out, "L%.1f %.1fH%.1f", bin_x(d, i), y_rate(d, d->bins[i].rate), bin_x(d, i + 1));
	fprintf(d->out, "V%dZ\"/>\n", RATE_BOTTOM);
}

/* Bars up to the longest wait, and the mean as a step; a bin in which nothing was released has neither. */
static void curve_wait(const struct drawing *d)
{
	for (int pass = 0; pass < 2; pass++) {
		fprintf(d->out, "<path class=\"%s\" d=\"M%d %d", pass ? "mean" : "longest", LEFT, WAIT_BOTTOM);
		for (uint32_t i = 0; i < d->n_bins; i++) {
			const struct bin *b = &d->bins[i];
			if (b->max <= 0)
				continue;
			fprintf(d->out, "M%.1f %.1fH%.1f", bin_x(d, i), y_wait(d, pass ? b->mean : b->max), bin_x(d, i + 1));
			if (!pass)
				fprintf(d->out, "V%dH%.1fZ", WAIT_BOTTOM, bin_x(d, i));
		}
		fputs("\"/>\n", d->out);
	}
}

/* Labels in order of time, none nearer to the one before than LABEL_STEP, the last ones pushed back from the right edge. */
static void place_labels(const struct drawing *d, uint32_t n, double *x)
{
	for (uint32_t i = 0; i < n; i++) {
		x[i] = x_of(d, (double)d->record->events[i].at_us);
		if (i && x[i] < x[i - 1] + LABEL_STEP)
			x[i] = x[i - 1] + LABEL_STEP;
	}
	for (uint32_t i = n; i-- > 0;) {
		double most = i + 1 == n ? WIDTH - RIGHT : x[i + 1] - LABEL_STEP;
		if (x[i] > most)
			x[i] = most;
	}
}

static void mark(const struct drawing *d, const struct watch_event *e, const double *label_x)
{
	double x = x_of(d, (double)e->at_us);
	const char *colour = kinds[e->kind].colour;
	fprintf(d->out, "<g stroke=\"%s\" fill=\"%s\"><title>%.3f s: ", colour, colour, (double)(e->at_us - d->from_us) / 1e6);
	put_text(d->out, e->text);
	fprintf(d->out, "</title><path class=\"event\" d=\"M%.1f %dV%dM%.1f %dV%d\"/>", x, RATE_TOP, RATE_BOTTOM, x, WAIT_TOP,
		WAIT_BOTTOM);
	if (label_x) {
		fprintf(d->out, "<path class=\"leader\" d=\"M%.1f %dL%.1f %d\"/>", *label_x, RATE_TOP - 24, x, RATE_TOP);
		fprintf(d->out, "<text class=\"label\" transform=\"translate(%.1f %d) rotate(-90)\">", *label_x + 4, RATE_TOP - 28);
		put_text(d->out, e->text);
		fputs("</text>", d->out);
	}
	fputs("</g>\n", d->out);
}

static void marks(const struct drawing *d)
{
	double x[WATCH_EVENTS];
	uint32_t n = d->record->n_events;
	bool labels = n <= LABELS_MOST; /* else they would not be legible; the titles remain */
	if (labels)
		place_labels(d, n, x);
	for (uint32_t i = 0; i < n; i++)
		mark(d, &d->record->events[i], labels ? &x[i] : NULL);
}

static void head(const struct drawing *d, const char *title)
{
	static const char style[] =
		"text{font-family:Helvetica,Arial,sans-serif;fill:#222;stroke:none}"
		".title{font-size:17px;font-weight:bold}.axis{font-size:13px}.tick,.key{font-size:12px}.label{font-size:11px}"
		".grid{stroke:#e3e3e3;fill:none}.rate{fill:#b9cfe4;stroke:#34597c}.longest{fill:#f3d9b1}"
		".mean{fill:none;stroke:#8f4e00;stroke-width:2}.event{stroke-width:1.2;fill:none}"
		".leader{stroke-width:.7;stroke-opacity:.6;fill:none}";
	int x = LEFT;
	fprintf(d->out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\">\n<style>%s</style>\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n<text class=\"title\" x=\"%d\" y=\"30\">",
		WIDTH, HEIGHT, WIDTH, HEIGHT, style, LEFT);
	put_text(d->out, title);
	fputs("</text>\n", d->out);
	for (int i = 0; i < WATCH_KINDS; i++, x += 150)
		fprintf(d->out,
			"<path d=\"M%d 46v12\" stroke=\"%s\" stroke-width=\"3\"/><text class=\"key\" x=\"%d\" y=\"57\">%s</text>\n",
			x, kinds[i].colour, x + 8, kinds[i].name);
}

static void draw(struct drawing *d, const char *title)
{
	find_span(d);
	fill_rates(d);
	fill_waits(d);
	d->rate_top = d->rate_top > 0 ? d->rate_top * 1.05 : 1;
	head(d, title);
	axis_rate(d);
	axis_wait(d);
	axis_time(d);
	curve_rate(d);
	curve_wait(d);
	marks(d);
	fputs("</svg>\n", d->out);
}

int draw_rehearsal(const struct watch_record *r, const char *title, const char *file)
{
	struct drawing *d = calloc(1, sizeof *d);
	if (!d)
		return -ENOMEM;
	d->record = r;
	d->wait_low = 1000;
	d->out = fopen(file, "w");
	int err = d->out ? 0 : -errno;
	if (d->out) {
		draw(d, title);
		bool bad = ferror(d->out);
		if (fclose(d->out) || bad)
			err = -EIO;
	}
	free(d);
	return err;
}
