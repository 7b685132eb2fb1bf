#pragma once

#include <optional>
#include <string>

#include "base/time.h"
#include "incident/types.h"

namespace pcap_ring {

// What is known of an incident at its freeze, kept in the report's `.part` until the report itself is written, so that a
// recovery after a crash can tell more than the packets do. Not JSON: a line that seals the rest by its SHA-256, then a
// line each.
struct Draft {
  std::string head;  // ReportHead
  TapKind kind = TapKind::kIncident;
  Precision precision = Precision::kMicro;
  int64_t frozen_ns = 0;
  int64_t since_ns = kNever;
  BeforeFreeze before;

  std::string Encode() const;
  // Nothing if the text is not whole.
  static std::optional<Draft> Decode(const std::string& text);
};

}  // namespace pcap_ring
