#pragma once

#include <cstdint>
#include <string>

#include "base/fd.h"
#include "base/status.h"

namespace pcap_ring {

// The operating system's own counters of one interface, through rtnetlink (RTM_GETLINK, IFLA_STATS64): 64 bit, without
// any permission, of the network namespace that the thread is in (as /sys need not be). No file is touched.
class InterfaceCounters {
 public:
  struct Values {
    uint64_t rx_packets = 0;
    uint64_t tx_packets = 0;
    uint64_t rx_bytes = 0;
    uint64_t tx_bytes = 0;
    // Packets that the card or its driver lost for want of buffers. Not rx_dropped, which also counts packets that were
    // captured and that nobody on this host wanted.
    uint64_t rx_missed = 0;
    bool up = false;
  };

  // What has the device's name now.
  enum class Presence {
    kSame,  // the device that it was
    kOther,  // a device that was made or renamed since
    kGone,  // none
    kUnknown,  // the kernel did not say
  };

  // kNoSuchDevice, kKernel.
  Status Open(const std::string& device);
  int index() const { return index_; }
  // `values` stay as they were where there is no device, or the kernel does not say.
  Presence Read(Values* values);
  // Of the device that was read last, from now on.
  void Follow() { index_ = found_; }

  // What a counter rose by. One that is less than it was has begun anew.
  static uint64_t Since(uint64_t now, uint64_t last) { return now >= last ? now - last : now; }

 private:
  UniqueFd socket_;
  std::string device_;
  uint32_t sequence_ = 0;
  int index_ = 0;
  int found_ = 0;
};

}  // namespace pcap_ring
