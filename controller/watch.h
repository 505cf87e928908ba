/* watch.h: what a rehearsal looked like over time: samples of the packets released and of how long they waited, taken by a thread of
 * its own while the rehearsal goes on, and the events that the rehearsal tells it. */
#ifndef CONTROLLER_WATCH_H
#define CONTROLLER_WATCH_H

#include <stdint.h>

#define WATCH_SAMPLES    8192 /* when full, every second one is dropped and the period doubled */
#define WATCH_EVENTS     1024 /* further ones are not kept, only counted */
#define WATCH_TEXT_BYTES 48

enum watch_kind { WATCH_MOVE, WATCH_KILL, WATCH_PROMOTE, WATCH_OUT, WATCH_IN, WATCH_KINDS };

struct watch_sample {
	uint64_t at_us;                    /* CLOCK_MONOTONIC, as all times here */
	uint64_t released;                 /* packets, since the start */
	uint64_t waits;                    /* packets followed since the sample before */
	uint64_t wait_sum_us, wait_max_us; /* from read to released */
};

struct watch_event {
	uint64_t at_us;
	enum watch_kind kind;
	char text[WATCH_TEXT_BYTES];
};

struct watch_record {
	uint32_t n_samples, n_events;
	uint64_t events_total;
	struct watch_sample samples[WATCH_SAMPLES];
	struct watch_event events[WATCH_EVENTS];
};

struct watch;

/* Begins to sample the process that answers at endpoint. -ENOMEM, -errno. */
int watch_start(struct watch **out, const char *endpoint);
/* By the thread that started it; NULL: nothing is watched. The text is printf's. */
void watch_event(struct watch *w, enum watch_kind kind, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Ends the sampling; the record is the watch's until watch_free(). */
const struct watch_record *watch_stop(struct watch *w);
/* Stops it if it still runs; NULL: nothing. */
void watch_free(struct watch *w);

#endif
