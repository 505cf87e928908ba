#include "controller/input.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Of DPDK's memory: each capture is a queue, whose packets either port has buffers for (descriptors and the node's window). */
#define DPDK_MB         208u
#define DPDK_CAPTURE_MB 48u

/* Links have names without the commas and quotes that DPDK's arguments do not bear. */
static int link_capture(const char *capture, const char *directory, uint32_t i)
{
	char name[INPUT_PATH_BYTES], *path = realpath(capture, NULL);
	if (!path)
		return -errno;
	snprintf(name, sizeof name, "%s/in%u.pcap", directory, i);
	int err = symlink(path, name) ? -errno : 0;
	free(path);
	return err;
}

/* The one core may be any processor: a rehearsal has more processes than there are processors. */
static size_t add_core(char *text, size_t room)
{
	cpu_set_t cpus;
	size_t n = 0;
	const char *comma = "";
	if (sched_getaffinity(0, sizeof cpus, &cpus))
		CPU_ZERO(&cpus);
	for (int i = 0; i < CPU_SETSIZE && n < room / 2; i++)
		if (CPU_ISSET(i, &cpus)) {
			n += (size_t)snprintf(text + n, room - n, "%s%d", comma, i);
			comma = ",";
		}
	return n;
}

/* DPDK's arguments: no huge pages, no devices but a port that plays the captures and one that writes what passes. */
static void set_eal(struct input *in, const char *directory)
{
	char *at = in->eal, *end = in->eal + sizeof in->eal;
	at += snprintf(at, sizeof in->eal, "--no-huge --no-pci --no-shconf --no-telemetry -m %u --lcores 0@(",
		       DPDK_MB + DPDK_CAPTURE_MB * in->n_captures);
	at += add_core(at, 1024);
	at += snprintf(at, (size_t)(end - at), ") --vdev net_pcap0");
	for (uint32_t i = 0; i < in->n_captures; i++)
		at += snprintf(at, (size_t)(end - at), ",rx_pcap=%s/in%u.pcap", directory, i);
	snprintf(at, (size_t)(end - at), " --vdev net_pcap1,tx_pcap=%s/passed.pcap", directory);
}

int input_prepare(struct input *in, const char *directory)
{
	int err = 0;
	snprintf(in->verdicts, sizeof in->verdicts, "%s/cluster.verdicts", directory);
	snprintf(in->order, sizeof in->order, "%s/cluster.order", directory);
	snprintf(in->queues, sizeof in->queues, "%u", in->n_captures);
	if (!in->dpdk)
		return 0;
	for (uint32_t i = 0; i < in->n_captures && !err; i++)
		err = link_capture(in->captures[i], directory, i);
	set_eal(in, directory);
	return err;
}

void input_args(const struct input *in, const char **args)
{
	const char *const pcap[] = {"--capture", in->captures[0], "--verdicts", in->verdicts, NULL};
	const char *const dpdk[] = {"--dpdk",   in->eal,    "--in",       "net_pcap0",  "--out",   "net_pcap1", "--one-way",
				    "--queues", in->queues, "--verdicts", in->verdicts, "--order", in->order,   NULL};
	const char *const *more = in->dpdk ? dpdk : pcap;
	while (*args)
		args++;
	while (*more)
		*args++ = *more++;
}

void input_order(const struct input *in, uint32_t i, char name[INPUT_PATH_BYTES + 16])
{
	snprintf(name, INPUT_PATH_BYTES + 16, in->n_captures == 1 ? "%s" : "%s.%u", in->order, i);
}

static int append(const char *from, FILE *out)
{
	char block[65536];
	FILE *in = fopen(from, "r");
	size_t n;
	if (!in)
		return -errno;
	while ((n = fread(block, 1, sizeof block, in)) > 0)
		if (fwrite(block, 1, n, out) != n)
			break;
	int err = ferror(in) || ferror(out) ? -EIO : 0;
	fclose(in);
	return err;
}

int input_join(const struct input *in)
{
	char part[INPUT_PATH_BYTES + 16];
	if (in->n_captures == 1)
		return 0;
	FILE *out = fopen(in->verdicts, "w");
	int err = out ? 0 : -errno;
	for (uint32_t i = 0; i < in->n_captures && !err; i++) {
		snprintf(part, sizeof part, "%s.%u", in->verdicts, i);
		err = append(part, out);
	}
	if (out && fclose(out) && !err)
		err = -EIO;
	return err;
}
