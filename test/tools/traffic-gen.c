/* traffic-gen.c: writes generated traffic (test/lib/traffic.h) as a capture. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/capture.h"
#include "test/lib/traffic.h"

static const char usage[] = "usage: traffic-gen [--seed N] [--packets N] [--mix KIND=SHARE,...] [--pps N] [--clients N]\n"
			    "                   [--connections N] [--segments N] [--summary] [-o FILE]\n";

static void print_help(void)
{
	struct traffic_config c;

	traffic_config_init(&c);
	printf("%s\nWrites a capture (pcap, Ethernet, microseconds) of generated traffic. The same options give the same bytes.\n\n"
	       "  -s, --seed N          what the traffic depends on (%" PRIu64 ")\n"
	       "  -n, --packets N       how many packets (%" PRIu64 ")\n"
	       "  -m, --mix LIST        the kinds and their shares, such as tcp=60,syn-flood=40; kinds not named are left out\n"
	       "  -r, --pps N           packets a second, on average, 1 to 1000000 (%u)\n"
	       "  -C, --clients N       client addresses, 1 to 65535 (%u)\n"
	       "  -c, --connections N   connections open at a time, of each of tcp, ip6, vlan, 1 to %u (%u)\n"
	       "  -g, --segments N      data segments of the largest connection, 1 to %u (%u)\n"
	       "  -o, --output FILE     where to; - is standard output (-)\n"
	       "  -S, --summary         print how many packets of each kind there are, on standard error\n"
	       "  -h, --help            this text\n"
	       "  -V, --version         version\n\n"
	       "Kinds, with their share of 100 packets in the standard mix:\n",
	       usage, c.seed, c.packets, c.packets_per_second, c.clients, TRAFFIC_MAX_CONNECTIONS, c.connections,
	       TRAFFIC_MAX_SEGMENTS, c.max_segments);
	for (unsigned k = 0; k < TRAFFIC_KINDS; k++)
		printf("  %-18s %3u  %s\n", traffic_kind_name(k), c.share[k], traffic_kind_text(k));
}

/* A number of least to most; exits on anything else. */
static uint64_t number(const char *option, const char *text, uint64_t least, uint64_t most)
{
	char *end;
	uint64_t n;

	errno = 0;
	n = strtoull(text, &end, 0);
	if (errno || *end || *text < '0' || *text > '9' || n < least || n > most) {
		fprintf(stderr, "traffic-gen: %s, --%s: give a number of %" PRIu64 " to %" PRIu64 "\n", text, option, least, most);
		exit(2);
	}
	return n;
}

static void set_mix(struct traffic_config *config, const char *mix)
{
	const char *where;

	if (!traffic_config_mix(config, mix, &where))
		return;
	fprintf(stderr, "traffic-gen: \"%s\", --mix: give KIND=SHARE,... with a share above 0 and at most 1000000; kinds are",
		where);
	for (unsigned k = 0; k < TRAFFIC_KINDS; k++)
		fprintf(stderr, " %s", traffic_kind_name(k));
	fputs("\n", stderr);
	exit(2);
}

static void parse_options(int argc, char **argv, struct traffic_config *c, const char **output, bool *summary)
{
	static const struct option options[] = {
		{"seed", 1, NULL, 's'},        {"packets", 1, NULL, 'n'},  {"mix", 1, NULL, 'm'},     {"pps", 1, NULL, 'r'},
		{"clients", 1, NULL, 'C'},     {"segments", 1, NULL, 'g'}, {"output", 1, NULL, 'o'},  {"summary", 0, NULL, 'S'},
		{"connections", 1, NULL, 'c'}, {"help", 0, NULL, 'h'},     {"version", 0, NULL, 'V'}, {NULL, 0, NULL, 0},
	};
	int o;

	while ((o = getopt_long(argc, argv, "s:n:m:r:C:c:g:o:ShV", options, NULL)) != -1) {
		switch (o) {
		case 's':
			c->seed = number("seed", optarg, 0, UINT64_MAX);
			break;
		case 'n':
			c->packets = number("packets", optarg, 0, UINT32_MAX);
			break;
		case 'm':
			set_mix(c, optarg);
			break;
		case 'r':
			c->packets_per_second = number("pps", optarg, 1, 1000000);
			break;
		case 'C':
			c->clients = number("clients", optarg, 1, 65535);
			break;
		case 'c':
			c->connections = number("connections", optarg, 1, TRAFFIC_MAX_CONNECTIONS);
			break;
		case 'g':
			c->max_segments = number("segments", optarg, 1, TRAFFIC_MAX_SEGMENTS);
			break;
		case 'o':
			*output = optarg;
			break;
		case 'S':
			*summary = true;
			break;
		case 'h':
			print_help();
			exit(0);
		case 'V':
			puts("traffic-gen 1.0.0");
			exit(0);
		default:
			fputs(usage, stderr);
			exit(2);
		}
	}
	if (optind < argc) {
		fprintf(stderr, "traffic-gen: %s, command line: traffic-gen takes options only\n%s", argv[optind], usage);
		exit(2);
	}
}

static void write_all(struct traffic *t, struct capture_writer *w, uint64_t counts[TRAFFIC_KINDS])
{
	uint8_t buf[PACKET_BYTES];
	struct vfm_packet packet = {.data = buf};

	while (traffic_next(t, buf, &packet.len, &packet.time_us)) {
		capture_write(w, &packet);
		counts[traffic_note(t)->kind]++;
	}
}

int main(int argc, char **argv)
{
	uint64_t counts[TRAFFIC_KINDS] = {0};
	char error[CAPTURE_ERROR_BYTES];
	struct traffic_config config;
	const char *output = "-";
	struct capture_writer *w;
	bool summary = false;
	struct traffic *t;

	traffic_config_init(&config);
	parse_options(argc, argv, &config, &output, &summary);
	t = traffic_new(&config);
	if (!t) {
		fputs("traffic-gen: memory, start: give fewer --connections\n", stderr);
		return 1;
	}
	if (capture_create(output, &w, error)) {
		fprintf(stderr, "traffic-gen: %s\n", error);
		traffic_free(t);
		return 1;
	}
	write_all(t, w, counts);
	traffic_free(t);
	if (capture_finish(w)) {
		fprintf(stderr, "traffic-gen: %s, writing: %s: make room or give another --output\n", output, strerror(errno));
		return 1;
	}
	for (unsigned k = 0; summary && k < TRAFFIC_KINDS; k++)
		fprintf(stderr, "%-18s %10" PRIu64 "\n", traffic_kind_name(k), counts[k]);
	return 0;
}
