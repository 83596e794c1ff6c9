/* The C reference of `bench wire`: libmodbus, read after read of holding registers, with a silence of t3.5 kept before
 * each request; libmodbus itself keeps none. A guard of 0 shows what it does left alone.
 *
 *   guarded DEVICE BAUD REGISTERS GUARD_NS SECONDS TIMEOUT_MS
 *
 * Prints one JSON object: reads, failed, CPU of the loop, its first and last moment on CLOCK_MONOTONIC.
 */
#include <errno.h>
#include <inttypes.h>
#include <modbus/modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { UNIT = 1, STRIDE = 100, BLOCKS = 4, WARM_UP = 3 };

static int64_t clock_ns(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void sleep_until(int64_t at_ns)
{
    struct timespec t = {at_ns / 1000000000, at_ns % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) {
    }
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        fprintf(stderr, "usage: guarded DEVICE BAUD REGISTERS GUARD_NS SECONDS TIMEOUT_MS\n");
        return 2;
    }
    const int count = atoi(argv[3]);
    const int64_t guard_ns = atoll(argv[4]), length_ns = (int64_t)(atof(argv[5]) * 1e9);
    uint16_t registers[MODBUS_MAX_READ_REGISTERS];
    modbus_t *line = modbus_new_rtu(argv[1], atoi(argv[2]), 'N', 8, 1);
    if (line == NULL || count < 1 || count > MODBUS_MAX_READ_REGISTERS || modbus_set_slave(line, UNIT) != 0 ||
        modbus_set_response_timeout(line, 0, (uint32_t)atoi(argv[6]) * 1000) != 0 || modbus_connect(line) != 0 ||
        modbus_flush(line) < 0) {
        fprintf(stderr, "guarded: %s: %s\n", argv[1], modbus_strerror(errno));
        return 1;
    }
    int64_t begin_ns = 0, end_ns = 0, cpu_ns = 0;
    long reads = 0, failed = 0;
    for (long n = 0;; n++) {
        if (n == WARM_UP) {
            begin_ns = clock_ns(CLOCK_MONOTONIC);
            cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
            reads = failed = 0;
        }
        const int got = modbus_read_registers(line, (int)(n % BLOCKS) * STRIDE, count, registers);
        end_ns = clock_ns(CLOCK_MONOTONIC);
        reads++;
        if (got != count) {
            failed++;
            modbus_flush(line);
        }
        if (n >= WARM_UP && end_ns - begin_ns >= length_ns)
            break;
        if (guard_ns > 0)
            sleep_until(end_ns + guard_ns);
    }
    cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns;
    printf("{\"reads\": %ld, \"failed\": %ld, \"cpu_ns\": %" PRId64 ", \"begin_ns\": %" PRId64 ", \"end_ns\": %" PRId64
           "}\n",
           reads, failed, cpu_ns, begin_ns, end_ns);
    modbus_close(line);
    modbus_free(line);
    return 0;
}
