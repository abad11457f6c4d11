// Traces in JSON: one request a line (Mooncake, LLMServingSim), or one object of columns (vLLM).
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "scenarios/loader/line_reader.hpp"
#include "scenarios/loader/trace_builder.hpp"
#include "sim/core/random.hpp"

namespace foretoken::scenarios::loader {
namespace {

using models::serving::PrefixBlocks;
using models::serving::TraceRequest;
using Json = nlohmann::json;

constexpr std::size_t kLongestLine = std::size_t{4} << 20;  // prompts as token lists are long
constexpr std::int32_t kMooncakeBlock = 512;  // FAST25-release/README.md of kvcache-ai/Mooncake

struct LineForm {
  const char* format;
  const char* time;
  double seconds;  // in one unit of `time`
  const char* input;
  const char* output;
};
constexpr LineForm kForms[] = {
    {"Mooncake", "timestamp", 1e-3, "input_length", "output_length"},
    {"LLMServingSim", "arrival_time_ns", 1e-9, "input_toks", "output_toks"},
    {"plain JSON lines", "arrival_s", 1.0, "input_tokens", "output_tokens"},
};

const LineForm* form_of(const Json& row) {
  for (const LineForm& form : kForms)
    if (row.contains(form.time) && row.contains(form.input) && row.contains(form.output))
      return &form;
  return nullptr;
}

class LinesReader {
 public:
  explicit LinesReader(const std::filesystem::path& file)
      : lines_(file, kLongestLine), builder_(file.string()) {}

  Trace read() {
    std::string_view line;
    while (lines_.next(line)) {
      if (line.find_first_not_of(" \t") == std::string_view::npos) continue;
      builder_.at(lines_.line_number(), line);
      row(Json::parse(line, nullptr, false));
    }
    if (form_ != nullptr) builder_.trace().format = form_->format;
    if (blocks_->ids.empty()) return builder_.finish();
    blocks_->offset.push_back(static_cast<std::uint32_t>(blocks_->ids.size()));
    builder_.trace().prefix = blocks_;
    spread();
    return builder_.finish();
  }

 private:
  void row(const Json& json) {
    if (!json.is_object()) return builder_.problem(1, "is no JSON object; is the file cut short?");
    if (form_ == nullptr) form_ = form_of(json);
    if (form_ == nullptr || form_of(json) != form_)
      return builder_.problem(
          1,
          "has not the keys of a trace: timestamp, input_length and output_length (Mooncake), "
          "arrival_time_ns, input_toks and output_toks, or arrival_s, input_tokens and "
          "output_tokens");
    const Json& time = json[form_->time];
    const Json &input = json[form_->input], &output = json[form_->output];
    if (!time.is_number() || !input.is_number_integer() || !output.is_number_integer())
      return builder_.problem(1, "times must be numbers, lengths whole numbers");
    const auto in = builder_.length(input.get<std::int64_t>(), 1, "input");
    const auto out = builder_.length(output.get<std::int64_t>(), 1, "output");
    if (!in || !out) return;
    TraceRequest request;
    request.input_tokens = *in;
    request.output_tokens = *out;
    if (!builder_.add(request, instant_of(time.get<double>() * form_->seconds), 1)) return;
    blocks_->offset.push_back(static_cast<std::uint32_t>(blocks_->ids.size()));
    if (json.contains("hash_ids")) prefix(json["hash_ids"], *in);
  }

  void prefix(const Json& ids, std::int32_t input) {
    const auto most = static_cast<std::size_t>((input + kMooncakeBlock - 1) / kMooncakeBlock);
    if (!ids.is_array() || ids.size() > most)
      return builder_.problem(1, fmt::format("hash_ids must be a list of at most one id for each "
                                             "{} tokens of the prompt",
                                             kMooncakeBlock));
    for (const Json& id : ids) {
      if (!id.is_number_unsigned() || id.get<std::uint64_t>() > UINT32_MAX)
        return builder_.problem(1, "hash_ids must be whole numbers below 2^32");
      blocks_->ids.push_back(id.get<std::uint32_t>());
    }
  }

  // Mooncake's time stamps are rounded to about 3 s: hundreds of requests would come at one
  // instant. Each group is spread at random, evenly in the mean, up to the next time stamp.
  void spread() {
    auto& requests = builder_.requests();
    std::vector<std::int64_t> stamps, steps;
    for (const TraceRequest& r : requests)
      if (stamps.empty() || r.arrival_ps != stamps.back()) stamps.push_back(r.arrival_ps);
    for (std::size_t i = 1; i < stamps.size(); ++i) steps.push_back(stamps[i] - stamps[i - 1]);
    if (steps.empty()) return;
    std::nth_element(steps.begin(), steps.begin() + static_cast<std::ptrdiff_t>(steps.size() / 2),
                     steps.end());
    const std::int64_t step = steps[steps.size() / 2];
    const std::int64_t least = *std::min_element(steps.begin(), steps.end());
    constexpr std::int64_t kSecond = 1'000'000'000'000;
    if (step < kSecond || 10 * least < 9 * step) return;  // fine, or not on a grid
    sim::core::Random random(0, 0, 1);  // of the file alone, the same in every run
    for (std::size_t i = 0; i < requests.size();) {
      std::size_t end = i;
      while (end < requests.size() && requests[end].arrival_ps == requests[i].arrival_ps) ++end;
      const std::int64_t to_next =
          end < requests.size() ? requests[end].arrival_ps - requests[i].arrival_ps : step;
      const auto width = static_cast<std::uint64_t>(std::min(step, to_next));
      std::vector<std::int64_t> within;
      for (std::size_t k = i; k < end; ++k)
        within.push_back(static_cast<std::int64_t>(random.below(width)));
      std::sort(within.begin(), within.end());
      for (std::size_t k = i; k < end; ++k) requests[k].arrival_ps += within[k - i];
      i = end;
    }
    const std::int64_t first = requests.front().arrival_ps;
    for (TraceRequest& r : requests) r.arrival_ps -= first;
    builder_.trace().spread_s = 1e-12 * static_cast<double>(step);
    builder_.trace().notes.push_back(
        fmt::format("time stamps {:.3g} s apart: requests were spread at random inside each step",
                    builder_.trace().spread_s));
  }

  LineReader lines_;
  TraceBuilder builder_;
  const LineForm* form_ = nullptr;
  std::shared_ptr<PrefixBlocks> blocks_ =
      std::make_shared<PrefixBlocks>(PrefixBlocks{kMooncakeBlock, {}, {}});
};

}  // namespace

Trace read_json_lines(const std::filesystem::path& file) { return LinesReader(file).read(); }

Trace read_bench_json(const std::filesystem::path& file) {
  constexpr std::size_t kLargest = std::size_t{512} << 20;
  TraceBuilder builder(file.string());
  const Json json = Json::parse(read_text(file, kLargest), nullptr, false);
  const auto wrong = [&](const std::string& message) {
    builder.at(1, "");
    builder.problem(1, message);
    return builder.finish();
  };
  if (!json.is_object()) return wrong("is no JSON object; is the file cut short?");
  if (!json.contains("input_lens") || !json.contains("output_lens"))
    return wrong(
        "has no input_lens and output_lens: write it with vllm bench serve --save-result "
        "--save-detailed");
  const Json &in = json["input_lens"], &out = json["output_lens"];
  const bool timed = json.contains("start_times");
  if (!in.is_array() || !out.is_array() || in.size() != out.size() ||
      (timed && (!json["start_times"].is_array() || json["start_times"].size() != in.size())))
    return wrong("input_lens, output_lens and start_times must be lists of one length");
  std::vector<std::pair<double, TraceRequest>> rows;
  for (std::size_t i = 0; i < in.size(); ++i) {
    builder.at(1, "");
    if (!in[i].is_number_integer() || !out[i].is_number_integer() ||
        (timed && !json["start_times"][i].is_number()))
      return wrong(fmt::format("request {} has a length or a start time that is no number", i));
    if (out[i].get<std::int64_t>() == 0) {  // vLLM's mark of a failed request
      builder.left_out();
      continue;
    }
    const auto input = builder.length(in[i].get<std::int64_t>(), 1, "input");
    const auto output = builder.length(out[i].get<std::int64_t>(), 1, "output");
    if (!input || !output) continue;
    TraceRequest request;
    request.input_tokens = *input;
    request.output_tokens = *output;
    rows.emplace_back(timed ? json["start_times"][i].get<double>() : 0.0, request);
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const auto& [start_s, request] : rows) {
    if (timed) {
      builder.add(request, instant_of(start_s), 1);
    } else {
      builder.add(request);
    }
  }
  builder.trace().format = "vLLM benchmark result";
  builder.trace().timed = timed;
  return builder.finish();
}

}  // namespace foretoken::scenarios::loader
