#include "analysis/number_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace foretoken::analysis {
namespace {

// Commas into the integer part of plain digits with an optional sign and fraction.
std::string with_commas(const std::string& digits) {
  const std::size_t start = digits.front() == '-' ? 1 : 0;
  const std::size_t point = std::min(digits.find('.'), digits.size());
  std::string out = digits.substr(0, start);
  for (std::size_t i = start; i < point; ++i) {
    if (i > start && (point - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out + digits.substr(point);
}

}  // namespace

std::string grouped(std::int64_t value) { return with_commas(fmt::format("{}", value)); }

std::string significant(double value, int digits) {
  if (!std::isfinite(value)) return std::isnan(value) ? "-" : value > 0 ? "inf" : "-inf";
  if (value == 0.0) return "0";
  // The exponent after rounding: 9.996 to three digits is 10.0, not 10.00.
  const std::string rounded = fmt::format("{:.{}e}", value, digits - 1);
  const int exponent = std::stoi(rounded.substr(rounded.find('e') + 1));
  const int decimals = std::max(0, digits - 1 - exponent);
  return with_commas(fmt::format("{:.{}f}", value, decimals));
}

std::string time_text(double seconds) {
  if (!std::isfinite(seconds)) return std::isnan(seconds) ? "-" : "never";
  const double size = std::abs(seconds);
  if (size >= 0.9995) return significant(seconds) + " s";
  if (size >= 0.9995e-3 || size == 0.0) return significant(seconds * 1e3) + " ms";
  return significant(seconds * 1e6) + " us";
}

std::string percent_text(double share) {
  if (!std::isfinite(share)) return "-";
  const double percent = share * 100.0;
  const double size = std::abs(percent);
  // Near 0 and near 100 the tenths matter; a rounded 100.0 must mean all.
  if (percent > 99.95 && percent < 100.0) return "99.9 %";
  const bool fine = size < 10.0 || (size > 90.0 && size <= 100.0);
  const std::string text = fmt::format("{:.{}f}", percent, fine ? 1 : 0);
  return (text == "0.0" ? "0" : text == "100.0" ? "100" : with_commas(text)) + " %";
}

std::string bytes_text(double bytes) {
  if (!std::isfinite(bytes)) return "-";
  const double size = std::abs(bytes);
  if (size >= 1e9) return significant(bytes / 1e9) + " GB";
  if (size >= 1e6) return significant(bytes / 1e6) + " MB";
  return significant(bytes / 1e3) + " kB";
}

std::string money_text(double amount) {
  if (!std::isfinite(amount)) return "-";
  if (std::abs(amount) >= 1000.0) return with_commas(fmt::format("{:.0f}", amount));
  if (std::abs(amount) >= 0.1) return fmt::format("{:.2f}", amount);
  return significant(amount, 2);
}

}  // namespace foretoken::analysis
