#pragma once

#include <functional>

#include <pthread.h>

#include "base/status.h"

namespace pcap_ring {

// A thread whose creation can fail without an exception (std::thread ends the process where exceptions are off).
class Thread {
 public:
  Thread() = default;
  ~Thread() { Join(); }
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;

  // Once. kKernel with errno.
  Status Start(std::function<void()> body);
  // Does nothing if it was not started, or was joined.
  void Join();

 private:
  std::function<void()> body_;
  pthread_t thread_ = {};
  bool joinable_ = false;
};

}  // namespace pcap_ring
