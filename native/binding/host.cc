#include "binding/host.h"

#include <pcap/pcap.h>

#include "base/system_clock.h"
#include "base/time.h"
#include "source/loopback_load.h"
#include "source/offloads.h"

namespace pcap_ring {
namespace {

Napi::Value BoolOrNull(Napi::Env env, std::optional<bool> value) {
  return value ? Napi::Boolean::New(env, *value) : env.Null();
}

class LoopbackWorker : public Napi::AsyncWorker {
 public:
  LoopbackWorker(const Napi::Function& done, double ms, double pps)
      : AsyncWorker(done, "pcap_ring.sendToLoopback"), for_ns_(static_cast<int64_t>(ms * kNsPerMs)), pps_(pps) {}

  void Execute() override {
    const Status status = pcap_ring::SendToLoopback(for_ns_, pps_, &load_);
    if (!status.ok()) SetError(status.message);
  }
  std::vector<napi_value> GetResult(Napi::Env env) override {
    return {env.Null(), Napi::Number::New(env, static_cast<double>(load_.sent)),
            Napi::Number::New(env, static_cast<double>(load_.took_ns) / kNsPerMs)};
  }

 private:
  const int64_t for_ns_;
  const double pps_;
  LoopbackLoad load_;
};

}  // namespace

Napi::Value Host(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Napi::Object host = Napi::Object::New(env);
  host.Set("libpcap", pcap_lib_version());
  const std::optional<SystemClock> system_clock = ReadSystemClock();
  const Napi::Object clock = Napi::Object::New(env);
  clock.Set("synchronised", system_clock ? Napi::Boolean::New(env, system_clock->synchronised) : env.Null());
  clock.Set("maxErrorUs",
            system_clock ? Napi::Number::New(env, static_cast<double>(system_clock->max_error_us)) : env.Null());
  host.Set("clock", clock);
  const Offloads on = ReadOffloads(info[0].As<Napi::String>());
  const Napi::Object offloads = Napi::Object::New(env);
  offloads.Set("gro", BoolOrNull(env, on.gro));
  offloads.Set("lro", BoolOrNull(env, on.lro));
  offloads.Set("tso", BoolOrNull(env, on.tso));
  offloads.Set("gso", BoolOrNull(env, on.gso));
  host.Set("offloads", offloads);
  return host;
}

Napi::Value SendToLoopback(const Napi::CallbackInfo& info) {
  // It deletes itself when it is done.
  (new LoopbackWorker(info[2].As<Napi::Function>(), info[0].As<Napi::Number>(), info[1].As<Napi::Number>()))->Queue();
  return info.Env().Undefined();
}

}  // namespace pcap_ring
