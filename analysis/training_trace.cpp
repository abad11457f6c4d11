// A pipeline's timeline as Chrome trace JSON: complete events ("X"), microseconds, a process for
// each pipeline rank with a compute and a message thread. Format: "Trace Event Format", Google,
// 2016; Perfetto reads it.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "analysis/training_store.hpp"

namespace foretoken::analysis {
namespace {

constexpr double kPicosecondsPerSecond = 1e12, kPicosecondsPerMicrosecond = 1e6;

bool selected(const PipelineTable& t, std::size_t i, const TraceSelection& s) {
  if (!s.devices.empty() &&
      std::find(s.devices.begin(), s.devices.end(), t.device[i]) == s.devices.end())
    return false;
  return static_cast<double>(t.end_ps[i]) > s.from_s * kPicosecondsPerSecond &&
         static_cast<double>(t.start_ps[i]) < s.to_s * kPicosecondsPerSecond;
}

std::string label(const PipelineTable& t, std::size_t i) {
  static constexpr const char* kWork[] = {"F", "B", "I", "W", "F"};
  const std::size_t work = std::min<std::size_t>(t.work[i], 4);
  std::string text = fmt::format("{}{}", kWork[work], t.micro_batch[i]);
  if (work == 4) text += fmt::format(" & B{}", t.micro_batch2[i]);
  return t.message[i] != 0 ? "send " + text : text;
}

std::string event(const PipelineTable& t, std::size_t i) {
  return fmt::format(
      R"({{"name":"{}","cat":"{}","ph":"X","ts":{:.6f},"dur":{:.6f},"pid":{},"tid":{},"args":{{"position":{},"micro_batch":{}}}}})",
      label(t, i), t.message[i] != 0 ? "message" : "compute",
      static_cast<double>(t.start_ps[i]) / kPicosecondsPerMicrosecond,
      static_cast<double>(t.end_ps[i] - t.start_ps[i]) / kPicosecondsPerMicrosecond, t.device[i],
      t.message[i], t.position[i], t.micro_batch[i]);
}

}  // namespace

TraceSize estimate_trace(const PipelineTable& table, const TraceSelection& selection) {
  TraceSize size;
  std::size_t sampled = 0, bytes = 0;
  constexpr std::size_t kSample = 256;
  for (std::size_t i = 0; i < table.size(); ++i) {
    if (!selected(table, i, selection)) continue;
    ++size.events;
    if (sampled < kSample || i % 64 == 0) {
      ++sampled;
      bytes += event(table, i).size() + 2;
    }
  }
  if (sampled > 0) size.bytes = bytes * size.events / sampled;
  return size;
}

std::string trace_json(const PipelineTable& table, const TraceSelection& selection) {
  std::string out = R"({"displayTimeUnit":"ms","traceEvents":[)";
  std::set<int> devices;
  std::string events;
  for (std::size_t i = 0; i < table.size(); ++i) {
    if (!selected(table, i, selection)) continue;
    devices.insert(table.device[i]);
    events += ",\n" + event(table, i);
  }
  bool first = true;
  for (const int device : devices) {
    const auto name = [&](const char* what, int thread, const std::string& text) {
      out += fmt::format(R"({}{{"name":"{}","ph":"M","pid":{},"tid":{},"args":{{"name":"{}"}}}})",
                         first ? "\n" : ",\n", what, device, thread, text);
      first = false;
    };
    name("process_name", 0, fmt::format("pipeline rank {}", device));
    name("thread_name", 0, "compute");
    name("thread_name", 1, "messages");
  }
  if (first && !events.empty()) events.erase(0, 1);
  return out + events + "\n]}\n";
}

}  // namespace foretoken::analysis
