#include "binding/ring_wrap.h"

#include <iterator>
#include <string>
#include <utility>

namespace pcap_ring {
namespace {

// Reads the fields of an object. Once the environment is on its way out (a worker that is terminated, at any moment) there
// is nothing to be had, and node-addon-api ends the process over a value that is not there: so each is looked at first.
// Nothing is coerced, for the same reason; src/native.ts says what is of which type.
class Fields {
 public:
  explicit Fields(const Napi::Value& from) : from_(from.As<Napi::Object>()) {}

  // Whether all that was asked for could be read.
  bool complete() const { return complete_; }

  Napi::Value Get(const char* key) {
    const Napi::Value value = from_.Get(key);
    complete_ = complete_ && !value.IsEmpty();
    return value;
  }

  std::string Text(const char* key) {
    const Napi::Value value = Get(key);
    return value.IsEmpty() ? "" : value.As<Napi::String>().Utf8Value();
  }

  bool Flag(const char* key) {
    const Napi::Value value = Get(key);
    return !value.IsEmpty() && value.As<Napi::Boolean>().Value();
  }

  double Number(const char* key) {
    const Napi::Value value = Get(key);
    return value.IsEmpty() ? 0 : value.As<Napi::Number>().DoubleValue();
  }

  // Infinity means unlimited.
  uint64_t Count(const char* key) {
    const double value = Number(key);
    return value >= 0x1p63 ? kUnlimited : static_cast<uint64_t>(value);
  }

  int64_t DurationNs(const char* key) {
    const double ns = Number(key) * 1e6;
    return ns >= 0x1p63 ? kNever : static_cast<int64_t>(ns);
  }

 private:
  Napi::Object from_;
  bool complete_ = true;
};

uint32_t HandleOf(const Napi::CallbackInfo& info) { return info[0].As<Napi::Number>().Uint32Value(); }

Direction DirectionOf(const std::string& name) {
  return name == "in" ? Direction::kIn : name == "out" ? Direction::kOut : Direction::kBoth;
}

Session::Config ConfigOf(Fields* from) {
  Session::Config config;
  RingFacts& facts = config.facts;
  facts.precision = from->Text("precision") == "nano" ? Precision::kNano : Precision::kMicro;
  facts.format = from->Text("format") == "pcapng" ? FileFormat::kPcapng : FileFormat::kPcap;
  facts.directory = from->Text("directory");
  const double min_free = from->Number("minFree");
  facts.min_free = min_free < 0 ? std::nullopt : std::optional(static_cast<uint64_t>(min_free));
  if (from->Number("keepAge") >= 0) facts.keep.age_ns = from->DurationNs("keepAge");
  if (const double bytes = from->Number("keepBytes"); bytes >= 0) facts.keep.bytes = static_cast<uint64_t>(bytes);
  facts.delivers = from->Flag("delivers");
  facts.filter = from->Text("filter");
  facts.direction = from->Text("direction");
  facts.promiscuous = from->Flag("promiscuous");
  facts.version = from->Text("version");
  facts.node_version = from->Text("nodeVersion");

  EngineConfig& engine = config.engine;
  engine.replay = from->Flag("replay");
  engine.paced = from->Flag("paced");
  engine.fall_back = from->Flag("fallBack");
  engine.ring_packets = from->Count("ringPackets");
  engine.ring_bytes = from->Count("ringBytes");
  engine.lookback_ns = from->DurationNs("lookback");
  engine.onset.factor = from->Number("onsetFactor");
  engine.onset.min_pps = from->Number("onsetMinPps");
  engine.onset.min_bps = from->Number("onsetMinBps");
  engine.cpu_budget = from->Number("cpuBudget");
  engine.stats_interval_ns = from->DurationNs("statsInterval");
  engine.live.device = from->Text("device");
  engine.live.filter = facts.filter;
  engine.live.direction = DirectionOf(facts.direction);
  engine.live.snaplen = static_cast<uint32_t>(from->Number("snaplen"));
  engine.live.promiscuous = facts.promiscuous;
  engine.live.kernel_buffer = static_cast<int>(from->Number("kernelBuffer"));
  engine.live.latency_ms = static_cast<int>(from->Number("latency"));
  engine.recording.path = from->Text("path");
  engine.recording.filter = facts.filter;
  engine.recording.direction = engine.live.direction;
  engine.recording.snaplen = engine.live.snaplen;
  if (const Napi::Value bytes = from->Get("bytes"); bytes.IsTypedArray()) {
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
  Fields from(info[0]);
  Session::Config config = ConfigOf(&from);
  if (!from.complete()) return;
  constexpr size_t kUnbounded = 0;  // a handful of events a second; the threads never wait for the event loop
  events_ = EventFunction::New(env, info[1].As<Napi::Function>(), "pcap-ring", kUnbounded, 1);
  EventFunction events = events_;
  session_ = std::make_unique<Session>(std::move(config), [events](HostEvent event) {
    // On the capture or the writer thread. Refused only when the environment is on its way out.
    auto owned = std::make_unique<HostEvent>(std::move(event));
    if (events.NonBlockingCall(owned.get()) == napi_ok) static_cast<void>(owned.release());
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

void RingWrap::Start(const Napi::CallbackInfo&) {
  if (session_ != nullptr) session_->Start();
}

void RingWrap::Open(const Napi::CallbackInfo& info) {
  Fields from(info[0]);
  RecordingSpec recording;
  recording.handle = static_cast<uint32_t>(from.Number("handle"));
  const std::string kind = from.Text("kind");
  recording.kind = kind == "dump" ? TapKind::kDump : kind == "manual" ? TapKind::kManual : TapKind::kIncident;
  recording.id = from.Text("id");
  recording.path = from.Text("path");
  recording.report_path = from.Text("reportPath");
  recording.reason = from.Text("reason");
  recording.labels = from.Text("labels");
  recording.attack = from.Text("attack");
  recording.comment = from.Text("comment");
  if (const Napi::Value since = from.Get("since"); since.IsBigInt()) {
    bool lossless;
    recording.since_ns = since.As<Napi::BigInt>().Int64Value(&lossless);
  }

  TapSpec tap;
  tap.handle = recording.handle;
  tap.kind = recording.kind;
  tap.cap_packets = from.Count("capPackets");
  tap.cap_bytes = from.Count("capBytes");
  tap.cap_duration_ns = from.DurationNs("capDuration");
  tap.resolution_packets = from.Count("resolutionPackets");
  tap.resolution_ns = from.DurationNs("resolutionDuration");
  tap.resolution_reserve = from.Flag("resolutionReserve");
  tap.interval_ns = from.DurationNs("statsInterval");
  if (session_ == nullptr || !from.complete()) return;
  tap.progress = std::make_shared<std::atomic<uint64_t>>(0);
  progress_[tap.handle] = tap.progress;
  session_->Open(std::move(recording), std::move(tap));
}

// (handle, withResolution)
void RingWrap::Resolve(const Napi::CallbackInfo& info) {
  if (session_ != nullptr) session_->Resolve(HandleOf(info), info[1].As<Napi::Boolean>().Value());
}

void RingWrap::Continue(const Napi::CallbackInfo& info) {
  if (session_ == nullptr) return;
  session_->Continue(static_cast<uint64_t>(info[0].As<Napi::Number>().Int64Value()));
}

void RingWrap::Begin(const Napi::CallbackInfo&) {
  if (session_ != nullptr) session_->Begin();
}
void RingWrap::Close(const Napi::CallbackInfo&) {
  if (session_ != nullptr) session_->Close();
}

// Packets handed over so far for an incident.
Napi::Value RingWrap::Packets(const Napi::CallbackInfo& info) {
  const auto found = progress_.find(HandleOf(info));
  const uint64_t packets = found == progress_.end() ? 0 : found->second->load(std::memory_order_relaxed);
  return Napi::Number::New(info.Env(), static_cast<double>(packets));
}

void RingWrap::Forget(const Napi::CallbackInfo& info) { progress_.erase(HandleOf(info)); }
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
