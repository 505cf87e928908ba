/* io_pcap.h: a capture as a port: one queue, packets as fast as they are asked for, at the times they carry. */
#ifndef NODE_IO_PCAP_H
#define NODE_IO_PCAP_H

#include "node/io.h"

/* Frames in use at a time: a burst being read and a window being worked on. */
#define IO_PCAP_FRAMES 256u

/* A port that reads capture `in` and writes capture `out`; either may be NULL: nothing comes, what is sent goes nowhere. On failure
 * -EINVAL, -EIO or -ENOMEM and error says "what, where: what to do". A capture that turns out damaged ends there: io_pcap_error(). */
int io_pcap_open(const char *in, const char *out, uint32_t number, struct io **io, char error[IO_ERROR_BYTES]);
/* Why the capture ended before its end; "" if it did not. */
const char *io_pcap_error(const struct io *io);

#endif
