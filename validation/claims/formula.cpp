#include "validation/claims/formula.hpp"

#include <fmt/format.h>
#include <muParser.h>

#include <cmath>

#include "sim/core/error.hpp"

namespace foretoken::validation::claims {
namespace {

using sim::core::InputError;

mu::Parser parser_of(const std::string& formula) {
  mu::Parser parser;
  parser.DefineFun("floor", static_cast<double (*)(double)>(std::floor));
  parser.DefineFun("ceil", static_cast<double (*)(double)>(std::ceil));
  parser.SetExpr(formula);
  return parser;
}

[[noreturn]] void refuse(const std::string& formula, const mu::ParserError& error) {
  throw InputError(fmt::format("formula '{}': {}", formula, error.GetMsg()));
}

}  // namespace

std::vector<std::string> variables_of(const std::string& formula) {
  try {
    mu::Parser parser = parser_of(formula);
    std::vector<std::string> names;
    for (const auto& [name, place] : parser.GetUsedVar()) names.push_back(name);
    return names;
  } catch (const mu::ParserError& error) {
    refuse(formula, error);
  }
}

Value evaluate(const std::string& formula, const Values& values) {
  std::map<std::string, double> now;
  Value result;
  result.provenance = Provenance::measured;
  const auto names = variables_of(formula);
  for (const auto& name : names) {
    const auto known = values.find(name);
    if (known == values.end())
      throw InputError(fmt::format("formula '{}': nothing is called '{}'", formula, name));
    now[name] = known->second.value;
    result.provenance = weakest(result.provenance, known->second.provenance);
    if (result.infeasible.empty()) result.infeasible = known->second.infeasible;
  }
  if (names.empty()) result.provenance = Provenance::user;
  try {
    mu::Parser parser = parser_of(formula);
    for (auto& [name, value] : now) parser.DefineVar(name, &value);
    result.value = parser.Eval();
    double squares = 0.0;
    for (auto& [name, value] : now) {
      const double was = value;
      value = was * (1.0 + values.at(name).relative_error);
      squares += std::pow(parser.Eval() - result.value, 2);
      value = was;
    }
    if (result.value != 0.0) result.relative_error = std::sqrt(squares) / std::abs(result.value);
  } catch (const mu::ParserError& error) {
    refuse(formula, error);
  }
  if (!std::isfinite(result.relative_error)) result.relative_error = 0.0;
  return result;
}

}  // namespace foretoken::validation::claims
