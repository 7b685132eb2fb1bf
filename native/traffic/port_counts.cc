#include "traffic/port_counts.h"

#include <algorithm>

namespace pcap_ring {

size_t PortCounts::Index(Endpoints::Transport transport, Side side) {
  return (transport == Endpoints::Transport::kUdp ? 2 : 0) + (side == Side::kDestination ? 1 : 0);
}

void PortCounts::OneSide::Add(uint16_t port) {
  if (low == nullptr) {
    // calloc rather than new: zeros of fresh pages, which are only there once they are written to.
    low.reset(static_cast<uint16_t*>(std::calloc(kPorts, sizeof(uint16_t))));
    if (low == nullptr) std::abort();  // as operator new does without exceptions
  }
  if (++low[port] != 0) return;
  const auto found = std::find_if(carries.begin(), carries.end(), [port](const Carry& c) { return c.port == port; });
  if (found != carries.end()) {
    ++found->times;
  } else {
    carries.push_back({port, 1});
  }
}

void PortCounts::Add(const Endpoints& ends) {
  if (ends.transport == Endpoints::Transport::kNone) return;
  sides_[Index(ends.transport, Side::kSource)].Add(ends.source_port);
  sides_[Index(ends.transport, Side::kDestination)].Add(ends.destination_port);
}

std::vector<PortCounts::Top> PortCounts::MostPackets(Endpoints::Transport transport, Side side, size_t most) const {
  const OneSide& counts = sides_[Index(transport, side)];
  std::vector<Top> top;
  if (counts.low == nullptr || most == 0) return top;
  std::vector<Carry> carries = counts.carries;
  std::sort(carries.begin(), carries.end(),
            [](const Carry& left, const Carry& right) { return left.port < right.port; });
  auto carry = carries.begin();
  for (size_t port = 0; port < kPorts; ++port) {
    uint64_t packets = counts.low[port];
    if (carry != carries.end() && carry->port == port) packets += uint64_t{carry++->times} * kPorts;
    if (packets == 0 || (top.size() == most && packets <= top.back().packets)) continue;
    const auto behind = std::find_if(top.begin(), top.end(), [packets](const Top& t) { return t.packets < packets; });
    top.insert(behind, {static_cast<uint16_t>(port), packets});
    if (top.size() > most) top.pop_back();
  }
  return top;
}

}  // namespace pcap_ring
