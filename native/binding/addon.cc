#include <napi.h>

#include "binding/devices.h"
#include "binding/host.h"
#include "binding/ring_wrap.h"

namespace pcap_ring {
namespace {

// Runs once per environment: the main thread and every worker have a constructor of their own.
Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports.Set("Ring", RingWrap::Define(env));
  exports.Set("devices", Napi::Function::New<&Devices>(env, "devices"));
  exports.Set("host", Napi::Function::New<&Host>(env, "host"));
  exports.Set("sendToLoopback", Napi::Function::New<&SendToLoopback>(env, "sendToLoopback"));
  return exports;
}

NODE_API_MODULE(pcap_ring, Init)

}  // namespace
}  // namespace pcap_ring
