#include "source/interface_counters.h"

#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

namespace pcap_ring {

Status InterfaceCounters::Open(const std::string& device) {
  index_ = static_cast<int>(if_nametoindex(device.c_str()));
  if (index_ == 0) return {Code::kNoSuchDevice, "there is no device \"" + device + "\"", ENODEV, "if_nametoindex"};
  socket_.Reset(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!socket_.valid()) return Status::Errno(Code::kKernel, "cannot ask for the counters of " + device, "socket");
  return Status::Ok();
}

bool InterfaceCounters::Read(Values* values) {
  struct {
    nlmsghdr header;
    ifinfomsg info;
  } request = {};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = RTM_GETLINK;
  request.header.nlmsg_flags = NLM_F_REQUEST;
  request.info.ifi_index = index_;
  if (send(socket_.get(), &request, sizeof request, 0) < 0) return false;

  alignas(nlmsghdr) char answer[16 * 1024];
  const ssize_t size = recv(socket_.get(), answer, sizeof answer, 0);
  const auto* header = reinterpret_cast<const nlmsghdr*>(answer);
  if (size <= 0 || !NLMSG_OK(header, static_cast<size_t>(size)) || header->nlmsg_type != RTM_NEWLINK) return false;

  const auto* info = static_cast<const ifinfomsg*>(NLMSG_DATA(header));
  values->up = (info->ifi_flags & IFF_UP) != 0;
  auto left = static_cast<int>(IFLA_PAYLOAD(header));
  for (const rtattr* attribute = IFLA_RTA(info); RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
    if (attribute->rta_type != IFLA_STATS64) continue;
    rtnl_link_stats64 stats = {};
    std::memcpy(&stats, RTA_DATA(attribute), std::min(sizeof stats, static_cast<size_t>(RTA_PAYLOAD(attribute))));
    values->rx_packets = stats.rx_packets;
    values->tx_packets = stats.tx_packets;
    values->rx_bytes = stats.rx_bytes;
    values->tx_bytes = stats.tx_bytes;
    values->rx_missed = stats.rx_missed_errors;
    return true;
  }
  return false;
}

}  // namespace pcap_ring
