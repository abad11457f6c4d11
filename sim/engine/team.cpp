#include "sim/engine/team.hpp"

#include <tbb/global_control.h>
#include <tbb/info.h>
#include <tbb/task_arena.h>
#include <tbb/task_group.h>

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
  void run(const std::function<void()>& lead, const std::function<void(int)>& help) override {
    arena_.execute([&] {
      tbb::task_group helpers;
      for (int i = 1; i < threads_; ++i) helpers.run([&help, i] { help(i); });
      std::exception_ptr error;
      try {
        lead();
      } catch (...) {
        error = std::current_exception();
      }
      helpers.wait();
      if (error != nullptr) std::rethrow_exception(error);
    });
  }

 private:
  int threads_;
  std::optional<tbb::global_control> allow_;
  tbb::task_arena arena_;
};

class PlainTeam final : public Team {
 public:
  explicit PlainTeam(int threads) : threads_(threads) {}
  [[nodiscard]] int size() const override { return threads_; }
  void run(const std::function<void()>& lead, const std::function<void(int)>& help) override {
    std::vector<std::thread> helpers;
    for (int i = 1; i < threads_; ++i) helpers.emplace_back(help, i);
    std::exception_ptr error;
    try {
      lead();
    } catch (...) {
      error = std::current_exception();
    }
    for (std::thread& helper : helpers) helper.join();
    if (error != nullptr) std::rethrow_exception(error);
  }

 private:
  int threads_;
};

}  // namespace

std::unique_ptr<Team> make_tbb_team(int threads) { return std::make_unique<TbbTeam>(threads); }
std::unique_ptr<Team> make_plain_team(int threads) { return std::make_unique<PlainTeam>(threads); }

}  // namespace foretoken::sim::engine
