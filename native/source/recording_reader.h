#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/status.h"
#include "source/packet.h"

namespace pcap_ring {

// Reads a .pcap (every magic that libpcap reads, both byte orders) or a .pcapng, record after record, from a path or
// from bytes in memory. Knows the two formats and nothing else: no filter, no clock.
//
// Formats: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng.
class RecordingReader {
 public:
  enum class Next { kPacket, kEnd, kDamaged };

  // Largest record or block that is believed, whatever the file claims (libpcap's MAXIMUM_SNAPLEN).
  static constexpr uint32_t kMaxCaplen = 262'144;
  // Of a .pcap's LINKTYPE_ field: a file that has one of them set is refused.
  static constexpr uint32_t kReservedLinkTypeBits = 0x03ff0000;

  RecordingReader();
  ~RecordingReader();

  // Both read the head: for a pcapng up to the first interface description. kBadFile with what is wrong at which byte
  // (errno and syscall too where the system refused).
  Status OpenPath(const std::string& path);
  Status OpenBytes(std::vector<uint8_t> bytes);

  // The LINKTYPE_ field of the file header exactly as stored (upper bits: FCS information), of the first interface in a
  // pcapng.
  uint32_t linktype() const { return linktype_; }
  // Of the file header, of the first interface in a pcapng; 0 or above kMaxCaplen in the file: kMaxCaplen.
  uint32_t snaplen() const { return snaplen_; }

  // For the header of a copy: readers cut packets to a file's one snaplen, and the interfaces of a pcapng may each have
  // their own.
  uint32_t file_snaplen() const { return file_snaplen_; }

  // The next packet, valid until the next call. kDamaged: error() says which byte and what is wrong, nothing follows.
  // A packet of another link type than linktype() is damage of that kind.
  Next Read(Packet* packet);
  const Status& error() const { return error_; }

 private:
  struct Impl;

  Status OpenInput();

  std::unique_ptr<Impl> impl_;
  uint32_t linktype_ = 0;
  uint32_t snaplen_ = 0;
  uint32_t file_snaplen_ = 0;
  Status error_;
};

}  // namespace pcap_ring
