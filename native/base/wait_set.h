#pragma once

#include <sys/epoll.h>

#include <cerrno>
#include <cstdint>

#include "base/fd.h"

namespace pcap_ring {

// A few descriptors that one thread waits for (epoll).
class WaitSet {
 public:
  enum class How {
    kWhileReadable,
    kWhenMoreComes,  // told once, until more comes: whoever waits has taken all that there was
  };
  struct Events {
    uint32_t first = 0;   // EPOLL*, of the descriptor that was added with key 0
    uint32_t second = 0;  // with key 1
  };

  WaitSet() : fd_(::epoll_create1(EPOLL_CLOEXEC)), error_number_(fd_.valid() ? 0 : errno) {}

  int error_number() const { return error_number_; }  // why there is no descriptor; 0: there is one
  // False: the system has no memory for it. A descriptor leaves the set when it is closed.
  [[nodiscard]] bool Add(int fd, uint32_t key, How how) {
    epoll_event event = {};
    event.events = how == How::kWhenMoreComes ? EPOLLIN | EPOLLET : EPOLLIN;
    event.data.u32 = key;
    return ::epoll_ctl(fd_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
  }
  void Remove(int fd) { ::epoll_ctl(fd_.get(), EPOLL_CTL_DEL, fd, nullptr); }
  Events Wait(int timeout_ms) {
    epoll_event found[2];
    Events events;
    for (int left = ::epoll_wait(fd_.get(), found, 2, timeout_ms); left > 0; --left) {
      (found[left - 1].data.u32 == 0 ? events.first : events.second) = found[left - 1].events;
    }
    return events;
  }

 private:
  UniqueFd fd_;
  int error_number_;
};

}  // namespace pcap_ring
