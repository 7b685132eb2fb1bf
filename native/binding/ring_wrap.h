#pragma once

#include <napi.h>

#include <atomic>
#include <map>
#include <memory>

#include "incident/session.h"

namespace pcap_ring {

// A Session as a JavaScript object. Translates, decides nothing. The event loop's thread, but for the sink.
class RingWrap : public Napi::ObjectWrap<RingWrap> {
 public:
  static Napi::Function Define(Napi::Env env);
  // new Ring(config, onEvent): onEvent(name, handle, json, boundary), each in a turn of its own.
  explicit RingWrap(const Napi::CallbackInfo& info);
  ~RingWrap() override;

 private:
  static void Deliver(Napi::Env env, Napi::Function on_event, std::nullptr_t* context, HostEvent* event);
  using EventFunction = Napi::TypedThreadSafeFunction<std::nullptr_t, HostEvent, Deliver>;

  void Start(const Napi::CallbackInfo& info);
  void Open(const Napi::CallbackInfo& info);
  void Resolve(const Napi::CallbackInfo& info);
  void Continue(const Napi::CallbackInfo& info);
  void Begin(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);
  Napi::Value Packets(const Napi::CallbackInfo& info);
  void Forget(const Napi::CallbackInfo& info);
  void Ref(const Napi::CallbackInfo& info);
  void Unref(const Napi::CallbackInfo& info);
  void Join(const Napi::CallbackInfo& info);
  void End();

  // The environment goes (process.exit, a worker terminated) with the ring open: nothing may outlive it.
  static void OnEnvironmentExit(RingWrap* ring);

  EventFunction events_;
  // None after the join, and where the environment went while the configuration was read.
  std::unique_ptr<Session> session_;
  Napi::Env::CleanupHook<void (*)(RingWrap*), RingWrap> cleanup_;
  std::map<uint32_t, std::shared_ptr<std::atomic<uint64_t>>> progress_;
};

}  // namespace pcap_ring
