#include "source/live_source.h"

#include <linux/filter.h>
#include <linux/if_ether.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <vector>

#include "base/fd.h"
#include "base/time.h"

namespace pcap_ring {
namespace {

// Handed out at once; they may be of large packets.
constexpr int kMostBlocks = 16;

// Beside what was asked for: for the sake of memory, one block less than may be held.
int BytesToHold(size_t blocks) { return blocks == 0 ? 0 : static_cast<int>((blocks - 1) * BlockRing::kBlockSize); }

// libpcap's own word may be empty for some codes.
std::string Explain(pcap_t* handle, int code) {
  const std::string detail = pcap_geterr(handle);
  return detail.empty() ? pcap_statustostr(code) : detail;
}

Status ActivationError(pcap_t* handle, int code, const std::string& device) {
  const std::string detail = Explain(handle, code);
  switch (code) {
    case PCAP_ERROR_PERM_DENIED:
    case PCAP_ERROR_PROMISC_PERM_DENIED:
      return {Code::kPermission,
              "no permission to capture on \"" + device +
                  "\": give the process CAP_NET_RAW (setcap cap_net_raw+ep on the node binary, docker run --cap-add "
                  "NET_RAW, or run as root)",
              EPERM, "socket"};
    case PCAP_ERROR_NO_SUCH_DEVICE:
      return {Code::kNoSuchDevice, "there is no device \"" + device + "\"", ENODEV, nullptr};
    case PCAP_ERROR_IFACE_NOT_UP:
      return {Code::kDeviceDown, "device \"" + device + "\" is down; bring it up (ip link set " + device + " up)",
              ENETDOWN, nullptr};
    default:
      return Status::Error(Code::kKernel, "cannot capture on \"" + device + "\": " + detail);
  }
}

}  // namespace

Status LiveSource::Open(const Options& options) {
  options_ = options;
  late_drops_ = 0;
  if (if_nametoindex(options.device.c_str()) == 0) {
    return {Code::kNoSuchDevice, "there is no device \"" + options.device + "\"; there are " + DeviceNames(), ENODEV,
            "if_nametoindex"};
  }
  Status status = Activate(PCAP_TSTAMP_PRECISION_MICRO);
  if (status.ok() && HasPlainBlocks()) blocks_.Attach(socket());
  if (status.ok() && !blocks_.attached()) status = Activate(PCAP_TSTAMP_PRECISION_NANO);
  if (!status.ok()) {
    Close();
    return status;
  }
  linktype_ = FileLinkType(handle_.get());
  RefuseOtherDirection();
  ReadDrops();
  opened_ns_ = RealtimeNs();
  settled_ = false;
  settled_by_ns_ = MonotonicNs() + options.latency_ms * kNsPerMs + kNsPerSec;
  has_frame_headers_ = std::strstr(pcap_lib_version(), "TPACKET_V3") != nullptr && dlt() != DLT_LINUX_SLL &&
                       dlt() != DLT_LINUX_SLL2;
  return Status::Ok();
}

// The precision is that of the packets that libpcap hands out. In the kernel's blocks there are nanoseconds anyway; asked for
// them, libpcap has the kernel stamp every packet on its way to the filter (SO_TIMESTAMPNS), those that it refuses, too, which
// costs as much as the rest of refusing one, and cannot be taken back.
Status LiveSource::Activate(int precision) {
  handle_.reset();
  const Options& options = options_;
  char error[PCAP_ERRBUF_SIZE] = "";
  PcapHandle handle(pcap_create(options.device.c_str(), error));
  if (handle == nullptr) return Status::Error(Code::kKernel, "cannot open \"" + options.device + "\": " + error);
  pcap_set_snaplen(handle.get(), static_cast<int>(options.snaplen));
  pcap_set_promisc(handle.get(), options.promiscuous ? 1 : 0);
  pcap_set_timeout(handle.get(), options.latency_ms);
  pcap_set_buffer_size(handle.get(), options.kernel_buffer + BytesToHold(options.most_held));
  pcap_set_tstamp_precision(handle.get(), precision);
  const int activated = pcap_activate(handle.get());
  if (activated < 0) return ActivationError(handle.get(), activated, options.device);

  BpfProgram program;
  if (Status status = program.Compile(handle.get(), options.filter); !status.ok()) return status;
  // Before the program: it opens the gate, and what passed it before the direction was known cannot be told apart.
  const pcap_direction_t direction = options.direction == Direction::kIn    ? PCAP_D_IN
                                     : options.direction == Direction::kOut ? PCAP_D_OUT
                                                                            : PCAP_D_INOUT;
  if (pcap_setdirection(handle.get(), direction) != 0) {
    return Status::Error(Code::kKernel, std::string("cannot set the direction: ") + pcap_geterr(handle.get()));
  }
  if (pcap_setfilter(handle.get(), program.get()) != 0) {
    return Status::Error(Code::kBadFilter, "filter \"" + options.filter + "\": " + pcap_geterr(handle.get()));
  }
  if (pcap_setnonblock(handle.get(), 1, error) != 0) {
    return Status::Error(Code::kKernel, std::string("cannot set non-blocking mode: ") + error);
  }
  handle_ = std::move(handle);
  return Status::Ok();
}

// Of these libpcap hands out the kernel's bytes as they are, but for a tag.
bool LiveSource::HasPlainBlocks() const {
  return (dlt() == DLT_EN10MB || dlt() == DLT_RAW) &&
         pcap_bufsize(handle_.get()) == static_cast<int>(BlockRing::kBlockSize) && FilteredByKernel();
}

// libpcap runs a program itself that the kernel does not take.
bool LiveSource::FilteredByKernel() const {
  socklen_t instructions = 0;
  // cppcheck-suppress nullPointer ; with room for no instruction the kernel only says how many there are
  return getsockopt(socket(), SOL_SOCKET, SO_GET_FILTER, nullptr, &instructions) == 0 && instructions > 0;
}

// libpcap drops what goes the other way, and on loopback the copy that was sent, but after the kernel put it into its
// buffer: there it takes the place of what is wanted, and is counted when it is dropped. Where the kernel refuses
// (PACKET_IGNORE_OUTGOING came with 4.20), libpcap's way holds.
void LiveSource::RefuseOtherDirection() {
  const int fd = pcap_fileno(handle_.get());
  ifreq device = {};
  std::strncpy(device.ifr_name, options_.device.c_str(), IFNAMSIZ - 1);
  loopback_ = ioctl(fd, SIOCGIFFLAGS, &device) == 0 && (device.ifr_flags & IFF_LOOPBACK) != 0;
#ifdef PACKET_IGNORE_OUTGOING
  if (options_.direction == Direction::kIn || (loopback_ && options_.direction == Direction::kBoth)) {
    const int one = 1;
    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one);
  }
#endif
  if (options_.direction != Direction::kOut || loopback_) return;
  // In front of the program that libpcap had the kernel run. Not through libpcap: it would run this one itself, too, over
  // what was taken before, and there the packet type is not to be had.
  std::vector<sock_filter> program(BPF_MAXINSNS);
  auto size = static_cast<socklen_t>(program.size());  // in instructions
  if (getsockopt(fd, SOL_SOCKET, SO_GET_FILTER, program.data(), &size) != 0 || size == 0) return;
  program.resize(size);
  const sock_filter outgoing_only[] = {
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, static_cast<uint32_t>(SKF_AD_OFF + SKF_AD_PKTTYPE)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, 0),
  };
  program.insert(program.begin(), std::begin(outgoing_only), std::end(outgoing_only));
  const sock_fprog attached = {static_cast<unsigned short>(program.size()), program.data()};
  setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &attached, sizeof attached);
}

bool LiveSource::Hears(int index) const {
  sockaddr_ll bound = {};
  socklen_t size = sizeof bound;
  return getsockname(socket(), reinterpret_cast<sockaddr*>(&bound), &size) == 0 && bound.sll_ifindex == index;
}

int LiveSource::RequiredTimeoutMs() const {
  const timeval* timeout = pcap_get_required_select_timeout(handle_.get());
  return timeout == nullptr ? -1 : static_cast<int>(timeout->tv_sec * 1000 + (timeout->tv_usec + 999) / 1000);
}

// While libpcap opens a device and sets its filter, the kernel takes some packets and then none: that is not the beginning
// of a capture without holes, nor has the filter seen it.
bool LiveSource::FromBeforeOpen(const Packet& packet) {
  settled_ = packet.time_ns() >= opened_ns_;
  return !settled_;
}

int LiveSource::Dispatch(int most, Sink* sink) {
  const int count = blocks_.attached() ? DispatchBlocks(most, sink) : DispatchByLibpcap(most, sink);
  // Should the clock have been set back just then, nothing is thrown away for long.
  if (count == 0 && !settled_ && MonotonicNs() >= settled_by_ns_) settled_ = true;
  return count;
}

int LiveSource::DispatchBlocks(int most, Sink* sink) {
  int count = 0;
  GiveBack(sink);
  for (int blocks = 0; blocks < kMostBlocks && count < most; ++blocks) {
    tpacket_block_desc* const block = blocks_.Ready();
    if (block == nullptr) break;
    const auto slot = reinterpret_cast<uintptr_t>(block);
    count += static_cast<int>(block->hdr.bh1.num_pkts);
    // Closed while there was a drop that nobody had asked for: counted a moment late, it was right before this block.
    const bool late = (block->hdr.bh1.block_status & TP_STATUS_LOSING) != 0 && !blocks_.Full();
    if (const uint32_t drops = late ? ReadDrops() : 0; drops > 0) sink->OnDrops(drops, slot, 0);
    sink->OnBlock(slot, block->hdr.bh1.num_pkts);
    HandOut(block, sink);
    blocks_.Hold();
    sink->OnBlockEnd();
    GiveBack(sink);
  }
  if (count > 0) return count;
  int error = 0;
  socklen_t size = sizeof error;
  return getsockopt(socket(), SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0 ? 0 : -1;
}

// The kernel drops while all blocks are full, until it gets the one back that it wants to fill next. That is the oldest of those
// that were handed out, if any: so what it has dropped by then stands right before what this block holds when it comes again. It
// is asked only where it had no other block: to ask for every one would cost as much as a dozen packets.
void LiveSource::GiveBack(Sink* sink) {
  for (const size_t held = sink->HeldBlocks(); blocks_.held() > held;) {
    tpacket_block_desc* const block = blocks_.Held();
    const auto slot = reinterpret_cast<uintptr_t>(block);
    const uint32_t before = late_drops_ + (blocks_.Full() ? ReadDrops() : 0);
    if (before > 0) sink->OnDrops(before, slot, 0);
    blocks_.GiveBack();
    // Dropped in the moment until the block was given back. Or, as this thread was held up, after the kernel had filled it
    // again and wanted the one behind it.
    late_drops_ = blocks_.WasFull() ? ReadDrops() : 0;
    if (late_drops_ == 0 || BlockRing::Taken(block)) continue;
    sink->OnDrops(late_drops_, slot, 0);
    late_drops_ = 0;
  }
}

void LiveSource::StampsOfBlock(std::vector<int64_t>* stamps) const {
  stamps->clear();
  const tpacket_block_desc* const block = blocks_.Ready();
  const auto* at = reinterpret_cast<const uint8_t*>(block) + block->hdr.bh1.offset_to_first_pkt;
  for (uint32_t left = block->hdr.bh1.num_pkts; left > 0; --left) {
    const auto& frame = *reinterpret_cast<const tpacket3_hdr*>(at);
    stamps->push_back(frame.tp_sec * kNsPerSec + frame.tp_nsec);
    at += frame.tp_next_offset;
  }
}

// What goes the other way, and on loopback the copy that was sent, may be in the buffer (RefuseOtherDirection).
void LiveSource::HandOut(tpacket_block_desc* block, Sink* sink) {
  constexpr size_t kAddress = TPACKET_ALIGN(sizeof(tpacket3_hdr));
  const bool wants_in = options_.direction != Direction::kOut;
  const bool wants_out = options_.direction != Direction::kIn && !loopback_;
  auto* at = reinterpret_cast<uint8_t*>(block) + block->hdr.bh1.offset_to_first_pkt;
  for (uint32_t left = block->hdr.bh1.num_pkts; left > 0; --left) {
    const auto& frame = *reinterpret_cast<const tpacket3_hdr*>(at);
    uint8_t* const data = at + frame.tp_mac;
    const bool outbound = reinterpret_cast<const sockaddr_ll*>(at + kAddress)->sll_pkttype == PACKET_OUTGOING;
    at += frame.tp_next_offset;
    if (outbound ? !wants_out : !wants_in) continue;
    Packet packet = {frame.tp_sec, frame.tp_nsec, frame.tp_snaplen, frame.tp_len, data, outbound};
    if ((frame.tp_status & TP_STATUS_VLAN_VALID) != 0) PutTagBack(frame, &packet);
    packet.caplen = std::min(packet.caplen, options_.snaplen);
    if (settled_ || !FromBeforeOpen(packet)) sink->OnPacket(packet);
  }
}

// The kernel takes the VLAN tag out of the packet's bytes. libpcap has it leave room for one before them.
void LiveSource::PutTagBack(const tpacket3_hdr& frame, Packet* packet) const {
  constexpr uint32_t kAddresses = 2 * ETH_ALEN;
  constexpr uint32_t kTag = 4;
  if (dlt() != DLT_EN10MB || packet->caplen < kAddresses) return;
  auto* const data = const_cast<uint8_t*>(packet->data) - kTag;
  const bool has_type = (frame.tp_status & TP_STATUS_VLAN_TPID_VALID) != 0;
  const uint16_t tag[] = {htons(has_type ? frame.hv1.tp_vlan_tpid : uint16_t{ETH_P_8021Q}),
                          htons(static_cast<uint16_t>(frame.hv1.tp_vlan_tci))};
  std::memmove(data, packet->data, kAddresses);
  std::memcpy(data + kAddresses, tag, sizeof tag);
  packet->data = data;
  packet->caplen += kTag;
  packet->len += kTag;
}

struct LiveSource::Delivery {
  LiveSource* source;
  Sink* sink;
  int count = 0;
};

void LiveSource::OnPcapPacket(u_char* user, const pcap_pkthdr* header, const u_char* data) {
  Delivery& delivery = *reinterpret_cast<Delivery*>(user);
  LiveSource* const self = delivery.source;
  ++delivery.count;
  // With nanosecond precision tv_usec holds nanoseconds.
  const Packet packet =
      {header->ts.tv_sec, header->ts.tv_usec, header->caplen, header->len, data, self->Outbound(*header, data)};
  if (self->settled_ || !self->FromBeforeOpen(packet)) delivery.sink->OnPacket(packet);
}

int LiveSource::DispatchByLibpcap(int most, Sink* sink) {
  Delivery delivery = {.source = this, .sink = sink};
  const int64_t begun_ns = RealtimeNs();
  const int count = pcap_dispatch(handle_.get(), most, &OnPcapPacket, reinterpret_cast<u_char*>(&delivery));
  if (delivery.count > 0) {
    if (const uint32_t drops = ReadDrops(); drops > 0) sink->OnDrops(drops, 0, begun_ns);
  }
  return count < 0 ? -1 : delivery.count;
}

// Since the last call; as pcap_stats(), which sums them up in 32 bits.
uint32_t LiveSource::ReadDrops() {
  tpacket_stats_v3 stats = {};
  socklen_t size = sizeof stats;
  return getsockopt(pcap_fileno(handle_.get()), SOL_PACKET, PACKET_STATISTICS, &stats, &size) == 0 ? stats.tp_drops : 0;
}

bool LiveSource::Outbound(const pcap_pkthdr& header, const u_char* data) {
  if (options_.direction != Direction::kBoth) return options_.direction == Direction::kOut;
  if (has_frame_headers_) return SentByDevice(header, data);
  // Cooked link types carry it in their own header.
  if (dlt() == DLT_LINUX_SLL) return header.caplen >= 2 && data[1] == PACKET_OUTGOING;
  if (dlt() == DLT_LINUX_SLL2) return header.caplen >= 11 && data[10] == PACKET_OUTGOING;
  return false;
}

// libpcap does not say it, but the kernel's frame header does, and stands before the packet in the block. Its distance is a
// constant of the device but for VLAN tags, and each guess is verified by what the header says of itself: its offset to the
// packet, its length and its time.
bool LiveSource::SentByDevice(const pcap_pkthdr& header, const u_char* data) {
  constexpr uint32_t kTag = 4;
  constexpr uint32_t kAddress = TPACKET_ALIGN(sizeof(tpacket3_hdr));
  constexpr uint32_t kHeaders = TPACKET_ALIGN(kAddress + sizeof(sockaddr_ll) + 16);
  const auto is_at = [&](uint32_t offset, uint32_t inserted) {
    tpacket3_hdr frame;
    std::memcpy(&frame, data - offset, sizeof frame);
    return frame.tp_mac == offset + inserted && frame.tp_len + inserted == header.len &&
           frame.tp_sec == static_cast<uint32_t>(header.ts.tv_sec) &&
           frame.tp_nsec == static_cast<uint32_t>(header.ts.tv_usec);
  };
  const auto sent = [&](uint32_t offset) {
    sockaddr_ll address;
    std::memcpy(&address, data - offset + kAddress, sizeof address);
    return address.sll_pkttype == PACKET_OUTGOING;
  };
  if (frame_offset_ != 0 && is_at(frame_offset_, 0)) return sent(frame_offset_);
  // Packets start 16 or more bytes behind the headers, less the link-layer header's length, more what libpcap reserves
  // for a tag; a tag that libpcap put back stands before where the kernel left the packet.
  for (const uint32_t reserve : {kTag, 0u}) {
    for (const uint32_t link_header : {14u, 0u, 18u, 22u, 26u}) {
      const uint32_t offset = kHeaders + reserve - link_header;
      for (const uint32_t inserted : {0u, kTag}) {
        if (!is_at(offset - inserted, inserted)) continue;
        if (inserted == 0) frame_offset_ = offset;
        return sent(offset - inserted);
      }
    }
  }
  return false;
}

// From /proc/net/route (addresses in hexadecimal) and /proc/net/ipv6_route; the lowest metric wins.
std::string DefaultRouteDevice() {
  std::string best;
  unsigned long best_metric = ~0ul;
  char line[512];
  char device[IF_NAMESIZE + 1];
  const auto take = [&](unsigned long metric) {
    if (std::strcmp(device, "lo") == 0 || metric >= best_metric) return;
    best = device;
    best_metric = metric;
  };
  if (const UniqueFile file(std::fopen("/proc/net/route", "re")); file != nullptr) {
    unsigned long destination, gateway, flags, reference, use, metric, mask;
    while (std::fgets(line, sizeof line, file.get()) != nullptr) {
      // NOLINTNEXTLINE(cert-err34-c): what the kernel prints fits.
      if (std::sscanf(line, "%16s %lx %lx %lx %lu %lu %lu %lx", device, &destination, &gateway, &flags, &reference,
                      &use, &metric, &mask) == 8 &&
          destination == 0 && mask == 0) {
        take(metric);
      }
    }
  }
  if (!best.empty()) return best;
  if (const UniqueFile file(std::fopen("/proc/net/ipv6_route", "re")); file != nullptr) {
    char destination[33];
    unsigned prefix;
    unsigned long metric;
    while (std::fgets(line, sizeof line, file.get()) != nullptr) {
      // NOLINTNEXTLINE(cert-err34-c): as above.
      if (std::sscanf(line, "%32s %x %*s %*x %*s %lx %*x %*x %*x %16s", destination, &prefix, &metric, device) == 4 &&
          prefix == 0 && std::strspn(destination, "0") == 32) {
        take(metric);
      }
    }
  }
  return best;
}

std::string DeviceNames() {
  std::string names;
  struct if_nameindex* all = if_nameindex();
  for (const struct if_nameindex* one = all; one != nullptr && one->if_index != 0; ++one) {
    names += (names.empty() ? "" : ", ") + std::string(one->if_name);
  }
  if (all != nullptr) if_freenameindex(all);
  return names;
}

}  // namespace pcap_ring
