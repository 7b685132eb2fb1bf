#pragma once

#include <string>

#include "incident/tally.h"
#include "incident/types.h"

namespace pcap_ring {

class FileTraffic;

// What the file turned out to be.
struct FileOutcome {
  uint64_t bytes = 0;
  std::string sha256;  // "": unknown
  Code error = Code::kOk;
  bool recovered = false;
  const FileTraffic* traffic = nullptr;  // of its packets; nullptr: there is no file
};

// The members of a report that are known at the freeze, without braces, so that they can be set aside for a recovery; not
// those that its files' names tell, which may be others by then.
std::string ReportHead(const RecordingSpec& spec, const RingFacts& facts, int64_t frozen_ns);
// The whole IncidentReport (version 1 of the public contract).
std::string ReportJson(const std::string& head, const RecordingSpec& spec, Precision precision, Mode mode,
                       int64_t frozen_ns, const BeforeFreeze& before, const Tally& tally, const TapSummary& summary,
                       const FileOutcome& file);
// As reports name it; `manual`: in a capture on demand.
const char* SectionName(Section section, bool manual);
// A Section[] of the report; `manual`: a capture on demand.
std::string SectionsJson(const Tally& tally, const BeforeFreeze& before, bool manual, Precision precision);
// A DumpReport.
std::string DumpJson(const RecordingSpec& spec, const RingFacts& facts, const Tally& tally, uint64_t bytes);

// The report's `traffic`.
void WriteTraffic(JsonWriter* json, const FileTraffic& traffic, bool manual, Precision precision);

// The protocol members of `Stats` and of the report's statistics and traffic.
void WriteProtocols(JsonWriter* json, const TrafficCounters& traffic, Mode mode);

}  // namespace pcap_ring
