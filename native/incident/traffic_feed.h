#pragma once

#include <cstdint>
#include <vector>

#include "incident/file_traffic.h"
#include "ring/record.h"

namespace pcap_ring {

// Between a recording's buffer and its FileTraffic. A write that fails is cut off the file again, and the sketches of a
// FileTraffic can neither take packets back nor be copied at every flush. So packets are only noted while they are
// buffered, and looked at where they lie in the buffer once the buffer has arrived in the file. Knows nothing of the
// file's format: only where in the buffer each packet's bytes begin.
class TrafficFeed {
 public:
  TrafficFeed(uint32_t linktype, Precision precision, int64_t origin_ns) : traffic_(linktype, precision, origin_ns) {}

  void Note(Section section, const RecordHeader& header, size_t offset) {
    notes_.push_back({header, static_cast<uint32_t>(offset), section});
  }
  // What was noted is in the file; `buffer` is what was written.
  void Commit(const uint8_t* buffer) {
    for (const auto& [header, offset, section] : notes_) {
      traffic_.Add(section, {header.sec, header.nsec, header.caplen, header.len, buffer + offset, false});
    }
    notes_.clear();
  }
  // What was noted is not in the file.
  void Drop() { notes_.clear(); }

  const FileTraffic& traffic() const { return traffic_; }

 private:
  struct Noted {
    RecordHeader header;
    uint32_t offset;
    Section section;
  };

  FileTraffic traffic_;
  std::vector<Noted> notes_;  // no more than a buffer holds; its memory is kept
};

}  // namespace pcap_ring
