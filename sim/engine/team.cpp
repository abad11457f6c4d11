#include "sim/engine/team.hpp"

#include <tbb/global_control.h>
#include <tbb/info.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <atomic>
#include <exception>
#include <optional>
#include <thread>
#include <vector>

namespace foretoken::sim::engine {

namespace {

class TbbTeam final : public Team {
 public:
  explicit TbbTeam(int threads) : threads_(threads), arena_(threads) {
    // More threads than cores must be allowed explicitly; a limit that is already wide enough is
    // left alone, since the narrowest one holds for the whole program.
    if (threads > tbb::info::default_concurrency()) {
      allow_.emplace(tbb::global_control::max_allowed_parallelism,
                     static_cast<std::size_t>(threads));
    }
  }
  [[nodiscard]] int size() const override { return threads_; }
  void run(const std::function<void(int)>& work) override {
    arena_.execute([&] { tbb::parallel_for(0, threads_, work, tbb::simple_partitioner()); });
  }

 private:
  int threads_;
  std::optional<tbb::global_control> allow_;
  tbb::task_arena arena_;
};

class PlainTeam final : public Team {
 public:
  explicit PlainTeam(int threads) : errors_(static_cast<std::size_t>(threads)) {
    for (int i = 1; i < threads; ++i) helpers_.emplace_back([this, i] { help(i); });
  }
  ~PlainTeam() override {
    work_ = nullptr;
    round_.fetch_add(1, std::memory_order_release);
    round_.notify_all();
    for (std::thread& helper : helpers_) helper.join();
  }
  [[nodiscard]] int size() const override { return static_cast<int>(errors_.size()); }

  void run(const std::function<void(int)>& work) override {
    work_ = &work;
    busy_.store(size() - 1, std::memory_order_relaxed);
    round_.fetch_add(1, std::memory_order_release);
    round_.notify_all();
    do_part(0);
    for (int left = busy_.load(std::memory_order_acquire); left != 0;
         left = busy_.load(std::memory_order_acquire)) {
      busy_.wait(left, std::memory_order_acquire);
    }
    for (const std::exception_ptr& error : errors_) {
      if (error != nullptr) std::rethrow_exception(error);
    }
  }

 private:
  void do_part(int i) {
    try {
      (*work_)(i);
    } catch (...) {
      errors_[static_cast<std::size_t>(i)] = std::current_exception();
    }
  }
  void help(int i) {
    for (std::uint64_t seen = 0;;) {
      round_.wait(seen, std::memory_order_acquire);
      seen = round_.load(std::memory_order_acquire);
      if (work_ == nullptr) return;
      do_part(i);
      if (busy_.fetch_sub(1, std::memory_order_acq_rel) == 1) busy_.notify_all();
    }
  }

  std::vector<std::exception_ptr> errors_;
  const std::function<void(int)>* work_ = nullptr;
  std::atomic<std::uint64_t> round_{0};
  std::atomic<int> busy_{0};
  std::vector<std::thread> helpers_;  // last: they use the rest
};

}  // namespace

std::unique_ptr<Team> make_tbb_team(int threads) { return std::make_unique<TbbTeam>(threads); }
std::unique_ptr<Team> make_plain_team(int threads) { return std::make_unique<PlainTeam>(threads); }

}  // namespace foretoken::sim::engine
