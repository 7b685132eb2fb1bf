#include "engine/statistics_driver.h"

#include <poll.h>

#include <memory>
#include <thread>

#include "test/check.h"
#include "test/silent_listener.h"
#include "test/support.h"

namespace pcap_ring {
namespace {

class Listener : public testing::SilentListener {
 public:
  void OnFreeze(uint32_t, int64_t) override { ++freezes; }

  int freezes = 0;  // read once the driver's thread is joined
};

void Post(EngineContext* context, Command::Kind kind, uint32_t handle, int64_t realtime_ns) {
  auto command = std::make_unique<Command>();
  command->kind = kind;
  command->handle = handle;
  command->tap = testing::MakeTap(handle);
  command->realtime_ns = realtime_ns;
  command->monotonic_ns = MonotonicNs();
  context->Post(command.release());
}

std::unique_ptr<TapSummary> AwaitEnd(TapQueue* queue) {
  TapMessage message;
  while (true) {
    while (queue->messages.Pop(&message)) {
      if (message.kind == TapMessage::Kind::kEnd) return std::move(message.summary);
    }
    pollfd bell = {queue->bell.fd(), POLLIN, 0};
    if (poll(&bell, 1, 60'000) == 0) return nullptr;
    queue->bell.Clear();
  }
}

// Set back between a freeze and what ends it, the wall clock says that the end is long before the freeze.
TEST(a_clock_that_is_set_back_keeps_nothing_open) {
  EngineConfig config;
  config.live.device = "lo";
  TapQueue queue;
  Listener listener;
  EngineContext context{.config = config,
                        .queue = &queue,
                        .listener = &listener,
                        .mailbox = {},
                        .bell = {},
                        .sampler = {}};
  StatisticsDriver driver(&context);
  CHECK(driver.Open().ok());
  std::thread thread([&] { driver.Run(); });
  const int64_t later_ns = RealtimeNs() + 3600 * kNsPerSec;
  for (const bool close : {false, true}) {
    Post(&context, Command::Kind::kOpen, 1, later_ns);
    Post(&context, close ? Command::Kind::kClose : Command::Kind::kResolve, 1, RealtimeNs());
    const std::unique_ptr<TapSummary> summary = AwaitEnd(&queue);
    CHECK(summary != nullptr);
    if (summary != nullptr) CHECK_EQ(summary->resolved_ns, later_ns);
  }
  thread.join();
  CHECK_EQ(listener.freezes, 2);
}

}  // namespace
}  // namespace pcap_ring

TEST_MAIN()
