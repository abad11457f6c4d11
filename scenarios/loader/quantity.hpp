#pragma once
// Numbers with units as users write them: `80GB`, `3.35TB/s`, `400Gb/s`, `1.2CNY/kWh`, `20us`.
// Reading returns the value in the base unit or one sentence that says what to write instead.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace foretoken::scenarios::loader {

enum class Dimension {
  bytes,             // B; kB MB GB TB decimal, KiB MiB GiB TiB binary
  bytes_per_second,  // B/s; b is bit, B is byte
  flops_per_second,  // FLOPS or OPS
  watts,
  seconds,             // y is 365 days
  hertz,               // 1/s; also req/s
  ratio,               // plain number or percent
  money,               // the price of a thing: 250000CNY
  money_per_kwh,       // 0.8CNY/kWh
  money_per_gpu_hour,  // 2.00USD/GPU/h
};

struct QuantityText {
  std::optional<double> value;  // in the base unit; empty: see problem
  std::string currency;         // CNY or USD, for money
  std::string problem;          // what was found and what to write instead
};

QuantityText parse_quantity(std::string_view text, Dimension dimension);

// Shortest text that parses back to the same number, e.g. 141GB, 900GB/s, 20us.
std::string format_quantity(double value, Dimension dimension, std::string_view currency = {});

// Every unit of a dimension, as written.
std::vector<std::string> unit_names(Dimension dimension);

// In words, with an example: "an amount of memory, such as 80GB".
std::string describe(Dimension dimension);

// The candidate nearest to `word` by edit distance, if near enough to be a slip of the pen.
std::optional<std::string> did_you_mean(std::string_view word,
                                        const std::vector<std::string>& candidates);

}  // namespace foretoken::scenarios::loader
