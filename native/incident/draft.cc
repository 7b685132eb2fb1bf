#include "incident/draft.h"

#include <cinttypes>
#include <cstdio>

#include "base/sha256.h"

namespace pcap_ring {
namespace {

static_assert(kSectionsBefore == 3);  // as many numbers as a draft has
constexpr size_t kSealSize = 64;

std::string Seal(const std::string& text) {
  Sha256 digest;
  digest.Update(text.data(), text.size());
  return digest.HexDigest();
}

}  // namespace

std::string Draft::Encode() const {
  char numbers[320];
  std::snprintf(numbers, sizeof numbers,
                "%d %d %" PRId64 " %" PRId64 " %" PRId64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
                static_cast<int>(kind), static_cast<int>(precision), frozen_ns, since_ns, before.onset_ns,
                before.packets[0], before.packets[1], before.packets[2], before.fewest_per_sample,
                before.most_per_sample);
  const std::string body = numbers + head;
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
  if (std::sscanf(body.c_str(),
                  "%d %d %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
                  &kind, &precision, &draft.frozen_ns, &draft.since_ns, &before.onset_ns, &before.packets[0],
                  &before.packets[1], &before.packets[2], &before.fewest_per_sample, &before.most_per_sample) != 10) {
    return std::nullopt;
  }
  draft.kind = static_cast<TapKind>(kind);
  draft.precision = static_cast<Precision>(precision);
  draft.head = body.substr(line + 1);
  return draft;
}

}  // namespace pcap_ring
