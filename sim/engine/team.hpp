#pragma once
// Threads that work on windows together.
#include <functional>
#include <memory>

namespace foretoken::sim::engine {

class Team {
 public:
  virtual ~Team() = default;
  [[nodiscard]] virtual int size() const = 0;
  // Runs lead() on the calling thread and beside it help(1) .. help(size - 1), each once; returns
  // when all have. A helper may start late, or only after lead() has returned: lead() must be able
  // to do the work alone, and then tell the helpers to return. help() must not throw.
  virtual void run(const std::function<void()>& lead, const std::function<void(int)>& help) = 0;
};

// oneTBB's pool.
std::unique_ptr<Team> make_tbb_team(int threads);
// Threads of our own. Under the thread sanitizer, which cannot see into oneTBB's binary.
std::unique_ptr<Team> make_plain_team(int threads);

}  // namespace foretoken::sim::engine
