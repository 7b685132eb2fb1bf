#include "incident/draft.h"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <system_error>

#include "base/sha256.h"

namespace pcap_ring {
namespace {

constexpr size_t kSealSize = 64;

std::string Seal(const std::string& text) {
  Sha256 digest;
  digest.Update(text.data(), text.size());
  return digest.HexDigest();
}

// Not by streams, which write and read numbers as the host's locale has them.
template <typename Number>
void Append(std::string* line, Number number) {
  char digits[20];
  if (!line->empty()) *line += ' ';
  line->append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

// Takes a number off the front of the line; false: there is none that fits.
template <typename Number>
bool Take(std::string_view* line, Number* number) {
  if (!line->empty() && line->front() == ' ') line->remove_prefix(1);
  const auto [end, error] = std::from_chars(line->data(), line->data() + line->size(), *number);
  line->remove_prefix(static_cast<size_t>(end - line->data()));
  return error == std::errc();
}

}  // namespace

std::string Draft::Encode() const {
  std::string numbers;
  for (const int64_t number : {static_cast<int64_t>(kind), static_cast<int64_t>(mode), static_cast<int64_t>(precision),
                               frozen_ns, since_ns, before.onset_ns}) {
    Append(&numbers, number);
  }
  for (size_t i = 0; i < kSectionsBefore; ++i) {
    Append(&numbers, before.packets[i]);
    Append(&numbers, before.sampling[i].min);
    Append(&numbers, before.sampling[i].max);
  }
  const std::string body = numbers + "\n" + head;
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
  std::string_view numbers(body.data(), line);
  bool good = Take(&numbers, &kind) && Take(&numbers, &mode) && Take(&numbers, &precision) &&
              Take(&numbers, &draft.frozen_ns) && Take(&numbers, &draft.since_ns) && Take(&numbers, &before.onset_ns);
  for (size_t i = 0; i < kSectionsBefore; ++i) {
    good = good && Take(&numbers, &before.packets[i]) && Take(&numbers, &before.sampling[i].min) &&
           Take(&numbers, &before.sampling[i].max);
  }
  // What was not made by us may say anything. A packet's time, as others are subtracted from it.
  if (!good || draft.frozen_ns < 0) return std::nullopt;
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
