/* test_capture.c: reading and writing captures, on files made here byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/capture.h"
#include "vm/isa.h"

#define MAGIC_US 0xa1b2c3d4u
#define MAGIC_NS 0xa1b23c4du
#define ETHERNET 1u

static char path[64];

static int make_path(void **state)
{
	int fd;

	(void)state;
	strcpy(path, "/tmp/capture-XXXXXX");
	fd = mkstemp(path);
	return fd < 0 ? -1 : close(fd);
}

static int remove_path(void **state)
{
	(void)state;
	return unlink(path);
}

static void put32(FILE *f, uint32_t v, bool swapped)
{
	v = swapped ? __builtin_bswap32(v) : v;
	assert_int_equal(fwrite(&v, sizeof(v), 1, f), 1);
}

static void put16(FILE *f, uint16_t v, bool swapped)
{
	v = swapped ? __builtin_bswap16(v) : v;
	assert_int_equal(fwrite(&v, sizeof(v), 1, f), 1);
}

static FILE *begin_pcap(uint32_t magic, uint32_t link_type, bool swapped)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	put32(f, magic, swapped);
	put16(f, 2, swapped);
	put16(f, 4, swapped);
	put32(f, 0, swapped);
	put32(f, 0, swapped);
	put32(f, 262144, swapped);
	put32(f, link_type, swapped);
	return f;
}

/* One record of len bytes that count up from first. */
static void put_packet(FILE *f, uint32_t s, uint32_t fraction, uint32_t len, uint8_t first, bool swapped)
{
	put32(f, s, swapped);
	put32(f, fraction, swapped);
	put32(f, len, swapped);
	put32(f, len, swapped);
	for (uint32_t i = 0; i < len; i++)
		fputc((uint8_t)(first + i), f);
}

static struct capture *open_path(void)
{
	char error[CAPTURE_ERROR_BYTES] = "";
	struct capture *c;

	if (capture_open(path, &c, error))
		fail_msg("%s", error);
	return c;
}

static void expect_packet(struct capture *c, uint64_t time_us, uint32_t len, uint8_t first)
{
	struct vfm_packet p;

	assert_int_equal(capture_next(c, &p), 1);
	assert_int_equal(p.time_us, time_us);
	assert_int_equal(p.len, len);
	assert_int_equal(p.input, 0);
	for (uint32_t i = 0; i < len; i++)
		assert_int_equal(p.data[i], (uint8_t)(first + i));
}

static void check_form(uint32_t magic, uint32_t fraction, bool swapped)
{
	struct vfm_packet p;
	FILE *f = begin_pcap(magic, ETHERNET, swapped);
	struct capture *c;

	put_packet(f, 1500000000, fraction, 60, 7, swapped);
	put_packet(f, 3000000000u, fraction, 0, 0, swapped);
	assert_int_equal(fclose(f), 0);
	c = open_path();
	expect_packet(c, 1500000000123456u, 60, 7);
	expect_packet(c, 3000000000123456u, 0, 0);
	assert_int_equal(capture_next(c, &p), 0);
	assert_int_equal(capture_next(c, &p), 0);
	assert_string_equal(capture_error(c), "");
	assert_int_equal(capture_counters(c).packets, 2);
	capture_close(c);
}

static void reads_pcap_of_both_byte_orders_and_precisions(void **state)
{
	(void)state;
	check_form(MAGIC_US, 123456, false);
	check_form(MAGIC_US, 123456, true);
	check_form(MAGIC_NS, 123456789, false);
	check_form(MAGIC_NS, 123456789, true);
}

static void reads_pcapng(void **state)
{
	struct capture *c;
	struct vfm_packet p;
	FILE *f = fopen(path, "wb");
	uint32_t words[] = {
		0x0a0d0d0a, 28, 0x1a2b3c4d, 1,          ~0u,        ~0u, 28,             /* section header */
		1,          20, ETHERNET,   0,          20,                              /* interface, microseconds */
		6,          36, 0,          0x00055a7e, 0x0b8e4a40, 4,   4,  0x04030201, /* packet of 4 bytes */
		36,
	};

	(void)state;
	assert_non_null(f);
	assert_int_equal(fwrite(words, sizeof(words), 1, f), 1);
	assert_int_equal(fclose(f), 0);
	c = open_path();
	expect_packet(c, 0x00055a7e0b8e4a40u, 4, 1);
	assert_int_equal(capture_next(c, &p), 0);
	capture_close(c);
}

static void time_never_goes_back_and_each_step_back_is_counted(void **state)
{
	FILE *f = begin_pcap(MAGIC_US, ETHERNET, false);
	struct capture *c;

	(void)state;
	put_packet(f, 10, 500, 1, 1, false);
	put_packet(f, 10, 400, 1, 2, false);
	put_packet(f, 10, 450, 1, 3, false);
	put_packet(f, 10, 500, 1, 4, false);
	put_packet(f, 11, 0, 1, 5, false);
	assert_int_equal(fclose(f), 0);
	c = open_path();
	expect_packet(c, 10000500, 1, 1);
	expect_packet(c, 10000500, 1, 2);
	expect_packet(c, 10000500, 1, 3);
	expect_packet(c, 10000500, 1, 4);
	expect_packet(c, 11000000, 1, 5);
	assert_int_equal(capture_counters(c).time_back, 2);
	capture_close(c);
}

static void packets_above_the_machines_length_are_cut_and_counted(void **state)
{
	FILE *f = begin_pcap(MAGIC_US, ETHERNET, false);
	struct capture *c;

	(void)state;
	put_packet(f, 1, 0, VFM_MAX_PACKET_BYTES, 1, false);
	put_packet(f, 1, 0, VFM_MAX_PACKET_BYTES + 1, 2, false);
	put_packet(f, 1, 0, 200000, 3, false);
	assert_int_equal(fclose(f), 0);
	c = open_path();
	expect_packet(c, 1000000, VFM_MAX_PACKET_BYTES, 1);
	assert_int_equal(capture_counters(c).cut, 0);
	expect_packet(c, 1000000, VFM_MAX_PACKET_BYTES, 2);
	expect_packet(c, 1000000, VFM_MAX_PACKET_BYTES, 3);
	assert_int_equal(capture_counters(c).cut, 2);
	capture_close(c);
}

static void garbage_fractions_of_a_second_do_no_harm(void **state)
{
	FILE *f = begin_pcap(MAGIC_US, ETHERNET, false);
	struct capture *c;

	(void)state;
	put_packet(f, UINT32_MAX, UINT32_MAX, 1, 1, false);
	assert_int_equal(fclose(f), 0);
	c = open_path();
	expect_packet(c, CAPTURE_MAX_TIME_US, 1, 1);
	capture_close(c);
}

static void a_truncated_capture_is_read_as_far_as_it_goes(void **state)
{
	FILE *f = begin_pcap(MAGIC_US, ETHERNET, false);
	struct vfm_packet p;
	struct capture *c;

	(void)state;
	put_packet(f, 1, 0, 60, 1, false);
	put_packet(f, 2, 0, 60, 2, false);
	assert_int_equal(fflush(f), 0);
	assert_int_equal(ftruncate(fileno(f), 24 + 76 + 16 + 59), 0);
	assert_int_equal(fclose(f), 0);
	c = open_path();
	expect_packet(c, 1000000, 60, 1);
	assert_int_equal(capture_next(c, &p), -EIO);
	assert_int_equal(capture_next(c, &p), -EIO);
	assert_non_null(strstr(capture_error(c), "truncated dump file"));
	assert_non_null(strstr(capture_error(c), "after packet 1:"));
	capture_close(c);
}

static void expect_refusal(const char *name, const char *words)
{
	char error[CAPTURE_ERROR_BYTES] = "";
	struct capture *c;

	assert_int_equal(capture_open(name, &c, error), -EINVAL);
	assert_null(c);
	if (!strstr(error, words))
		fail_msg("\"%s\" lacks \"%s\"", error, words);
}

static void what_is_no_ethernet_capture_is_refused_with_the_reason(void **state)
{
	FILE *f = begin_pcap(MAGIC_US, 12, false);

	(void)state;
	assert_int_equal(fclose(f), 0);
	expect_refusal(path, "link type RAW (Raw IP) instead of Ethernet");
	f = begin_pcap(MAGIC_US, 60000, false);
	assert_int_equal(fclose(f), 0);
	expect_refusal(path, "link type unknown (not known to libpcap) instead of Ethernet");
	f = fopen(path, "wb");
	fputs("no capture at all, only words", f);
	assert_int_equal(fclose(f), 0);
	expect_refusal(path, "unknown file format");
	f = fopen(path, "wb");
	assert_int_equal(fclose(f), 0);
	expect_refusal(path, "truncated dump file");
	expect_refusal("/nowhere/at/all.pcap", "No such file or directory, /nowhere/at/all.pcap: give a pcap or pcapng capture");
}

static void what_is_written_reads_back_the_same(void **state)
{
	char error[CAPTURE_ERROR_BYTES] = "";
	struct capture_writer *w;
	struct capture *c;
	uint8_t data[1000];

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i + 9);
	assert_int_equal(capture_create(path, &w, error), 0);
	capture_write(w, &(struct vfm_packet){.data = data, .len = 1000, .time_us = 1700000000999999u});
	capture_write(w, &(struct vfm_packet){.data = data, .len = 0, .time_us = 1700000001000000u});
	assert_int_equal(capture_finish(w), 0);
	c = open_path();
	expect_packet(c, 1700000000999999u, 1000, 9);
	expect_packet(c, 1700000001000000u, 0, 9);
	capture_close(c);
}

static void a_writer_reports_what_it_could_not_write(void **state)
{
	char error[CAPTURE_ERROR_BYTES] = "";
	struct capture_writer *w;

	(void)state;
	assert_int_equal(capture_create("/nowhere/at/all.pcap", &w, error), -EIO);
	assert_string_equal(error, "No such file or directory, /nowhere/at/all.pcap: name a file that can be written");
	assert_int_equal(capture_create("/dev/full", &w, error), 0);
	assert_int_equal(capture_finish(w), -EIO);
	assert_int_equal(capture_finish(NULL), 0);
}

static void progress_is_known_for_files(void **state)
{
	FILE *f = begin_pcap(MAGIC_US, ETHERNET, false);
	struct vfm_packet p;
	struct capture *c;

	(void)state;
	put_packet(f, 1, 0, 60, 1, false);
	assert_int_equal(fclose(f), 0);
	c = open_path();
	assert_true(capture_progress(c) >= 0 && capture_progress(c) < 1);
	assert_int_equal(capture_next(c, &p), 1);
	assert_true(capture_progress(c) == 1);
	assert_string_equal(capture_name(c), path);
	capture_close(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_pcap_of_both_byte_orders_and_precisions),
		cmocka_unit_test(reads_pcapng),
		cmocka_unit_test(time_never_goes_back_and_each_step_back_is_counted),
		cmocka_unit_test(packets_above_the_machines_length_are_cut_and_counted),
		cmocka_unit_test(garbage_fractions_of_a_second_do_no_harm),
		cmocka_unit_test(a_truncated_capture_is_read_as_far_as_it_goes),
		cmocka_unit_test(what_is_no_ethernet_capture_is_refused_with_the_reason),
		cmocka_unit_test(what_is_written_reads_back_the_same),
		cmocka_unit_test(a_writer_reports_what_it_could_not_write),
		cmocka_unit_test(progress_is_known_for_files),
	};

	return cmocka_run_group_tests(tests, make_path, remove_path);
}
