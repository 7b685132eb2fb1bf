#pragma once

#include <string>

#include "incident/types.h"

namespace pcap_ring {

// Who recorded, with what, by which clock: the report's `custody` as JSON. Reads /proc and /sys: the writer's thread.
std::string CustodyJson(const RingFacts& facts);

}  // namespace pcap_ring
