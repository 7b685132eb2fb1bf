#include "source/loopback_load.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>

#include <array>
#include <cerrno>

#include "base/fd.h"
#include "base/time.h"

namespace pcap_ring {

Status SendToLoopback(int64_t for_ns, double pps, LoopbackLoad* load) {
  constexpr uint16_t kDiscard = 9;
  const UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return Status::Errno(Code::kKernel, "cannot send to 127.0.0.1", "socket");
  // Not connected: nobody listens, and what the kernel says to that would come back as an error.
  sockaddr_in to = {};
  to.sin_family = AF_INET;
  to.sin_port = htons(kDiscard);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::array<char, 22> payload = {};
  iovec part = {payload.data(), payload.size()};
  std::array<mmsghdr, 32> train = {};
  for (mmsghdr& one : train) {
    one.msg_hdr.msg_name = &to;
    one.msg_hdr.msg_namelen = sizeof to;
    one.msg_hdr.msg_iov = &part;
    one.msg_hdr.msg_iovlen = 1;
  }
  const int64_t start = MonotonicNs();
  while (load->took_ns < for_ns) {
    const int sent = sendmmsg(fd.get(), train.data(), train.size(), 0);
    if (sent > 0) {
      load->sent += static_cast<uint64_t>(sent);
    } else if (errno != ENOBUFS && errno != EAGAIN && errno != EINTR) {
      return Status::Errno(Code::kKernel, "cannot send to 127.0.0.1", "sendmmsg");
    }
    if (pps > 0) {
      const int64_t due = start + static_cast<int64_t>(static_cast<double>(load->sent) / pps * kNsPerSec);
      const timespec until = {due / kNsPerSec, due % kNsPerSec};
      clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
    }
    load->took_ns = MonotonicNs() - start;
  }
  return Status::Ok();
}

}  // namespace pcap_ring
