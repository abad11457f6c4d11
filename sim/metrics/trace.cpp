#include "sim/metrics/trace.hpp"

#include <algorithm>
#include <tuple>

namespace foretoken::sim::metrics {

std::uint32_t Trace::Table::add(std::string_view text) {
  const auto next = static_cast<std::uint32_t>(texts.size());
  const auto [it, fresh] = index.try_emplace(std::string(text), next);
  if (fresh) texts.emplace_back(text);
  return it->second;
}

std::uint32_t Trace::name(std::string_view text) { return names_.add(text); }
std::uint32_t Trace::track(std::string_view text) { return tracks_.add(text); }

void Trace::add(const TraceRecord& record) {
  if (records_.size() < max_records_) {
    records_.push_back(record);
  } else {
    ++dropped_;
  }
}

std::vector<TraceRecord> Trace::sorted() const {
  std::vector<TraceRecord> result = records_;
  std::stable_sort(result.begin(), result.end(), [](const TraceRecord& a, const TraceRecord& b) {
    return std::tie(a.begin, a.track, a.name, a.value) <
           std::tie(b.begin, b.track, b.name, b.value);
  });
  return result;
}

}  // namespace foretoken::sim::metrics
