#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "source/filter.h"
#include "source/packet.h"
#include "source/recording_reader.h"

namespace pcap_ring {

// A recording as a source: the reader, with the filter and the direction that a device would have applied. Looks one
// packet ahead, because a clock that follows timestamps must know a packet's neighbours. The capture thread's.
class ReplaySource {
 public:
  struct Options {
    std::string path;  // "": `bytes`
    std::vector<uint8_t> bytes;
    std::string filter;
    Direction direction = Direction::kBoth;
    uint32_t snaplen = 0;  // 0: as recorded
  };
  struct Item {
    Packet packet;
    bool wanted = false;  // by filter and direction; the others only move the clock
    // The timestamps of the packets before and behind it in the recording.
    std::optional<int64_t> previous_ns;
    std::optional<int64_t> next_ns;
  };

  Status Open(Options options);
  // False at the end, or at damage: then error() is not ok.
  bool Read(Item* item);
  // The timestamp of the packet that Read will give, nothing at the end.
  std::optional<int64_t> next_ns();
  const Status& error() const { return error_; }

  uint32_t linktype() const { return reader_.linktype(); }
  uint32_t snaplen() const { return snaplen_; }
  uint32_t file_snaplen() const { return options_.snaplen != 0 ? options_.snaplen : reader_.file_snaplen(); }
  int dlt() const { return dlt_; }

 private:
  bool Fetch();
  Status Named(Status status) const;

  Options options_;
  RecordingReader reader_;
  PcapHandle dead_;
  BpfProgram program_;
  int dlt_ = 0;
  uint32_t snaplen_ = 0;
  Status error_;
  bool started_ = false;
  std::optional<int64_t> previous_ns_;
  // The packet that is handed out next; its bytes are copied, as the reader's are gone once it looks further.
  std::optional<Packet> ahead_;
  std::vector<uint8_t> ahead_bytes_;
  std::vector<uint8_t> current_bytes_;
};

}  // namespace pcap_ring
