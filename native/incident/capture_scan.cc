#include "incident/capture_scan.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>

#include "base/sha256.h"
#include "output/pcap_format.h"
#include "output/pcapng_format.h"
#include "source/filter.h"
#include "source/recording_reader.h"

namespace pcap_ring {
namespace {

using Bytes = RecordFormat::Bytes;

// The bytes of the file, one after the other.
class Input {
 public:
  Input(int fd, const std::atomic<bool>& stop) : fd_(fd), stop_(stop) {}

  bool Read(void* to, size_t size) { return ReadUpTo(to, size) == size; }
  // How much was there.
  size_t ReadUpTo(void* to, size_t size) {
    auto* at = static_cast<uint8_t*>(to);
    size_t left = size;
    while (left > 0) {
      if (begin_ == end_) {
        if (stop_.load(std::memory_order_relaxed)) break;
        const ssize_t got = pread(fd_, buffer_.data(), buffer_.size(), offset_);
        if (got < 0 && errno == EINTR) continue;
        ended_ = got == 0;
        if (got < 0) error_ = Status::Errno(Code::kWrite, "cannot read the capture", "pread");
        if (got <= 0) break;
        offset_ += got;
        begin_ = 0;
        end_ = static_cast<size_t>(got);
      }
      const size_t piece = std::min(left, end_ - begin_);
      std::memcpy(at, buffer_.data() + begin_, piece);
      begin_ += piece;
      at += piece;
      left -= piece;
    }
    return size - left;
  }
  // The last Read failed because the file ends there.
  bool ended() const { return ended_; }
  const Status& error() const { return error_; }

 private:
  const int fd_;
  const std::atomic<bool>& stop_;
  off_t offset_ = 0;
  size_t begin_ = 0;
  size_t end_ = 0;
  bool ended_ = false;
  Status error_;
  std::array<uint8_t, 256 * 1024> buffer_;
};

// What was found whole.
class Finds {
 public:
  explicit Finds(const ScanSpec& spec) : spec_(spec) {}

  CaptureScan* scan() { return &scan_; }
  void Head(uint32_t linktype, uint32_t snaplen, Precision precision) {
    scan_.linktype = linktype;
    scan_.snaplen = snaplen;
    scan_.precision = precision;
    scan_.tally = Tally(spec_.onset_ns, precision);
    const PcapHandle dead = OpenDead(linktype, RecordingReader::kMaxCaplen);
    scan_.traffic = std::make_unique<FileTraffic>(linktype, precision, spec_.frozen_ns);
    counter_.emplace(dead != nullptr ? pcap_datalink(dead.get()) : -1);
  }
  void Accept(const void* bytes, size_t size) {
    digest_.Update(bytes, size);
    scan_.bytes += size;
  }
  void Add(const Packet& packet) {
    const Section section = SectionOf(scan_.tally.packets());
    scan_.tally.Add(section, packet.time_ns(), packet.len);
    scan_.traffic->Add(section, packet);
    // NOLINTNEXTLINE(bugprone-unchecked-optional-access): packets come behind a head.
    if (section == Section::kAttack) counter_->Count(packet);
  }
  CaptureScan Take() {
    if (counter_) scan_.after_freeze = counter_->total();
    scan_.sha256 = digest_.HexDigest();
    return std::move(scan_);
  }

 private:
  // Of the packet behind so many.
  Section SectionOf(uint64_t packets) const {
    for (size_t i = 0; i < kSectionsBefore; ++i) {
      if (packets < spec_.before.packets[i]) return static_cast<Section>(i);
      packets -= spec_.before.packets[i];
    }
    return Section::kAttack;
  }

  const ScanSpec spec_;
  CaptureScan scan_;
  std::optional<TrafficCounter> counter_;
  Sha256 digest_;
};

// Whether a head is one of ours; others may hold what readers refuse, such as a link type with bits that mean nothing.
bool IsOurs(const PcapFileHeader& header) {
  if (header.magic != kPcapMagicMicro && header.magic != kPcapMagicNano) return false;
  return header.version_major == 2 && header.version_minor == 4 && header.thiszone == 0 && header.sigfigs == 0 &&
         (header.linktype & RecordingReader::kReservedLinkTypeBits) == 0;
}

// After a power failure a file may end in zeros that nobody wrote.
bool Blank(const PcapRecordHeader& record) {
  return record.sec == 0 && record.fraction == 0 && record.caplen == 0 && record.len == 0;
}

void ScanPcap(Input* input, Finds* finds) {
  PcapFileHeader header;
  if (const size_t size = input->ReadUpTo(&header, sizeof header); size < sizeof header) {
    const auto begins = [&](uint32_t magic) { return std::memcmp(&header, &magic, std::min(size, sizeof magic)) == 0; };
    finds->scan()->begun = input->ended() && (begins(kPcapMagicMicro) || begins(kPcapMagicNano));
    return;
  }
  if (!IsOurs(header)) return;
  const Precision precision = header.magic == kPcapMagicNano ? Precision::kNano : Precision::kMicro;
  finds->Head(header.linktype, header.snaplen, precision);
  finds->Accept(&header, sizeof header);
  Bytes record;
  PcapRecordHeader next;
  while (input->Read(&next, sizeof next) && next.caplen <= RecordingReader::kMaxCaplen && !Blank(next)) {
    record.resize(sizeof next + next.caplen);
    std::memcpy(record.data(), &next, sizeof next);
    if (!input->Read(record.data() + sizeof next, next.caplen)) break;
    finds->Accept(record.data(), record.size());
    const int64_t scale = precision == Precision::kNano ? 1 : 1000;
    finds->Add({next.sec, next.fraction * scale, next.caplen, next.len, record.data() + sizeof next, false});
  }
}

// The next block, if one of ours can be like that as far as it is there; whole or not.
enum class Found { kWhole, kTorn, kForeign };
Found ReadBlock(Input* input, Bytes* block) {
  PcapngBlockHead head;
  if (!input->Read(&head, sizeof head)) return input->ended() ? Found::kTorn : Found::kForeign;
  if (!head.Plausible()) return Found::kForeign;
  block->resize(head.size);
  std::memcpy(block->data(), &head, sizeof head);
  if (input->Read(block->data() + sizeof head, head.size - sizeof head)) return Found::kWhole;
  return input->ended() ? Found::kTorn : Found::kForeign;
}

void ScanPcapng(Input* input, Finds* finds) {
  Bytes section;
  Bytes block;
  Found found = ReadBlock(input, &section);
  if (found == Found::kWhole) found = IsPcapngSection(section) ? ReadBlock(input, &block) : Found::kForeign;
  finds->scan()->begun = found == Found::kTorn;
  if (found != Found::kWhole) return;
  const auto interface = ReadPcapngInterface(block);
  if (!interface) return;
  finds->Head(interface->linktype, interface->snaplen, interface->precision);
  finds->Accept(section.data(), section.size());
  finds->Accept(block.data(), block.size());
  while (ReadBlock(input, &block) == Found::kWhole) {
    const auto packet = ReadPcapngPacket(block, interface->precision);
    if (!packet) {
      // Nothing stands behind it.
      if (IsPcapngStatistics(block)) finds->Accept(block.data(), block.size());
      break;
    }
    finds->Accept(block.data(), block.size());
    const RecordHeader& header = packet->header;
    finds->Add({header.sec, header.nsec, header.caplen, header.len, packet->data, false});
  }
}

}  // namespace

CaptureScan ScanCapture(int fd, FileFormat format, const ScanSpec& spec, const std::atomic<bool>& stop) {
  const auto input = std::make_unique<Input>(fd, stop);
  Finds finds(spec);
  if (format == FileFormat::kPcapng) {
    ScanPcapng(input.get(), &finds);
  } else {
    ScanPcap(input.get(), &finds);
  }
  CaptureScan scan = finds.Take();
  scan.error = input->error();
  return scan;
}

}  // namespace pcap_ring
