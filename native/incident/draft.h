#pragma once

#include <optional>
#include <string>

#include "base/time.h"
#include "incident/types.h"

namespace pcap_ring {

// What is known of an incident at its freeze, kept as the report's `.part` until the report and the capture have their final
// names, so that a recovery after a crash can tell more than the packets do. Not JSON: a line that seals the rest by its
// SHA-256, then a line each.
struct Draft {
  std::string head;  // ReportHead
  TapKind kind = TapKind::kIncident;
  Mode mode = Mode::kCapture;
  Precision precision = Precision::kMicro;
  int64_t frozen_ns = 0;
  int64_t since_ns = kNever;
  BeforeFreeze before;

  std::string Encode() const;
  // Nothing if the text is not whole.
  static std::optional<Draft> Decode(const std::string& text);
  // Whether one can begin like this.
  static bool Begins(const std::string& text);
};

// The report's own, as long as it is written: `incident_<id>.json.new`.
inline constexpr const char* kReportSuffix = ".new";

}  // namespace pcap_ring
