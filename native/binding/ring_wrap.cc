#include "binding/ring_wrap.h"

#include <iterator>
#include <string>

namespace pcap_ring {
namespace {

std::string Text(const Napi::Object& from, const char* key) { return from.Get(key).ToString().Utf8Value(); }
bool Flag(const Napi::Object& from, const char* key) { return from.Get(key).ToBoolean().Value(); }
double Number(const Napi::Object& from, const char* key) { return from.Get(key).ToNumber().DoubleValue(); }

// Infinity means unlimited.
uint64_t Count(const Napi::Object& from, const char* key) {
  const double value = Number(from, key);
  return value >= 0x1p63 ? kUnlimited : static_cast<uint64_t>(value);
}

int64_t DurationNs(const Napi::Object& from, const char* key) {
  const double ns = Number(from, key) * 1e6;
  return ns >= 0x1p63 ? kNever : static_cast<int64_t>(ns);
}

Direction DirectionOf(const std::string& name) {
  return name == "in" ? Direction::kIn : name == "out" ? Direction::kOut : Direction::kBoth;
}

Session::Config ConfigOf(const Napi::Object& from) {
  Session::Config config;
  RingFacts& facts = config.facts;
  facts.precision = Text(from, "precision") == "nano" ? Precision::kNano : Precision::kMicro;
  facts.format = Text(from, "format") == "pcapng" ? FileFormat::kPcapng : FileFormat::kPcap;
  facts.directory = Text(from, "directory");
  facts.filter = Text(from, "filter");
  facts.direction = Text(from, "direction");
  facts.promiscuous = Flag(from, "promiscuous");
  facts.version = Text(from, "version");
  facts.node_version = Text(from, "nodeVersion");

  EngineConfig& engine = config.engine;
  engine.replay = Flag(from, "replay");
  engine.paced = Flag(from, "paced");
  engine.fall_back = Flag(from, "fallBack");
  engine.ring_packets = Count(from, "ringPackets");
  engine.ring_bytes = Count(from, "ringBytes");
  engine.stats_interval_ns = DurationNs(from, "statsInterval");
  engine.live.device = Text(from, "device");
  engine.live.filter = facts.filter;
  engine.live.direction = DirectionOf(facts.direction);
  engine.live.snaplen = static_cast<uint32_t>(Number(from, "snaplen"));
  engine.live.promiscuous = facts.promiscuous;
  engine.live.kernel_buffer = static_cast<int>(Number(from, "kernelBuffer"));
  engine.live.latency_ms = static_cast<int>(Number(from, "latency"));
  engine.recording.path = Text(from, "path");
  engine.recording.filter = facts.filter;
  engine.recording.direction = engine.live.direction;
  engine.recording.snaplen = engine.live.snaplen;
  if (const Napi::Value bytes = from.Get("bytes"); bytes.IsTypedArray()) {
    const auto array = bytes.As<Napi::Uint8Array>();
    engine.recording.bytes.assign(array.Data(), array.Data() + array.ByteLength());
  }
  return config;
}

}  // namespace

Napi::Function RingWrap::Define(Napi::Env env) {
  return DefineClass(env, "Ring",
                     {
                         InstanceMethod<&RingWrap::Start>("start"),
                         InstanceMethod<&RingWrap::Open>("open"),
                         InstanceMethod<&RingWrap::Resolve>("resolve"),
                         InstanceMethod<&RingWrap::Continue>("continue"),
                         InstanceMethod<&RingWrap::Begin>("begin"),
                         InstanceMethod<&RingWrap::Close>("close"),
                         InstanceMethod<&RingWrap::Packets>("packets"),
                         InstanceMethod<&RingWrap::Forget>("forget"),
                         InstanceMethod<&RingWrap::Ref>("ref"),
                         InstanceMethod<&RingWrap::Unref>("unref"),
                         InstanceMethod<&RingWrap::Join>("join"),
                     });
}

RingWrap::RingWrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<RingWrap>(info) {
  Napi::Env env = info.Env();
  constexpr size_t kUnbounded = 0;  // a handful of events a second; the threads never wait for the event loop
  events_ = EventFunction::New(env, info[1].As<Napi::Function>(), "pcap-ring", kUnbounded, 1);
  EventFunction events = events_;
  session_ = std::make_unique<Session>(ConfigOf(info[0].As<Napi::Object>()), [events](HostEvent event) {
    // On the capture or the writer thread. Refused only when the environment is on its way out.
    auto owned = std::make_unique<HostEvent>(std::move(event));
    if (events.NonBlockingCall(owned.get()) == napi_ok) owned.release();
  });
  // After the function, so that the hook runs before Node takes the function away.
  cleanup_ = env.AddCleanupHook(&OnEnvironmentExit, this);
}

RingWrap::~RingWrap() { End(); }

void RingWrap::Deliver(Napi::Env env, Napi::Function on_event, std::nullptr_t*, HostEvent* event) {
  const std::unique_ptr<HostEvent> owned(event);
  if (env == nullptr) return;  // the environment is gone; the event is only freed
  const napi_value arguments[] = {Napi::String::New(env, owned->name), Napi::Number::New(env, owned->handle),
                                  Napi::String::New(env, owned->json),
                                  Napi::Number::New(env, static_cast<double>(owned->boundary))};
  // Not Function::Call: it ends the process where an environment on its way out refuses the call. What the function
  // throws stays pending, for Node to report.
  napi_call_function(env, env.Undefined(), on_event, std::size(arguments), arguments, nullptr);
}

void RingWrap::Start(const Napi::CallbackInfo&) { session_->Start(); }

void RingWrap::Open(const Napi::CallbackInfo& info) {
  const auto from = info[0].As<Napi::Object>();
  RecordingSpec recording;
  recording.handle = static_cast<uint32_t>(Number(from, "handle"));
  const std::string kind = Text(from, "kind");
  recording.kind = kind == "dump" ? TapKind::kDump : kind == "manual" ? TapKind::kManual : TapKind::kIncident;
  recording.id = Text(from, "id");
  recording.path = Text(from, "path");
  recording.report_path = Text(from, "reportPath");
  recording.reason = Text(from, "reason");
  recording.labels = Text(from, "labels");
  recording.attack = Text(from, "attack");
  recording.comment = Text(from, "comment");
  if (const Napi::Value since = from.Get("since"); since.IsBigInt()) {
    bool lossless;
    recording.since_ns = since.As<Napi::BigInt>().Int64Value(&lossless);
  }

  TapSpec tap;
  tap.handle = recording.handle;
  tap.kind = recording.kind;
  tap.cap_packets = Count(from, "capPackets");
  tap.cap_bytes = Count(from, "capBytes");
  tap.cap_duration_ns = DurationNs(from, "capDuration");
  tap.resolution_packets = Count(from, "resolutionPackets");
  tap.resolution_ns = DurationNs(from, "resolutionDuration");
  tap.resolution_reserve = Flag(from, "resolutionReserve");
  tap.interval_ns = DurationNs(from, "statsInterval");
  tap.progress = std::make_shared<std::atomic<uint64_t>>(0);
  progress_[tap.handle] = tap.progress;
  session_->Open(std::move(recording), std::move(tap));
}

// (handle, withResolution)
void RingWrap::Resolve(const Napi::CallbackInfo& info) {
  session_->Resolve(info[0].ToNumber().Uint32Value(), info[1].ToBoolean().Value());
}

void RingWrap::Continue(const Napi::CallbackInfo& info) {
  session_->Continue(static_cast<uint64_t>(info[0].ToNumber().Int64Value()));
}

void RingWrap::Begin(const Napi::CallbackInfo&) { session_->Begin(); }
void RingWrap::Close(const Napi::CallbackInfo&) { session_->Close(); }

// Packets handed over so far for an incident.
Napi::Value RingWrap::Packets(const Napi::CallbackInfo& info) {
  const auto found = progress_.find(info[0].ToNumber().Uint32Value());
  const uint64_t packets = found == progress_.end() ? 0 : found->second->load(std::memory_order_relaxed);
  return Napi::Number::New(info.Env(), static_cast<double>(packets));
}

void RingWrap::Forget(const Napi::CallbackInfo& info) { progress_.erase(info[0].ToNumber().Uint32Value()); }
void RingWrap::Ref(const Napi::CallbackInfo& info) { events_.Ref(info.Env()); }
void RingWrap::Unref(const Napi::CallbackInfo& info) { events_.Unref(info.Env()); }

// After `closed` the threads have nothing left to do; after `close()` alone this waits for them (at the process's end).
void RingWrap::Join(const Napi::CallbackInfo& info) {
  if (session_ == nullptr) return;
  End();
  cleanup_.Remove(info.Env());
}

void RingWrap::End() {
  if (session_ == nullptr) return;
  session_->Join();
  session_.reset();
  events_.Release();
}

void RingWrap::OnEnvironmentExit(RingWrap* ring) {
  if (ring->session_ == nullptr) return;
  ring->session_->Close();
  ring->End();
}

}  // namespace pcap_ring
