#pragma once

#include <pcap/pcap.h>

#include <cstdint>
#include <memory>
#include <string>

#include "base/status.h"

namespace pcap_ring {

struct PcapCloser {
  void operator()(pcap_t* handle) const { pcap_close(handle); }
};
using PcapHandle = std::unique_ptr<pcap_t, PcapCloser>;

enum class Direction { kBoth, kIn, kOut };

inline bool Wanted(Direction direction, bool outbound) {
  return direction == Direction::kBoth || (direction == Direction::kOut) == outbound;
}

// A compiled BPF program.
class BpfProgram {
 public:
  BpfProgram() = default;
  BpfProgram(const BpfProgram&) = delete;
  BpfProgram& operator=(const BpfProgram&) = delete;
  ~BpfProgram() { pcap_freecode(&program_); }

  // "" accepts every packet. kBadFilter with libpcap's word for what is wrong.
  Status Compile(pcap_t* handle, const std::string& expression);
  bpf_program* get() { return &program_; }

 private:
  bpf_program program_ = {0, nullptr};
};

// A handle that can compile for this link type, nullptr if libpcap does not know the type.
PcapHandle OpenDead(uint32_t linktype, uint32_t snaplen);
// "EN10MB"; "DLT_276" where libpcap has no name.
std::string DltName(int dlt);
// The LINKTYPE_ value for the files of a handle.
uint32_t FileLinkType(pcap_t* handle);

}  // namespace pcap_ring
