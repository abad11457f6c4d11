#pragma once
// Where helpers wait for the next window. The leader opens the gate for a window and, once there is
// nothing left to claim, closes it and waits for those inside; a helper that comes late finds it
// closed and is not waited for.
#include <atomic>
#include <cstdint>
#include <thread>

namespace foretoken::sim::engine {

class Gate {
 public:
  // The leader.
  void open() {
    window_ = window_ + 2 == kOver ? 1 : window_ + 2;
    state_.store(window_, std::memory_order_seq_cst);
    state_.notify_all();
  }
  void close() {
    state_.store(window_ - 1, std::memory_order_seq_cst);
    for (int i = 0; inside_.load(std::memory_order_seq_cst) != 0; ++i) pause(i);
  }
  void end() {
    state_.store(kOver, std::memory_order_seq_cst);
    state_.notify_all();
  }
  void reset() { state_.store(window_ - 1, std::memory_order_seq_cst); }

  // A helper: calls work() once for each window that it is in time for, until the end.
  template <class Work>
  void help(const Work& work) {
    for (std::uint32_t seen = 0;;) {
      const std::uint32_t window = wait(seen);
      if (window == kOver) return;
      inside_.fetch_add(1, std::memory_order_seq_cst);
      if (state_.load(std::memory_order_seq_cst) == window) work();
      inside_.fetch_sub(1, std::memory_order_release);
      seen = window;
    }
  }

 private:
  static constexpr std::uint32_t kOver = UINT32_MAX;
  static constexpr int kSpins = 2000;   // some tens of microseconds: the length of small windows
  static constexpr int kYields = 2100;  // then a hundred times to whoever else wants the core

  static void pause(int tries) {
    if (tries < kSpins) {
#if defined(__x86_64__)
      __builtin_ia32_pause();
#endif
    } else {
      std::this_thread::yield();
    }
  }
  // The next open window (odd) after `seen`, or kOver.
  std::uint32_t wait(std::uint32_t seen) const {
    for (int i = 0;; ++i) {
      const std::uint32_t state = state_.load(std::memory_order_acquire);
      if (state == kOver || (state % 2 == 1 && state != seen)) return state;
      if (i < kYields) {
        pause(i);
      } else {
        state_.wait(state, std::memory_order_acquire);
      }
    }
  }

  std::uint32_t window_ = 1;  // the leader's
  alignas(64) std::atomic<std::uint32_t> state_{0};
  alignas(64) std::atomic<int> inside_{0};
};

}  // namespace foretoken::sim::engine
