#pragma once

#include <optional>
#include <string>

namespace pcap_ring {

// What a device, or the kernel for it, does to packets on their way: captured frames are then not those of the wire. Nothing
// where it does not say. By ioctl, without any permission, in the network namespace that the thread is in.
struct Offloads {
  std::optional<bool> gro;  // received ones are put together before they are captured
  std::optional<bool> lro;  // the same by the card
  std::optional<bool> tso;  // sent ones are captured before they are cut
  std::optional<bool> gso;
};
Offloads ReadOffloads(const std::string& device);

}  // namespace pcap_ring
