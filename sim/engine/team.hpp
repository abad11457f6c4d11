#pragma once
// Threads that work on one window together.
#include <functional>
#include <memory>

namespace foretoken::sim::engine {

class Team {
 public:
  virtual ~Team() = default;
  [[nodiscard]] virtual int size() const = 0;
  // Calls work(0) .. work(size - 1), each once, and returns when all have. An idle thread may be
  // late: whoever is there first must be able to do the work of all.
  virtual void run(const std::function<void(int)>& work) = 0;
};

// oneTBB's pool; the calling thread takes part.
std::unique_ptr<Team> make_tbb_team(int threads);
// Threads of our own. Under the thread sanitizer, which cannot see into oneTBB's binary.
std::unique_ptr<Team> make_plain_team(int threads);

}  // namespace foretoken::sim::engine
