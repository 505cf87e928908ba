/* wire-probe: sends stamped frames by one interface and takes them at another: what lies between takes how long, and how many a second?
 *
 *     wire-probe SEND RECEIVE PPS MS       paced: PPS frames a second; 0: as many as come through with at most WINDOW under way
 *
 * Frames are 64 bytes, UDP over IPv4, their source address one of FLOWS in turn. Prints one JSON object: sent, received, seconds, and
 * the waits as [least tenth of a microsecond, frames] of every bucket that holds any (node/probe.h). One thread, which never sleeps.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "node/probe.h"

#define FRAME_BYTES 64
#define FLOWS       1000u
#define WINDOW      512u
#define LOST_NS     100000000u /* a frame that has not come by then will not */
#define MAGIC       0x766d7072u
#define AT_SOURCE   26
#define AT_STAMP    42 /* payload: magic, number, nanoseconds */

struct stamp {
	uint32_t magic, number;
	uint64_t sent_ns;
} __attribute__((packed));

struct run {
	int out, in;
	uint64_t sent, received, lost, heard_ns;
	struct probe_waits waits;
	uint8_t frame[FRAME_BYTES];
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* A socket that hears, and sends by, one interface alone; -1 with errno. */
static int bind_to(const char *interface)
{
	struct sockaddr_ll a = {
		.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)if_nametoindex(interface)};
	int s = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), bytes = 8 << 20;

	if (s < 0 || !a.sll_ifindex || bind(s, (struct sockaddr *)&a, sizeof(a)))
		return -1;
	(void)setsockopt(s, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	return s;
}

static void make_frame(uint8_t frame[FRAME_BYTES])
{
	static const uint8_t head[] = {2,  0,  0, 0, 0,  1, 2, 0, 0,  0, 0, 2, 8, 0, 0x45, 0, 0, FRAME_BYTES - 14, 0, 0, 0, 0,
				       64, 17, 0, 0, 10, 0, 0, 0, 10, 9, 9, 9, 0, 7, 0,    7, 0, FRAME_BYTES - 34};

	memset(frame, 0, FRAME_BYTES);
	memcpy(frame, head, sizeof(head));
}

static void send_one(struct run *r, uint64_t now)
{
	struct stamp stamp = {MAGIC, (uint32_t)r->sent, now};
	uint16_t source = htons((uint16_t)(r->sent % FLOWS));

	memcpy(r->frame + AT_SOURCE + 2, &source, 2);
	memcpy(r->frame + AT_STAMP, &stamp, sizeof(stamp));
	if (send(r->out, r->frame, FRAME_BYTES, 0) == FRAME_BYTES)
		r->sent++;
}

static void take_all(struct run *r)
{
	uint8_t frame[2048];
	struct stamp stamp;
	ssize_t n;

	while ((n = recv(r->in, frame, sizeof(frame), 0)) > 0) {
		memcpy(&stamp, frame + AT_STAMP, sizeof(stamp));
		if (n != FRAME_BYTES || stamp.magic != MAGIC)
			continue;
		r->heard_ns = now_ns();
		r->received++;
		probe_wait(&r->waits, (r->heard_ns - stamp.sent_ns) / 100);
	}
}

static void go(struct run *r, uint64_t pps, uint64_t end_ns)
{
	uint64_t began = now_ns(), now;

	r->heard_ns = began;
	while ((now = now_ns()) < end_ns) {
		if (pps ? r->sent * 1000000000 / pps <= now - began : r->sent - r->received - r->lost < WINDOW)
			send_one(r, now);
		take_all(r);
		if (!pps && now - r->heard_ns > LOST_NS) {
			r->lost = r->sent - r->received;
			r->heard_ns = now;
		}
	}
	while (r->received < r->sent && now_ns() < end_ns + LOST_NS)
		take_all(r);
}

static void print(const struct run *r, double seconds)
{
	const char *comma = "";

	printf("{\"sent\":%" PRIu64 ",\"received\":%" PRIu64 ",\"seconds\":%.6f,\"waits\":[", r->sent, r->received, seconds);
	for (uint32_t i = 0; i < PROBE_BUCKETS; i++) {
		if (!r->waits.n[i])
			continue;
		printf("%s[%" PRIu64 ",%" PRIu64 "]", comma, probe_bucket_us(i), r->waits.n[i]);
		comma = ",";
	}
	puts("]}");
}

int main(int argc, char **argv)
{
	static struct run r;
	uint64_t began = now_ns();

	if (argc != 5) {
		fprintf(stderr, "usage: wire-probe SEND RECEIVE PPS MS\n");
		return 2;
	}
	r.out = bind_to(argv[1]);
	r.in = r.out < 0 ? -1 : bind_to(argv[2]);
	if (r.in < 0) {
		fprintf(stderr, "wire-probe: %s, %s: name an interface that is there, as root\n", strerror(errno),
			r.out < 0 ? argv[1] : argv[2]);
		return 1;
	}
	make_frame(r.frame);
	go(&r, strtoull(argv[3], NULL, 10), began + strtoull(argv[4], NULL, 10) * 1000000);
	print(&r, strtod(argv[4], NULL) / 1e3);
	close(r.in);
	close(r.out);
	return 0;
}
