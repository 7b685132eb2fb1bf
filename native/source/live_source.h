#pragma once

#include <linux/if_packet.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "source/block_ring.h"
#include "source/filter.h"
#include "source/packet.h"

namespace pcap_ring {

// A device, opened through libpcap: TPACKET_V3 in blocks (never immediate mode, which would fall back to V2 at ten times
// the cost), non-blocking, with a filter program in the kernel even where everything is accepted, because only a program
// makes the kernel cut packets to `snaplen`. Blocks of the usual link types are read in place; of others, where libpcap has
// to put something together, through libpcap. Owned and called by the capture thread.
class LiveSource {
 public:
  struct Options {
    std::string device;
    std::string filter;
    Direction direction = Direction::kBoth;
    uint32_t snaplen = 2048;
    bool promiscuous = false;
    int kernel_buffer = 2 * 1024 * 1024;
    size_t most_held = 0;  // blocks; the buffer is larger by so many less one
    int latency_ms = 100;
  };
  class Sink {
   public:
    virtual void OnPacket(const Packet& packet) = 0;
    // A block of the kernel's buffer begins with the next packet, with at most so many. Blocks come round: `slot` tells them
    // apart. What its packets point to stays until OnBlockEnd, and for as long as the block is held.
    virtual void OnBlock(uintptr_t slot, uint32_t packets) = 0;
    virtual void OnBlockEnd() = 0;
    // How many of the newest blocks are to be held, at most `most_held`. Asked behind each block, and before others are looked for.
    virtual size_t HeldBlocks() const = 0;
    // The kernel dropped `packets` for want of room, right before it began to fill the block that is the next to come in
    // this `slot`; or (0: blocks are not to be seen) about `before_ns`.
    virtual void OnDrops(uint32_t packets, uintptr_t slot, int64_t before_ns) = 0;

   protected:
    ~Sink() = default;
  };

  // kPermission, kNoSuchDevice, kDeviceDown, kBadFilter, or kKernel. A device that does not exist is found out even
  // without the permission to capture.
  Status Open(const Options& options);
  void Close() {
    blocks_.Detach();
    handle_.reset();
  }
  bool open() const { return handle_ != nullptr; }

  // Whether it still hears of the device of this index: a device that was deleted, or moved to another namespace, is lost to
  // its sockets, though it may come back under the same index.
  bool Hears(int index) const;

  // Blocks of the kernel's buffer are read in place: OnBlock comes before their packets.
  bool reads_blocks() const { return blocks_.attached(); }
  int fd() const { return pcap_get_selectable_fd(handle_.get()); }
  int socket() const { return pcap_fileno(handle_.get()); }
  // Milliseconds after which the descriptor must be looked at although it is not said to be readable; -1 for never.
  int RequiredTimeoutMs() const;

  // Hands out about `most` packets: the block that they end in is handed out whole. How many there were; 0 when the
  // kernel's buffer is empty; -1 when the device fails.
  int Dispatch(int most, Sink* sink);
  // What the sink no longer holds. Only where blocks are read.
  void GiveBack(Sink* sink);
  // So many blocks may be held: `most_held`, or none where the system had no memory for as large a buffer as was asked for.
  size_t SpareBlocks() const { return blocks_.blocks() >= options_.most_held + kFewestFree ? options_.most_held : 0; }
  // Whether there may be more than the `count` that were just handed out.
  bool HasMore(int count, int most) const { return reads_blocks() ? blocks_.Ready() != nullptr : count >= most; }
  // The times of the packets in the block that is about to be handed out (OnBlock), in the order in which they passed.
  void StampsOfBlock(std::vector<int64_t>* stamps) const;

  int dlt() const { return pcap_datalink(handle_.get()); }
  uint32_t linktype() const { return linktype_; }
  uint32_t snaplen() const { return options_.snaplen; }

 private:
  static constexpr size_t kFewestFree = 3;  // as at the smallest `kernel_buffer`, 1 MiB
  struct Delivery;
  Status Activate(int precision);
  bool HasPlainBlocks() const;
  bool FilteredByKernel() const;
  uint32_t ReadDrops();
  void RefuseOtherDirection();
  bool FromBeforeOpen(const Packet& packet);
  int DispatchBlocks(int most, Sink* sink);
  void HandOut(tpacket_block_desc* block, Sink* sink);
  void PutTagBack(const tpacket3_hdr& frame, Packet* packet) const;
  int DispatchByLibpcap(int most, Sink* sink);
  static void OnPcapPacket(u_char* user, const pcap_pkthdr* header, const u_char* data);
  bool Outbound(const pcap_pkthdr& header, const u_char* data);
  bool SentByDevice(const pcap_pkthdr& header, const u_char* data);

  Options options_;
  PcapHandle handle_;
  uint32_t linktype_ = 1;
  BlockRing blocks_;  // not attached: libpcap reads
  bool loopback_ = false;
  bool has_frame_headers_ = false;  // V3, and not a cooked device, where libpcap's header stands in between
  uint32_t frame_offset_ = 0;  // from the kernel's frame header to a packet that libpcap hands out, as last seen
  uint32_t late_drops_ = 0;  // seen, and to be told of with the next block that is given back
  bool settled_ = false;  // what was taken before the filter was there is through
  int64_t opened_ns_ = 0;
  int64_t settled_by_ns_ = 0;  // monotonic
};

// The device of the default route (IPv4, else IPv6), "" if there is none.
std::string DefaultRouteDevice();
// All devices by name, "lo, eth0".
std::string DeviceNames();

}  // namespace pcap_ring
