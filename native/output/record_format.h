#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "ring/record.h"

namespace pcap_ring {

enum class FileFormat { kPcap, kPcapng };
// "pcap", "pcapng": in options and reports, and a file's extension.
const char* FormatName(FileFormat format);

// What is known of a file before its first packet. What only a pcapng can hold may be empty, and is then left out.
struct FileHead {
  Precision precision = Precision::kMicro;
  uint32_t linktype = 1;  // the LINKTYPE_ field of a .pcap
  uint32_t snaplen = 0;
  bool counts_loss = false;   // what the FileEnd will say of loss is known
  std::string application;    // name and version
  std::string os;
  std::string interface_name;
  std::string filter;
  std::string comment;
};

// What is known of it after its last packet: the time that its figures are about, and packets lost in it.
struct FileEnd {
  int64_t from_ns = 0;
  int64_t to_ns = 0;
  uint64_t kernel_loss = 0;
  uint64_t interface_loss = 0;
};

// How a file is encoded; one per file, and immutable, so that any thread may ask it what it takes. All is appended to
// `to`; how long it is depends on nothing but the lengths of a packet and its comment.
class RecordFormat {
 public:
  using Bytes = std::vector<uint8_t>;

  virtual ~RecordFormat() = default;

  virtual void AppendHead(Bytes* to) const = 0;
  // What stands before a packet's bytes, and what behind. `comment`: of the packet, "" for none; a format without
  // comments leaves it out.
  virtual void AppendBefore(const RecordHeader& packet, std::string_view comment, Bytes* to) const = 0;
  virtual void AppendBehind(const RecordHeader& packet, std::string_view comment, Bytes* to) const = 0;
  virtual void AppendEnd(const FileEnd& end, Bytes* to) const = 0;
  // A packet's bytes are filled up to a multiple of this.
  virtual uint32_t alignment() const = 0;
};

std::unique_ptr<RecordFormat> MakeRecordFormat(FileFormat format, FileHead head);

}  // namespace pcap_ring
