#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "engine/types.h"
#include "incident/keeper.h"
#include "output/record_format.h"

namespace pcap_ring {

// What happens that the host hears of. `json` is the text of what goes with it: an object, an error
// ({code, message, errno, syscall}), or empty.
struct HostEvent {
  const char* name = "";
  uint32_t handle = 0;    // of the incident or dump
  uint64_t boundary = 0;  // of a statistics event that is waited for
  std::string json;
};
using HostSink = std::function<void(HostEvent)>;

// What the host asks for when it opens a recording. Texts that are JSON already are spliced into the report as they are.
struct RecordingSpec {
  uint32_t handle = 0;
  TapKind kind = TapKind::kIncident;
  std::string id;
  std::string path;  // the capture's final name; the report's for an incident is `report_path`
  std::string report_path;  // "" for a dump
  std::string reason = "null";
  std::string labels = "{}";
  std::string attack = "null";
  int64_t since_ns = kNever;  // the host's own idea of the onset
  std::string comment;  // what the file says of itself, where its format can
  std::shared_ptr<const RecordFormat> format;  // set by the session
};

// What is the same for every report of a ring.
struct RingFacts {
  Precision precision = Precision::kMicro;
  FileFormat format = FileFormat::kPcap;
  std::string directory;
  std::optional<uint64_t> min_free = 0;  // bytes that stay free on its file system; nothing: by its size
  KeepLimits keep;
  bool delivers = false;  // whether the host hands finished captures to an archive
  std::string filter;
  std::string direction = "both";
  bool promiscuous = false;
  std::string version;  // of this library
  std::string node_version;
  SourceInfo source;  // known once the ring has started
};

std::string ErrorJson(const Status& status);

}  // namespace pcap_ring
