/* capture.c: captures through libpcap. See capture.h. */
#include "node/capture.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vm/isa.h"

struct capture {
	pcap_t *pcap;
	char *name;
	uint64_t latest_us;
	off_t size_bytes; /* 0: unknown */
	struct capture_counters counters;
	bool ended;
	int status; /* 0, or -EIO once damaged */
	char error[CAPTURE_ERROR_BYTES];
};

static bool is_standard(const char *name)
{
	return strcmp(name, "-") == 0;
}

static const char *shown_name(const char *name, const char *standard)
{
	return is_standard(name) ? standard : name;
}

/* libpcap's words without a leading "NAME: ", since the name stands elsewhere in our line. */
static const char *without_name(const char *text, const char *name)
{
	size_t n = strlen(name);

	return strncmp(text, name, n) == 0 && strncmp(text + n, ": ", 2) == 0 ? text + n + 2 : text;
}

/* -EINVAL with error filled unless the capture is Ethernet. */
static int check_link_type(pcap_t *pcap, const char *name, char error[CAPTURE_ERROR_BYTES])
{
	int type = pcap_datalink(pcap);
	const char *short_name = pcap_datalink_val_to_name(type);
	const char *words = pcap_datalink_val_to_description(type);

	if (type == DLT_EN10MB)
		return 0;
	snprintf(error, CAPTURE_ERROR_BYTES,
		 "link type %s (%s) instead of Ethernet, %.200s: filters count from the Ethernet header; capture on an Ethernet "
		 "interface or rewrite the file with Ethernet headers",
		 short_name ? short_name : "unknown", words ? words : "not known to libpcap", name);
	return -EINVAL;
}

int capture_open(const char *name, struct capture **out, char error[CAPTURE_ERROR_BYTES])
{
	char text[PCAP_ERRBUF_SIZE] = "";
	const char *shown = shown_name(name, "standard input");
	struct capture *c = calloc(1, sizeof(*c));
	struct stat st;
	int rc = -EINVAL;

	*out = NULL;
	if (!c || !(c->name = strdup(shown))) {
		snprintf(error, CAPTURE_ERROR_BYTES, "out of memory, %.200s: close other programs", shown);
		goto out;
	}
	c->pcap = pcap_open_offline_with_tstamp_precision(name, PCAP_TSTAMP_PRECISION_MICRO, text);
	if (!c->pcap) {
		snprintf(error, CAPTURE_ERROR_BYTES, "%.250s, %.200s: give a pcap or pcapng capture", without_name(text, name),
			 shown);
		goto out;
	}
	rc = check_link_type(c->pcap, shown, error);
	if (rc)
		goto out;
	if (fstat(fileno(pcap_file(c->pcap)), &st) == 0 && S_ISREG(st.st_mode))
		c->size_bytes = st.st_size;
	*out = c;
out:
	if (rc)
		capture_close(c);
	return rc;
}

void capture_close(struct capture *c)
{
	if (!c)
		return;
	if (c->pcap)
		pcap_close(c->pcap);
	free(c->name);
	free(c);
}

/* pcap's seconds are 32 bits unsigned, which libpcap hands on as signed ones. */
static uint64_t packet_time_us(const struct pcap_pkthdr *h)
{
	uint64_t s = h->ts.tv_sec < 0 ? (uint32_t)h->ts.tv_sec : (uint64_t)h->ts.tv_sec;
	uint64_t us;

	if (s > UINT32_MAX)
		return CAPTURE_MAX_TIME_US;
	us = s * 1000000 + (uint32_t)h->ts.tv_usec;
	return us < CAPTURE_MAX_TIME_US ? us : CAPTURE_MAX_TIME_US;
}

static int damaged(struct capture *c)
{
	c->status = -EIO;
	snprintf(c->error, sizeof(c->error),
		 "%.250s, %.200s after packet %llu: results cover what lies before; mend the rest or take it again",
		 pcap_geterr(c->pcap), c->name, (unsigned long long)c->counters.packets);
	return -EIO;
}

int capture_next(struct capture *c, struct vfm_packet *packet)
{
	struct pcap_pkthdr *header;
	const u_char *data;
	uint64_t us;
	int rc;

	if (c->ended)
		return c->status;
	rc = pcap_next_ex(c->pcap, &header, &data);
	if (rc != 1) {
		c->ended = true;
		return rc == PCAP_ERROR_BREAK ? 0 : damaged(c);
	}
	us = packet_time_us(header);
	c->counters.packets++;
	c->counters.cut += header->caplen > VFM_MAX_PACKET_BYTES;
	c->counters.time_back += us < c->latest_us;
	if (us > c->latest_us)
		c->latest_us = us;
	*packet = (struct vfm_packet){
		.data = data,
		.len = header->caplen < VFM_MAX_PACKET_BYTES ? header->caplen : VFM_MAX_PACKET_BYTES,
		.time_us = c->latest_us,
	};
	return 1;
}

const char *capture_error(const struct capture *c)
{
	return c->error;
}

struct capture_counters capture_counters(const struct capture *c)
{
	return c->counters;
}

const char *capture_name(const struct capture *c)
{
	return c->name;
}

double capture_progress(const struct capture *c)
{
	off_t at = c->size_bytes > 0 ? ftello(pcap_file(c->pcap)) : -1;

	return at < 0 ? -1 : (double)at / (double)c->size_bytes;
}

struct capture_writer {
	pcap_t *pcap;
	pcap_dumper_t *dumper;
};

static struct capture_writer *new_writer(const char *shown, char error[CAPTURE_ERROR_BYTES])
{
	struct capture_writer *w = calloc(1, sizeof(*w));

	if (w)
		w->pcap = pcap_open_dead_with_tstamp_precision(DLT_EN10MB, VFM_MAX_PACKET_BYTES, PCAP_TSTAMP_PRECISION_MICRO);
	if (w && w->pcap)
		return w;
	snprintf(error, CAPTURE_ERROR_BYTES, "out of memory, %.200s: close other programs", shown);
	free(w);
	return NULL;
}

/* Whether the dumper was opened; frees w if not. */
static int opened(struct capture_writer *w, const char *name, const char *shown, char error[CAPTURE_ERROR_BYTES])
{
	if (w->dumper)
		return 0;
	snprintf(error, CAPTURE_ERROR_BYTES, "%.250s, %.200s: name a file that can be written",
		 without_name(pcap_geterr(w->pcap), name), shown);
	pcap_close(w->pcap);
	free(w);
	return -EIO;
}

int capture_create(const char *name, struct capture_writer **out, char error[CAPTURE_ERROR_BYTES])
{
	const char *shown = shown_name(name, "standard output");
	struct capture_writer *w = new_writer(shown, error);

	*out = NULL;
	if (!w)
		return -EIO;
	w->dumper = pcap_dump_open(w->pcap, name);
	if (opened(w, name, shown, error))
		return -EIO;
	*out = w;
	return 0;
}

int capture_reopen(const char *name, uint64_t bytes, struct capture_writer **out, char error[CAPTURE_ERROR_BYTES])
{
	struct capture_writer *w;
	struct stat file;

	*out = NULL;
	if (stat(name, &file) || (uint64_t)file.st_size < bytes || truncate(name, (off_t)bytes)) {
		snprintf(error, CAPTURE_ERROR_BYTES,
			 "shorter than its journal says, or gone, %.200s: remove the journal to begin anew", name);
		return -EIO;
	}
	w = new_writer(name, error);
	if (!w)
		return -EIO;
	w->dumper = pcap_dump_open_append(w->pcap, name);
	if (opened(w, name, name, error))
		return -EIO;
	*out = w;
	return 0;
}

int capture_sync(struct capture_writer *w, uint64_t *bytes)
{
	FILE *f = pcap_dump_file(w->dumper);
	int64_t at;

	if (pcap_dump_flush(w->dumper) || ferror(f) || fdatasync(fileno(f)))
		return -EIO;
	at = pcap_dump_ftell64(w->dumper);
	*bytes = (uint64_t)at;
	return at < 0 ? -EIO : 0;
}

void capture_write(struct capture_writer *w, const struct vfm_packet *packet)
{
	struct pcap_pkthdr header = {
		.ts = {.tv_sec = (time_t)(packet->time_us / 1000000), .tv_usec = (suseconds_t)(packet->time_us % 1000000)},
		.caplen = packet->len,
		.len = packet->len,
	};

	pcap_dump((u_char *)w->dumper, &header, packet->data);
}

int capture_finish(struct capture_writer *w)
{
	int rc;

	if (!w)
		return 0;
	rc = pcap_dump_flush(w->dumper) || ferror(pcap_dump_file(w->dumper)) ? -EIO : 0;
	pcap_dump_close(w->dumper);
	pcap_close(w->pcap);
	free(w);
	return rc;
}
