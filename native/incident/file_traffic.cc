#include "incident/file_traffic.h"

#include <algorithm>

#include "source/filter.h"
#include "source/recording_reader.h"

namespace pcap_ring {
namespace {

// The DLT_ value of a file's link type, as libpcap has it.
int DltOf(uint32_t linktype) {
  const PcapHandle dead = OpenDead(linktype, RecordingReader::kMaxCaplen);
  return dead != nullptr ? pcap_datalink(dead.get()) : -1;
}

}  // namespace

FileTraffic::FileTraffic(uint32_t linktype, Precision precision, int64_t origin_ns)
    : counter_(DltOf(linktype)), timeline_(origin_ns == kNever ? kNever : CutTime(origin_ns, precision)) {}

void FileTraffic::Add(Section section, const Packet& packet) {
  Endpoints ends;
  counter_.Count(packet, &ends);
  const auto bucket = std::lower_bound(kUpTo.begin(), kUpTo.end(), packet.len);
  ++sizes_[static_cast<size_t>(bucket - kUpTo.begin())];
  if (ends.address_size != 0) {
    sources_.Add(ends.source, ends.address_size, packet.len);
    destinations_.Add(ends.destination, ends.address_size, packet.len);
  }
  ports_.Add(ends);
  timeline_.Add(section, packet.time_ns(), packet.len);
}

}  // namespace pcap_ring
