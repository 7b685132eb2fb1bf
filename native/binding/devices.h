#pragma once

#include <napi.h>

namespace pcap_ring {

// devices(): the network interfaces, as { name, description, addresses, up, running, loopback }[].
Napi::Value Devices(const Napi::CallbackInfo& info);

}  // namespace pcap_ring
