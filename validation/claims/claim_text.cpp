#include "validation/claims/claim_text.hpp"

#include <fmt/format.h>

#include <cmath>

#include "validation/claims/verdict.hpp"

namespace foretoken::validation::claims {

std::string number_text(double value) {
  if (!std::isfinite(value)) return "never";
  const double size = std::abs(value);
  if (size != 0.0 && size < 1e-3) return fmt::format("{:.2g}", value);
  if (size < 1000) return fmt::format("{:.3g}", value);
  std::string digits = fmt::format("{:.0f}", value);
  for (int at = static_cast<int>(digits.size()) - 3; at > (value < 0 ? 1 : 0); at -= 3)
    digits.insert(static_cast<std::size_t>(at), ",");
  return digits;
}

namespace {

std::string with_unit(const std::string& text, const std::string& unit) {
  return unit.empty() ? text : text + " " + unit;
}

}  // namespace

std::string claimed_text(const Check& check) {
  if (check.kind == Check::Kind::possible) return "possible";
  std::string text = number_text(check.claimed_low);
  if (check.claimed_high != check.claimed_low) text += " to " + number_text(check.claimed_high);
  if (check.comparison == Comparison::at_least) text = "at least " + text;
  if (check.comparison == Comparison::at_most) text = "at most " + text;
  return with_unit(text, check.unit);
}

std::string predicted_text(const Check& check) {
  const auto& p = check.predicted;
  if (!p.value.infeasible.empty()) return "does not run";
  if (check.kind == Check::Kind::possible)
    return p.value.value != 0.0 ? "possible" : "not possible";
  std::string text = number_text(p.value.value);
  if (number_text(p.low) != number_text(p.high))
    text += fmt::format(" ({} to {})", number_text(p.low), number_text(p.high));
  return with_unit(text, check.unit);
}

std::string outcome_text(const Check& check) {
  if (check.outcome != Outcome::off) return std::string(to_string(check.outcome));
  return fmt::format(fmt::runtime(check.factor < 10 ? "off by {:.2g} x" : "off by {:.0f} x"),
                     check.factor);
}

}  // namespace foretoken::validation::claims
