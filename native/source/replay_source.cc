#include "source/replay_source.h"

#include <algorithm>
#include <utility>

namespace pcap_ring {

Status ReplaySource::Open(Options options) {
  options_ = std::move(options);
  const Status opened = options_.path.empty() ? reader_.OpenBytes(std::move(options_.bytes))
                                              : reader_.OpenPath(options_.path);
  if (!opened.ok()) return Named(opened);
  snaplen_ = options_.snaplen != 0 ? options_.snaplen : reader_.snaplen();
  dead_ = OpenDead(reader_.linktype(), RecordingReader::kMaxCaplen);
  dlt_ = dead_ != nullptr ? pcap_datalink(dead_.get()) : static_cast<int>(reader_.linktype() & 0xffff);
  if (options_.filter.empty()) return Status::Ok();
  if (dead_ == nullptr) {
    return Status::Error(Code::kBadFilter, "no filter can be applied to link type " + std::to_string(dlt_));
  }
  return program_.Compile(dead_.get(), options_.filter);
}

Status ReplaySource::Named(Status status) const {
  status.message = (options_.path.empty() ? "recording in memory" : options_.path) + ": " + status.message;
  return status;
}

bool ReplaySource::Fetch() {
  Packet packet;
  switch (reader_.Read(&packet)) {
    case RecordingReader::Next::kPacket:
      ahead_bytes_.assign(packet.data, packet.data + packet.caplen);
      ahead_ = packet;
      return true;
    case RecordingReader::Next::kDamaged:
      error_ = Named(reader_.error());
      [[fallthrough]];
    case RecordingReader::Next::kEnd:
      break;
  }
  ahead_.reset();
  return false;
}

std::optional<int64_t> ReplaySource::next_ns() {
  if (!std::exchange(started_, true)) Fetch();
  if (!ahead_) return std::nullopt;
  return ahead_->time_ns();
}

bool ReplaySource::Read(Item* item) {
  if (!next_ns()) return false;
  Packet packet = *ahead_;  // NOLINT(bugprone-unchecked-optional-access): it gave the time
  current_bytes_.swap(ahead_bytes_);
  Fetch();

  packet.data = current_bytes_.data();
  item->previous_ns = previous_ns_;
  if (ahead_) {
    item->next_ns = ahead_->time_ns();
  } else {
    item->next_ns.reset();
  }
  previous_ns_ = packet.time_ns();

  item->wanted = Wanted(options_.direction, packet.outbound);
  if (item->wanted && !options_.filter.empty()) {
    const pcap_pkthdr header = {{}, packet.caplen, packet.len};
    item->wanted = pcap_offline_filter(program_.get(), &header, packet.data) != 0;
  }
  if (options_.snaplen != 0) packet.caplen = std::min(packet.caplen, options_.snaplen);
  item->packet = packet;
  return true;
}

}  // namespace pcap_ring
