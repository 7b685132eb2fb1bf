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

  // kNoSuchDevice, kKernel.
  Status Open(const std::string& device);
  int index() const { return index_; }
  // False: the device is gone (values stay as they were).
  bool Read(Values* values);

 private:
  UniqueFd socket_;
  int index_ = 0;
};

}  // namespace pcap_ring
