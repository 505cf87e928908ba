/* daemon_capture.c: a capture as input; verdicts and accepted packets as output, with a journal. See daemon_core.h. */
#include "node/daemon_core.h"

#include "node/journal.h"
#include "vm/verdict.h"
#include "vm/vfm.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define READ_BURST      256 /* over many shards: a few packets in each WORK */
#define JOURNAL_PACKETS 1024
#define JOURNAL_US      20000

static struct vfm_result result_of(struct verdict v)
{
	struct vfm_result r = {.value = v.value};
	if (v.error && v.error <= VERDICT_ERROR_KINDS)
		r.error = verdict_error_code((enum verdict_error_index)(v.error - 1));
	return r;
}

/* ---- input ---- */

/* A packet that the guard refuses belongs to no shard in particular. */
static uint32_t shard_of(const struct daemon *d, const struct vfm_packet *p)
{
	const struct plan *plan = d->deploy->plan;
	return plan->shards > 1 && plan_guard_holds(plan, p) ? plan_shard(plan, p) : 0;
}

uint64_t daemon_capture_due_us(const struct daemon *d, uint64_t index)
{
	return d->pps ? d->paced_us + (index - d->paced_from) * 1000000 / d->pps : 0;
}

static bool fetch(struct daemon *d)
{
	if (d->has_pending)
		return true;
	if (!d->capture || d->at_end || d->read >= d->allowed || daemon_capture_due_us(d, d->read) > d->now_us)
		return false;
	int rc = capture_next(d->capture, &d->pending);
	if (rc != 1) {
		d->at_end = true;
		d->damaged = rc < 0;
		return false;
	}
	d->has_pending = true;
	d->pending_shard = shard_of(d, &d->pending);
	return true;
}

uint32_t daemon_capture_read(struct daemon *d)
{
	uint32_t n = 0;
	if (d->has_pending && d->steerer.flying > STEERER_FLYING / 2)
		return 0; /* once there was no room: until there is some for a burst worth sending */
	for (; n < READ_BURST && fetch(d); n++) {
		const struct vfm_packet *p = &d->pending;
		uint32_t carried = p->len < d->deploy->readable_bytes ? p->len : d->deploy->readable_bytes;
		struct node_packet packet = {p->time_us, p->input, p->len, carried, p->data};
		if (steerer_packet(&d->steerer, d->pending_shard, &packet, d->now_us))
			break;
		d->has_pending = false;
		d->read++;
		probe_read(&d->probe, d->steerer.counters.packets, d->now_us);
	}
	node_flush(&d->node, d->now_us);
	return n;
}

/* Counts what an earlier session has settled. */
static int skip_settled(struct daemon *d, uint64_t index)
{
	while (d->read < index) {
		d->allowed = UINT64_MAX;
		if (!fetch(d))
			return daemon_fail(d, -EINVAL, "the journal is ahead of the capture", d->options.journal,
					   "remove it to begin anew");
		steerer_skip(&d->steerer, d->pending_shard);
		d->has_pending = false;
		d->read++;
	}
	return 0;
}

/* ---- output ---- */

static void count(struct daemon *d, const struct vfm_result *r)
{
	struct daemon_summary *s = &d->summary;
	s->packets++;
	s->errors += r->error != 0;
	s->accept += !r->error && r->value;
	s->log += !r->error && r->value > 1;
	s->drop += !r->error && !r->value;
}

/* Outputs first, then the journal that counts on them. */
static void write_journal(struct daemon *d, uint64_t index)
{
	struct journal j = {.index = index, .session = d->session};
	if (d->verdicts && (fflush(d->verdicts) || fdatasync(fileno(d->verdicts))))
		return; /* a full disk: nothing is acknowledged, the window fills, the input waits */
	if (d->accepted && capture_sync(d->accepted, &j.accepted))
		return;
	j.verdicts = d->verdicts ? (uint64_t)ftell(d->verdicts) : 0;
	if (journal_write(d->options.journal, &j))
		return;
	d->journal_index = index;
	d->journal_us = d->now_us;
	steerer_durable(&d->steerer, index);
}

void daemon_capture_release(struct daemon *d)
{
	struct steerer_release r;
	while (steerer_next(&d->steerer, &r, d->now_us)) {
		struct vfm_result result = result_of(r.verdict);
		struct vfm_packet packet = {.data = r.packet.data, .len = r.packet.length, .time_us = r.packet.time_us};
		count(d, &result);
		probe_wait(&d->waits, r.waited_us);
		if (d->verdicts)
			(void)verdict_write(d->verdicts, &result);
		if (d->accepted && !result.error && result.value)
			capture_write(d->accepted, &packet);
		uint64_t now = d->options.journal ? steerer_settled(&d->steerer) : 0;
		if (now >= d->journal_index + JOURNAL_PACKETS && now == d->steerer.release)
			write_journal(d, now); /* the files hold exactly the packets before it */
	}
	uint64_t settled = steerer_settled(&d->steerer);
	if (!d->options.journal)
		steerer_durable(&d->steerer, settled);
	else if (settled > d->journal_index && settled == d->steerer.release &&
		 (d->now_us - d->journal_us >= JOURNAL_US || d->at_end))
		write_journal(d, settled);
}

static int open_output(struct daemon *d, uint64_t *index)
{
	const struct daemon_options *o = &d->options;
	char error[CAPTURE_ERROR_BYTES];
	struct journal j = {0};
	int err = o->journal ? journal_read(o->journal, &j) : -ENOENT;
	if (err && err != -ENOENT)
		return daemon_fail(d, err, err == -EINVAL ? "not a journal" : strerror(-err), o->journal,
				   "remove it to begin anew");
	d->session = j.session + 1;
	d->journal_index = *index = j.index;
	if (o->verdicts) {
		d->verdicts = fopen(o->verdicts, *index ? "r+" : "w");
		if (!d->verdicts || ftruncate(fileno(d->verdicts), (off_t)j.verdicts) ||
		    fseek(d->verdicts, (long)j.verdicts, SEEK_SET))
			return daemon_fail(d, -EIO, strerror(errno), o->verdicts, "give a file that can be written");
	}
	if (o->accepted && *index && !j.accepted)
		return daemon_fail(d, -EINVAL, "the journal is of a run without --out", o->journal, "remove it to begin anew");
	if (o->accepted && (*index ? capture_reopen(o->accepted, j.accepted, &d->accepted, error)
				   : capture_create(o->accepted, &d->accepted, error)))
		return daemon_fail(d, -EIO, error, o->accepted, "give a file that can be written");
	return 0;
}

int daemon_capture_open(struct daemon *d)
{
	const struct daemon_options *o = &d->options;
	struct steerer_options so = {.stream = o->stream,
				     .early = o->release == RELEASE_EARLY,
				     .whole = o->accepted != NULL,
				     .n_shards = d->deploy->plan->shards,
				     .window = o->window,
				     .shard_window = SIGMA_MAX_TAIL,
				     .burst = READ_BURST,
				     .flying = STEERER_FLYING,
				     .repeat_us = d->node.options.limits.repeat_us};
	char error[CAPTURE_ERROR_BYTES];
	uint64_t index = 0;
	if (!o->capture)
		return 0;
	int err = open_output(d, &index);
	so.session = d->session;
	if (!err && capture_open(o->capture, &d->capture, error))
		err = daemon_fail(d, -EINVAL, error, o->capture, "give a capture");
	if (!err)
		err = steerer_init(&d->steerer, &so, &d->node.out);
	if (err)
		return err;
	err = node_add_steerer(&d->node, &d->steerer);
	if (!err)
		err = skip_settled(d, index);
	d->allowed = o->stop_at;
	return err;
}

int daemon_capture_close(struct daemon *d)
{
	int err = 0;
	if (d->verdicts && fclose(d->verdicts))
		err = daemon_fail(d, -EIO, strerror(errno), d->options.verdicts, "make room");
	if (capture_finish(d->accepted))
		err = daemon_fail(d, -EIO, "could not be written", d->options.accepted, "make room");
	steerer_fini(&d->steerer);
	if (d->capture)
		capture_close(d->capture);
	return err;
}

bool daemon_capture_through(const struct daemon *d)
{
	return d->at_end && !d->has_pending && steerer_idle(&d->steerer);
}
