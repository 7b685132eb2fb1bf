// receiver KIND DEVICE: the least that a receiver can do, for `npm run bench`. SIGTERM ends it; it then prints
// {"packets":N,"drops":N}, N of packets as the kernel counts them, those dropped included.
//
// floor:   a TPACKET_V3 ring whose blocks are counted and given back, no packet of them looked at.
// reject:  the same with a filter that rejects every packet: what there is to a tap besides its buffer.
// libpcap: libpcap, with a callback that does nothing, opened the way pcap-ring opens a device at its defaults
//          (native/source/live_source.cc): snaplen 2048, the filter that keeps so much, 2 MiB, 100 ms, non-blocking.

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

constexpr unsigned kSnaplen = 2048;
constexpr unsigned kBufferBytes = 2 << 20;
constexpr unsigned kBlockBytes = 256 << 10;
constexpr unsigned kBlocks = kBufferBytes / kBlockBytes;
constexpr int kTimeoutMs = 100;

volatile sig_atomic_t stopped = 0;
int wake_fd = -1;

// Also through a descriptor, else a signal right before poll() would be seen after the next packet only.
void OnSignal(int) {
  stopped = 1;
  const uint64_t one = 1;
  if (write(wake_fd, &one, sizeof one) < 0) _exit(1);
}

int Fail(const char* what) {
  std::perror(what);
  return 1;
}

int Tell(uint64_t packets, uint64_t drops) {
  std::printf("{\"packets\":%lu,\"drops\":%lu}\n", static_cast<unsigned long>(packets),
              static_cast<unsigned long>(drops));
  return 0;
}

int CountBlocks(const char* device, unsigned accepted) {
  // Protocol 0: nothing comes in before the filter is there.
  const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  if (fd < 0) return Fail("socket");
  const int version = TPACKET_V3;
  if (setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version) != 0) return Fail("PACKET_VERSION");
  tpacket_req3 request = {};
  request.tp_block_size = kBlockBytes;
  request.tp_block_nr = kBlocks;
  request.tp_frame_size = kBlockBytes;
  request.tp_frame_nr = kBlocks;
  request.tp_retire_blk_tov = kTimeoutMs;
  if (setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof request) != 0) return Fail("PACKET_RX_RING");
  void* const ring = mmap(nullptr, kBufferBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (ring == MAP_FAILED) return Fail("mmap");
  sock_filter code[] = {BPF_STMT(BPF_RET | BPF_K, accepted)};
  const sock_fprog program = {1, code};
  if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0) return Fail("SO_ATTACH_FILTER");
  sockaddr_ll address = {};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(if_nametoindex(device));
  if (address.sll_ifindex == 0) return Fail(device);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return Fail("bind");

  uint64_t counted = 0;
  unsigned next = 0;
  pollfd waited[] = {{fd, POLLIN, 0}, {wake_fd, POLLIN, 0}};
  while (stopped == 0) {
    auto* const block =
        reinterpret_cast<tpacket_block_desc*>(static_cast<uint8_t*>(ring) + static_cast<size_t>(next) * kBlockBytes);
    if ((__atomic_load_n(&block->hdr.bh1.block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER) == 0) {
      poll(waited, 2, -1);
      continue;
    }
    counted += block->hdr.bh1.num_pkts;
    __atomic_store_n(&block->hdr.bh1.block_status, static_cast<uint32_t>(TP_STATUS_KERNEL), __ATOMIC_RELEASE);
    next = (next + 1) % kBlocks;
  }
  tpacket_stats_v3 stats = {};
  socklen_t size = sizeof stats;
  if (getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size) != 0) return Fail("PACKET_STATISTICS");
  // The kernel counts what it drops among the packets, too.
  return Tell(counted + stats.tp_drops, stats.tp_drops);
}

void Nothing(u_char*, const pcap_pkthdr*, const u_char*) {}

int Dispatch(const char* device) {
  char error[PCAP_ERRBUF_SIZE] = "";
  pcap_t* const handle = pcap_create(device, error);
  const auto fail = [&](const char* what) {
    std::fprintf(stderr, "%s: %s\n", what, handle == nullptr ? error : pcap_geterr(handle));
    return 1;
  };
  if (handle == nullptr) return fail("pcap_create");
  pcap_set_snaplen(handle, kSnaplen);
  pcap_set_timeout(handle, kTimeoutMs);
  pcap_set_buffer_size(handle, kBufferBytes);
  if (pcap_activate(handle) < 0) return fail("pcap_activate");
  bpf_program program;
  if (pcap_compile(handle, &program, "", 1, PCAP_NETMASK_UNKNOWN) != 0) return fail("pcap_compile");
  if (pcap_setfilter(handle, &program) != 0) return fail("pcap_setfilter");
  if (pcap_setnonblock(handle, 1, error) != 0) return fail(error);

  pollfd waited[] = {{pcap_get_selectable_fd(handle), POLLIN, 0}, {wake_fd, POLLIN, 0}};
  while (stopped == 0) {
    const timeval* const timeout = pcap_get_required_select_timeout(handle);
    poll(waited, 2,
         timeout == nullptr ? -1 : static_cast<int>(timeout->tv_sec * 1000 + (timeout->tv_usec + 999) / 1000));
    if (pcap_dispatch(handle, -1, Nothing, nullptr) < 0) return fail("pcap_dispatch");
  }
  pcap_stat stats;
  if (pcap_stats(handle, &stats) != 0) return fail("pcap_stats");
  return Tell(stats.ps_recv, stats.ps_drop);
}

}  // namespace

int main(int count, char** args) {
  const char* const kind = count == 3 ? args[1] : "";
  wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_fd < 0) return Fail("eventfd");
  std::signal(SIGTERM, OnSignal);
  if (std::strcmp(kind, "floor") == 0) return CountBlocks(args[2], kSnaplen);
  if (std::strcmp(kind, "reject") == 0) return CountBlocks(args[2], 0);
  if (std::strcmp(kind, "libpcap") == 0) return Dispatch(args[2]);
  std::fputs("usage: receiver floor|reject|libpcap DEVICE\n", stderr);
  return 2;
}
