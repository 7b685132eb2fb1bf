#include "binding/devices.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pcap/pcap.h>

namespace pcap_ring {
namespace {

// "" for what is not an IP address.
std::string AddressText(const sockaddr* address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address == nullptr) return "";
  if (address->sa_family == AF_INET) {
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(address)->sin_addr, text, sizeof text);
  } else if (address->sa_family == AF_INET6) {
    inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr, text, sizeof text);
  }
  return text;
}

}  // namespace

Napi::Value Devices(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  char error[PCAP_ERRBUF_SIZE] = "";
  pcap_if_t* all = nullptr;
  if (pcap_findalldevs(&all, error) != 0) {
    Napi::Error::New(env, std::string("cannot list the devices: ") + error).ThrowAsJavaScriptException();
    return env.Undefined();
  }
  const Napi::Array list = Napi::Array::New(env);
  for (const pcap_if_t* device = all; device != nullptr; device = device->next) {
    if (if_nametoindex(device->name) == 0) continue;  // libpcap's own, such as "any" and "nflog"
    const Napi::Object entry = Napi::Object::New(env);
    entry.Set("name", device->name);
    entry.Set("description", device->description != nullptr ? Napi::String::New(env, device->description) : env.Null());
    const Napi::Array addresses = Napi::Array::New(env);
    for (const pcap_addr* address = device->addresses; address != nullptr; address = address->next) {
      const std::string text = AddressText(address->addr);
      if (!text.empty()) addresses.Set(addresses.Length(), text);
    }
    entry.Set("addresses", addresses);
    entry.Set("up", (device->flags & PCAP_IF_UP) != 0);
    entry.Set("running", (device->flags & PCAP_IF_RUNNING) != 0);
    entry.Set("loopback", (device->flags & PCAP_IF_LOOPBACK) != 0);
    list.Set(list.Length(), entry);
  }
  pcap_freealldevs(all);
  return list;
}

}  // namespace pcap_ring
