#pragma once

#include <string>
#include <string_view>

namespace pcap_ring {

// An incident's files, without what tells one from the other.
inline std::string IncidentName(const std::string& id) { return "incident_" + id; }

// The ends of those that have no final name yet.
inline constexpr const char* kUnfinished[] = {".pcap.part", ".pcapng.part", ".json.part", ".json.new"};

// Stands beside an incident that the host's archive does not have yet. Made and removed by the host (src/delivery.ts), which
// may die before it has made it: then by the recovery.
inline constexpr const char* kUndelivered = ".undelivered";

// Of a file of that name and end; "": it is none.
inline std::string IncidentIdOf(std::string_view name, std::string_view end) {
  constexpr std::string_view kPrefix = "incident_";
  if (!name.starts_with(kPrefix) || !name.ends_with(end) || name.size() <= kPrefix.size() + end.size()) return "";
  return std::string(name.substr(kPrefix.size(), name.size() - kPrefix.size() - end.size()));
}

}  // namespace pcap_ring
