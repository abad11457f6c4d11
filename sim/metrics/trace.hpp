#pragma once
// Spans and instants of a run, for timelines. Bounded: when full, later records are only counted.
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "sim/core/time.hpp"

namespace foretoken::sim::metrics {

struct TraceRecord {
  core::Time begin;
  core::Duration duration;  // zero for an instant
  std::uint32_t track = 0;  // the row it is drawn in
  std::uint32_t name = 0;   // of Trace::names()
  std::int64_t value = 0;   // the writer's own: a request, a count of tokens
};

class Trace {
 public:
  explicit Trace(std::size_t max_records) : max_records_(max_records) {}

  std::uint32_t name(std::string_view text);  // the same number for the same text
  std::uint32_t track(std::string_view text);
  void add(const TraceRecord& record);

  // By time, track and name: independent of the order in which processes wrote.
  [[nodiscard]] std::vector<TraceRecord> sorted() const;
  [[nodiscard]] const std::vector<std::string>& names() const { return names_.texts; }
  [[nodiscard]] const std::vector<std::string>& tracks() const { return tracks_.texts; }
  [[nodiscard]] std::uint64_t dropped() const { return dropped_; }

 private:
  struct Table {
    std::vector<std::string> texts;
    std::unordered_map<std::string, std::uint32_t> index;
    std::uint32_t add(std::string_view text);
  };

  std::size_t max_records_;
  std::vector<TraceRecord> records_;
  Table names_;
  Table tracks_;
  std::uint64_t dropped_ = 0;
};

}  // namespace foretoken::sim::metrics
