#include "validation/importers/kineto.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <istream>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "sim/core/error.hpp"
#include "validation/importers/gzip_stream.hpp"

namespace foretoken::validation::importers {
namespace {

using sim::core::InputError;

// One event of the trace while it is read: only what the tables need.
struct Event {
  std::string phase, category, name;
  double ts = std::numeric_limits<double>::quiet_NaN();
  double dur = std::numeric_limits<double>::quiet_NaN();
  double thread = 0, stream = std::numeric_limits<double>::quiet_NaN();
  double device = 0, correlation = -1;
  std::vector<std::vector<std::int64_t>> dims;
  std::vector<std::string> types, values;
  Message message;
};

struct Launch {
  std::int64_t thread = 0;
  double ts = 0;
};

// An operator on the host's time line, to find which one a launch lies in.
struct Span {
  double start = 0, end = 0;
  std::int64_t op = 0;
};

// A size that a tensor can have, 1 to 2^31 - 1; anything else is 0, and nothing is predicted of it.
std::int64_t size_of(double value) {
  constexpr double kMost = 2147483647.0;
  return value >= 1 && value <= kMost ? static_cast<std::int64_t>(value) : 0;
}

// A number of a device, stream, thread or rank; 0 where the file's is none.
template <class T>
T index_of(double value) {
  constexpr double kMost = std::min(9e15, static_cast<double>(std::numeric_limits<T>::max()));
  return value >= -kMost && value <= kMost ? static_cast<T>(value) : T{0};
}

// Receives the JSON as a stream of tokens. Depth 1 is the trace's header, depth 3 an event (depth 2
// where the file is a bare list of events), one deeper its args.
class Reader : public nlohmann::json_sax<nlohmann::json> {
 public:
  Trace trace;

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t value) override {
    return number(static_cast<double>(value));
  }
  bool number_unsigned(number_unsigned_t value) override {
    return number(static_cast<double>(value));
  }
  bool number_float(number_float_t value, const string_t&) override { return number(value); }
  bool string(string_t& value) override { return text(value); }
  bool binary(binary_t&) override { return true; }

  bool start_object(std::size_t) override {
    open('{');
    if (in_event() && depth() == event_depth_) event_ = Event{};
    return true;
  }
  bool key(string_t& value) override {
    key_[std::min(depth(), key_.size() - 1)] = std::move(value);
    return true;
  }
  bool end_object() override {
    if (in_event() && depth() == event_depth_) finish();
    stack_.pop_back();
    return true;
  }
  bool start_array(std::size_t) override {
    if (depth() == 0) event_depth_ = 2;  // a bare list
    const bool events = depth() == 1 && key_[1] == "traceEvents";
    open('[');
    if (events) event_depth_ = 3;
    if (in_event() && depth() == event_depth_ + 3 && args_key() == "Input Dims")
      event_.dims.emplace_back();
    return true;
  }
  bool end_array() override {
    stack_.pop_back();
    if (depth() == 1 && event_depth_ == 3) event_depth_ = 0;
    return true;
  }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    error_ = "byte " + std::to_string(position) + ": " + std::string(error.what());
    return false;
  }

  [[nodiscard]] const std::string& error() const { return error_; }
  void link();

 private:
  [[nodiscard]] std::size_t depth() const { return stack_.size(); }
  void open(char what) { stack_.push_back(what); }
  [[nodiscard]] bool in_event() const { return event_depth_ > 0 && depth() >= event_depth_; }
  [[nodiscard]] const std::string& args_key() const { return key_[event_depth_ + 1]; }
  [[nodiscard]] bool in_args() const {
    return depth() > event_depth_ && key_[event_depth_] == "args";
  }
  bool number(double value);
  bool text(const std::string& value);
  void header(double value);
  void finish();
  void gpu_event(Kernel::Kind kind);
  void check(bool ok, const char* what) const {
    if (!ok) throw InputError("event '" + event_.name + "': " + what);
  }

  std::string stack_;
  std::array<std::string, 8> key_;
  std::size_t event_depth_ = 0;  // of an event's object; 0 = not among events
  Event event_;
  std::string error_;
  std::vector<std::int64_t> correlations_;  // of trace.kernels
  std::unordered_map<std::int64_t, Launch> launches_;
  std::map<std::int64_t, std::vector<Span>> spans_;  // by host thread
};

void Reader::header(double value) {
  const std::string &outer = key_[1], &name = key_[depth()];
  if (outer == "deviceProperties" && name == "totalGlobalMem" && trace.device_memory == 0)
    trace.device_memory = value;
  if (outer == "distributedInfo" && depth() == 2 && name == "rank")
    trace.rank = index_of<int>(value);
  if (outer == "distributedInfo" && depth() == 2 && name == "world_size")
    trace.world = index_of<int>(value);
}

bool Reader::number(double value) {
  if (!in_event()) {
    if (depth() < key_.size()) header(value);
    return true;
  }
  const std::string& name = key_[std::min(depth(), key_.size() - 1)];
  if (depth() == event_depth_) {
    if (name == "ts") event_.ts = value;
    if (name == "dur") event_.dur = value;
    if (name == "tid") event_.thread = value;
  } else if (in_args() && depth() == event_depth_ + 1) {
    if (name == "stream") event_.stream = value;
    if (name == "device") event_.device = value;
    if (name == "correlation") event_.correlation = value;
    if (name == "In msg nelems") event_.message.elements = size_of(value);
    if (name == "Group size") event_.message.group = static_cast<int>(size_of(value));
  } else if (in_args() && depth() == event_depth_ + 3 && !event_.dims.empty() &&
             args_key() == "Input Dims") {
    event_.dims.back().push_back(size_of(value));
  }
  return true;
}

bool Reader::text(const std::string& value) {
  const std::string& name = key_[std::min(depth(), key_.size() - 1)];
  if (!in_event()) {
    if (depth() == 3 && key_[1] == "deviceProperties" && name == "name" && trace.device.empty())
      trace.device = value;
    return true;
  }
  if (depth() == event_depth_) {
    if (name == "ph") event_.phase = value;
    if (name == "cat") event_.category = value;
    if (name == "name") event_.name = value;
  } else if (in_args() && depth() == event_depth_ + 1) {
    if (name == "Collective name") event_.message.collective = value;
    if (name == "dtype") event_.message.dtype = value;
  } else if (in_args() && depth() == event_depth_ + 2 && args_key() == "Input type") {
    event_.types.push_back(value);
  } else if (in_args() && depth() == event_depth_ + 2 && args_key() == "Concrete Inputs") {
    event_.values.push_back(value);
  }
  return true;
}

void Reader::gpu_event(Kernel::Kind kind) {
  check(std::isfinite(event_.ts) && std::isfinite(event_.dur), "lacks ts or dur");
  check(event_.dur >= 0, "negative duration");
  Kernel kernel;
  kernel.kind = kind;
  kernel.name = std::move(event_.name);
  kernel.device = index_of<int>(event_.device);
  kernel.stream =
      index_of<std::int64_t>(std::isfinite(event_.stream) ? event_.stream : event_.thread);
  kernel.start_us = event_.ts;
  kernel.duration_us = event_.dur;
  if (event_.message.elements > 0 && !event_.message.collective.empty())
    kernel.message = std::move(event_.message);
  correlations_.push_back(index_of<std::int64_t>(event_.correlation));
  trace.kernels.push_back(std::move(kernel));
}

void Reader::finish() {
  if (event_.phase != "X") return;
  // Early Kineto capitalises its categories.
  const std::string& category = event_.category;
  if (category == "kernel" || category == "Kernel") return gpu_event(Kernel::Kind::kernel);
  if (category == "gpu_memcpy" || category == "Memcpy") return gpu_event(Kernel::Kind::copy);
  if (category == "gpu_memset" || category == "Memset") return gpu_event(Kernel::Kind::set);
  const auto thread = index_of<std::int64_t>(event_.thread);
  if (category == "cuda_runtime" || category == "cuda_driver" || category == "Runtime") {
    if (event_.correlation >= 0)
      launches_[index_of<std::int64_t>(event_.correlation)] = {thread, event_.ts};
  } else if ((category == "cpu_op" || category == "Operator") && !event_.dims.empty() &&
             has_shapes_of_interest(event_.name)) {
    spans_[thread].push_back(
        {event_.ts, event_.ts + event_.dur, static_cast<std::int64_t>(trace.ops.size())});
    trace.ops.push_back({std::move(event_.name), std::move(event_.dims), std::move(event_.types),
                         std::move(event_.values)});
  }
}

// A kernel belongs to the operator during which the host launched it. (The profiler's own external
// ids are not used: old versions write the correlation id in their place.)
void Reader::link() {
  for (auto& [thread, spans] : spans_)
    std::sort(spans.begin(), spans.end(),
              [](const Span& a, const Span& b) { return a.start < b.start; });
  for (std::size_t i = 0; i < trace.kernels.size(); ++i) {
    const auto launch = launches_.find(correlations_[i]);
    if (launch == launches_.end()) continue;
    const auto spans = spans_.find(launch->second.thread);
    if (spans == spans_.end()) continue;
    auto after = std::upper_bound(spans->second.begin(), spans->second.end(), launch->second.ts,
                                  [](double ts, const Span& span) { return ts < span.start; });
    if (after == spans->second.begin()) continue;
    --after;
    if (launch->second.ts <= after->end) trace.kernels[i].op = after->op;
  }
}

}  // namespace

Trace read_kineto(const std::filesystem::path& file) {
  GzipBuffer buffer(file);
  std::istream stream(&buffer);
  Reader reader;
  bool whole = false;
  try {
    whole = nlohmann::json::sax_parse(stream, &reader);
  } catch (const InputError& error) {
    throw InputError(file.string() + ": " + error.diagnostics().front().message);
  }
  if (buffer.damaged())
    throw InputError(file.string() + ": the compressed file is damaged or cut short");
  if (!whole)
    throw InputError(file.string() + ": no complete JSON: " + reader.error() +
                     "; export the trace again");
  if (reader.trace.kernels.empty())
    throw InputError(file.string() +
                     ": no GPU kernel in the trace; profile with CUDA (or HIP) activities");
  reader.link();
  Trace trace = std::move(reader.trace);
  std::stable_sort(trace.kernels.begin(), trace.kernels.end(),
                   [](const Kernel& a, const Kernel& b) { return a.start_us < b.start_us; });
  const auto first = std::find_if(trace.kernels.begin(), trace.kernels.end(),
                                  [](const Kernel& k) { return k.kind == Kernel::Kind::kernel; });
  const double origin = (first == trace.kernels.end() ? trace.kernels.begin() : first)->start_us;
  for (Kernel& kernel : trace.kernels) kernel.start_us -= origin;
  return trace;
}

}  // namespace foretoken::validation::importers
