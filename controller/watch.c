#include "controller/watch.h"

#include "controller/fleet.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PERIOD_US 4000

struct watch {
	struct fleet_process target;
	pthread_t thread;
	bool running;
	atomic_bool stop;
	uint64_t period_us;
	struct watch_record record; /* samples are the thread's, events the caller's, until watch_stop() */
};

static uint64_t number(const json_t *o, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(o, key));
}

/* Joins each pair of neighbours: the later count, the waits of both. */
static void thin(struct watch *w)
{
	struct watch_record *r = &w->record;
	uint32_t n = 0;
	for (uint32_t i = 0; i + 1 < r->n_samples; i += 2) {
		struct watch_sample s = r->samples[i + 1];
		s.waits += r->samples[i].waits;
		s.wait_sum_us += r->samples[i].wait_sum_us;
		if (r->samples[i].wait_max_us > s.wait_max_us)
			s.wait_max_us = r->samples[i].wait_max_us;
		r->samples[n++] = s;
	}
	r->n_samples = n;
	w->period_us *= 2;
}

static void take(struct watch *w)
{
	struct watch_record *r = &w->record;
	json_t *o = fleet_ask(&w->target, json_pack("{s:s}", "command", "sample"));
	if (!o)
		return;
	if (r->n_samples == WATCH_SAMPLES)
		thin(w);
	r->samples[r->n_samples++] = (struct watch_sample){number(o, "now_us"), number(o, "released"), number(o, "waits"),
							   number(o, "wait_sum_us"), number(o, "wait_max_us")};
	json_decref(o);
}

static void *sample(void *argument)
{
	struct watch *w = argument;
	while (!atomic_load(&w->stop)) {
		take(w);
		struct timespec t = {(time_t)(w->period_us / 1000000), (long)(w->period_us % 1000000) * 1000};
		nanosleep(&t, NULL);
	}
	take(w);
	return NULL;
}

int watch_start(struct watch **out, const char *endpoint)
{
	struct watch *w = calloc(1, sizeof *w);
	if (!w)
		return -ENOMEM;
	w->period_us = PERIOD_US;
	int err = gate_asker_open(&w->target.asker, endpoint, NULL);
	if (!err)
		err = -pthread_create(&w->thread, NULL, sample, w);
	w->running = !err;
	if (err)
		watch_free(w);
	else
		*out = w;
	return err;
}

void watch_event(struct watch *w, enum watch_kind kind, const char *format, ...)
{
	va_list list;
	if (!w || w->record.events_total++ >= WATCH_EVENTS)
		return;
	struct watch_event *e = &w->record.events[w->record.n_events++];
	e->at_us = fleet_now_us();
	e->kind = kind;
	va_start(list, format);
	vsnprintf(e->text, sizeof e->text, format, list);
	va_end(list);
}

const struct watch_record *watch_stop(struct watch *w)
{
	if (w->running) {
		atomic_store(&w->stop, true);
		pthread_join(w->thread, NULL);
		w->running = false;
	}
	return &w->record;
}

void watch_free(struct watch *w)
{
	if (!w)
		return;
	(void)watch_stop(w);
	gate_asker_close(w->target.asker);
	free(w);
}
