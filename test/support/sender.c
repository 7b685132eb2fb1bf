// sender DEVICE [count=N] [pps=N] [size=BYTES] [upto=BYTES] [first=N] [src=MAC] [vlan=ID] [log=FILE] [tun=1]
//
// Numbered UDP frames through AF_PACKET, for namespaces and loopback only: the test suite's own traffic. Each carries its
// number (64 bits, little-endian) first in the UDP payload and the time it was sent (CLOCK_REALTIME, ns) behind that. At
// most `count` frames in at most 20 s; SIGTERM ends it early. `upto`: sizes from `size` to this, in 32 steps. `vlan`: with
// an 802.1Q tag in the frame's bytes. `log`: each frame's send time, 8 bytes, in order. `tun`: DEVICE is a tun device,
// which is given the frames' IPv4 packets as if they had come in through it. Prints {"sent":N,"retries":N}.
//
// Without PACKET_QDISC_BYPASS, which would hide the frames from whoever captures on the sending device.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
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

// Where the number goes.
static size_t MakeFrame(uint8_t* frame, size_t size, const uint8_t* source, unsigned vlan) {
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
  ip[9] = 17;
  memcpy(ip + 12, "\x0a\x63\x00\x01\x0a\x63\x00\x02", 8);
  unsigned sum = 0;
  for (int i = 0; i < 20; i += 2) sum += (unsigned)ip[i] << 8 | ip[i + 1];
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  Put16(ip + 10, ~sum);
  Put16(ip + 20, 40000);
  Put16(ip + 22, 9);
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
  double pps = 1000;
  unsigned vlan = 0;
  int tun = 0;
  uint8_t source[6] = {2, 0, 0, 0, 0, 1};
  FILE* log = NULL;
  for (int i = 2; i < count_args; ++i) {
    char* value = strchr(args[i], '=');
    if (value == NULL) return fprintf(stderr, "not NAME=VALUE: %s\n", args[i]), 2;
    *value++ = 0;
    if (strcmp(args[i], "count") == 0) count = strtoull(value, NULL, 10);
    else if (strcmp(args[i], "first") == 0) first = strtoull(value, NULL, 10);
    else if (strcmp(args[i], "size") == 0) size = strtoull(value, NULL, 10);
    else if (strcmp(args[i], "upto") == 0) upto = strtoull(value, NULL, 10);
    else if (strcmp(args[i], "pps") == 0) pps = atof(value);
    else if (strcmp(args[i], "vlan") == 0) vlan = (unsigned)atoi(value);
    else if (strcmp(args[i], "tun") == 0) tun = atoi(value);
    else if (strcmp(args[i], "log") == 0) log = fopen(value, "wb");
    else if (strcmp(args[i], "src") == 0) {
      if (sscanf(value, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", source, source + 1, source + 2, source + 3, source + 4,
                 source + 5) != 6) {
        return fprintf(stderr, "no MAC address: %s\n", value), 2;
      }
    } else return fprintf(stderr, "unknown option: %s\n", args[i]), 2;
  }
  if (upto < size) upto = size;
  if (count_args < 2 || size < 64 || upto > kLargest || pps <= 0) return fputs("sender DEVICE NAME=VALUE...\n", stderr), 2;

  signal(SIGTERM, OnSignal);
  signal(SIGINT, OnSignal);
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
    number_at = MakeFrame(frames[i], length, source, vlan);
    pieces[i] = (struct iovec){frames[i], length};
    messages[i].msg_hdr = (struct msghdr){.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = pieces + i, .msg_iovlen = 1};
  }

  const uint64_t start = Now(CLOCK_MONOTONIC);
  uint64_t sent = 0, retries = 0;
  while (sent < count && !stop) {
    const uint64_t now = Now(CLOCK_MONOTONIC);
    if (now - start > 20 * kSecond) break;
    // All that are due by now, then to sleep until the next one is.
    const uint64_t due_by_now = (uint64_t)((double)(now - start) * pps / 1e9) + 1;
    if (due_by_now <= sent) {
      const uint64_t next = start + (uint64_t)((double)sent * 1e9 / pps) + 1;
      const struct timespec until = {(time_t)(next / kSecond), (long)(next % kSecond)};
      clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
      continue;
    }
    // Frame n is number n % 32 of those made.
    const uint64_t at = sent % kMost;
    uint64_t batch = due_by_now - sent;
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
                          : write(fd, frames[at] + 14, pieces[at].iov_len - 14) < 0 ? -1 : 1;
    if (done < 0 && (errno == ENOBUFS || errno == EAGAIN || errno == EINTR)) {
      ++retries;
      continue;
    }
    if (done < 0) break;  // the device went away: what was sent is told
    sent += (uint64_t)done;
    if (log != NULL) {
      for (int i = 0; i < done; ++i) fwrite(&time, 8, 1, log);
    }
  }
  if (log != NULL) fclose(log);
  printf("{\"sent\":%lu,\"retries\":%lu}\n", (unsigned long)sent, (unsigned long)retries);
  return 0;
}
