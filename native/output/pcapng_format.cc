#include "output/pcapng_format.h"

#include <algorithm>
#include <cstring>

#include "source/recording_reader.h"

namespace pcap_ring {
namespace {

using Bytes = RecordFormat::Bytes;

constexpr uint32_t kByteOrderMagic = 0x1a2b3c4d;
constexpr uint32_t kFcsLengthPresent = 0x04000000;  // in the LINKTYPE_ field of a .pcap

// Option codes; their meaning depends on the block.
constexpr uint16_t kEndOfOptions = 0;
constexpr uint16_t kComment = 1;
constexpr uint16_t kSectionOs = 3;
constexpr uint16_t kSectionApplication = 4;
constexpr uint16_t kInterfaceName = 2;
constexpr uint16_t kInterfaceTimeResolution = 9;
constexpr uint16_t kInterfaceFilter = 11;
constexpr uint16_t kInterfaceFcsLength = 13;
constexpr uint16_t kStatisticsStart = 2;
constexpr uint16_t kStatisticsEnd = 3;
constexpr uint16_t kStatisticsInterfaceDrop = 5;
constexpr uint16_t kStatisticsOsDrop = 7;

constexpr size_t kLargestOption = UINT16_MAX;
constexpr uint32_t kBlockEnds = 12;       // type, size, and size again
constexpr uint32_t kPacketFields = 20;    // interface, time, both lengths
constexpr uint32_t kLargestPacket = RecordingReader::kMaxCaplen;
// In seconds: RecordingReader takes none later, nor could the writer have been given one.
constexpr uint64_t kLatest = UINT32_MAX;
// A packet with a comment, or a section header or interface description with a few options of the greatest length.
constexpr uint32_t kLargestBlock = kLargestPacket + 4 * 65'536;

constexpr size_t Padded(size_t size) { return (size + 3) & ~size_t{3}; }

void AppendBytes(const void* data, size_t size, Bytes* to) {
  const auto* from = static_cast<const uint8_t*>(data);
  to->insert(to->end(), from, from + size);
}

template <typename Number>
void Append(Number number, Bytes* to) {
  AppendBytes(&number, sizeof number, to);
}

void AppendPadding(size_t size, Bytes* to) { to->insert(to->end(), Padded(size) - size, 0); }

// What does not fit into an option is left out: half a filter would be another filter.
void AppendOption(uint16_t code, std::string_view value, Bytes* to) {
  if (value.empty() || value.size() > kLargestOption) return;
  Append(code, to);
  Append(static_cast<uint16_t>(value.size()), to);
  AppendBytes(value.data(), value.size(), to);
  AppendPadding(value.size(), to);
}

void AppendEndOfOptions(Bytes* to) {
  Append(kEndOfOptions, to);
  Append(uint16_t{0}, to);
}

size_t CommentSize(std::string_view comment) {
  return comment.empty() || comment.size() > kLargestOption ? 0 : 4 + Padded(comment.size()) + 4;
}

// A block that is built in place: its size is filled in at the end.
class Block {
 public:
  Block(PcapngBlock type, Bytes* to) : to_(to), begin_(to->size()) {
    Append(static_cast<uint32_t>(type), to);
    Append(uint32_t{0}, to);
  }
  void End() {
    AppendEndOfOptions(to_);
    const auto size = static_cast<uint32_t>(to_->size() - begin_ + 4);
    std::memcpy(to_->data() + begin_ + 4, &size, sizeof size);
    Append(size, to_);
  }

 private:
  Bytes* const to_;
  const size_t begin_;
};

// Microseconds are cut, never rounded. A time before 1970, which only a recording with an offset can have, is no number
// here and becomes the first that is.
uint64_t Ticks(int64_t sec, int64_t nsec, Precision precision) {
  const int64_t ticks = precision == Precision::kNano ? sec * kNsPerSec + nsec : sec * 1'000'000 + nsec / 1000;
  return static_cast<uint64_t>(std::max<int64_t>(0, ticks));
}

// The upper half stands first, whatever the byte order.
void AppendTime(uint64_t ticks, Bytes* to) {
  Append(static_cast<uint32_t>(ticks >> 32), to);
  Append(static_cast<uint32_t>(ticks), to);
}

void AppendTimeOption(uint16_t code, uint64_t ticks, Bytes* to) {
  Append(code, to);
  Append(uint16_t{8}, to);
  AppendTime(ticks, to);
}

void AppendCountOption(uint16_t code, uint64_t count, Bytes* to) {
  Append(code, to);
  Append(uint16_t{8}, to);
  Append(count, to);
}

template <typename Number>
Number Get(const Bytes& block, size_t at) {
  Number number;
  std::memcpy(&number, block.data() + at, sizeof number);
  return number;
}

bool IsOf(PcapngBlock type, size_t least, const Bytes& block) {
  return block.size() >= least && Get<uint32_t>(block, 0) == static_cast<uint32_t>(type) &&
         Get<uint32_t>(block, 4) == block.size() && Get<uint32_t>(block, block.size() - 4) == block.size();
}

}  // namespace

void PcapngFormat::AppendHead(Bytes* to) const {
  Block section(PcapngBlock::kSection, to);
  Append(kByteOrderMagic, to);
  Append(uint16_t{1}, to);
  Append(uint16_t{0}, to);
  Append(uint64_t{UINT64_MAX}, to);  // length: to the end of the file
  AppendOption(kComment, head_.comment, to);
  AppendOption(kSectionOs, head_.os, to);
  AppendOption(kSectionApplication, head_.application, to);
  section.End();

  Block interface(PcapngBlock::kInterface, to);
  Append(static_cast<uint16_t>(head_.linktype), to);
  Append(uint16_t{0}, to);
  Append(head_.snaplen, to);
  AppendOption(kInterfaceName, head_.interface_name, to);
  const char resolution = head_.precision == Precision::kNano ? 9 : 6;
  AppendOption(kInterfaceTimeResolution, {&resolution, 1}, to);
  // Behind a 0, which says that it is an expression in libpcap's language.
  if (!head_.filter.empty()) AppendOption(kInterfaceFilter, '\0' + head_.filter, to);
  // A .pcap counts in words of 16 bits.
  if ((head_.linktype & kFcsLengthPresent) != 0) {
    const auto length = static_cast<char>((head_.linktype >> 28) * 2);
    AppendOption(kInterfaceFcsLength, {&length, 1}, to);
  }
  interface.End();
}

void PcapngFormat::AppendBefore(const RecordHeader& packet, std::string_view comment, Bytes* to) const {
  const size_t size = kBlockEnds + kPacketFields + Padded(packet.caplen) + CommentSize(comment);
  Append(static_cast<uint32_t>(PcapngBlock::kPacket), to);
  Append(static_cast<uint32_t>(size), to);
  Append(uint32_t{0}, to);  // the one interface
  AppendTime(Ticks(packet.sec, packet.nsec, head_.precision), to);
  Append(packet.caplen, to);
  Append(packet.len, to);
}

void PcapngFormat::AppendBehind(const RecordHeader& packet, std::string_view comment, Bytes* to) const {
  AppendPadding(packet.caplen, to);
  if (CommentSize(comment) > 0) {
    AppendOption(kComment, comment, to);
    AppendEndOfOptions(to);
  }
  const size_t size = kBlockEnds + kPacketFields + Padded(packet.caplen) + CommentSize(comment);
  Append(static_cast<uint32_t>(size), to);
}

// How many packets the interface received and the filter let pass in just this time nobody counted: left out.
void PcapngFormat::AppendEnd(const FileEnd& end, Bytes* to) const {
  const auto ticks = [this](int64_t ns) { return Ticks(ns / kNsPerSec, ns % kNsPerSec, head_.precision); };
  Block statistics(PcapngBlock::kStatistics, to);
  Append(uint32_t{0}, to);
  AppendTime(ticks(end.to_ns), to);
  AppendTimeOption(kStatisticsStart, ticks(end.from_ns), to);
  AppendTimeOption(kStatisticsEnd, ticks(end.to_ns), to);
  if (head_.counts_loss) {
    AppendCountOption(kStatisticsInterfaceDrop, end.interface_loss, to);
    AppendCountOption(kStatisticsOsDrop, end.kernel_loss, to);
  }
  statistics.End();
}

bool PcapngBlockHead::Plausible() const {
  switch (static_cast<PcapngBlock>(type)) {
    case PcapngBlock::kSection:
    case PcapngBlock::kInterface:
    case PcapngBlock::kPacket:
    case PcapngBlock::kStatistics:
      return size >= kBlockEnds && size % 4 == 0 && size <= kLargestBlock;
  }
  return false;
}

bool IsPcapngSection(const Bytes& block) {
  constexpr uint32_t kVersion1_0 = 1;
  return IsOf(PcapngBlock::kSection, 28, block) && Get<uint32_t>(block, 8) == kByteOrderMagic &&
         Get<uint32_t>(block, 12) == kVersion1_0 && Get<uint64_t>(block, 16) == UINT64_MAX;
}

std::optional<PcapngInterface> ReadPcapngInterface(const Bytes& block) {
  if (!IsOf(PcapngBlock::kInterface, 20, block)) return std::nullopt;
  PcapngInterface interface = {Get<uint16_t>(block, 8), Get<uint32_t>(block, 12), Precision::kMicro};
  const size_t end = block.size() - 4;
  for (size_t at = 16; at + 4 <= end;) {
    const auto code = Get<uint16_t>(block, at);
    const size_t length = Get<uint16_t>(block, at + 2);
    if (code == kEndOfOptions) break;
    if (at + 4 + length > end) return std::nullopt;
    if (code == kInterfaceTimeResolution) {
      if (length != 1 || (block[at + 4] != 6 && block[at + 4] != 9)) return std::nullopt;
      if (block[at + 4] == 9) interface.precision = Precision::kNano;
    }
    at += 4 + Padded(length);
  }
  return interface;
}

std::optional<PcapngPacket> ReadPcapngPacket(const Bytes& block, Precision precision) {
  constexpr size_t kDataAt = 8 + kPacketFields;
  if (!IsOf(PcapngBlock::kPacket, kBlockEnds + kPacketFields, block) || Get<uint32_t>(block, 8) != 0) {
    return std::nullopt;
  }
  const auto caplen = Get<uint32_t>(block, 20);
  if (caplen > kLargestPacket || kDataAt + Padded(caplen) + 4 > block.size()) return std::nullopt;
  const uint64_t ticks = uint64_t{Get<uint32_t>(block, 12)} << 32 | Get<uint32_t>(block, 16);
  const uint64_t per_second = precision == Precision::kNano ? kNsPerSec : 1'000'000;
  if (ticks / per_second > kLatest) return std::nullopt;
  const uint64_t fraction = ticks % per_second * (kNsPerSec / per_second);
  return PcapngPacket{{static_cast<int64_t>(ticks / per_second), static_cast<int64_t>(fraction), caplen,
                       Get<uint32_t>(block, 24)},
                      block.data() + kDataAt};
}

bool IsPcapngStatistics(const Bytes& block) { return IsOf(PcapngBlock::kStatistics, 24, block); }

}  // namespace pcap_ring
