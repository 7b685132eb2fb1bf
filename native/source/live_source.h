#pragma once

#include <linux/if_packet.h>

#include <cstdint>
#include <string>

#include "base/status.h"
#include "source/filter.h"
#include "source/packet.h"

namespace pcap_ring {

// A device, read through libpcap: TPACKET_V3 in blocks (never immediate mode, which would fall back to V2 at ten times
// the cost), non-blocking, with a filter program in the kernel even where everything is accepted, because only a program
// makes the kernel cut packets to `snaplen`. Owned and called by the capture thread.
class LiveSource {
 public:
  struct Options {
    std::string device;
    std::string filter;
    Direction direction = Direction::kBoth;
    uint32_t snaplen = 2048;
    bool promiscuous = false;
    int kernel_buffer = 2 * 1024 * 1024;
    int latency_ms = 100;
  };
  class Sink {
   public:
    virtual void OnPacket(const Packet& packet) = 0;
    // Before the first packet of a block of the kernel's buffer, stamped `time_ns`. Not where blocks are not to be seen.
    virtual void OnBlock(int64_t time_ns) = 0;
    // drops() has risen; what it rose by was dropped before any packet stamped at or after `before_ns` was taken.
    virtual void OnLoss(int64_t before_ns) = 0;

   protected:
    ~Sink() = default;
  };

  // kPermission, kNoSuchDevice, kDeviceDown, kBadFilter, or kKernel. A device that does not exist is found out even
  // without the permission to capture.
  Status Open(const Options& options);
  void Close() { handle_.reset(); }
  bool open() const { return handle_ != nullptr; }

  int fd() const { return pcap_get_selectable_fd(handle_.get()); }
  // Milliseconds after which the descriptor must be looked at although poll() is silent; -1 for never.
  int RequiredTimeoutMs() const;

  // Hands out at most `most` packets, and no more than one block of the kernel's buffer has. How many there were; 0 when
  // the kernel's buffer is empty; -1 when the device fails.
  int Dispatch(int most, Sink* sink);
  // Looks for losses, as Dispatch does.
  void ReadLoss(Sink* sink);
  // Packets that the kernel dropped for want of room, since the device was opened for the first time.
  uint64_t drops() const { return drops_; }

  int dlt() const { return pcap_datalink(handle_.get()); }
  uint32_t linktype() const { return linktype_; }
  uint32_t snaplen() const { return options_.snaplen; }

 private:
  struct Delivery;
  // Of the kernel, since they were read before.
  struct Counts {
    uint32_t taken = 0;
    uint32_t dropped = 0;
  };
  Counts ReadCounts();
  void EndBlock(Delivery* delivery);
  static void OnPcapPacket(u_char* user, const pcap_pkthdr* header, const u_char* data);
  // The kernel's own header of a packet, with the sockaddr_ll that follows it.
  struct FrameHeader {
    tpacket3_hdr frame;
    sockaddr_ll address;
  };
  bool FindFrameHeader(const pcap_pkthdr& header, const u_char* data, FrameHeader* found);
  bool Outbound(const pcap_pkthdr& header, const u_char* data, const FrameHeader* frame) const;

  Options options_;
  PcapHandle handle_;
  uint32_t linktype_ = 1;
  bool has_frame_headers_ = false;  // V3, and not a cooked device, where libpcap's header stands in between
  uint32_t frame_offset_ = 0;  // from the kernel's frame header to the packet, as last seen
  bool block_begins_ = false;  // with the next packet
  uint64_t drops_ = 0;
};

// The device of the default route (IPv4, else IPv6), "" if there is none.
std::string DefaultRouteDevice();
// All devices by name, "lo, eth0".
std::string DeviceNames();

}  // namespace pcap_ring
