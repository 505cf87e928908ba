/* io.h: packet input and output in bursts: one interface over captures (io_pcap.h) and DPDK ports (io_dpdk.h).
 *
 *     struct io_burst b;
 *     if (io_rx(in, queue, &b))                     frames now belong to the caller,
 *             sent = io_tx(out, queue, b.frames, b.n);       who gives each of them away exactly once:
 *     io_free(in, b.frames + sent, b.n - sent);     to io_tx() of any port of the same kind, or to io_free().
 *
 * A frame is what the kind of port moves (an mbuf, a copy of a capture's packet); packets[i] is how the machine sees frames[i],
 * valid as long as the frame is. A queue is polled by one core at a time. Nothing here allocates after opening.
 */
#ifndef NODE_IO_H
#define NODE_IO_H

#include <stdbool.h>

#include "vm/packet.h"

#define IO_BURST_PACKETS 64
#define IO_MAX_QUEUES    16
#define IO_ERROR_BYTES   640
#define IO_NAME_BYTES    128

struct io_burst {
	uint32_t n;
	struct vfm_packet packets[IO_BURST_PACKETS];
	void *frames[IO_BURST_PACKETS];
};

/* X(name, what it counts): all are packets since opening, unless the name says otherwise. */
#define IO_COUNTERS(X) \
	X(received, "given to the caller") \
	X(received_bytes, "bytes of them") \
	X(missed, "lost because the receive queue was full") \
	X(rx_errors, "refused by the port as damaged") \
	X(no_buffer, "lost because no buffer was free") \
	X(cut, "longer than VFM_MAX_PACKET_BYTES, cut for the machine, whole on output") \
	X(gathered, "in several segments, copied together") \
	X(time_back, "earlier than a packet before, its time taken instead") \
	X(stamped, "whose time is their own stamp") \
	X(sent, "given to the port") \
	X(sent_bytes, "bytes of them")

struct io_counters {
#define IO_COUNTER_FIELD(name, text) uint64_t name;
	IO_COUNTERS(IO_COUNTER_FIELD)
#undef IO_COUNTER_FIELD
};

struct io;

struct io_ops {
	void (*rx)(struct io *io, uint32_t queue, struct io_burst *b);
	uint32_t (*tx)(struct io *io, uint32_t queue, void *const *frames, uint32_t n);
	void (*free)(struct io *io, void *const *frames, uint32_t n);
	void (*counters)(struct io *io, struct io_counters *c);
	bool (*link_up)(struct io *io);
	int (*close)(struct io *io);
};

/* What every kind of port begins with. */
struct io {
	const struct io_ops *ops;
	uint32_t number;    /* what vfm_packet.input says */
	uint32_t rx_queues; /* 0: cannot be read */
	uint32_t tx_queues; /* 0: cannot be written */
	bool ended;         /* nothing will ever come again (a capture read to its end) */
	const char *time; /* what tells the time of packets: "capture", "port" (its receive stamps), "tsc" (when they were found) */
	char name[IO_NAME_BYTES];
};

/* Up to IO_BURST_PACKETS packets that are there now; their number, in b->n too. Never waits. */
static inline uint32_t io_rx(struct io *io, uint32_t queue, struct io_burst *b)
{
	io->ops->rx(io, queue, b);
	return b->n;
}

/* Hands the first k of n frames to the port and returns k; the caller keeps the others (the queue is full). */
static inline uint32_t io_tx(struct io *io, uint32_t queue, void *const *frames, uint32_t n)
{
	return io->ops->tx(io, queue, frames, n);
}

static inline void io_free(struct io *io, void *const *frames, uint32_t n)
{
	io->ops->free(io, frames, n);
}

/* As of now; may be called from any thread. */
static inline void io_counters(struct io *io, struct io_counters *c)
{
	io->ops->counters(io, c);
}

/* False: no carrier, or the port is gone. */
static inline bool io_link_up(struct io *io)
{
	return io->ops->link_up(io);
}

/* Releases the port; no frame of it may be in use any more. io may be NULL (0). -EIO: what was sent could not all be written. */
static inline int io_close(struct io *io)
{
	return io ? io->ops->close(io) : 0;
}

#endif
