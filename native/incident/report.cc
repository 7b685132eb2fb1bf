#include "incident/report.h"

#include <algorithm>

#include "base/json.h"
#include "incident/custody.h"

namespace pcap_ring {
namespace {

double Ms(int64_t ns) { return static_cast<double>(ns) / 1e6; }

void WriteCap(JsonWriter* json, CapReason reason) {
  switch (reason) {
    case CapReason::kNone:
      json->Null();
      break;
    case CapReason::kPackets:
      json->String("packets");
      break;
    case CapReason::kBytes:
      json->String("bytes");
      break;
    case CapReason::kDuration:
      json->String("duration");
      break;
  }
}

void WriteSpan(JsonWriter* json, const Tally& tally, Precision precision) {
  json->Key("from");
  if (tally.packets() == 0) {
    json->Null().Key("to").Null();
  } else {
    json->String(FormatTime(tally.from_ns(), precision)).Key("to").String(FormatTime(tally.to_ns(), precision));
  }
}

// What is recorded live is all kept; a history is one of samples, however many these are.
bool IsSampled(Section section, const BeforeFreeze& before) {
  const auto i = static_cast<size_t>(section);
  if (i >= kSectionsBefore) return false;
  return section == Section::kHistory ? before.sampling[i].max > 0 : before.sampling[i].sampled();
}

void WriteSampling(JsonWriter* json, const SamplingRange& range) {
  json->BeginObject().Key("min").Uint(range.min).Key("max").Uint(range.max).EndObject();
}

const char* ReasonName(GapReason reason) {
  switch (reason) {
    case GapReason::kRing:
      return "ring";
    case GapReason::kKernel:
      return "kernel";
    case GapReason::kSampling:
      return "sampling";
    case GapReason::kDeviceDown:
      return "device-down";
  }
  return "";
}

void WriteGap(JsonWriter* json, const Gap& gap, Precision precision) {
  json->BeginObject().Key("from").String(FormatTime(gap.from_ns, precision));
  json->Key("to").String(FormatTime(gap.to_ns, precision)).Key("packets");
  if (gap.counted) {
    json->Uint(gap.packets);
  } else {
    json->Null();
  }
  json->Key("exact").Bool(gap.exact);
  json->Key("reason").String(ReasonName(gap.reason)).EndObject();
}

void WriteCoverage(JsonWriter* json, const RecordingSpec& spec, Precision precision, const BeforeFreeze& before_freeze,
                   const Tally& tally, const TapSummary& summary, bool recovered) {
  const int64_t onset_ns = before_freeze.OnsetOr(spec.since_ns);
  const bool onset = onset_ns != kNever;
  json->Key("coverage").BeginObject().Key("onsetAt");
  if (onset) {
    json->String(FormatTime(onset_ns, precision));
    json->Key("onsetSource").String(before_freeze.onset_ns != kNever ? "watch" : "since");
  } else {
    json->Null().Key("onsetSource").Null();
  }
  const uint64_t before = onset ? tally.before_onset() : 0;
  json->Key("preOnsetPackets").Uint(before);
  json->Key("preOnsetSpan");
  json->Double(before > 0 ? Ms(tally.before_onset_ns()) : 0);
  // Of a recovered file nobody knows what was lost.
  json->Key("complete").Bool(!recovered && summary.gaps.empty());
  json->Key("gaps").BeginArray();
  for (const Gap& gap : summary.gaps) WriteGap(json, gap, precision);
  json->EndArray();
  json->Key("clock").BeginObject().Key("backSteps").Uint(tally.back_steps());
  json->Key("largestBackStep").Double(Ms(tally.largest_back_step_ns())).EndObject();
  json->EndObject();
}

void WriteStatistics(JsonWriter* json, Precision precision, Mode mode, int64_t frozen_ns, const TapSummary& summary) {
  const auto peak = [&](const char* name, const Peak& value) {
    json->Key(name).BeginObject().Key("value").Double(value.value);
    json->Key("at").String(FormatTime(value.at_ns != kNever ? value.at_ns : frozen_ns, precision)).EndObject();
  };
  json->Key("statistics").BeginObject();
  json->Key("packets").Uint(summary.traffic.packets).Key("bytes").Uint(summary.traffic.bytes);
  peak("peakPps", summary.peak_pps);
  peak("peakBps", summary.peak_bps);
  WriteProtocols(json, summary.traffic, mode);
  if (summary.sampling.sampled()) {
    json->Key("sampling");
    WriteSampling(json, summary.sampling);
  }
  json->Key("timeline").BeginArray();
  for (const TimelineSlot& slot : summary.timeline) {
    json->BeginObject().Key("at").String(FormatTime(slot.at_ns, precision));
    json->Key("packets").Uint(slot.packets).Key("bytes").Uint(slot.bytes).EndObject();
  }
  json->EndArray().EndObject();
}

}  // namespace

const char* SectionName(Section section, bool manual) {
  switch (section) {
    case Section::kHistory:
      return "history";
    case Section::kPreBuffer:
      return "pre-buffer";
    case Section::kOnset:
      return "onset";
    case Section::kAttack:
      return manual ? "capture" : "attack";
    case Section::kResolution:
      return "resolution";
  }
  return "";
}

std::string ErrorJson(const Status& status) {
  JsonWriter json;
  json.BeginObject().Key("code").String(CodeName(status.code)).Key("message").String(status.message);
  if (status.error_number != 0) json.Key("errno").Int(-status.error_number);
  if (status.syscall != nullptr) json.Key("syscall").String(status.syscall);
  json.EndObject();
  return json.Take();
}

void WriteProtocols(JsonWriter* json, const TrafficCounters& traffic, Mode mode) {
  if (mode == Mode::kStatistics) {
    json->Key("protocols").Null().Key("tcpFlags").Null().Key("fragments").Null();
    return;
  }
  json->Key("protocols").BeginObject();
  json->Key("tcp").Uint(traffic.tcp).Key("udp").Uint(traffic.udp);
  json->Key("icmp").Uint(traffic.icmp).Key("other").Uint(traffic.other).EndObject();
  json->Key("tcpFlags").BeginObject();
  json->Key("syn").Uint(traffic.syn).Key("synack").Uint(traffic.synack).Key("ack").Uint(traffic.ack);
  json->Key("rst").Uint(traffic.rst).Key("fin").Uint(traffic.fin).EndObject();
  json->Key("fragments").Uint(traffic.fragments);
}

std::string SectionsJson(const Tally& tally, const BeforeFreeze& before, bool manual, Precision precision) {
  JsonWriter json;
  json.BeginArray();
  for (const SectionTally& section : tally.sections()) {
    json.BeginObject().Key("name").String(SectionName(section.section, manual));
    json.Key("packets").Uint(section.packets).Key("bytes").Uint(section.bytes);
    json.Key("from").String(FormatTime(section.from_ns, precision));
    json.Key("to").String(FormatTime(section.to_ns, precision));
    json.Key("firstFrame").Uint(section.first_frame);
    json.Key("lastFrame").Uint(section.first_frame + section.packets - 1);
    json.Key("sampling");
    if (IsSampled(section.section, before)) {
      WriteSampling(&json, before.sampling[static_cast<size_t>(section.section)]);
    } else {
      json.Null();
    }
    json.EndObject();
  }
  json.EndArray();
  return json.Take();
}

std::string ReportHead(const RecordingSpec& spec, const RingFacts& facts, int64_t frozen_ns) {
  JsonWriter json;
  json.Key("kind").String(spec.kind == TapKind::kManual ? "manual" : "incident");
  json.Key("reason").Raw(spec.reason).Key("labels").Raw(spec.labels).Key("attack").Raw(spec.attack);
  json.Key("source").String(facts.source.replay ? "file" : "device");
  json.Key("mode").String(facts.source.mode == Mode::kCapture ? "capture" : "statistics");
  json.Key("format").String(FormatName(facts.format)).Key("linkType").String(facts.source.linktype_name);
  json.Key("snaplen").Uint(facts.source.snaplen).Key("filter");
  if (facts.filter.empty()) {
    json.Null();
  } else {
    json.String(facts.filter);
  }
  json.Key("direction").String(facts.direction);
  json.Key("frozenAt").String(FormatTime(frozen_ns, facts.precision));
  json.Key("custody").Raw(CustodyJson(facts));
  return json.Take();
}

std::string ReportJson(const std::string& head, const RecordingSpec& spec, Precision precision, Mode mode,
                       int64_t frozen_ns, const BeforeFreeze& before, const Tally& tally, const TapSummary& summary,
                       const FileOutcome& file) {
  JsonWriter json;
  json.BeginObject().Key("version").Int(1).Key("id").String(spec.id).Raw(head);
  json.Key("file");
  if (mode == Mode::kCapture) {
    json.String(spec.path);
  } else {
    json.Null();
  }
  json.Key("bytes").Uint(file.bytes).Key("packets").Uint(tally.packets()).Key("sha256");
  if (file.sha256.empty()) {
    json.Null();
  } else {
    json.String(file.sha256);
  }
  json.Key("capped");
  WriteCap(&json, summary.capped);
  json.Key("recovered").Bool(file.recovered).Key("error");
  if (file.error == Code::kOk) {
    json.Null();
  } else {
    json.String(CodeName(file.error));
  }
  json.Key("resolvedAt").String(FormatTime(summary.resolved_ns, precision));
  json.Key("duration").Double(Ms(summary.resolved_ns - frozen_ns));
  WriteSpan(&json, tally, precision);
  json.Key("sections").Raw(SectionsJson(tally, before, spec.kind == TapKind::kManual, precision));
  WriteCoverage(&json, spec, precision, before, tally, summary, file.recovered);
  json.Key("loss").BeginObject().Key("kernel").Uint(summary.kernel_loss);
  json.Key("interface").Uint(summary.interface_loss).Key("writer").Uint(summary.writer_loss).EndObject();
  WriteStatistics(&json, precision, mode, frozen_ns, summary);
  json.Key("traffic");
  if (file.traffic != nullptr) {
    WriteTraffic(&json, *file.traffic, spec.kind == TapKind::kManual, precision);
  } else {
    json.Null();
  }
  json.EndObject();
  return json.Take();
}

std::string DumpJson(const RecordingSpec& spec, const RingFacts& facts, const Tally& tally, uint64_t bytes) {
  JsonWriter json;
  json.BeginObject().Key("file").String(spec.path).Key("format").String(FormatName(facts.format));
  json.Key("linkType").String(facts.source.linktype_name).Key("bytes").Uint(bytes);
  json.Key("packets").Uint(tally.packets());
  WriteSpan(&json, tally, facts.precision);
  json.EndObject();
  return json.Take();
}

}  // namespace pcap_ring
