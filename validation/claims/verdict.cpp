#include "validation/claims/verdict.hpp"

#include <fmt/args.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <regex>

#include "sim/core/error.hpp"
#include "validation/claims/formula.hpp"

namespace foretoken::validation::claims {
namespace {

constexpr double kMostError = 0.95;  // an interval reaches no further down than this

Prediction with_interval(const Value& value) {
  const double down = std::min(value.relative_error, kMostError);
  Prediction p{value, value.value * (1.0 - down), value.value * (1.0 + value.relative_error)};
  if (p.low > p.high) std::swap(p.low, p.high);
  return p;
}

// How far two ranges of positive numbers lie apart, as a ratio of their nearest ends; 1 = they
// meet.
double gap(double low, double high, double claimed_low, double claimed_high) {
  if (low > claimed_high) return low / claimed_high;
  if (high < claimed_low) return claimed_low / high;
  return 1.0;
}

void judge_figure(Check& check) {
  const Prediction& p = check.predicted;
  const bool number = std::isfinite(p.value.value) && p.value.value > 0.0;
  if (!p.value.infeasible.empty() || !number) {
    check.outcome = Outcome::impossible;
    return;
  }
  double low = check.claimed_low, high = check.claimed_high;
  if (check.comparison == Comparison::at_least) high = std::max(high, p.high);
  if (check.comparison == Comparison::at_most) low = std::min(low, p.low);
  if (gap(p.low, p.high, low * (1.0 - check.within), high * (1.0 + check.within)) <= 1.0) {
    check.outcome = Outcome::holds;
  } else {
    check.outcome = Outcome::off;
    check.factor = gap(p.value.value, p.value.value, low, high);
  }
}

void judge_consistency(Check& check) {
  const double one = check.predicted.value.value;
  const double other = one < check.claimed_low ? check.claimed_low : check.claimed_high;
  const bool inside = one >= check.claimed_low * (1.0 - check.within) &&
                      one <= check.claimed_high * (1.0 + check.within);
  check.outcome = inside ? Outcome::holds : Outcome::contradicts;
  if (!inside && one > 0.0 && other > 0.0) check.factor = std::max(one / other, other / one);
}

}  // namespace

std::string_view to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::holds:
      return "holds";
    case Outcome::off:
      return "off";
    case Outcome::contradicts:
      return "contradicts itself";
    case Outcome::impossible:
      return "impossible";
    case Outcome::untestable:
      return "not testable here";
  }
  return "?";
}

namespace {

// {name?one|other}: one where the quantity is not 0.
std::string chosen(const std::string& text, const Values& values) {
  static const std::regex kChoice(R"(\{(\w+)\?([^|{}]*)\|([^{}]*)\})");
  std::string out;
  auto at = text.cbegin();
  for (std::sregex_iterator it(text.begin(), text.end(), kChoice), end; it != end; ++it) {
    out.append(at, text.cbegin() + it->position());
    const auto known = values.find((*it)[1]);
    if (known == values.end())
      throw sim::core::InputError(
          fmt::format("'{}': nothing is called '{}'", text, (*it)[1].str()));
    out += known->second.value != 0.0 ? (*it)[2].str() : (*it)[3].str();
    at = text.cbegin() + it->position() + it->length();
  }
  return out.append(at, text.cend());
}

}  // namespace

std::string filled(const std::string& text, const Values& values, const Check& check) {
  fmt::dynamic_format_arg_store<fmt::format_context> store;
  for (const auto& [name, value] : values) store.push_back(fmt::arg(name.c_str(), value.value));
  const std::pair<const char*, double> own[] = {{"predicted", check.predicted.value.value},
                                                {"low", check.predicted.low},
                                                {"high", check.predicted.high},
                                                {"claimed", check.claimed_low},
                                                {"claimed_high", check.claimed_high},
                                                {"factor", check.factor}};
  for (const auto& [name, value] : own) store.push_back(fmt::arg(name, value));
  try {
    return fmt::vformat(chosen(text, values), store);
  } catch (const fmt::format_error& error) {
    throw sim::core::InputError(
        fmt::format("'{}': {}; use names of quantities, such as {{x:.1f}}", text, error.what()));
  }
}

void judge(Check& check, const Values& values) {
  check.predicted = with_interval(evaluate(check.formula, values));
  if (!check.low.empty()) check.claimed_low = evaluate(check.low, values).value;
  check.claimed_high = check.high.empty() ? check.claimed_low : evaluate(check.high, values).value;
  switch (check.kind) {
    case Check::Kind::figure:
      judge_figure(check);
      break;
    case Check::Kind::possible:
      check.outcome = check.predicted.value.value != 0.0 && check.predicted.value.infeasible.empty()
                          ? Outcome::holds
                          : Outcome::impossible;
      break;
    case Check::Kind::consistent:
      judge_consistency(check);
      break;
  }
  check.because = {filled(check.why.en, values, check), filled(check.why.zh, values, check)};
  if (!check.predicted.value.infeasible.empty()) {
    check.because.en += " (" + check.predicted.value.infeasible + ")";
    check.because.zh += "（" + check.predicted.value.infeasible + "）";
  }
}

const Check* Claim::worst() const {
  const auto before = [](const Check& a, const Check& b) {
    if (a.outcome != b.outcome) return a.outcome < b.outcome;
    return a.factor < b.factor;
  };
  const auto it = std::max_element(checks.begin(), checks.end(), before);
  return it == checks.end() ? nullptr : &*it;
}

Outcome Claim::outcome() const {
  return worst() == nullptr ? Outcome::untestable : worst()->outcome;
}

std::string Claim::verdict() const {
  const auto* const check = worst();
  if (check == nullptr || check->outcome != Outcome::off) return std::string(to_string(outcome()));
  const double factor = check->factor;
  return factor < 10 ? fmt::format("off by {:.2g} x", factor)
                     : fmt::format("off by {:.0f} x", factor);
}

Text Claim::why() const {
  const auto* const check = worst();
  return check == nullptr ? untestable : check->because;
}

}  // namespace foretoken::validation::claims
