#include "incident/draft.h"

#include <algorithm>
#include <sstream>

#include "base/sha256.h"

namespace pcap_ring {
namespace {

constexpr size_t kSealSize = 64;

std::string Seal(const std::string& text) {
  Sha256 digest;
  digest.Update(text.data(), text.size());
  return digest.HexDigest();
}

}  // namespace

std::string Draft::Encode() const {
  std::ostringstream numbers;
  numbers << static_cast<int>(kind) << ' ' << static_cast<int>(mode) << ' ' << static_cast<int>(precision) << ' ' << frozen_ns << ' ' << since_ns << ' '
          << before.onset_ns;
  for (size_t i = 0; i < kSectionsBefore; ++i) {
    numbers << ' ' << before.packets[i] << ' ' << before.sampling[i].min << ' ' << before.sampling[i].max;
  }
  const std::string body = numbers.str() + "\n" + head;
  return Seal(body) + "\n" + body;
}

bool Draft::Begins(const std::string& text) {
  const size_t sealed = std::min(text.size(), kSealSize);
  return text.find_first_not_of("0123456789abcdef") >= sealed && (text.size() <= kSealSize || text[kSealSize] == '\n');
}

std::optional<Draft> Draft::Decode(const std::string& text) {
  if (text.size() <= kSealSize || text[kSealSize] != '\n') return std::nullopt;
  const std::string body = text.substr(kSealSize + 1);
  if (Seal(body) != text.substr(0, kSealSize)) return std::nullopt;
  const size_t line = body.find('\n');
  if (line == std::string::npos) return std::nullopt;
  Draft draft;
  int kind = 0;
  int mode = 0;
  int precision = 0;
  BeforeFreeze& before = draft.before;
  std::istringstream numbers(body.substr(0, line));
  numbers >> kind >> mode >> precision >> draft.frozen_ns >> draft.since_ns >> before.onset_ns;
  for (size_t i = 0; i < kSectionsBefore; ++i) {
    numbers >> before.packets[i] >> before.sampling[i].min >> before.sampling[i].max;
  }
  // What was not made by us may say anything. A packet's time, as others are subtracted from it.
  if (!numbers || draft.frozen_ns < 0) return std::nullopt;
  if (kind != static_cast<int>(TapKind::kIncident) && kind != static_cast<int>(TapKind::kManual)) return std::nullopt;
  if (mode != static_cast<int>(Mode::kCapture) && mode != static_cast<int>(Mode::kStatistics)) return std::nullopt;
  if (precision != static_cast<int>(Precision::kMicro) && precision != static_cast<int>(Precision::kNano)) {
    return std::nullopt;
  }
  draft.kind = static_cast<TapKind>(kind);
  draft.mode = static_cast<Mode>(mode);
  draft.precision = static_cast<Precision>(precision);
  draft.head = body.substr(line + 1);
  return draft;
}

}  // namespace pcap_ring
