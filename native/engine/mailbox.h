#pragma once

#include <atomic>
#include <cstdint>

#include "engine/types.h"

namespace pcap_ring {

// What other threads ask of the capture thread.
struct Command {
  enum class Kind {
    kBegin,     // replay: the host had its turn after start(), read on
    kContinue,  // replay: the listeners of `boundary` are done
    kOpen,      // freeze(), capture(), dump(): `tap`
    kResolve,   // `handle`, `with_resolution`
    kAbandon,   // `handle`: its writer cannot go on
    kClose,     // end every recording and stop
  };
  Kind kind;
  uint32_t handle = 0;
  uint64_t boundary = 0;
  bool with_resolution = true;
  bool keeps_all = false;  // Engine::KeepAll() succeeded before the time was taken
  TapSpec tap;
  // The moment of the call, on the caller's thread.
  int64_t realtime_ns = 0;
  int64_t monotonic_ns = 0;

  Command* next = nullptr;  // the mailbox's
};

// Many senders, one receiver, no locks: a stack that the receiver takes as a whole and turns round.
class Mailbox {
 public:
  Mailbox() = default;
  ~Mailbox() {
    for (Command* c = TakeAll(); c != nullptr;) {
      Command* following = c->next;
      delete c;
      c = following;
    }
  }
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  // Any thread. Takes ownership.
  void Post(Command* command) {
    command->next = head_.load(std::memory_order_relaxed);
    // The receiver sees the command whole. Sequentially consistent, as the sender then raises a flag that the receiver
    // lowers before it looks here again (EngineContext::attention). No ABA: the receiver only ever takes all.
    while (!head_.compare_exchange_weak(command->next, command, std::memory_order_seq_cst, std::memory_order_relaxed)) {
    }
  }

  // The receiver: everything posted so far, oldest first; gives up ownership.
  Command* TakeAll() {
    Command* newest = head_.exchange(nullptr, std::memory_order_acquire);  // pairs with Post
    Command* oldest = nullptr;
    while (newest != nullptr) {
      Command* following = newest->next;
      newest->next = oldest;
      oldest = newest;
      newest = following;
    }
    return oldest;
  }

  bool empty() const { return head_.load(std::memory_order_seq_cst) == nullptr; }

 private:
  std::atomic<Command*> head_{nullptr};
};

}  // namespace pcap_ring
