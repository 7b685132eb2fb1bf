#pragma once

#include "engine/lookback.h"
#include "engine/loss_marks.h"
#include "engine/tap.h"
#include "ring/packet_ring.h"

namespace pcap_ring {

// Where what was before a freeze is to be found. `lookback` may be nullptr.
struct Evidence {
  const PacketRing& ring;
  const Lookback* lookback;
  const LossMarks& loss;
  size_t ring_packets;
};

// What `tap` has from before its freeze at `time_ns`, where packet number `split` is the first behind it: which packets, in
// which sections, what the caps have no room for, and what is missing in between. Fills all of the origin that says so.
void GatherBeforeFreeze(const Evidence& evidence, const Tap& tap, int64_t time_ns, uint64_t split, Tap::Origin* origin);

}  // namespace pcap_ring
