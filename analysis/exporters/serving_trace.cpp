#include "analysis/exporters/serving_trace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace foretoken::analysis::exporters {
namespace {

using models::serving::RequestOutcome;
using models::serving::RequestTable;
using models::serving::ServingResult;
using models::serving::StepTable;
using models::serving::TimeSeries;

constexpr double kMicro = 1e6;
constexpr int kEventsOfARequest = 8, kCounters = 4;

bool replica_selected(const TraceSelection& s, int replica) {
  return s.devices.empty() ||
         std::find(s.devices.begin(), s.devices.end(), replica) != s.devices.end();
}
bool overlaps(const TraceSelection& s, double from, double to) {
  return to > s.from_s && from < s.to_s;
}
bool step_selected(const StepTable& t, std::size_t i, const TraceSelection& s) {
  return replica_selected(s, t.replica[i]) &&
         overlaps(s, t.start_s[i], t.start_s[i] + t.duration_s[i]);
}
// What never got a first token has no spans to draw.
bool request_selected(const RequestTable& r, std::size_t i, const TraceSelection& s) {
  return r.outcome[i] == RequestOutcome::completed && replica_selected(s, r.replica[i]) &&
         overlaps(s, r.arrival_s[i], r.last_token_s[i]);
}
bool bin_selected(const TimeSeries& t, std::size_t i, const TraceSelection& s) {
  const double at = static_cast<double>(i) * t.bin_s;
  return overlaps(s, at, at + t.bin_s);
}

// Process 0 is the deployment, replica r is process r + 1.
std::string step_event(const StepTable& t, std::size_t i) {
  const std::string name =
      t.prefill_tokens[i] == 0 ? fmt::format("decode {}", t.decode_sequences[i])
      : t.decode_sequences[i] == 0
          ? fmt::format("prefill {}", t.prefill_tokens[i])
          : fmt::format("prefill {} + decode {}", t.prefill_tokens[i], t.decode_sequences[i]);
  return fmt::format(
      R"({{"name":"{}","cat":"step","ph":"X","ts":{:.3f},"dur":{:.3f},"pid":{},"tid":1,"args":{{"prompts":{},"waiting":{},"kv_blocks":{}}}}})",
      name, t.start_s[i] * kMicro, t.duration_s[i] * kMicro, t.replica[i] + 1,
      t.prefill_sequences[i], t.waiting[i], t.kv_blocks[i]);
}

std::string request_events(const RequestTable& r, std::size_t i) {
  std::string out;
  const auto edge = [&](const char* phase, const std::string& name, double at_s,
                        const std::string& args) {
    out += fmt::format(
        R"({}{{"name":"{}","cat":"request","ph":"{}","id":{},"ts":{:.3f},"pid":{},"tid":2{}}})",
        out.empty() ? "" : ",\n", name, phase, r.number_of(i), at_s * kMicro, r.replica[i] + 1,
        args);
  };
  const std::string whole = fmt::format("request {}", r.number_of(i));
  edge("b", whole, r.arrival_s[i],
       fmt::format(R"(,"args":{{"input_tokens":{},"output_tokens":{},"preemptions":{}}})",
                   r.input_tokens[i], r.output_tokens[i], r.preemptions[i]));
  const auto span = [&](const char* name, double from, double to) {
    edge("b", name, from, "");
    edge("e", name, to, "");
  };
  span("queued", r.arrival_s[i], r.scheduled_s[i]);
  span("prefill", r.scheduled_s[i], r.first_token_s[i]);
  span("decode", r.first_token_s[i], r.last_token_s[i]);
  edge("e", whole, r.last_token_s[i], "");
  return out;
}

std::string counter_events(const TimeSeries& t, std::size_t i) {
  const double at = static_cast<double>(i) * t.bin_s * kMicro;
  return fmt::format(
      "{{\"name\":\"requests\",\"ph\":\"C\",\"ts\":{0:.3f},\"pid\":0,\"args\":{{\"running\":{1:g},"
      "\"waiting\":{2:g}}}}},\n"
      "{{\"name\":\"KV used %\",\"ph\":\"C\",\"ts\":{0:.3f},\"pid\":0,\"args\":{{\"percent\":{3:g}"
      "}}}},\n"
      "{{\"name\":\"output tokens/s\",\"ph\":\"C\",\"ts\":{0:.3f},\"pid\":0,\"args\":{{\"rate\":{"
      "4:g}}}}},\n"
      "{{\"name\":\"watts of a "
      "GPU\",\"ph\":\"C\",\"ts\":{0:.3f},\"pid\":0,\"args\":{{\"watts\":{5:g}}}}}",
      at, t.running[i], t.waiting[i], 100 * t.kv_used_fraction[i], t.output_tokens_per_s[i],
      t.gpu_watts[i]);
}

// Calls use(text, events) for everything selected; text holds that many events.
template <class Use>
void each_event(const ServingResult& run, const TraceSelection& s, const Use& use) {
  for (std::size_t i = 0; i < run.steps.start_s.size(); ++i)
    if (step_selected(run.steps, i, s)) use([&] { return step_event(run.steps, i); }, 1);
  for (std::size_t i = 0; i < run.requests.size(); ++i)
    if (request_selected(run.requests, i, s))
      use([&] { return request_events(run.requests, i); }, kEventsOfARequest);
  for (std::size_t i = 0; i < run.series.running.size(); ++i)
    if (bin_selected(run.series, i, s))
      use([&] { return counter_events(run.series, i); }, kCounters);
}

std::string names(const ServingResult& run, const TraceSelection& s) {
  std::set<int> replicas;
  for (std::size_t i = 0; i < run.steps.start_s.size(); ++i)
    if (step_selected(run.steps, i, s)) replicas.insert(run.steps.replica[i]);
  for (std::size_t i = 0; i < run.requests.size(); ++i)
    if (request_selected(run.requests, i, s)) replicas.insert(run.requests.replica[i]);
  std::string out =
      "{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":0,\"args\":{\"name\":\"deployment\"}}";
  for (const int r : replicas)
    out += fmt::format(
        ",\n{{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":{0},\"args\":{{\"name\":\"replica "
        "{1}\"}}}},\n{{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":{0},\"tid\":1,\"args\":{{"
        "\"name\":\"engine steps\"}}}}",
        r + 1, r);
  return out;
}

}  // namespace

TraceSize estimate_serving_trace(const ServingResult& run, const TraceSelection& s) {
  constexpr std::size_t kSample = 64;  // of each kind is near enough: events are alike
  TraceSize size;
  std::size_t seen = 0;
  std::size_t last = 0;
  int kind = 0;
  each_event(run, s, [&](const auto& text, int events) {
    if (events != kind) seen = 0;
    kind = events;
    if (seen++ < kSample) last = text().size() + 2;
    size.events += static_cast<std::size_t>(events);
    size.bytes += last;
  });
  return size;
}

std::string serving_trace_json(const ServingResult& run, const TraceSelection& s) {
  std::string out = "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n" + names(run, s);
  each_event(run, s, [&](const auto& text, int) { out += ",\n" + text(); });
  return out + "\n]}\n";
}

}  // namespace foretoken::analysis::exporters
