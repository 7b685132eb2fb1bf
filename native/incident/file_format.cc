#include "incident/file_format.h"

#include <sys/utsname.h>

#include "incident/report.h"

namespace pcap_ring {
namespace {

uint64_t SizeAround(const RecordFormat& format) {
  RecordFormat::Bytes bytes;
  format.AppendHead(&bytes);
  format.AppendEnd({}, &bytes);
  return bytes.size();
}

uint32_t SizeOfRecord(const RecordFormat& format, std::string_view comment) {
  RecordFormat::Bytes bytes;
  format.AppendBefore({}, comment, &bytes);
  format.AppendBehind({}, comment, &bytes);
  return static_cast<uint32_t>(bytes.size());
}

}  // namespace

std::string_view CommentOf(Section section, TapKind kind) {
  return kind == TapKind::kDump ? "" : SectionName(section, kind == TapKind::kManual);
}

std::shared_ptr<const RecordFormat> FormatOf(const RecordingSpec& spec, const RingFacts& facts, uint64_t cap_bytes) {
  FileHead least;
  least.precision = facts.precision;
  least.linktype = facts.source.linktype;
  least.snaplen = facts.source.file_snaplen;
  // Nobody knows what was lost when a recording was made.
  least.counts_loss = !facts.source.replay;

  FileHead full = least;
  utsname system = {};
  if (uname(&system) == 0) full.os = std::string(system.sysname) + " " + system.release;
  full.application = "@flowtriq/pcap-ring " + facts.version;
  full.interface_name = facts.source.device;
  full.filter = facts.filter;
  full.comment = spec.comment;

  std::shared_ptr<const RecordFormat> format = MakeRecordFormat(facts.format, std::move(full));
  if (SizeAround(*format) <= cap_bytes) return format;
  return MakeRecordFormat(facts.format, std::move(least));
}

FileCost CostOf(const RecordFormat& format, TapKind kind) {
  FileCost cost;
  cost.file = SizeAround(format);
  cost.record = SizeOfRecord(format, "");
  cost.alignment = format.alignment();
  for (size_t i = 0; i < kSections; ++i) {
    cost.section[i] = SizeOfRecord(format, CommentOf(static_cast<Section>(i), kind)) - cost.record;
  }
  return cost;
}

}  // namespace pcap_ring
