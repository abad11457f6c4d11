#pragma once
#include <atomic>

namespace foretoken::analysis::app {

// While it lives, the first Ctrl-C (or SIGTERM) sets the flag and the second ends the process at
// once. One at a time.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
  [[nodiscard]] const std::atomic<bool>* flag() const;
};

}  // namespace foretoken::analysis::app
