#pragma once

#include <cstdint>

#include "base/status.h"

namespace pcap_ring {

struct LoopbackLoad {
  uint64_t sent = 0;
  int64_t took_ns = 0;
};

// Datagrams of 22 bytes (frames of 64) to 127.0.0.1, the discard port, for so long: what a ring on "lo" can take is measured
// with these. `pps` 0: as many as go. It blocks. A name space whose "lo" is down has no such address: kKernel.
Status SendToLoopback(int64_t for_ns, double pps, LoopbackLoad* load);

}  // namespace pcap_ring
