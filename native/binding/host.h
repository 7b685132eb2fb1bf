#pragma once

#include <napi.h>

namespace pcap_ring {

// host(device): { libpcap, clock: { synchronised, maxErrorUs }, offloads: { gro, lro, tso, gso } }, null where the kernel does
// not say.
Napi::Value Host(const Napi::CallbackInfo& info);

// sendToLoopback(ms, pps, (error, sent, tookMs) => …), on a thread of libuv's pool.
Napi::Value SendToLoopback(const Napi::CallbackInfo& info);

}  // namespace pcap_ring
