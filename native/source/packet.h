#pragma once

#include <cstdint>

#include "base/time.h"

namespace pcap_ring {

// One packet as the kernel or the recording gave it. `data` is only valid during the callback that hands it out.
struct Packet {
  int64_t sec = 0;
  // The fraction as it was stamped, in nanoseconds. Damaged recordings hold fractions of a second and more; they are kept.
  int64_t nsec = 0;
  uint32_t caplen = 0;  // bytes at `data`
  uint32_t len = 0;  // bytes on the wire; damaged recordings may claim fewer than caplen
  const uint8_t* data = nullptr;
  bool outbound = false;  // sent by the interface itself

  int64_t time_ns() const { return sec * kNsPerSec + nsec; }
};

}  // namespace pcap_ring
