#include "scenarios/loader/quantity.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>

namespace foretoken::scenarios::loader {
namespace {

struct Unit {
  std::string_view name;
  double factor;
};

// Every unit of a dimension.
using Units = std::vector<Unit>;

const Units& units_of(Dimension dimension) {
  static const Units bytes = {{"TB", 1e12},    {"GB", 1e9},     {"MB", 1e6},
                              {"kB", 1e3},     {"B", 1.0},      {"TiB", 0x1p40},
                              {"GiB", 0x1p30}, {"MiB", 0x1p20}, {"KiB", 0x1p10}};
  static const Units rate = {{"TB/s", 1e12},     {"GB/s", 1e9},     {"MB/s", 1e6},
                             {"kB/s", 1e3},      {"B/s", 1.0},      {"TiB/s", 0x1p40},
                             {"GiB/s", 0x1p30},  {"MiB/s", 0x1p20}, {"KiB/s", 0x1p10},
                             {"Tb/s", 1e12 / 8}, {"Gb/s", 1e9 / 8}, {"Mb/s", 1e6 / 8},
                             {"kb/s", 1e3 / 8},  {"b/s", 1.0 / 8}};
  static const Units flops = {{"PFLOPS", 1e15}, {"TFLOPS", 1e12}, {"GFLOPS", 1e9}, {"FLOPS", 1.0},
                              {"EFLOPS", 1e18}, {"POPS", 1e15},   {"TOPS", 1e12},  {"GOPS", 1e9}};
  static const Units watts = {{"MW", 1e6}, {"kW", 1e3}, {"W", 1.0}, {"mW", 1e-3}};
  static const Units seconds = {{"s", 1.0},        {"ms", 1e-3},     {"us", 1e-6},
                                {"ns", 1e-9},      {"ps", 1e-12},    {"min", 60.0},
                                {"h", 3600.0},     {"d", 86400.0},   {"y", 365.0 * 86400.0},
                                {"\u00b5s", 1e-6}, {"\u03bcs", 1e-6}};
  static const Units hertz = {{"GHz", 1e9},         {"MHz", 1e6},       {"kHz", 1e3},
                              {"/s", 1.0},          {"/min", 1.0 / 60}, {"/h", 1.0 / 3600},
                              {"Hz", 1.0},          {"req/s", 1.0},     {"req/min", 1.0 / 60},
                              {"req/h", 1.0 / 3600}};
  static const Units ratio = {{"", 1.0}, {"%", 0.01}};
  static const Units money = {{"CNY", 1.0}, {"USD", 1.0}};
  static const Units per_kwh = {
      {"CNY/kWh", 1.0}, {"USD/kWh", 1.0}, {"CNY/MWh", 1e-3}, {"USD/MWh", 1e-3}};
  static const Units per_gpu_hour = {{"CNY/GPU/h", 1.0}, {"USD/GPU/h", 1.0}};
  switch (dimension) {
    case Dimension::bytes:
      return bytes;
    case Dimension::bytes_per_second:
      return rate;
    case Dimension::flops_per_second:
      return flops;
    case Dimension::watts:
      return watts;
    case Dimension::seconds:
      return seconds;
    case Dimension::hertz:
      return hertz;
    case Dimension::ratio:
      return ratio;
    case Dimension::money:
      return money;
    case Dimension::money_per_kwh:
      return per_kwh;
    case Dimension::money_per_gpu_hour:
      return per_gpu_hour;
  }
  return ratio;
}

constexpr std::array kAllDimensions = {Dimension::bytes,
                                       Dimension::bytes_per_second,
                                       Dimension::flops_per_second,
                                       Dimension::watts,
                                       Dimension::seconds,
                                       Dimension::hertz,
                                       Dimension::ratio,
                                       Dimension::money,
                                       Dimension::money_per_kwh,
                                       Dimension::money_per_gpu_hour};

std::string_view example_of(Dimension dimension) {
  switch (dimension) {
    case Dimension::bytes:
      return "80GB";
    case Dimension::bytes_per_second:
      return "3.35TB/s or 400Gb/s";
    case Dimension::flops_per_second:
      return "989TFLOPS";
    case Dimension::watts:
      return "700W";
    case Dimension::seconds:
      return "20us or 1h";
    case Dimension::hertz:
      return "5/s";
    case Dimension::ratio:
      return "0.25 or 25%";
    case Dimension::money:
      return "250000CNY";
    case Dimension::money_per_kwh:
      return "0.8CNY/kWh";
    case Dimension::money_per_gpu_hour:
      return "2.00USD/GPU/h";
  }
  return "";
}

std::string_view name_of(Dimension dimension) {
  switch (dimension) {
    case Dimension::bytes:
      return "an amount of memory";
    case Dimension::bytes_per_second:
      return "a bandwidth";
    case Dimension::flops_per_second:
      return "a compute rate";
    case Dimension::watts:
      return "a power";
    case Dimension::seconds:
      return "a time span";
    case Dimension::hertz:
      return "a rate";
    case Dimension::ratio:
      return "a ratio";
    case Dimension::money:
      return "a price";
    case Dimension::money_per_kwh:
      return "an electricity price";
    case Dimension::money_per_gpu_hour:
      return "a rent";
  }
  return "";
}

std::string_view trimmed(std::string_view text) {
  const auto space = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && space(text.front())) text.remove_prefix(1);
  while (!text.empty() && space(text.back())) text.remove_suffix(1);
  return text;
}

const Unit* find_unit(Dimension dimension, std::string_view name) {
  for (const Unit& unit : units_of(dimension)) {
    if (unit.name == name) return &unit;
  }
  return nullptr;
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

// Of several names for one thing, the one that format_quantity writes.
bool is_written(std::string_view unit) {
  const bool ascii = static_cast<unsigned char>(unit.front()) < 0x80;
  const bool bits = unit.ends_with("b/s");
  const bool operations = unit.ends_with("OPS") && !unit.ends_with("FLOPS");
  return ascii && !bits && !operations && !unit.starts_with("req");
}

// Slips that edit distance alone would answer badly.
std::optional<std::string> known_slip(std::string_view unit, Dimension dimension) {
  struct Slip {
    Dimension dimension;
    std::string_view found, advice;
  };
  static const std::vector<Slip> slips = {
      {Dimension::bytes_per_second, "Gbps", "write Gb/s for gigabits or GB/s for gigabytes"},
      {Dimension::bytes_per_second, "GBps", "write GB/s"},
      {Dimension::bytes_per_second, "Tbps", "write Tb/s for terabits or TB/s for terabytes"},
      {Dimension::bytes_per_second, "TBps", "write TB/s"},
      {Dimension::bytes_per_second, "Mbps", "write Mb/s for megabits or MB/s for megabytes"},
      {Dimension::bytes, "Gb", "b is bit; write GB"},
      {Dimension::bytes, "G", "write GB (10^9) or GiB (2^30)"},
      {Dimension::bytes, "Gi", "write GiB"},
      {Dimension::seconds, "m", "write min for minutes or ms for milliseconds"},
      {Dimension::seconds, "M", "write min for minutes or ms for milliseconds"},
      {Dimension::seconds, "sec", "write s"},
      {Dimension::seconds, "hr", "write h"},
      {Dimension::seconds, "second", "write s"},
      {Dimension::seconds, "seconds", "write s"},
      {Dimension::seconds, "minute", "write min"},
      {Dimension::seconds, "minutes", "write min"},
      {Dimension::seconds, "mins", "write min"},
      {Dimension::seconds, "hour", "write h"},
      {Dimension::seconds, "hours", "write h"},
      {Dimension::seconds, "day", "write d"},
      {Dimension::seconds, "days", "write d"},
      {Dimension::seconds, "year", "write y"},
      {Dimension::seconds, "years", "write y"},
      {Dimension::hertz, "qps", "write /s"},
      {Dimension::hertz, "rps", "write /s"},
      {Dimension::money, "RMB", "write CNY"},
      {Dimension::money, "\u00a5", "write CNY"},
      {Dimension::money, "$", "write USD"},
      {Dimension::money_per_kwh, "RMB/kWh", "write CNY/kWh"},
      {Dimension::money_per_kwh, "\u00a5/kWh", "write CNY/kWh"},
      {Dimension::money_per_kwh, "$/kWh", "write USD/kWh"},
      {Dimension::money_per_gpu_hour, "$/GPU/h", "write USD/GPU/h"},
      {Dimension::money_per_gpu_hour, "\u00a5/GPU/h", "write CNY/GPU/h"},
      {Dimension::money_per_gpu_hour, "USD/h", "write USD/GPU/h, for one GPU"},
      {Dimension::money_per_gpu_hour, "CNY/h", "write CNY/GPU/h, for one GPU"},
  };
  for (const Slip& slip : slips) {
    if (slip.dimension == dimension && slip.found == unit) return std::string(slip.advice);
  }
  return std::nullopt;
}

std::string unknown_unit(std::string_view text, std::string_view unit, Dimension dimension) {
  if (unit.empty()) {
    return fmt::format("'{}' has no unit; expected {}", text, describe(dimension));
  }
  for (Dimension other : kAllDimensions) {
    if (other == dimension || find_unit(other, unit) == nullptr) continue;
    return fmt::format("'{}' is {}; expected {}", text, name_of(other), describe(dimension));
  }
  if (const auto advice = known_slip(unit, dimension)) {
    return fmt::format("unknown unit '{}' in '{}'; {}", unit, text, *advice);
  }
  std::vector<std::string> names;
  for (const Unit& known : units_of(dimension)) {
    if (lower(known.name) == lower(unit)) {
      return fmt::format("unknown unit '{}' in '{}'; did you mean {}?", unit, text, known.name);
    }
    names.emplace_back(known.name);
  }
  if (const auto near = unit.size() > 2 ? did_you_mean(unit, names) : std::nullopt) {
    return fmt::format("unknown unit '{}' in '{}'; did you mean {}?", unit, text, *near);
  }
  return fmt::format("unknown unit '{}' in '{}'; expected {} (units: {})", unit, text,
                     describe(dimension), fmt::join(unit_names(dimension), " "));
}

}  // namespace

std::vector<std::string> unit_names(Dimension dimension) {
  std::vector<std::string> names;
  for (const Unit& unit : units_of(dimension)) {
    const bool ascii = static_cast<unsigned char>(unit.name.empty() ? '%' : unit.name[0]) < 0x80;
    if (!unit.name.empty() && ascii) names.emplace_back(unit.name);
  }
  return names;
}

std::string describe(Dimension dimension) {
  return fmt::format("{}, such as {}", name_of(dimension), example_of(dimension));
}

QuantityText parse_quantity(std::string_view raw, Dimension dimension) {
  QuantityText result;
  const std::string_view text = trimmed(raw);
  const char* const end = text.data() + text.size();
  const std::size_t plus = text.starts_with('+') && !text.starts_with("+-") ? 1 : 0;
  double number = 0.0;
  const auto [stop, status] = std::from_chars(text.data() + plus, end, number);
  if (status == std::errc::result_out_of_range) {
    result.problem = fmt::format("'{}' is out of the range of numbers", text);
    return result;
  }
  if (status != std::errc{} || !std::isfinite(number)) {
    result.problem = fmt::format("'{}' is not {}", text, describe(dimension));
    return result;
  }
  const std::string_view unit = trimmed({stop, static_cast<std::size_t>(end - stop)});
  if (unit.starts_with(',') || unit.starts_with('_') || unit.starts_with('\'')) {
    result.problem =
        fmt::format("'{}': write the number without separators, with a point for decimals", text);
    return result;
  }
  const Unit* const known = find_unit(dimension, unit);
  if (known == nullptr) {
    result.problem = unknown_unit(text, unit, dimension);
    return result;
  }
  // 80 us = 80 / 1e6, not 80 * 1e-6: division by a power of ten that is exact rounds once.
  const double value = known->factor < 1.0 && dimension != Dimension::bytes_per_second
                           ? number / std::round(1.0 / known->factor)
                           : number * known->factor;
  if (!std::isfinite(value)) {
    result.problem = fmt::format("'{}' is out of the range of numbers", text);
    return result;
  }
  result.value = value;
  if (unit.starts_with("CNY") || unit.starts_with("USD")) result.currency = unit.substr(0, 3);
  return result;
}

std::string format_quantity(double value, Dimension dimension, std::string_view currency) {
  if (dimension == Dimension::ratio) return fmt::format("{}", value);
  if (!currency.empty()) {
    const std::string_view per = dimension == Dimension::money_per_kwh        ? "/kWh"
                                 : dimension == Dimension::money_per_gpu_hour ? "/GPU/h"
                                                                              : "";
    return fmt::format("{}{}{}", value, currency, per);
  }
  std::string best;
  std::size_t best_length = 0;
  for (const Unit& unit : units_of(dimension)) {
    if (!is_written(unit.name)) continue;
    // The division may be off by an ulp; only a text that reads back exactly will do.
    const double number =
        unit.factor < 1.0 ? value * std::round(1.0 / unit.factor) : value / unit.factor;
    std::string text = fmt::format("{}{}", number, unit.name);
    if (parse_quantity(text, dimension).value != value) continue;
    // An exponent or a leading 0. only where nothing else is exact.
    std::size_t length = text.size();
    if (text.find("e+") != std::string::npos || text.find("e-") != std::string::npos) length += 100;
    if (text.starts_with("0.")) length += 2;
    if (best.empty() || length < best_length) {
      best = text;
      best_length = length;
    }
  }
  return best;
}

std::optional<std::string> did_you_mean(std::string_view word,
                                        const std::vector<std::string>& candidates) {
  const std::string wanted = lower(word);
  std::optional<std::string> best;
  std::size_t best_distance = std::max<std::size_t>(1, wanted.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    const std::string other = lower(candidate);
    // Damerau-Levenshtein with adjacent swaps, three rows.
    std::vector<std::size_t> two(other.size() + 1), one(other.size() + 1), row(other.size() + 1);
    for (std::size_t j = 0; j <= other.size(); ++j) one[j] = j;
    for (std::size_t i = 1; i <= wanted.size(); ++i) {
      row[0] = i;
      for (std::size_t j = 1; j <= other.size(); ++j) {
        const std::size_t change = wanted[i - 1] == other[j - 1] ? 0 : 1;
        row[j] = std::min({one[j] + 1, row[j - 1] + 1, one[j - 1] + change});
        if (i > 1 && j > 1 && wanted[i - 1] == other[j - 2] && wanted[i - 2] == other[j - 1]) {
          row[j] = std::min(row[j], two[j - 2] + 1);
        }
      }
      std::swap(two, one);
      std::swap(one, row);
    }
    if (one[other.size()] < best_distance) {
      best_distance = one[other.size()];
      best = candidate;
    }
  }
  return best;
}

}  // namespace foretoken::scenarios::loader
