#include "engine/engine.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ctime>

#include "engine/live_driver.h"
#include "engine/replay_driver.h"
#include "engine/statistics_driver.h"

namespace pcap_ring {
namespace {

// For a thread of low priority that never works for long: so it runs soon after it wakes up, and what it takes is as little as
// before. The kernel's buffer is full within two milliseconds, and the host's own thread may run for longer.
//
// Source: Linux 6.12 takes sched_runtime of an ordinary thread for the length of its slice (EEVDF), from which its deadline
// follows. Older ones pay no attention. The C library knows neither the calls nor, before 2.41, the structure.
void AskForShortSlices() {
  struct {
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime_ns;
    uint64_t deadline_ns;
    uint64_t period_ns;
  } attributes = {};
  constexpr uint64_t kShortestNs = 100'000;
  if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0) return;
  if (attributes.policy != SCHED_OTHER) return;
  attributes.runtime_ns = kShortestNs;
  syscall(SYS_sched_setattr, 0, &attributes, 0);
}

}  // namespace

void PrepareThread(const char* name) {
  constexpr int kNice = 10;
  setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), kNice);
  pthread_setname_np(pthread_self(), name);
  sigset_t blocked;
  sigfillset(&blocked);
  for (const int fault : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP}) sigdelset(&blocked, fault);
  pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
}

Engine::Engine(EngineConfig config, TapQueue* queue, EngineListener* listener)
    : context_{.config = std::move(config),
               .queue = queue,
               .listener = listener,
               .mailbox = {},
               .bell = {},
               .sampler = {}} {}

Engine::~Engine() { Join(); }

Status Engine::Start() {
  return thread_.Start([this] { Run(); });
}

template <typename Driver>
Status Engine::Drive(std::unique_ptr<Driver>* driver) {
  *driver = std::make_unique<Driver>(&context_);
  if (Status status = (*driver)->Open(); !status.ok()) {
    driver->reset();
    return status;
  }
  context_.listener->OnStarted((*driver)->info());
  (*driver)->Run();
  return Status::Ok();
}

// No device named: the default route's.
Status Engine::ResolveDevice() {
  std::string* const device = &context_.config.live.device;
  if (device->empty()) *device = DefaultRouteDevice();
  if (!device->empty()) return Status::Ok();
  return {Code::kNoSuchDevice, "there is no default route to take the device from; name one of " + DeviceNames(),
          ENODEV, nullptr};
}

Status Engine::RunDriver() {
  if (context_.config.replay) return Drive(&replay_);
  AskForShortSlices();
  if (Status resolved = ResolveDevice(); !resolved.ok()) return resolved;
  Status status = Drive(&live_);
  if (status.code != Code::kPermission || !context_.config.fall_back) return status;
  std::string message = status.message + "; until then there are only statistics";
  if (!context_.config.live.filter.empty()) message += ", and the filter is not applied";
  context_.listener->OnWarning({status.code, message, status.error_number, status.syscall});
  return Drive(&statistics_);
}

void Engine::Run() {
  PrepareThread("pcap-ring");
  if (const Status status = RunDriver(); !status.ok()) context_.listener->OnStartFailed(status);
  TapMessage shutdown;
  shutdown.kind = TapMessage::Kind::kShutdown;
  // NOLINTNEXTLINE(bugprone-use-after-move): a queue that is full leaves it as it is.
  while (!context_.queue->messages.Push(std::move(shutdown))) {
    const timespec pause = {0, kNsPerMs};
    nanosleep(&pause, nullptr);
  }
  context_.queue->bell.Ring();
}

}  // namespace pcap_ring
