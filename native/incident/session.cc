#include "incident/session.h"

#include "base/json.h"
#include "incident/file_format.h"
#include "incident/report.h"

namespace pcap_ring {
namespace {

const char* ModeName(Mode mode) { return mode == Mode::kCapture ? "capture" : "statistics"; }

}  // namespace

std::string StatsJson(const StatsInterval& stats, Precision precision) {
  const double seconds = static_cast<double>(stats.interval_ns) / 1e9;
  const auto rate = [&](uint64_t count) { return seconds > 0 ? static_cast<double>(count) / seconds : 0; };
  JsonWriter json;
  const auto figures = [&](uint64_t packets, uint64_t bytes) {
    json.Key("packets").Uint(packets).Key("bytes").Uint(bytes);
    json.Key("pps").Double(rate(packets)).Key("bps").Double(rate(bytes * 8));
  };
  json.BeginObject().Key("time").String(FormatTime(stats.time_ns, precision));
  json.Key("interval").Double(static_cast<double>(stats.interval_ns) / 1e6);
  json.Key("mode").String(ModeName(stats.mode)).Key("sampling").Uint(stats.one_of);
  figures(stats.traffic.packets, stats.traffic.bytes);
  json.Key("inbound").BeginObject();
  figures(stats.traffic.inbound_packets, stats.traffic.inbound_bytes);
  json.EndObject();
  WriteProtocols(&json, stats.traffic, stats.mode);
  json.Key("loss").BeginObject().Key("kernel");
  if (stats.mode == Mode::kCapture) {
    json.Uint(stats.kernel_loss);
  } else {
    json.Null();
  }
  json.Key("interface").Uint(stats.interface_loss).EndObject();
  json.Key("ring");
  if (stats.mode == Mode::kCapture) {
    json.BeginObject().Key("packets").Uint(stats.ring.packets).Key("bytes").Uint(stats.ring.bytes);
    json.Key("span").Double(static_cast<double>(stats.ring.span_ns) / 1e6).Key("oldest");
    if (stats.ring.packets > 0) {
      json.String(FormatTime(stats.ring.oldest_ns, precision));
    } else {
      json.Null();
    }
    json.EndObject();
  } else {
    json.Null();
  }
  json.Key("total").BeginObject().Key("packets").Uint(stats.total_packets).Key("bytes").Uint(stats.total_bytes);
  json.Key("kernelLoss");
  if (stats.mode == Mode::kCapture) {
    json.Uint(stats.total_kernel_loss);
  } else {
    json.Null();
  }
  json.Key("interfaceLoss").Uint(stats.total_interface_loss).EndObject().EndObject();
  return json.Take();
}

// cppcheck-suppress passedByValue ; its parts are moved
Session::Session(Config config, HostSink sink)
    : facts_(std::move(config.facts)),
      sink_(std::move(sink)),
      engine_(std::move(config.engine), &queue_, this),
      writer_(&queue_, &facts_,
              {sink_, [this] { return engine_.Start(); },
               [this](uint32_t handle) { engine_.Post(NewCommand(Command::Kind::kAbandon, handle).release()); }}) {}

Session::~Session() { Join(); }

void Session::Start() {
  const int no_bell = queue_.bell.error_number() != 0 ? queue_.bell.error_number() : engine_.bell().error_number();
  const Status status = no_bell == 0
                            ? writer_.Start()
                            : Status::Errno(Code::kKernel, "no descriptor to wake a thread by", "eventfd", no_bell);
  if (status.ok()) return;
  Emit("startFailed", 0, ErrorJson(status));
  Emit("closed");
}

void Session::Join() {
  writer_.Join();
  engine_.Join();
}

// Takes the time: on the caller's thread, at the call.
std::unique_ptr<Command> Session::NewCommand(Command::Kind kind, uint32_t handle) {
  auto command = std::make_unique<Command>();
  command->kind = kind;
  command->handle = handle;
  command->monotonic_ns = MonotonicNs();
  command->realtime_ns = RealtimeNs();
  return command;
}

void Session::Open(RecordingSpec recording, TapSpec tap) {
  // One object says what the file takes and writes it, so that the two cannot differ.
  recording.format = FormatOf(recording, facts_, tap.cap_bytes);
  tap.cost = CostOf(*recording.format, recording.kind);
  writer_.Register(std::move(recording));
  const bool keeps_all = tap.kind != TapKind::kDump && engine_.KeepAll();
  auto command =
      NewCommand(Command::Kind::kOpen, tap.handle);  // T, with nothing between it and the post that could wait
  command->keeps_all = keeps_all;
  command->tap = std::move(tap);
  engine_.Post(command.release());
}

void Session::Resolve(uint32_t handle, bool with_resolution) {
  const bool keeps_all = with_resolution && engine_.KeepAll();
  auto command = NewCommand(Command::Kind::kResolve, handle);
  command->with_resolution = with_resolution;
  command->keeps_all = keeps_all;
  engine_.Post(command.release());
}

void Session::Continue(uint64_t boundary) {
  auto command = NewCommand(Command::Kind::kContinue);
  command->boundary = boundary;
  engine_.Post(command.release());
}

void Session::Begin() { engine_.Post(NewCommand(Command::Kind::kBegin).release()); }
void Session::Close() {
  writer_.StopRecovery();
  engine_.Post(NewCommand(Command::Kind::kClose).release());
}

void Session::Emit(const char* name, uint32_t handle, std::string json, uint64_t boundary) {
  sink_({name, handle, boundary, std::move(json)});
}

void Session::OnStarted(const SourceInfo& info) {
  facts_.source = info;
  JsonWriter json;
  json.BeginObject().Key("mode").String(ModeName(info.mode)).Key("device");
  if (info.replay) {
    json.Null();
  } else {
    json.String(info.device);
  }
  json.Key("linkType").String(info.linktype_name).Key("snaplen").Uint(info.snaplen).EndObject();
  Emit("started", 0, json.Take());
}

void Session::OnStartFailed(const Status& status) { Emit("startFailed", 0, ErrorJson(status)); }
void Session::OnStats(const StatsInterval& stats) {
  Emit("stats", 0, StatsJson(stats, facts_.precision), stats.boundary);
}

void Session::OnOnset(const Onset& onset) {
  JsonWriter json;
  json.BeginObject().Key("at").String(FormatTime(onset.at_ns, facts_.precision));
  json.Key("pps").Double(onset.pps).Key("bps").Double(onset.bps);
  json.Key("baselinePps").Double(onset.baseline_pps).Key("baselineBps").Double(onset.baseline_bps).EndObject();
  Emit("onset", 0, json.Take());
}

void Session::OnFreeze(uint32_t handle, int64_t time_ns) {
  JsonWriter json;
  json.String(FormatTime(time_ns, facts_.precision));
  Emit("freeze", handle, json.Take());
}

void Session::OnCap(uint32_t handle, CapReason reason) {
  Emit("cap", handle,
       reason == CapReason::kPackets ? "\"packets\""
       : reason == CapReason::kBytes ? "\"bytes\""
                                     : "\"duration\"");
}

void Session::OnWarning(const Status& status) { Emit("warning", 0, ErrorJson(status)); }
void Session::OnDown(const Status& status) { Emit("down", 0, ErrorJson(status)); }
void Session::OnUp() { Emit("up"); }
void Session::OnReplayEnd() { Emit("end"); }
void Session::OnDied(const Status& status) { Emit("died", 0, ErrorJson(status)); }

}  // namespace pcap_ring
