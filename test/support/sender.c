// sender DEVICE [count=N] [pps=N] [pattern=even|poisson|bursty] [burst=N] [ramp=FROM:TO:MS] [curve=linear|exponential]
//        [pulse=N:MS[:MS]] [seed=N] [at=MS] [for=MS] [size=BYTES] [upto=BYTES] [first=N] [stream=N] [src=MAC] [ip=ADDRESS]
//        [proto=N] [port=N] [vlan=ID] [log=FILE] [cpu=N] [tun=1]
//
// Numbered UDP frames through AF_PACKET, for namespaces and loopback only: the test suite's own traffic. Each carries
// its number (64 bits, little-endian) first in the UDP payload, behind that the time it was sent (CLOCK_REALTIME, ns)
// and its stream (16 bits). At most `count` frames in at most 20 s; SIGTERM ends it early.
//
// When: at `pps` (0: as many as go), spaced evenly, by a Poisson process, or in bursts of `burst` frames back to back
// that come by one. `ramp`: the rate grows from one to the other within that time and stays there; where it is more
// than the machine's most it is that. `pulse`: N frames back to back, all so many ms, or a random number of them between
// two. `seed` makes randomness the same again. `at`: the first is due at this time (ms since the epoch). `for`: and the
// last within so long from then on.
// What: `upto`: sizes from `size` to this, in 32 steps. `vlan`: with an 802.1Q tag in the frame's bytes. `ip`, `src`:
// where it says that it comes from; `proto`: what its IP header says that it carries; `port`: where it goes to. `tun`:
// DEVICE is a tun device, which is given the frames' IPv4 packets as if they had come in through it.
// `log`: of each call of the kernel four 64-bit numbers: the first frame's, how many, the times before it and after it.
// `cpu`: runs there only. Prints {"sent":N,"retries":N}.
//
// Without PACKET_QDISC_BYPASS, which would hide the frames from whoever captures on the sending device.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <math.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { kMost = 32, kLargest = 65536 };  // frames in one call, bytes in one frame
static const uint64_t kSecond = 1000000000;

static volatile sig_atomic_t stop;
static void OnSignal(int number) {
  (void)number;
  stop = 1;
}

static uint64_t Now(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (uint64_t)now.tv_sec * kSecond + (uint64_t)now.tv_nsec;
}

static void Put16(uint8_t* at, unsigned value) {
  at[0] = (uint8_t)(value >> 8);
  at[1] = (uint8_t)value;
}

// From 0 up to, not including, 1 (splitmix64).
static uint64_t random_state;
static double Random(void) {
  uint64_t x = random_state += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return (double)((x ^ (x >> 31)) >> 11) / 9007199254740992.0;
}

// ns of a random time that passes between two events of a Poisson process.
static double Exponential(double mean) { return -log(1 - Random()) * mean; }

enum Pattern { kEven, kPoisson, kBursty };

struct Schedule {
  double pps;
  enum Pattern pattern;
  uint64_t burst;
  double ramp_from, ramp_to, ramp_ns;  // ramp_ns 0: no ramp
  int exponential;
  uint64_t pulse;  // frames in one; 0: no pulses
  double pulse_least_ns, pulse_most_ns;
};

// When frame n is due, in ns from the first, which was due at `before` if it is the one before it.
static double DueAt(const struct Schedule* s, uint64_t n, double before) {
  if (s->pulse != 0) {
    if (n % s->pulse != 0) return before;
    return before + s->pulse_least_ns + Random() * (s->pulse_most_ns - s->pulse_least_ns);
  }
  if (s->ramp_ns > 0) {
    // The integral of the rate, solved for the time at which it is n.
    const double from = s->ramp_from / 1e9, to = s->ramp_to / 1e9, count = (double)n;
    const double growth = s->exponential ? log(to / from) / s->ramp_ns : (to - from) / s->ramp_ns;
    const double whole = s->exponential ? (to - from) / growth : (from + to) / 2 * s->ramp_ns;
    if (count >= whole) return s->ramp_ns + (count - whole) / to;
    if (s->exponential) return log(1 + count * growth / from) / growth;
    return (sqrt(from * from + 2 * growth * count) - from) / growth;
  }
  if (s->pps == 0) return 0;
  const double mean = 1e9 / s->pps;
  if (s->pattern == kPoisson) return before + Exponential(mean);
  if (s->pattern == kBursty) return n % s->burst != 0 ? before : before + Exponential(mean * (double)s->burst);
  return (double)n * mean;
}

// Where the number goes.
static size_t MakeFrame(uint8_t* frame, size_t size, const uint8_t* source, unsigned vlan, in_addr_t ip_source,
                        unsigned protocol, unsigned port) {
  static const uint8_t kTo[6] = {2, 0, 0, 0, 0, 0xfe};
  for (size_t i = 0; i < size; ++i) frame[i] = (uint8_t)(i * 31 + 7);
  memcpy(frame, kTo, 6);
  memcpy(frame + 6, source, 6);
  size_t at = 12;
  if (vlan != 0) {
    Put16(frame + at, 0x8100);
    Put16(frame + at + 2, vlan);
    at += 4;
  }
  Put16(frame + at, 0x0800);
  uint8_t* ip = frame + at + 2;
  const unsigned ip_length = (unsigned)(frame + size - ip);
  memset(ip, 0, 20);
  ip[0] = 0x45;
  Put16(ip + 2, ip_length);
  ip[8] = 64;
  ip[9] = (uint8_t)protocol;
  memcpy(ip + 12, &ip_source, 4);
  memcpy(ip + 16, "\x0a\x63\x00\x02", 4);
  unsigned sum = 0;
  for (int i = 0; i < 20; i += 2) sum += (unsigned)ip[i] << 8 | ip[i + 1];
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  Put16(ip + 10, ~sum);
  Put16(ip + 20, 40000);
  Put16(ip + 22, port);
  Put16(ip + 24, ip_length - 20);
  Put16(ip + 26, 0);
  return (size_t)(ip + 28 - frame);
}

static int OpenTun(const char* device) {
  struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
  strncpy(request.ifr_name, device, IFNAMSIZ - 1);
  const int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
  return fd < 0 || ioctl(fd, TUNSETIFF, &request) != 0 ? -1 : fd;
}

int main(int count_args, char** args) {
  uint64_t count = 1, first = 0, size = 64, upto = 0;
  struct Schedule schedule = {.pps = 1000, .burst = 20};
  double at_ms = 0, for_ms = 20000;
  unsigned vlan = 0, protocol = 17, port = 9;
  uint16_t stream = 0;
  in_addr_t ip = inet_addr("10.99.0.1");
  int tun = 0, cpu = -1;
  uint8_t source[6] = {2, 0, 0, 0, 0, 1};
  FILE* journal = NULL;
  for (int i = 2; i < count_args; ++i) {
    char* value = strchr(args[i], '=');
    if (value == NULL) return fprintf(stderr, "not NAME=VALUE: %s\n", args[i]), 2;
    *value++ = 0;
    if (strcmp(args[i], "count") == 0) count = strtoull(value, NULL, 10);
    else if (strcmp(args[i], "first") == 0) first = strtoull(value, NULL, 10);
    else if (strcmp(args[i], "size") == 0) size = strtoull(value, NULL, 10);
    else if (strcmp(args[i], "upto") == 0) upto = strtoull(value, NULL, 10);
    else if (strcmp(args[i], "pps") == 0) schedule.pps = atof(value);
    else if (strcmp(args[i], "burst") == 0) schedule.burst = strtoull(value, NULL, 10);
    else if (strcmp(args[i], "seed") == 0) random_state = strtoull(value, NULL, 10);
    else if (strcmp(args[i], "at") == 0) at_ms = atof(value);
    else if (strcmp(args[i], "for") == 0) for_ms = atof(value);
    else if (strcmp(args[i], "stream") == 0) stream = (uint16_t)atoi(value);
    else if (strcmp(args[i], "proto") == 0) protocol = (unsigned)atoi(value);
    else if (strcmp(args[i], "port") == 0) port = (unsigned)atoi(value);
    else if (strcmp(args[i], "cpu") == 0) cpu = atoi(value);
    else if (strcmp(args[i], "vlan") == 0) vlan = (unsigned)atoi(value);
    else if (strcmp(args[i], "tun") == 0) tun = atoi(value);
    else if (strcmp(args[i], "log") == 0) journal = fopen(value, "wb");
    else if (strcmp(args[i], "pattern") == 0) {
      if (strcmp(value, "even") == 0) schedule.pattern = kEven;
      else if (strcmp(value, "poisson") == 0) schedule.pattern = kPoisson;
      else if (strcmp(value, "bursty") == 0) schedule.pattern = kBursty;
      else return fprintf(stderr, "no such pattern: %s\n", value), 2;
    } else if (strcmp(args[i], "curve") == 0) {
      schedule.exponential = strcmp(value, "exponential") == 0;
      if (!schedule.exponential && strcmp(value, "linear") != 0) return fprintf(stderr, "no curve: %s\n", value), 2;
    } else if (strcmp(args[i], "ramp") == 0) {
      double from, to, ms;
      if (sscanf(value, "%lf:%lf:%lf", &from, &to, &ms) != 3 || from <= 0 || to <= from || ms <= 0) {
        return fprintf(stderr, "no ramp: %s\n", value), 2;
      }
      schedule.ramp_from = from;
      schedule.ramp_to = to;
      schedule.ramp_ns = ms * 1e6;
    } else if (strcmp(args[i], "pulse") == 0) {
      double least, most;
      const int parts = sscanf(value, "%lu:%lf:%lf", &schedule.pulse, &least, &most);
      if (parts < 2 || schedule.pulse == 0) return fprintf(stderr, "no pulse: %s\n", value), 2;
      schedule.pulse_least_ns = least * 1e6;
      schedule.pulse_most_ns = (parts == 3 ? most : least) * 1e6;
    } else if (strcmp(args[i], "ip") == 0) {
      ip = inet_addr(value);
      if (ip == INADDR_NONE) return fprintf(stderr, "no address: %s\n", value), 2;
    } else if (strcmp(args[i], "src") == 0) {
      if (sscanf(value, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", source, source + 1, source + 2, source + 3, source + 4,
                 source + 5) != 6) {
        return fprintf(stderr, "no MAC address: %s\n", value), 2;
      }
    } else return fprintf(stderr, "unknown option: %s\n", args[i]), 2;
  }
  if (upto < size) upto = size;
  if (count_args < 2 || size < 64 || upto > kLargest || schedule.pps < 0 || schedule.burst == 0) {
    return fputs("sender DEVICE NAME=VALUE...\n", stderr), 2;
  }

  signal(SIGTERM, OnSignal);
  signal(SIGINT, OnSignal);
  if (cpu >= 0) {
    cpu_set_t only;
    CPU_ZERO(&only);
    CPU_SET((size_t)cpu, &only);
    // A machine may have fewer.
    if (sched_setaffinity(0, sizeof only, &only) != 0) fprintf(stderr, "no cpu %d\n", cpu);
  }
  // Else the kernel lets each sleep last up to 50 us longer.
  prctl(PR_SET_TIMERSLACK, 1);
  const int fd = tun ? OpenTun(args[1]) : socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  if (fd < 0) return perror("cannot send"), 1;
  struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_protocol = htons(vlan != 0 ? 0x8100 : 0x0800), .sll_halen = 6};
  to.sll_ifindex = (int)if_nametoindex(args[1]);
  if (to.sll_ifindex == 0) return perror(args[1]), 1;

  static uint8_t frames[kMost][kLargest];
  struct mmsghdr messages[kMost] = {0};
  struct iovec pieces[kMost];
  size_t number_at = 0;
  for (int i = 0; i < kMost; ++i) {
    const uint64_t length = size + (upto - size) * (uint64_t)i / (kMost - 1);
    number_at = MakeFrame(frames[i], length, source, vlan, ip, protocol, port);
    memcpy(frames[i] + number_at + 16, &stream, 2);
    pieces[i] = (struct iovec){frames[i], length};
    messages[i].msg_hdr =
        (struct msghdr){.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = pieces + i, .msg_iovlen = 1};
  }

  uint64_t start = Now(CLOCK_MONOTONIC);
  const uint64_t at_ns = (uint64_t)(at_ms * 1e6), real = Now(CLOCK_REALTIME);
  if (at_ns > real) start += at_ns - real;
  // Frames up to number `due` are due, the next one `next` ns after the start.
  uint64_t sent = 0, due = 0, retries = 0;
  double next = 0;
  const double most = for_ms < 20000 ? for_ms * 1e6 : 20e9;
  while (sent < count && !stop) {
    const uint64_t now = Now(CLOCK_MONOTONIC);
    const double passed = now < start ? -1 : (double)(now - start);
    if (passed >= most) break;
    // No further ahead than one call takes: who cannot keep up sends as fast as goes.
    while (due - sent < kMost && next <= passed) next = DueAt(&schedule, ++due, next);
    if (due == sent) {
      if (next >= most) break;
      const uint64_t then = start + (uint64_t)next + 1;
      const struct timespec until = {(time_t)(then / kSecond), (long)(then % kSecond)};
      clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
      continue;
    }
    // Frame n is number n % 32 of those made.
    const uint64_t at = sent % kMost;
    uint64_t batch = due - sent;
    if (batch > kMost - at) batch = kMost - at;
    if (batch > count - sent) batch = count - sent;
    if (tun) batch = 1;
    const uint64_t time = Now(CLOCK_REALTIME);
    for (uint64_t i = 0; i < batch; ++i) {
      const uint64_t number = first + sent + i;
      memcpy(frames[at + i] + number_at, &number, 8);
      memcpy(frames[at + i] + number_at + 8, &time, 8);
    }
    const int done = !tun ? sendmmsg(fd, messages + at, (unsigned)batch, 0)
                     : write(fd, frames[at] + 14, pieces[at].iov_len - 14) < 0 ? -1
                                                                               : 1;
    if (done < 0 && (errno == ENOBUFS || errno == EAGAIN || errno == EINTR)) {
      ++retries;
      continue;
    }
    if (done < 0) break;  // the device went away: what was sent is told
    if (journal != NULL) {
      const uint64_t entry[4] = {first + sent, (uint64_t)done, time, Now(CLOCK_REALTIME)};
      fwrite(entry, sizeof entry, 1, journal);
    }
    sent += (uint64_t)done;
  }
  if (journal != NULL) fclose(journal);
  printf("{\"sent\":%lu,\"retries\":%lu}\n", (unsigned long)sent, (unsigned long)retries);
  return 0;
}
