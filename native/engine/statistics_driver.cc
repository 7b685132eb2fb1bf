#include "engine/statistics_driver.h"

#include <poll.h>

#include <algorithm>
#include <utility>

namespace pcap_ring {

StatisticsDriver::StatisticsDriver(EngineContext* context) : context_(context) {}

Status StatisticsDriver::Open() {
  const std::string& device = context_->config.live.device;
  if (Status status = counters_.Open(device); !status.ok()) return status;
  if (counters_.Read(&last_) != InterfaceCounters::Presence::kSame) {
    return Status::Error(Code::kKernel, "cannot read the counters of " + device);
  }
  info_.mode = Mode::kStatistics;
  info_.device = device;
  info_.linktype_name = "EN10MB";
  info_.snaplen = context_->config.live.snaplen;
  interval_start_ns_ = MonotonicNs();
  next_interval_ns_ = interval_start_ns_ + context_->config.stats_interval_ns;
  return Status::Ok();
}

void StatisticsDriver::Run() {
  while (!closing_ || !taps_.empty()) {
    int64_t next_ns = next_interval_ns_;
    const int64_t real_minus_mono_ns = RealtimeNs() - MonotonicNs();
    for (const auto& tap : taps_) {
      if (tap->boundary_ns() != kNever) next_ns = std::min(next_ns, tap->boundary_ns() - real_minus_mono_ns);
    }
    int64_t left_ms = std::max<int64_t>(0, (next_ns - MonotonicNs() + kNsPerMs - 1) / kNsPerMs);
    if (std::any_of(taps_.begin(), taps_.end(), [](const auto& tap) { return tap->backlog(); })) left_ms = 1;
    pollfd bell = {context_->bell.fd(), POLLIN, 0};
    if (poll(&bell, 1, static_cast<int>(left_ms)) > 0) {
      context_->bell.Clear();
      HandleCommands();
    }
    if (!taps_.empty()) CrossTaps(RealtimeNs());
    FlushTaps();
    const int64_t now_ns = MonotonicNs();
    if (now_ns >= next_interval_ns_) EndInterval(now_ns);
  }
}

// Adds what passed since the last look.
void StatisticsDriver::Read() {
  using Presence = InterfaceCounters::Presence;
  InterfaceCounters::Values now = last_;
  const Presence presence = counters_.Read(&now);
  if (presence == Presence::kUnknown) return;
  const bool present = presence == Presence::kSame;
  const bool up = present && now.up;
  if (up != up_) {
    up_ = up;
    const std::string device = "device \"" + context_->config.live.device + "\"";
    if (up) {
      context_->listener->OnUp();
    } else if (present) {
      context_->listener->OnDown(
          {Code::kDeviceDown, device + " went down; waiting for it to come up", ENETDOWN, nullptr});
    } else {
      context_->listener->OnDown(
          {Code::kDeviceGone, device + " is gone; waiting for it to come back", ENODEV, nullptr});
    }
  }
  if (!present) {
    if (presence == Presence::kOther) {
      counters_.Follow();
      last_ = now;
    }
    was_gone_ = presence == Presence::kGone;
    return;
  }
  // What passed it elsewhere, or under another name, is not of this device.
  if (std::exchange(was_gone_, false)) last_ = now;
  const Direction direction = context_->config.live.direction;
  const auto since = InterfaceCounters::Since;
  if (Wanted(direction, false)) {
    const uint64_t packets = since(now.rx_packets, last_.rx_packets);
    const uint64_t bytes = since(now.rx_bytes, last_.rx_bytes);
    totals_.inbound_packets += packets;
    totals_.inbound_bytes += bytes;
    totals_.packets += packets;
    totals_.bytes += bytes;
  }
  if (Wanted(direction, true)) {
    totals_.packets += since(now.tx_packets, last_.tx_packets);
    totals_.bytes += since(now.tx_bytes, last_.tx_bytes);
  }
  loss_.interface += since(now.rx_missed, last_.rx_missed);
  last_ = now;
}

void StatisticsDriver::EndInterval(int64_t now_ns) {
  Read();
  const int64_t time_ns = RealtimeNs();
  for (const auto& tap : taps_) tap->OnInterval(time_ns);
  context_->listener->OnStats(
      stats_.End(Mode::kStatistics, time_ns, now_ns - interval_start_ns_, scaled_totals_, loss_));
  interval_start_ns_ = now_ns;
  const int64_t interval_ns = context_->config.stats_interval_ns;
  next_interval_ns_ += ((now_ns - next_interval_ns_) / interval_ns + 1) * interval_ns;
}

void StatisticsDriver::CrossTaps(int64_t now_ns) {
  for (const auto& tap : taps_) {
    while (tap->boundary_ns() <= now_ns) tap->Cross();
  }
}

void StatisticsDriver::FlushTaps() {
  bool pushed = false;
  for (const auto& tap : taps_) pushed |= tap->Flush(context_->queue);
  if (pushed) context_->queue->bell.Ring();
  std::erase_if(taps_, [](const auto& tap) { return tap->drained(); });
}

void StatisticsDriver::HandleCommands() {
  Read();
  for (Command* command = context_->mailbox.TakeAll(); command != nullptr;) {
    const std::unique_ptr<Command> owned(command);
    command = owned->next;
    Handle(*owned);
  }
}

void StatisticsDriver::Handle(const Command& command) {
  const auto find = [&]() -> Tap* {
    const auto it =
        std::find_if(taps_.begin(), taps_.end(), [&](const auto& tap) { return tap->handle() == command.handle; });
    return it == taps_.end() ? nullptr : it->get();
  };
  switch (command.kind) {
    case Command::Kind::kOpen: {
      if (closing_) break;  // the writer tells of it
      taps_.push_back(std::make_unique<Tap>(command.tap, nullptr, &scaled_totals_, context_->listener));
      Tap::Origin origin;
      origin.time_ns = command.realtime_ns;
      origin.totals = totals_;
      taps_.back()->Start(origin);
      break;
    }
    case Command::Kind::kResolve:
      // No packet is waited for, so nothing is either, however the clock was set since the freeze.
      CrossTaps(command.realtime_ns);
      if (Tap* tap = find(); tap != nullptr) tap->Abandon(command.realtime_ns);
      break;
    case Command::Kind::kAbandon:
      if (Tap* tap = find(); tap != nullptr) tap->Abandon(command.realtime_ns);
      break;
    case Command::Kind::kClose:
      closing_ = true;
      for (const auto& tap : taps_) tap->Abandon(command.realtime_ns);
      break;
    case Command::Kind::kBegin:
    case Command::Kind::kContinue:
      break;
  }
}

}  // namespace pcap_ring
