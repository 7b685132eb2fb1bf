#include "source/offloads.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstring>

#include "base/fd.h"

namespace pcap_ring {
namespace {

std::optional<uint32_t> Ask(int fd, const std::string& device, uint32_t command) {
  ethtool_value value = {};
  value.cmd = command;
  ifreq request = {};
  std::strncpy(request.ifr_name, device.c_str(), IFNAMSIZ - 1);
  request.ifr_data = reinterpret_cast<char*>(&value);
  if (ioctl(fd, SIOCETHTOOL, &request) != 0) return std::nullopt;
  return value.data;
}

std::optional<bool> IsSet(std::optional<uint32_t> value, uint32_t bits) {
  if (!value) return std::nullopt;
  return (*value & bits) != 0;
}

}  // namespace

Offloads ReadOffloads(const std::string& device) {
  const UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd.valid() || device.size() >= IFNAMSIZ) return {};
  return {
      .gro = IsSet(Ask(fd.get(), device, ETHTOOL_GGRO), ~0u),
      .lro = IsSet(Ask(fd.get(), device, ETHTOOL_GFLAGS), ETH_FLAG_LRO),
      .tso = IsSet(Ask(fd.get(), device, ETHTOOL_GTSO), ~0u),
      .gso = IsSet(Ask(fd.get(), device, ETHTOOL_GGSO), ~0u),
  };
}

}  // namespace pcap_ring
