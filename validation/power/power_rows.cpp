#include "validation/power/power_rows.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <regex>

#include "sim/core/error.hpp"
#include "validation/training/csv.hpp"

namespace foretoken::validation::power {
namespace {

using sim::core::InputError;
using training::Csv;
using training::read_csv;

// Where a task is not in the table: short questions, as both known tasks have.
constexpr const char* kOtherTask = "other";

PowerRow read_row(const Csv& csv, const Csv::Line& line, const PromptLengths& prompts) {
  PowerRow row;
  row.line = line.number;
  row.model = csv.text(line, "model");
  row.task = csv.has("task") ? csv.text(line, "task") : "";
  row.precision = csv.has("prec") ? csv.text(line, "prec") : "";
  row.accelerator = csv.text(line, "accelerator");
  row.id = fmt::format("{}:{} {} {} {}", csv.file.filename().string(), line.number, row.model,
                       row.accelerator, csv.text(line, "mean_batch"));
  try {
    row.gpus = static_cast<int>(csv.required(line, "gpus"));
    row.expert = static_cast<int>(csv.number(line, "ep", 1));
    row.data = static_cast<int>(csv.number(line, "dp", 1));
    row.batch = csv.required(line, "mean_batch");
    row.output_tokens = csv.required(line, "output_tokens");
    row.watts = csv.required(line, "gpu_watts_total");
    row.tokens_per_s = csv.required(line, "output_tokens_per_s");
    row.joules_per_token = csv.number(line, "joules_per_token", row.watts / row.tokens_per_s);
  } catch (const InputError& error) {
    row.unusable = error.diagnostics().front().message;
    return row;
  }
  if (row.data < 1 || row.gpus % row.data != 0) {
    row.unusable = fmt::format("{} GPUs are not a multiple of dp {}", row.gpus, row.data);
    return row;
  }
  // vLLM's expert parallelism spans all ranks, and what is not data-parallel attention is
  // tensor-parallel attention, whatever the column says.
  row.tensor = row.gpus / row.data;
  const auto known = prompts.find(row.task);
  row.prompt_tokens = known != prompts.end() ? known->second : prompts.at(kOtherTask);
  return row;
}

}  // namespace

std::string without_release(std::string model) {
  static const std::regex kRelease("-(thinking|instruct|base|chat|[0-9]{4})(?=-|$)",
                                   std::regex::icase);
  return std::regex_replace(model, kRelease, "");
}

std::string PowerRow::key() const { return model + "|" + task + "|" + accelerator; }

serving::ServedRow PowerRow::served() const {
  serving::ServedRow out;
  out.id = id;
  out.source = "ml-energy";
  out.model = model;
  out.gpu = accelerator;
  out.engine = "vllm";
  out.precision = precision;
  out.input_tokens = static_cast<int>(std::lround(prompt_tokens));
  out.output_tokens = static_cast<int>(std::lround(output_tokens));
  out.concurrency = static_cast<int>(std::lround(batch));
  out.tp = tensor;
  out.attention_dp = data;
  out.moe_ep = expert;
  out.moe_tp = gpus / std::max(1, expert);
  return out;
}

PromptLengths read_prompt_lengths(const std::filesystem::path& file) {
  const Csv csv = read_csv(file);
  PromptLengths prompts;
  for (const auto& line : csv.lines)
    prompts[csv.text(line, "task")] = csv.required(line, "prompt_tokens");
  if (!prompts.contains(kOtherTask))
    throw InputError(file.string() + ": has no row 'other' for tasks that are not listed");
  return prompts;
}

std::vector<PowerRow> read_power_rows(const std::filesystem::path& file,
                                      const PromptLengths& prompts) {
  const Csv csv = read_csv(file);
  for (const char* const column : {"model", "accelerator", "gpus", "mean_batch", "output_tokens",
                                   "gpu_watts_total", "output_tokens_per_s"}) {
    if (!csv.has(column))
      throw InputError(fmt::format("{}:1: no column '{}'; expected those of ml-energy.csv",
                                   file.string(), column));
  }
  if (csv.lines.empty()) throw InputError(file.string() + ": has a header and no rows");
  std::vector<PowerRow> rows;
  for (const auto& line : csv.lines) rows.push_back(read_row(csv, line, prompts));
  return rows;
}

int fold_of(const std::string& key) {
  std::uint64_t hash = 14695981039346656037ULL;  // FNV-1a
  for (const char c : key) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 1099511628211ULL;
  }
  hash ^= hash >> 32;
  return static_cast<int>(hash % kFolds);
}

}  // namespace foretoken::validation::power
