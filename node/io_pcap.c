/* io_pcap.c: see io_pcap.h. */
#include "node/io_pcap.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/capture.h"
#include "vm/isa.h"

/* A copy of a packet, since a capture's own lives only until the next is read. */
struct frame {
	struct pcap_port *home;
	struct vfm_packet packet;
	uint8_t data[VFM_MAX_PACKET_BYTES];
};

struct pcap_port {
	struct io io; /* first */
	struct capture *in;
	struct capture_writer *out;
	uint64_t received, received_bytes, sent, sent_bytes;
	uint32_t n_idle;
	struct frame *idle[IO_PCAP_FRAMES]; /* the first n_idle are free */
	struct frame *frames;               /* [IO_PCAP_FRAMES] */
};

_Static_assert(IO_ERROR_BYTES >= CAPTURE_ERROR_BYTES, "a capture's error is handed on whole");

/* Reads no further than there are frames: what stays in the file is not lost. */
static void port_rx(struct io *io, uint32_t queue, struct io_burst *b)
{
	struct pcap_port *p = (struct pcap_port *)io;
	struct vfm_packet packet;

	assert(queue == 0);
	b->n = 0;
	while (b->n < IO_BURST_PACKETS && p->n_idle && p->in && !io->ended) {
		struct frame *f;

		if (capture_next(p->in, &packet) != 1) {
			io->ended = true;
			break;
		}
		f = p->idle[--p->n_idle];
		memcpy(f->data, packet.data, packet.len);
		f->packet = packet;
		f->packet.data = f->data;
		f->packet.input = io->number;
		p->received++;
		p->received_bytes += packet.len;
		b->packets[b->n] = f->packet;
		b->frames[b->n++] = f;
	}
}

static void release(struct frame *f)
{
	assert(f->home->n_idle < IO_PCAP_FRAMES);
	f->home->idle[f->home->n_idle++] = f;
}

static uint32_t port_tx(struct io *io, uint32_t queue, void *const *frames, uint32_t n)
{
	struct pcap_port *p = (struct pcap_port *)io;

	assert(queue == 0);
	for (uint32_t i = 0; i < n; i++) {
		struct frame *f = frames[i];

		if (p->out)
			capture_write(p->out, &f->packet);
		p->sent++;
		p->sent_bytes += f->packet.len;
		release(f);
	}
	return n;
}

static void port_free(struct io *io, void *const *frames, uint32_t n)
{
	(void)io;
	for (uint32_t i = 0; i < n; i++)
		release(frames[i]);
}

static void port_counters(struct io *io, struct io_counters *c)
{
	const struct pcap_port *p = (const struct pcap_port *)io;
	struct capture_counters read = p->in ? capture_counters(p->in) : (struct capture_counters){0};

	*c = (struct io_counters){
		.received = p->received,
		.received_bytes = p->received_bytes,
		.cut = read.cut,
		.time_back = read.time_back,
		.sent = p->sent,
		.sent_bytes = p->sent_bytes,
	};
}

static bool port_link_up(struct io *io)
{
	(void)io;
	return true;
}

static int port_close(struct io *io)
{
	struct pcap_port *p = (struct pcap_port *)io;
	int rc = capture_finish(p->out);

	capture_close(p->in);
	free(p->frames);
	free(p);
	return rc;
}

static const struct io_ops pcap_ops = {port_rx, port_tx, port_free, port_counters, port_link_up, port_close};

int io_pcap_open(const char *in, const char *out, uint32_t number, struct io **io, char error[IO_ERROR_BYTES])
{
	struct pcap_port *p = calloc(1, sizeof(*p));
	int rc = -ENOMEM;

	*io = NULL;
	if (p)
		p->frames = malloc(IO_PCAP_FRAMES * sizeof(*p->frames));
	if (!p || !p->frames) {
		snprintf(error, IO_ERROR_BYTES, "out of memory, a capture's frames: close other programs");
		goto out;
	}
	p->io = (struct io){.ops = &pcap_ops, .number = number, .rx_queues = 1, .tx_queues = 1, .ended = !in, .time = "capture"};
	snprintf(p->io.name, sizeof(p->io.name), "%s", in ? in : out ? out : "nowhere");
	for (; p->n_idle < IO_PCAP_FRAMES; p->n_idle++) {
		p->frames[p->n_idle].home = p;
		p->idle[p->n_idle] = &p->frames[p->n_idle];
	}
	rc = in ? capture_open(in, &p->in, error) : 0;
	if (!rc && out)
		rc = capture_create(out, &p->out, error);
	if (!rc)
		*io = &p->io;
out:
	if (rc && p)
		port_close(&p->io);
	return rc;
}

const char *io_pcap_error(const struct io *io)
{
	const struct pcap_port *p = (const struct pcap_port *)io;

	return p->in ? capture_error(p->in) : "";
}
