#include "engine/live_driver.h"

#include <algorithm>
#include <span>
#include <utility>

namespace pcap_ring {
namespace {

constexpr int kBatch = 1024;
constexpr uint32_t kBell = 0;  // keys of the wait set
constexpr uint32_t kSource = 1;
// There may be a loss to be placed before each block of the kernel's buffer, and outages.
constexpr size_t kBesideBlocks = 16;
// From a boundary until it is crossed although packets keep coming that are older: something is wrong with the clock.
constexpr int64_t kHardLimitNs = 900 * kNsPerMs;
constexpr int64_t kSteeringNs = 20 * kNsPerMs;  // between two looks at what the thread has used
// Where packets are sampled, one suspicion in this time is heeded, on the mean, and so many in a row.
constexpr int64_t kHeedingNs = 5 * kNsPerSec;
constexpr int64_t kHeedingAtOnce = 3;
constexpr int64_t kFirstBackOffNs = 100 * kNsPerMs;
constexpr int64_t kLongestBackOffNs = kNsPerSec;
// At the end of an interval, as most of what a look costs is to wake up.
constexpr int64_t kBetweenLooksNs = 200 * kNsPerMs;

using Presence = InterfaceCounters::Presence;

int64_t LatencyNs(const EngineContext& context) { return context.config.live.latency_ms * kNsPerMs; }

// The kernel closes a block up to a timer's tick later than asked.
int64_t DrainNs(const EngineContext& context) {
  const int64_t latency_ns = LatencyNs(context);
  return latency_ns + latency_ns / 4 + 50 * kNsPerMs;
}

}  // namespace

LiveDriver::LiveDriver(EngineContext* context) : context_(context) {}

Status LiveDriver::Open() {
  EngineConfig& config = context_->config;
  Pipeline::Config pipeline;
  pipeline.ring_packets = config.ring_packets;
  pipeline.ring_bytes = config.ring_bytes;
  pipeline.lookback_ns = config.lookback_ns;
  config.live.most_held = Pipeline::MostHeld(pipeline);
  if (Status status = source_.Open(config.live); !status.ok()) return status;
  if (Status status = counters_.Open(config.live.device); !status.ok()) return status;
  counters_.Read(&interface_);
  missed_ = interface_.rx_missed;
  pipeline.dlt = source_.dlt();
  pipeline.largest_packet = source_.snaplen();
  pipeline.onset = config.onset;
  pipeline.on_suspicion = [this] { Suspected(); };
  const size_t blocks = static_cast<size_t>(config.live.kernel_buffer) / BlockRing::kBlockSize + config.live.most_held;
  pipeline.unplaced_losses = blocks + kBesideBlocks;
  pipeline_ = std::make_unique<Pipeline>(pipeline, context_->queue, context_->listener);
  if (!pipeline_->ok()) return Status::Errno(Code::kKernel, "no memory for the ring", "mmap");
  if (wait_set_.error_number() != 0) {
    return Status::Errno(Code::kKernel, "cannot wait for packets", "epoll_create1", wait_set_.error_number());
  }
  if (!wait_set_.Add(context_->bell.fd(), kBell, WaitSet::How::kWhileReadable) || !Listen()) {
    return Status::Errno(Code::kKernel, "cannot wait for packets", "epoll_ctl");
  }
  info_.device = config.live.device;
  info_.linktype = source_.linktype();
  info_.linktype_name = DltName(source_.dlt());
  info_.snaplen = info_.file_snaplen = source_.snaplen();
  interval_start_ns_ = MonotonicNs();
  next_interval_ns_ = interval_start_ns_ + config.stats_interval_ns;
  return Status::Ok();
}

void LiveDriver::Run() {
  if (context_->config.cpu_budget > 0) governor_.emplace(context_->config.cpu_budget);
  AttachSampler();
  while (!closing_ || !pipeline_->taps().empty() || pipeline_->backlog()) {
    PollAndDispatch();
    pipeline_->EndBatch();
    const int64_t now_ns = MonotonicNs();
    if (now_ns >= next_interval_ns_) EndInterval(now_ns);
    if (down_ && now_ns >= next_try_ns_) TryUp(now_ns);
    if (governor_ && now_ns >= next_steering_ns_) Steer(now_ns);
  }
  CloseSource();
}

// A block that is held keeps the socket readable, so to be woken while it is would be all the time.
bool LiveDriver::Listen() {
  pipeline_->SetMostHeld(source_.SpareBlocks());
  const auto how = source_.reads_blocks() ? WaitSet::How::kWhenMoreComes : WaitSet::How::kWhileReadable;
  return wait_set_.Add(source_.fd(), kSource, how);
}

void LiveDriver::AttachSampler() {
  if (governor_) context_->sampler.Attach(source_.socket());
}

void LiveDriver::CloseSource() {
  pipeline_->Settle();
  context_->sampler.Detach();
  source_.Close();
  MarkOutage();
  before_ = {};
  steps_.clear();
  exchanges_ = context_->sampler.exchanges();
  if (pipeline_->totals().one_of() > 1) pipeline_->Sample(1);
  one_of_ = 1;
}

// NOLINTBEGIN(bugprone-unchecked-optional-access): called where there is a governor.
void LiveDriver::Steer(int64_t now_ns) {
  next_steering_ns_ = now_ns + kSteeringNs;
  governor_->See({now_ns, ThreadCpuNs(), pipeline_->kept(), one_of_});
  heeding_ = heeding_ && pipeline_->suspects();
  uint32_t one_of = 1;
  if (!pipeline_->recording() && !heeding_) {
    one_of = pipeline_->counting() ? std::max(governor_->OneOf(), governor_->OneOfCounted()) : governor_->OneOf();
  }
  Keep(one_of);
}
// NOLINTEND(bugprone-unchecked-optional-access)

// Traffic that is beyond the budget as it is, and suspected again and again (it may come in trains), must not cost what it
// would without one.
void LiveDriver::Suspected() {
  heeding_ = false;  // the one before is over, though nobody may have looked since
  if (pipeline_->counting()) return;
  if (governor_ && governor_->OneOf() > 1) {
    const int64_t now_ns = MonotonicNs();
    if (now_ns < next_heeding_ns_ - (kHeedingAtOnce - 1) * kHeedingNs) return;
    next_heeding_ns_ = std::max(now_ns, next_heeding_ns_) + kHeedingNs;
  }
  heeding_ = true;
  Keep(1);
}

void LiveDriver::Keep(uint32_t one_of) {
  if (one_of == one_of_) return;
  if (context_->sampler.Keep(one_of)) one_of_ = one_of;
  TakeExchanges();
  UpdateAttention();
}

// A caller's, too, which it may still be in: packets from behind the exchange may come before its command.
void LiveDriver::TakeExchanges() {
  const Sampler& sampler = context_->sampler;
  for (SamplingStep& step : steps_) {
    if (step.exchange.end_ns != kNever) continue;
    step.exchange = sampler.exchange(step.number);
    step.place_ns = std::min(step.place_ns, step.exchange.end_ns);
    // What the kernel still holds may be from before it.
    stepped_ns_ = MonotonicNs();
  }
  for (; exchanges_ != sampler.exchanges(); ++exchanges_) {
    const Sampler::Exchange exchange = sampler.exchange(exchanges_);
    steps_.push_back({exchanges_, exchange, exchange.end_ns});
    stepped_ns_ = MonotonicNs();
  }
}

// As a caller saw to it.
void LiveDriver::KeptAll() {
  TakeExchanges();
  context_->sampler.Seen();
  one_of_ = 1;
  if (steps_.empty() || pipeline_->newest_ns() < steps_.back().place_ns) return;
  // Where blocks are not to be seen, some of those behind it have been taken already.
  const SamplingStep last = steps_.back();
  steps_.pop_back();
  PlaceSteps(last.place_ns);
  pipeline_->Sample(last.exchange.one_of, last.place_ns, CallOf(last));
}

void LiveDriver::FindStepsInBlock() {
  source_.StampsOfBlock(&stamps_);
  if (stamps_.empty()) return;  // older kernels hand over blocks without a packet
  std::span<const int64_t> stamps = stamps_;
  const auto up_to = [&](int64_t time_ns) {
    const auto end = std::find_if(stamps.begin(), stamps.end(), [&](int64_t stamp) { return stamp >= time_ns; });
    return static_cast<size_t>(end - stamps.begin());
  };
  // After a silence it tells nothing of the rate, nor of when this began.
  const bool fresh = before_.packets > 0 && stamps.front() - before_.last_ns < DrainNs(*context_);
  CameBefore before = fresh ? before_ : CameBefore{stamps.front(), 0, 0};
  uint32_t one_of = pipeline_->totals().one_of();
  for (size_t i = 0; i < steps_.size() && !stamps.empty(); ++i) {
    SamplingStep& step = steps_[i];
    const int64_t next_ns = i + 1 < steps_.size() ? steps_[i + 1].exchange.begin_ns : kNever;
    step.place_ns = PlaceOfExchange({step.exchange.begin_ns, step.exchange.end_ns,
                                     static_cast<double>(one_of) / step.exchange.one_of},
                                    stamps.first(up_to(next_ns)), before);
    const size_t placed = up_to(step.place_ns);
    // Of the packets behind it nothing is known yet.
    if (placed < stamps.size()) {
      before = {placed > 0 ? stamps[placed - 1] : before.last_ns, 0, 0};
      stepped_in_block_ = true;
    }
    stamps = stamps.subspan(placed);
    one_of = step.exchange.one_of;
  }
  UpdateAttention();
}

// The next packet is stamped `time_ns`.
void LiveDriver::PlaceSteps(int64_t time_ns) {
  size_t placed = 0;
  for (; placed < steps_.size() && steps_[placed].place_ns <= time_ns; ++placed) {
    pipeline_->Sample(steps_[placed].exchange.one_of, CallOf(steps_[placed]));
  }
  steps_.erase(steps_.begin(), steps_.begin() + static_cast<ptrdiff_t>(placed));
}

void LiveDriver::OnPacket(const Packet& packet) {
  const int64_t time_ns = packet.time_ns();
  // Relaxed: whether a command posted this very moment is seen now or at the next packet makes no difference; the
  // command itself is taken from the mailbox, which orders it.
  if (time_ns >= context_->attention.load(std::memory_order_relaxed)) Attend(time_ns);
  pipeline_->OnPacket(packet);
}

void LiveDriver::OnBlock(uintptr_t slot, uint32_t packets) {
  packets_in_block_ = packets;
  stepped_in_block_ = false;
  if (pipeline_->loss()->any_unplaced()) pipeline_->loss()->PlaceBySlot(pipeline_->position(), slot);
  TakeExchanges();
  if (!steps_.empty()) FindStepsInBlock();
  pipeline_->BeginBlock();
}

void LiveDriver::OnBlockEnd() {
  pipeline_->EndBlock();
  const int64_t last_ns = pipeline_->newest_ns();
  if (last_ns == INT64_MIN) return;
  const bool one_rate = before_.packets > 0 && !stepped_in_block_ && last_ns - before_.last_ns < 2 * DrainNs(*context_);
  before_ = one_rate ? CameBefore{last_ns, packets_in_block_, last_ns - before_.last_ns} : CameBefore{last_ns, 1, 0};
}

void LiveDriver::OnDrops(uint32_t packets, uintptr_t slot, int64_t before_ns) {
  if (slot != 0) {
    pipeline_->loss()->See({.kernel = packets}, {.slot = slot});
  } else {
    pipeline_->loss()->See({.kernel = packets}, {.time_ns = before_ns});
    UpdateAttention();
  }
}

void LiveDriver::PollAndDispatch() {
  const auto [bell, source] = wait_set_.Wait(TimeoutMs());
  if (bell != 0) {
    context_->bell.Clear();
    HandleCommands();
  }
  // Also while the device is away: its newest packets are still in the kernel's buffer.
  const int count = source_.open() ? source_.Dispatch(kBatch, this) : 0;
  failing_ = failing_ || (source & (EPOLLERR | EPOLLHUP)) != 0;  // told once
  more_ = count >= 0 && (source_.HasMore(count, kBatch) || (count > 0 && failing_));
  drained_ = count <= 0 && !more_;
  // Empty: whatever was taken before the losses has been handed out.
  if (drained_ && pipeline_->loss()->any_unplaced()) {
    pipeline_->loss()->PlaceAll(pipeline_->position());
    UpdateAttention();
  }
  // No packet from before the step can come any more, though the clock may have been set so that none is stamped behind it.
  // Those of a call that has not returned stay.
  if (drained_ && !steps_.empty() && MonotonicNs() - stepped_ns_ >= DrainNs(*context_)) {
    PlaceSteps(kNever - 1);
    UpdateAttention();
  }
  if (!down_ && (count < 0 || (count == 0 && failing_))) GoDown();
  if (count <= 0) failing_ = false;
  CrossByTime(drained_);
}

int LiveDriver::TimeoutMs() const {
  if (more_) return 0;
  int64_t next_ns = next_interval_ns_;
  if (down_) next_ns = std::min(next_ns, next_try_ns_);
  const int64_t now_ns = MonotonicNs();
  for (const auto& tap : pipeline_->taps()) {
    const int64_t boundary_ns = BoundaryOf(*tap);
    if (boundary_ns == kNever) continue;
    next_ns = std::min(next_ns, MonotonicOf(*tap, boundary_ns) + DrainNs(*context_));
  }
  int timeout_ms = static_cast<int>(std::max<int64_t>(0, (next_ns - now_ns + kNsPerMs - 1) / kNsPerMs));
  if (pipeline_->backlog()) timeout_ms = std::min(timeout_ms, 1);
  const int required_ms = down_ ? -1 : source_.RequiredTimeoutMs();
  return required_ms < 0 ? timeout_ms : std::min(timeout_ms, required_ms);
}

// What the device's own counters say was lost is placed here, somewhere behind the last look.
InterfaceCounters::Presence LiveDriver::ReadInterface() {
  const Presence presence = counters_.Read(&interface_);
  if (presence == Presence::kSame && interface_.rx_missed != missed_) {
    pipeline_->loss()->SeeHere({.interface = InterfaceCounters::Since(interface_.rx_missed, missed_)},
                               pipeline_->position());
    missed_ = interface_.rx_missed;
  }
  return presence;
}

void LiveDriver::EndInterval(int64_t now_ns) {
  pipeline_->Settle();
  if (source_.reads_blocks()) source_.GiveBack(this);
  if (down_) {
    // What cannot be opened is tried no more often for that.
    const int64_t looked_ns = next_try_ns_ - back_off_ns_;
    if (told_ == Code::kOk && now_ns - looked_ns >= kBetweenLooksNs) next_try_ns_ = now_ns;
  } else {
    const Presence presence = ReadInterface();
    // The socket's error is taken away when it is asked for packets, so the wait set may not have shown it; of a new name it has none.
    const bool well = presence == Presence::kSame && interface_.up && source_.Hears(counters_.index());
    if (presence != Presence::kUnknown && !well) GoDown();
  }
  const int64_t time_ns = RealtimeNs();
  StatsInterval stats =
      stats_.End(Mode::kCapture, time_ns, now_ns - interval_start_ns_, pipeline_->totals(), pipeline_->loss()->seen());
  stats.ring = pipeline_->ring_state();
  for (const auto& tap : pipeline_->taps()) tap->OnInterval(time_ns);
  // Packets that wait in the kernel may be as old as this thread was held up for.
  pipeline_->EndInterval(drained_ ? time_ns - DrainNs(*context_) : 0);
  context_->listener->OnStats(stats);
  interval_start_ns_ = now_ns;
  const int64_t interval_ns = context_->config.stats_interval_ns;
  next_interval_ns_ += ((now_ns - next_interval_ns_) / interval_ns + 1) * interval_ns;
}

void LiveDriver::HandleCommands() {
  pipeline_->Settle();
  for (Command* command = context_->mailbox.TakeAll(); command != nullptr;) {
    const std::unique_ptr<Command> owned(command);
    command = owned->next;
    Handle(*owned);
  }
  UpdateAttention();
}

void LiveDriver::Handle(const Command& command) {
  switch (command.kind) {
    case Command::Kind::kOpen: {
      if (command.keeps_all) KeptAll();
      if (closing_) break;  // the writer tells of it
      Tap* tap = pipeline_->Open(command.tap);
      if (tap == nullptr) break;
      clocks_.push_back({command.tap.handle, command.realtime_ns, command.realtime_ns - command.monotonic_ns});
      // Taken from the kernel before this command was seen, but stamped after the call.
      if (pipeline_->newest_ns() >= command.realtime_ns) Cross(tap);
      break;
    }
    case Command::Kind::kResolve:
      if (command.keeps_all) KeptAll();
      if (Tap* tap = pipeline_->Find(command.handle); tap != nullptr) {
        Clocks* const clocks = ClocksOf(command.handle);
        // Set back behind the freeze, the clock says nothing of R, which then is the freeze itself.
        if (command.realtime_ns >= clocks->freeze_ns) {
          clocks->real_minus_mono_ns = command.realtime_ns - command.monotonic_ns;
        }
        tap->RequestResolve(command.realtime_ns, command.with_resolution);
      }
      break;
    case Command::Kind::kAbandon:
      if (Tap* tap = pipeline_->Find(command.handle); tap != nullptr) {
        if (tap->pending()) Cross(tap);
        tap->Abandon(RealtimeNs());
      }
      break;
    case Command::Kind::kClose:
      closing_ = true;
      closed_ns_ = command.monotonic_ns;
      for (const auto& tap : pipeline_->taps()) tap->RequestResolve(command.realtime_ns, false);
      break;
    case Command::Kind::kBegin:
    case Command::Kind::kContinue:
      break;
  }
}

LiveDriver::Clocks* LiveDriver::ClocksOf(uint32_t handle) {
  return const_cast<Clocks*>(std::as_const(*this).ClocksOf(handle));
}

const LiveDriver::Clocks* LiveDriver::ClocksOf(uint32_t handle) const {
  const auto it = std::find_if(clocks_.begin(), clocks_.end(), [&](const Clocks& c) { return c.handle == handle; });
  return &*it;
}

int64_t LiveDriver::BoundaryOf(const Tap& tap) const {
  return tap.pending() ? ClocksOf(tap.handle())->freeze_ns : tap.boundary_ns();
}

int64_t LiveDriver::MonotonicOf(const Tap& tap, int64_t boundary_ns) const {
  // Nothing waits longer than the close, however the clock was set since.
  return std::min(boundary_ns - ClocksOf(tap.handle())->real_minus_mono_ns, closed_ns_);
}

void LiveDriver::Cross(Tap* tap) {
  if (tap->pending()) {
    PlaceSteps(ClocksOf(tap->handle())->freeze_ns);
    pipeline_->Start(tap, ClocksOf(tap->handle())->freeze_ns, true);
  } else {
    tap->Cross();
  }
}

void LiveDriver::Attend(int64_t time_ns) {
  pipeline_->loss()->PlaceByTime(pipeline_->position(), time_ns);
  HandleCommands();
  PlaceSteps(time_ns);
  if (time_ns >= outage_ns_) MarkOutage();
  for (const auto& tap : pipeline_->taps()) {
    while (BoundaryOf(*tap) <= time_ns) Cross(tap.get());
  }
  UpdateAttention();
}

void LiveDriver::UpdateAttention() {
  std::erase_if(clocks_, [this](const Clocks& c) { return pipeline_->Find(c.handle) == nullptr; });
  int64_t next_ns = pipeline_->loss()->next_ns();
  if (!steps_.empty()) next_ns = std::min(next_ns, steps_.front().place_ns);
  if (outage_) next_ns = std::min(next_ns, outage_ns_);
  for (const auto& tap : pipeline_->taps()) next_ns = std::min(next_ns, BoundaryOf(*tap));
  // Sequentially consistent with Post: either it sees our value overwritten, or we see its command.
  context_->attention.store(next_ns, std::memory_order_seq_cst);
  if (!context_->mailbox.empty()) context_->attention.store(INT64_MIN, std::memory_order_seq_cst);
}

void LiveDriver::CrossByTime(bool kernel_empty) {
  if (pipeline_->taps().empty()) return;
  const int64_t now_ns = MonotonicNs();
  bool crossed = false;
  for (const auto& tap : pipeline_->taps()) {
    for (int64_t boundary_ns = BoundaryOf(*tap); boundary_ns != kNever; boundary_ns = BoundaryOf(*tap)) {
      const int64_t since_ns = now_ns - MonotonicOf(*tap, boundary_ns);
      const bool drained = kernel_empty && since_ns >= DrainNs(*context_);
      if (!drained && since_ns < LatencyNs(*context_) + kHardLimitNs) break;
      Cross(tap.get());
      crossed = true;
    }
  }
  if (crossed) UpdateAttention();
}

void LiveDriver::Die(const Status& status) {
  closing_ = died_ = true;
  context_->listener->OnDied(status);
  for (const auto& tap : pipeline_->taps()) {
    if (tap->pending()) Cross(tap.get());
    tap->Abandon(RealtimeNs(), status.code);
  }
}

void LiveDriver::GoDown() {
  down_ = true;
  wait_set_.Remove(source_.fd());
  down_since_ns_ = MonotonicNs();
  back_off_ns_ = kFirstBackOffNs;
  next_try_ns_ = down_since_ns_ + back_off_ns_;
  told_ = Code::kOk;
  const std::string device = "device \"" + context_->config.live.device + "\"";
  // A device that is being deleted is closed first and found by its name a moment longer. The kernel answers the first time
  // once the deletion is through.
  Presence presence = ReadInterface();
  if (presence == Presence::kSame) presence = ReadInterface();
  outage_ = true;
  outage_ns_ = kNever;
  if (presence == Presence::kGone || presence == Presence::kOther) {
    context_->listener->OnDown({Code::kDeviceGone, device + " is gone; waiting for it to come back", ENODEV, nullptr});
  } else {
    outage_ns_ = RealtimeNs();
    UpdateAttention();
    context_->listener->OnDown(
        {Code::kDeviceDown, device + " went down; waiting for it to come up", ENETDOWN, nullptr});
  }
}

// Before the first packet from behind it: of a device that is down that is stamped later; where it is gone, or has another
// name, all that this socket hears until it is closed is from before.
void LiveDriver::MarkOutage() {
  if (std::exchange(outage_, false)) pipeline_->loss()->SeeHere({.outages = 1}, pipeline_->position());
}

void LiveDriver::TryUp(int64_t now_ns) {
  back_off_ns_ = std::min(back_off_ns_ * 2, kLongestBackOffNs);
  next_try_ns_ = now_ns + back_off_ns_;
  if (died_) return;
  const Presence presence = ReadInterface();
  if (presence == Presence::kUnknown) return;
  // What has the name now, if anything, is another device, or one that was away.
  if (source_.open() && !(presence == Presence::kSame && source_.Hears(counters_.index()))) {
    if (now_ns - down_since_ns_ < DrainNs(*context_)) return;
    CloseSource();
  }
  if (presence == Presence::kGone || !interface_.up) return;
  if (!source_.open() && !Reopen()) return;
  if (!Listen()) return;
  if (outage_ns_ == kNever) MarkOutage();
  down_ = false;
  context_->listener->OnUp();
}

bool LiveDriver::Reopen() {
  if (Status status = source_.Open(context_->config.live); !status.ok()) {
    if (status.code == Code::kNoSuchDevice || status.code == Code::kDeviceDown) return false;  // away again
    // Once: it is tried again, and may be what nobody can help, as permissions that were given up since the start.
    if (std::exchange(told_, status.code) == status.code) return false;
    status.message = "device \"" + info_.device + "\" is back, and is tried again and again: " + status.message;
    context_->listener->OnWarning(status);
    return false;
  }
  if (source_.linktype() != info_.linktype) {
    CloseSource();
    Die(Status::Error(Code::kDeviceGone,
                      "device \"" + info_.device + "\" came back with another link type; start a new ring"));
    return false;
  }
  counters_.Follow();
  missed_ = interface_.rx_missed;
  AttachSampler();
  return true;
}

}  // namespace pcap_ring
