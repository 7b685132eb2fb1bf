#pragma once

#include <cstdint>

#include "base/time.h"
#include "output/record_format.h"

namespace pcap_ring {

// The classic capture file, in the machine's own byte order (draft-ietf-opsawg-pcap): magic 0xa1b2c3d4 with
// microseconds, 0xa1b23c4d with nanoseconds.
struct PcapFileHeader {
  uint32_t magic;
  uint16_t version_major = 2;
  uint16_t version_minor = 4;
  int32_t thiszone = 0;
  uint32_t sigfigs = 0;
  uint32_t snaplen = 0;
  uint32_t linktype = 0;
};
static_assert(sizeof(PcapFileHeader) == 24);

struct PcapRecordHeader {
  uint32_t sec;
  uint32_t fraction;
  uint32_t caplen;
  uint32_t len;
};
static_assert(sizeof(PcapRecordHeader) == 16);

inline constexpr uint32_t kPcapMagicMicro = 0xa1b2c3d4;
inline constexpr uint32_t kPcapMagicNano = 0xa1b23c4d;

inline PcapFileHeader MakePcapFileHeader(uint32_t linktype, uint32_t snaplen, Precision precision) {
  PcapFileHeader header;
  header.magic = precision == Precision::kNano ? kPcapMagicNano : kPcapMagicMicro;
  header.snaplen = snaplen;
  header.linktype = linktype;
  return header;
}

// Microseconds are cut, never rounded: a rounded time could be later than the packet behind it. A fraction of seconds, as
// damaged recordings have them, is kept as it was unless 32 bits cannot hold it in nanoseconds; then the time is the same.
inline PcapRecordHeader MakePcapRecordHeader(int64_t sec, int64_t nsec, uint32_t caplen, uint32_t len,
                                             Precision precision) {
  if (precision == Precision::kNano && nsec > UINT32_MAX) {
    sec += nsec / kNsPerSec;
    nsec %= kNsPerSec;
  }
  return {static_cast<uint32_t>(sec), static_cast<uint32_t>(precision == Precision::kNano ? nsec : nsec / 1000), caplen,
          len};
}

// Has no place for comments, nor for anything at its end.
class PcapFormat : public RecordFormat {
 public:
  explicit PcapFormat(const FileHead& head)
      : precision_(head.precision), header_(MakePcapFileHeader(head.linktype, head.snaplen, head.precision)) {}

  void AppendHead(Bytes* to) const override { Append(header_, to); }
  void AppendBefore(const RecordHeader& packet, std::string_view, Bytes* to) const override {
    Append(MakePcapRecordHeader(packet.sec, packet.nsec, packet.caplen, packet.len, precision_), to);
  }
  void AppendBehind(const RecordHeader&, std::string_view, Bytes*) const override {}
  void AppendEnd(const FileEnd&, Bytes*) const override {}
  uint32_t alignment() const override { return 1; }

 private:
  template <typename Header>
  static void Append(const Header& header, Bytes* to) {
    const auto* bytes = reinterpret_cast<const uint8_t*>(&header);
    to->insert(to->end(), bytes, bytes + sizeof header);
  }

  const Precision precision_;
  const PcapFileHeader header_;
};

}  // namespace pcap_ring
