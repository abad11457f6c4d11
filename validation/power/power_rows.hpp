#pragma once
// Rows of measured GPU power: one server at one batch size each (validation/measurements/power).
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "validation/serving/served_rows.hpp"

namespace foretoken::validation::power {

struct PowerRow {
  std::string id, model, task, precision, accelerator;
  int gpus = 1, tensor = 1, expert = 1, data = 1;
  double batch = 0.0;  // running requests, mean
  double output_tokens = 0.0;
  double prompt_tokens = 0.0;  // assumed, by task
  double watts = 0.0;          // all GPUs
  double joules_per_token = 0.0, tokens_per_s = 0.0;
  int line = 0;
  std::string unusable;  // why the row cannot be read; empty = it can

  // One model and task on one accelerator: left out of a fit as a whole.
  [[nodiscard]] std::string key() const;
  // The deployment as validation/serving knows it.
  [[nodiscard]] serving::ServedRow served() const;
};

// A model's name without what does not change its dimensions: the date of a release (-0528, -2507)
// and what the checkpoint was tuned for (-Thinking, -Instruct).
std::string without_release(std::string model);

// Prompt lengths by task, which the measurements do not give: prompts.csv beside our own rows.
using PromptLengths = std::map<std::string, double>;
PromptLengths read_prompt_lengths(const std::filesystem::path& file);

// Throws InputError where the file cannot be read or lacks a column; a row with a value that makes
// no sense is kept and says so in `unusable`.
std::vector<PowerRow> read_power_rows(const std::filesystem::path& file,
                                      const PromptLengths& prompts);

inline constexpr int kFolds = 5;
int fold_of(const std::string& key);

}  // namespace foretoken::validation::power
