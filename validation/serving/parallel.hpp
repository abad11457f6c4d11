#pragma once
#include <atomic>
#include <cstddef>
#include <thread>
#include <vector>

namespace foretoken::validation::serving {

// work(0) ... work(count - 1), each thread the next that is left; work must not throw.
template <class Work>
void in_parallel(std::size_t count, unsigned threads, const Work& work) {
  std::atomic<std::size_t> next = 0;
  const auto loop = [&] {
    for (std::size_t i = next++; i < count; i = next++) work(i);
  };
  std::vector<std::thread> pool;
  for (unsigned t = 1; t < threads; ++t) pool.emplace_back(loop);
  loop();
  for (auto& thread : pool) thread.join();
}

}  // namespace foretoken::validation::serving
