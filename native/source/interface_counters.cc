#include "source/interface_counters.h"

#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace pcap_ring {

Status InterfaceCounters::Open(const std::string& device) {
  device_ = device;
  socket_.Reset(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!socket_.valid()) return Status::Errno(Code::kKernel, "cannot ask for the counters of " + device, "socket");
  Values values;
  switch (Read(&values)) {
    case Presence::kGone:
      return {Code::kNoSuchDevice, "there is no device \"" + device + "\"", ENODEV, nullptr};
    case Presence::kUnknown:
      return Status::Error(Code::kKernel, "cannot read the counters of " + device);
    case Presence::kSame:
    case Presence::kOther:
      break;
  }
  Follow();
  return Status::Ok();
}

// By name: what is renamed is found by its old name no more, though it keeps its index.
InterfaceCounters::Presence InterfaceCounters::Read(Values* values) {
  struct {
    nlmsghdr header;
    ifinfomsg info;
    rtattr attribute;
    char name[128];  // ALTIFNAMSIZ, which headers older than 5.5 have not
  } request = {};
  const size_t size = std::min(device_.size(), sizeof request.name - 1);
  std::memcpy(request.name, device_.data(), size);
  request.attribute.rta_len = static_cast<uint16_t>(RTA_LENGTH(size + 1));
  request.attribute.rta_type = size < IFNAMSIZ ? IFLA_IFNAME : IFLA_ALT_IFNAME;
  request.header.nlmsg_len = NLMSG_LENGTH(sizeof request.info) + RTA_ALIGN(request.attribute.rta_len);
  request.header.nlmsg_type = RTM_GETLINK;
  request.header.nlmsg_flags = NLM_F_REQUEST;
  request.header.nlmsg_seq = ++sequence_;
  if (send(socket_.get(), &request, request.header.nlmsg_len, 0) < 0) return Presence::kUnknown;

  // The kernel has answered by now. An answer that could not be taken earlier comes first.
  alignas(nlmsghdr) char answer[16 * 1024];
  const auto* const header = reinterpret_cast<const nlmsghdr*>(answer);
  do {
    const ssize_t got = recv(socket_.get(), answer, sizeof answer, MSG_DONTWAIT);
    if (got <= 0 || !NLMSG_OK(header, static_cast<size_t>(got))) return Presence::kUnknown;
  } while (header->nlmsg_seq != sequence_);
  if (header->nlmsg_type == NLMSG_ERROR) {
    return static_cast<const nlmsgerr*>(NLMSG_DATA(header))->error == -ENODEV ? Presence::kGone : Presence::kUnknown;
  }
  if (header->nlmsg_type != RTM_NEWLINK) return Presence::kUnknown;

  const auto* info = static_cast<const ifinfomsg*>(NLMSG_DATA(header));
  auto left = static_cast<int>(IFLA_PAYLOAD(header));
  for (const rtattr* attribute = IFLA_RTA(info); RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
    if (attribute->rta_type != IFLA_STATS64) continue;
    rtnl_link_stats64 stats = {};
    std::memcpy(&stats, RTA_DATA(attribute), std::min(sizeof stats, static_cast<size_t>(RTA_PAYLOAD(attribute))));
    values->up = (info->ifi_flags & IFF_UP) != 0;
    values->rx_packets = stats.rx_packets;
    values->tx_packets = stats.tx_packets;
    values->rx_bytes = stats.rx_bytes;
    values->tx_bytes = stats.tx_bytes;
    values->rx_missed = stats.rx_missed_errors;
    found_ = info->ifi_index;
    return found_ == index_ ? Presence::kSame : Presence::kOther;
  }
  return Presence::kUnknown;
}

}  // namespace pcap_ring
