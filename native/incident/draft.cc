#include "incident/draft.h"

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
  numbers << static_cast<int>(kind) << ' ' << static_cast<int>(precision) << ' ' << frozen_ns << ' ' << since_ns << ' '
          << before.onset_ns;
  for (size_t i = 0; i < kSectionsBefore; ++i) {
    numbers << ' ' << before.packets[i] << ' ' << before.sampling[i].min << ' ' << before.sampling[i].max;
  }
  const std::string body = numbers.str() + "\n" + head;
  return Seal(body) + "\n" + body;
}

std::optional<Draft> Draft::Decode(const std::string& text) {
  if (text.size() <= kSealSize || text[kSealSize] != '\n') return std::nullopt;
  const std::string body = text.substr(kSealSize + 1);
  if (Seal(body) != text.substr(0, kSealSize)) return std::nullopt;
  const size_t line = body.find('\n');
  if (line == std::string::npos) return std::nullopt;
  Draft draft;
  int kind = 0;
  int precision = 0;
  BeforeFreeze& before = draft.before;
  std::istringstream numbers(body.substr(0, line));
  numbers >> kind >> precision >> draft.frozen_ns >> draft.since_ns >> before.onset_ns;
  for (size_t i = 0; i < kSectionsBefore; ++i) {
    numbers >> before.packets[i] >> before.sampling[i].min >> before.sampling[i].max;
  }
  if (!numbers) return std::nullopt;
  draft.kind = static_cast<TapKind>(kind);
  draft.precision = static_cast<Precision>(precision);
  draft.head = body.substr(line + 1);
  return draft;
}

}  // namespace pcap_ring
