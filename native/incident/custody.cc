#include "incident/custody.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <pcap/pcap.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/utsname.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/fd.h"
#include "base/json.h"
#include "base/system_clock.h"

namespace pcap_ring {
namespace {

// The first line of a file of /proc or /sys, "" if there is none.
std::string ReadLine(const std::string& path) {
  std::string line;
  if (const UniqueFile file(std::fopen(path.c_str(), "re")); file != nullptr) {
    std::array<char, 256> text;
    if (std::fgets(text.data(), text.size(), file.get()) != nullptr) line = text.data();
  }
  while (!line.empty() && (line.back() == '\n' || line.back() == ' ')) line.pop_back();
  return line;
}

void StringOrNull(JsonWriter* json, const std::string& text) {
  if (text.empty()) {
    json->Null();
  } else {
    json->String(text);
  }
}

void WriteDevice(JsonWriter* json, const std::string& name, bool promiscuous) {
  ifreq request = {};
  std::strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
  const UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  json->BeginObject().Key("name").String(name).Key("index").Int(if_nametoindex(name.c_str()));
  json->Key("mac");
  if (ioctl(fd.get(), SIOCGIFHWADDR, &request) == 0) {
    const auto* mac = reinterpret_cast<const uint8_t*>(request.ifr_hwaddr.sa_data);
    char text[18];
    // NOLINTNEXTLINE(cert-err33-c): always as long.
    std::snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
    json->String(text);
  } else {
    json->Null();
  }
  json->Key("mtu");
  if (ioctl(fd.get(), SIOCGIFMTU, &request) == 0) {
    json->Int(request.ifr_mtu);
  } else {
    json->Null();
  }
  const long speed = std::strtol(ReadLine("/sys/class/net/" + name + "/speed").c_str(), nullptr, 10);
  json->Key("speed");
  if (speed > 0) {
    json->Int(speed);  // Mbit/s
  } else {
    json->Null();
  }
  ethtool_drvinfo driver = {};
  driver.cmd = ETHTOOL_GDRVINFO;
  request.ifr_data = reinterpret_cast<char*>(&driver);
  json->Key("driver");
  StringOrNull(json, ioctl(fd.get(), SIOCETHTOOL, &request) == 0 ? driver.driver : "");
  json->Key("promiscuous").Bool(promiscuous).EndObject();
}

}  // namespace

std::string CustodyJson(const RingFacts& facts) {
  utsname system = {};
  uname(&system);
  const std::optional<SystemClock> clock = ReadSystemClock();
  JsonWriter json;
  json.BeginObject().Key("host").BeginObject();
  json.Key("hostname").String(system.nodename).Key("bootId");
  StringOrNull(&json, ReadLine("/proc/sys/kernel/random/boot_id"));
  json.Key("kernel").String(system.release).EndObject();
  json.Key("software").BeginObject().Key("version").String(facts.version);
  json.Key("libpcap").String(pcap_lib_version()).Key("node").String(facts.node_version).EndObject();
  json.Key("device");
  if (facts.source.replay) {
    json.Null();
  } else {
    WriteDevice(&json, facts.source.device, facts.promiscuous);
  }
  json.Key("clock").BeginObject().Key("synchronised");
  if (clock) {
    json.Bool(clock->synchronised).Key("maxErrorUs").Int(clock->max_error_us);
  } else {
    json.Null().Key("maxErrorUs").Null();
  }
  json.EndObject().EndObject();
  return json.Take();
}

}  // namespace pcap_ring
