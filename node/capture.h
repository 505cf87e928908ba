/* capture.h: captures in and out. The one file that knows libpcap.
 *
 * Reads pcap (either byte order, microseconds or nanoseconds) and pcapng; writes pcap. Only Ethernet: the machine's offsets are
 * those of an Ethernet frame. Packets come out as the machine wants them:
 *   - at most VFM_MAX_PACKET_BYTES bytes; longer ones are cut and counted (cut),
 *   - time in microseconds (nanoseconds are rounded down), never going back within one capture: an earlier time is replaced by the
 *     latest one and counted (time_back); times beyond 2^32 seconds are taken as the last microsecond before.
 * A damaged capture is read as far as it goes: capture_next() gives every whole packet before the damage, then -EIO.
 */
#ifndef NODE_CAPTURE_H
#define NODE_CAPTURE_H

#include "vm/packet.h"

#define CAPTURE_ERROR_BYTES 640
#define CAPTURE_MAX_TIME_US 4294967295999999u /* last microsecond of second 2^32 - 1 */

struct capture;

/* What reading counted so far. */
struct capture_counters {
	uint64_t packets;   /* given out */
	uint64_t cut;       /* of them: longer than VFM_MAX_PACKET_BYTES, cut */
	uint64_t time_back; /* of them: earlier than a packet before */
};

/* Opens a capture file, or standard input for "-". On success *out is to be closed with capture_close(). On failure -EINVAL and
 * error holds a line "what, where: what to do": no such file, not a capture, a link type other than Ethernet. */
int capture_open(const char *name, struct capture **out, char error[CAPTURE_ERROR_BYTES]);
void capture_close(struct capture *c);

/* The next packet. 1: *packet is filled (input is 0), its data valid until the next call. 0: the end. -EIO: damaged here, or of
 * another link type from here on; capture_error() says which; asking again gives -EIO again. */
int capture_next(struct capture *c, struct vfm_packet *packet);
/* Why capture_next() gave -EIO, as "what, where: what to do"; "" while it has not. */
const char *capture_error(const struct capture *c);

struct capture_counters capture_counters(const struct capture *c);
/* "standard input" for "-", else the name given. Lives as long as the capture. */
const char *capture_name(const struct capture *c);
/* Share of the file read, 0 to 1; negative when its size is unknown (a pipe). For progress lines. */
double capture_progress(const struct capture *c);

struct capture_writer;

/* Creates a pcap file (microseconds, Ethernet), or writes to standard output for "-". -EIO with error filled as above. */
int capture_create(const char *name, struct capture_writer **out, char error[CAPTURE_ERROR_BYTES]);
/* Takes up a pcap file that capture_create() made, cut to its first `bytes` bytes, as capture_sync() told them. -EIO with error
 * filled. */
int capture_reopen(const char *name, uint64_t bytes, struct capture_writer **out, char error[CAPTURE_ERROR_BYTES]);
/* What has been appended is on the disk, and *bytes is how long the file is. -EIO: it is not. */
int capture_sync(struct capture_writer *w, uint64_t *bytes);
/* Appends the bytes present. Errors show at capture_finish(). */
void capture_write(struct capture_writer *w, const struct vfm_packet *packet);
/* Flushes and closes; frees w. -EIO if anything could not be written. w may be NULL (0). */
int capture_finish(struct capture_writer *w);

#endif
