#pragma once

#include <linux/filter.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "base/time.h"

namespace pcap_ring {

// `program`, run on 1 of `n` packets that the kernel draws at random; the others are refused before anything else is done
// with them. `n` is a power of two. (Classic BPF, SKF_AD_RANDOM: linux/filter.h, Documentation/networking/filter.rst.)
std::vector<sock_filter> KeepOneOf(uint32_t n, const std::vector<sock_filter>& program);

// How many of a socket's packets the kernel keeps: all that its filter accepts, or 1 of N of these. The capture thread
// steers it. A caller who is about to take the moment of a freeze sets it back himself and takes the moment then, so that
// nothing behind it is left out: the one thing that another thread does to the socket, and what the lock is for. The
// capture thread waits for it only where it opens or closes the socket.
class Sampler {
 public:
  // Capture thread: the socket is open, and has the program that it is to run. Of one that the kernel gave no program, or
  // too long a one, all is kept.
  void Attach(int socket);
  // Capture thread, before the socket is closed.
  void Detach();

  // Capture thread: from now on 1 of `n`. False: nothing was changed, as somebody asked for all just now, or the kernel
  // refuses.
  bool Keep(uint32_t n);

  // Any thread: every packet that is stamped after this returned is kept, until the capture thread has seen what was asked.
  // False: the kernel refuses, and nothing was asked.
  [[nodiscard]] bool KeepAll();
  // Capture thread: a command that KeepAll succeeded for.
  void Seen();

  // What was asked of the kernel, by whomever: at some moment between the two times, by the clock of the packets' stamps, it
  // began to keep 1 of `one_of`.
  struct Exchange {
    uint32_t one_of = 1;
    int64_t begin_ns = 0;
    int64_t end_ns = kNever;  // kNever: it has not answered
  };
  // Capture thread: how many there were; one is told of before the kernel is asked. And the one of this number, of which
  // the last four are remembered: the capture thread's and, until it has seen that one, a caller's.
  uint32_t exchanges() const { return exchanges_.load(std::memory_order_acquire); }
  Exchange exchange(uint32_t number) const;

 private:
  struct Logged {
    std::atomic<uint32_t> one_of{1};
    std::atomic<int64_t> begin_ns{0};
    std::atomic<int64_t> end_ns{0};
  };
  bool SetProgram(uint32_t n);
  Logged& Log(uint32_t n);

  // Calls of KeepAll that succeeded. Relaxed: it rises with the lock held, under which it is asked; that it falls only allows what was not
  // allowed before.
  std::atomic<int> not_seen_{0};
  std::array<Logged, 4> log_;  // written with the lock held
  std::atomic<uint32_t> exchanges_{0};  // released behind what was logged
  std::mutex mutex_;  // for all below
  int socket_ = -1;
  uint32_t n_ = 1;
  std::vector<sock_filter> program_;
};

}  // namespace pcap_ring
