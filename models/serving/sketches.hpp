#pragma once
// Latencies of requests that are forgotten once they are done: distributions in bounded memory
// that merge in any order with the same result.
#include <cstdint>

#include "sim/metrics/histogram.hpp"

namespace foretoken::models::serving {

struct RequestTimes {
  std::int64_t arrival_ps = 0, scheduled_ps = 0, first_ps = 0, last_ps = 0;
  std::int32_t output = 0;
};

struct Sketches {  // seconds
  static constexpr std::size_t kExact = 64;
  sim::metrics::Histogram ttft{kExact}, tpot{kExact}, e2el{kExact}, queueing{kExact},
      prefill{kExact}, decode{kExact};

  void add(const RequestTimes& t);
  void merge(const Sketches& other);
  [[nodiscard]] bool empty() const { return e2el.count() == 0; }
  template <class A>
  void fields(A& archive) {
    archive(ttft, tpot, e2el, queueing, prefill, decode);
  }
};

}  // namespace foretoken::models::serving
