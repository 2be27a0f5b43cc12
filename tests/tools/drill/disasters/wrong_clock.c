/* A time of day that is wrong by up to ten minutes and jumps, for one process. It is loaded before
   the C library. Clocks that nobody sets go on as they are. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define WRONG_BY_SECONDS 600
#define JUMPS_EVERY_SECONDS 7

static int clock_as_it_is(clockid_t id, struct timespec *told)
{
    static int (*real)(clockid_t, struct timespec *);
    if (!real)
        real = dlsym(RTLD_NEXT, "clock_gettime");
    return real(id, told);
}

/* The next number of a sequence that looks like chance ("splitmix64"). */
static uint64_t mixed(uint64_t x)
{
    x += 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
}

static long wrong_by(void)
{
    const char *seed = getenv("WRONG_CLOCK_SEED");
    struct timespec steady;
    clock_as_it_is(CLOCK_MONOTONIC, &steady);
    uint64_t jumps = steady.tv_sec / JUMPS_EVERY_SECONDS;
    uint64_t chance = mixed(mixed(seed ? atoi(seed) : 0) ^ mixed(getpid()) ^ jumps);
    return (long)(chance % (2 * WRONG_BY_SECONDS + 1)) - WRONG_BY_SECONDS;
}

int clock_gettime(clockid_t id, struct timespec *told)
{
    int failed = clock_as_it_is(id, told);
    if (!failed && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
        told->tv_sec += wrong_by();
    return failed;
}

int gettimeofday(struct timeval *restrict told, void *restrict zone)
{
    struct timespec now;
    int failed = clock_gettime(CLOCK_REALTIME, &now);
    (void)zone;
    told->tv_sec = now.tv_sec;
    told->tv_usec = now.tv_nsec / 1000;
    return failed;
}

time_t time(time_t *told)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (told)
        *told = now.tv_sec;
    return now.tv_sec;
}
