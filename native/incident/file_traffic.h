#pragma once

#include <array>
#include <cstdint>

#include "incident/section_timeline.h"
#include "source/packet.h"
#include "traffic/address_counts.h"
#include "traffic/counters.h"
#include "traffic/port_counts.h"

namespace pcap_ring {

// What the packets of one file are, for its report. The writer's thread; nothing is allocated per packet. At most 1 MiB:
// 216 KiB for each of sources and destinations once there are more than AddressCounts::kEntries of them, 128 KiB for the
// ports of each side of TCP and of UDP, 19 KiB for the timeline.
class FileTraffic {
 public:
  // Upper bounds of the sizes, by original length: those of RFC 2819's etherStats, then jumbo frames; the last is open.
  static constexpr std::array<uint32_t, 7> kUpTo = {64, 127, 255, 511, 1023, 1518, 9018};
  static constexpr size_t kTop = 10;

  // `linktype` and `precision` are the file's. `origin_ns` is where the timeline's slots are counted from, as the report
  // shows it, so that its reader finds the same slots; kNever: the first packet.
  FileTraffic(uint32_t linktype, Precision precision, int64_t origin_ns);

  void Add(Section section, const Packet& packet);

  const TrafficCounters& totals() const { return counter_.total(); }
  const std::array<uint64_t, kUpTo.size() + 1>& sizes() const { return sizes_; }
  const AddressCounts& sources() const { return sources_; }
  const AddressCounts& destinations() const { return destinations_; }
  const PortCounts& ports() const { return ports_; }
  const SectionTimeline& timeline() const { return timeline_; }

 private:
  TrafficCounter counter_;
  std::array<uint64_t, kUpTo.size() + 1> sizes_ = {};
  AddressCounts sources_;
  AddressCounts destinations_;
  PortCounts ports_;
  SectionTimeline timeline_;
};

}  // namespace pcap_ring
