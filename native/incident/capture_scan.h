#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "base/status.h"
#include "incident/file_traffic.h"
#include "incident/tally.h"
#include "output/record_format.h"
#include "traffic/counters.h"

namespace pcap_ring {

// The whole records at the start of a capture of ours, whose writer may have died anywhere.
struct CaptureScan {
  Status error;            // it could not be read to its end: there may be more
  uint64_t bytes = 0;      // 0: not even a head
  bool begun = false;      // without a head, all that is there may be the beginning of one
  uint32_t snaplen = 0;
  uint32_t linktype = 0;
  Precision precision = Precision::kMicro;
  Tally tally;
  TrafficCounters after_freeze;
  std::unique_ptr<FileTraffic> traffic;  // nullptr without a head
  std::string sha256;
};

// What is known of the incident.
struct ScanSpec {
  BeforeFreeze before;  // so many packets are from before the freeze
  int64_t onset_ns = kNever;
  int64_t frozen_ns = kNever;
};

// Ends early once `stop` is set.
CaptureScan ScanCapture(int fd, FileFormat format, const ScanSpec& spec, const std::atomic<bool>& stop);

}  // namespace pcap_ring
