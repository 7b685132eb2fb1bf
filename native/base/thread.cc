#include "base/thread.h"

namespace pcap_ring {

Status Thread::Start(std::function<void()> body) {
  body_ = std::move(body);
  const auto run = [](void* self) -> void* {
    static_cast<Thread*>(self)->body_();
    return nullptr;
  };
  const int error_number = pthread_create(&thread_, nullptr, run, this);
  if (error_number != 0) {
    return Status::Errno(Code::kKernel, "cannot create a thread", "pthread_create", error_number);
  }
  joinable_ = true;
  return Status::Ok();
}

void Thread::Join() {
  if (!joinable_) return;
  pthread_join(thread_, nullptr);
  joinable_ = false;
}

}  // namespace pcap_ring
