#pragma once

#include <atomic>
#include <string>

#include "incident/types.h"

namespace pcap_ring {

// Brings what dead writers left in `directory` under its final names: each unlocked `incident_*.pcap.part` (or
// .pcapng.part) is cut back to its last whole record and reported as recovered, and so is an incident without a capture.
// Where the host delivers, such a capture is marked as undelivered before it has its name.
// Files with a living writer, and everything else, are not touched. The writer's thread, before a ring starts. A file that
// cannot be recovered is left and told of through `warn`. Ends early, and leaves the rest to the next start, once `stop` is
// set.
void RecoverDirectory(const RingFacts& facts, const std::atomic<bool>& stop,
                      const std::function<void(const Status&)>& warn);

}  // namespace pcap_ring
