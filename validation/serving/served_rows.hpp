#pragma once
// Rows of served measurements: one run of a real server each (validation/measurements/serving).
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace foretoken::validation::serving {

struct ServedRow {
  std::string id, source, model, gpu, engine, engine_version, precision, gemm_dtype, moe_dtype;
  int input_tokens = 0, output_tokens = 0, concurrency = 0;
  int tp = 1, pp = 1, attention_dp = 1, moe_tp = 1, moe_ep = 1;
  double ttft_s = 0.0, tpot_s = 0.0;
  std::optional<double> peer_ttft_s, peer_tpot_s;
  int line = 0;
  std::string unusable;  // why the row cannot be read; empty = it can

  [[nodiscard]] std::string deployment_key() const;
  // One deployment and one pair of lengths over its concurrencies: left out of a fit as a whole.
  [[nodiscard]] std::string curve_key() const;
};

// Throws InputError where the file cannot be read or lacks a column; a row with a value that makes
// no sense is kept and says so in `unusable`.
std::vector<ServedRow> read_served_rows(const std::filesystem::path& file);

inline constexpr int kFolds = 5;
int fold_of(const ServedRow& row);

}  // namespace foretoken::validation::serving
