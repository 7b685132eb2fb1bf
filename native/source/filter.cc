#include "source/filter.h"

#include <array>
#include <cstdio>
#include <cstring>

#include "base/fd.h"
#include "base/time.h"

namespace pcap_ring {
namespace {

struct PcapFileHeader {
  uint32_t magic = 0xa1b23c4d;
  uint16_t version_major = 2;
  uint16_t version_minor = 4;
  uint32_t thiszone = 0;
  uint32_t sigfigs = 0;
  uint32_t snaplen = 0;
  uint32_t linktype = 0;
};
static_assert(sizeof(PcapFileHeader) == 24);

}  // namespace

Status BpfProgram::Compile(pcap_t* handle, const std::string& expression) {
  if (pcap_compile(handle, &program_, expression.c_str(), 1, PCAP_NETMASK_UNKNOWN) == 0) return Status::Ok();
  return Status::Error(Code::kBadFilter, "filter \"" + expression + "\": " + pcap_geterr(handle));
}

// pcap_open_dead wants a DLT_ and libpcap does not export its table of LINKTYPE_ values; it does read file headers.
PcapHandle OpenDead(uint32_t linktype, uint32_t snaplen) {
  PcapFileHeader header;
  header.snaplen = snaplen;
  header.linktype = linktype;
  std::array<char, sizeof header> bytes;
  std::memcpy(bytes.data(), &header, sizeof header);
  UniqueFile file(fmemopen(bytes.data(), bytes.size(), "rb"));
  if (file == nullptr) return nullptr;
  char error[PCAP_ERRBUF_SIZE];
  PcapHandle handle(pcap_fopen_offline(file.get(), error));
  if (handle == nullptr) return nullptr;
  static_cast<void>(file.release());  // the handle closes it
  // Its file ends with this function; what stays is what was learned from it.
  return PcapHandle(pcap_open_dead(pcap_datalink(handle.get()), static_cast<int>(snaplen)));
}

std::string DltName(int dlt) {
  const char* name = pcap_datalink_val_to_name(dlt);
  return name != nullptr ? name : "DLT_" + std::to_string(dlt);
}

uint32_t FileLinkType(pcap_t* handle) {
  PcapFileHeader header;
  std::array<char, sizeof header + 1> bytes{};
  UniqueFile file(fmemopen(bytes.data(), bytes.size(), "wb"));
  if (file == nullptr) return static_cast<uint32_t>(pcap_datalink(handle));
  pcap_dumper_t* dumper = pcap_dump_fopen(handle, file.get());
  if (dumper == nullptr) return static_cast<uint32_t>(pcap_datalink(handle));
  pcap_dump_flush(dumper);
  std::memcpy(&header, bytes.data(), sizeof header);
  static_cast<void>(file.release());  // the dumper closes it
  pcap_dump_close(dumper);
  return header.linktype;
}

}  // namespace pcap_ring
