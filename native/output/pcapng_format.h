#pragma once

#include <cstdint>
#include <optional>

#include "output/record_format.h"

namespace pcap_ring {

// The capture file in blocks, in the machine's own byte order (draft-ietf-opsawg-pcapng): one section header, one
// interface description (libpcap refuses a file whose interfaces differ in link type or snaplen), enhanced packet
// blocks, and when the file is complete one interface statistics block. No blocks of our own: tshark shows such as frames.
class PcapngFormat : public RecordFormat {
 public:
  explicit PcapngFormat(FileHead head) : head_(std::move(head)) {}

  void AppendHead(Bytes* to) const override;
  void AppendBefore(const RecordHeader& packet, std::string_view comment, Bytes* to) const override;
  void AppendBehind(const RecordHeader& packet, std::string_view comment, Bytes* to) const override;
  void AppendEnd(const FileEnd& end, Bytes* to) const override;
  uint32_t alignment() const override { return 4; }

 private:
  const FileHead head_;
};

// The reading side, for the files written above and no others: enough to tell what of one is whole.

enum class PcapngBlock : uint32_t {
  kInterface = 1,
  kStatistics = 5,
  kPacket = 6,
  kSection = 0x0a0d0d0a,
};

struct PcapngBlockHead {
  uint32_t type;
  uint32_t size;  // of the whole block; stands at its end once more

  // Whether a block of ours can begin like this.
  bool Plausible() const;
};
static_assert(sizeof(PcapngBlockHead) == 8);

struct PcapngInterface {
  uint32_t linktype = 0;
  uint32_t snaplen = 0;
  Precision precision = Precision::kMicro;
};

struct PcapngPacket {
  RecordHeader header;
  const uint8_t* data;  // within the block
};

// Of whole blocks, the sizes at both ends included. Nothing: it is none of ours.
bool IsPcapngSection(const RecordFormat::Bytes& block);
std::optional<PcapngInterface> ReadPcapngInterface(const RecordFormat::Bytes& block);
std::optional<PcapngPacket> ReadPcapngPacket(const RecordFormat::Bytes& block, Precision precision);
bool IsPcapngStatistics(const RecordFormat::Bytes& block);

}  // namespace pcap_ring
