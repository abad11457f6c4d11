#pragma once
// A claim of an article, and what became of it.
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "sim/core/provenance.hpp"

namespace foretoken::validation::claims {

using sim::core::Provenance;

struct Text {
  std::string en, zh;
};

// A number that was computed, and how far to trust it.
struct Value {
  double value = 0.0;
  double relative_error = 0.0;  // one standard deviation or mean absolute error, as found
  Provenance provenance = Provenance::analytical;
  std::string infeasible;  // not empty: no such deployment can run, and why
};
using Values = std::map<std::string, Value>;

// From least to most damning; a claim's verdict is that of its worst part.
enum class Outcome { holds, off, contradicts, impossible, untestable };

enum class Comparison { equal, at_least, at_most };

struct Prediction {
  Value value;
  double low = 0.0, high = 0.0;  // with the stated error
};

// One part of a claim that can be true or false.
struct Check {
  enum class Kind {
    figure,     // a predicted figure against the claimed one
    possible,   // something that must be feasible (not 0)
    consistent  // two figures that the article gives, which must agree
  };
  Kind kind = Kind::figure;
  Text says;
  std::string formula;    // predicted; of `consistent`: one side
  std::string low, high;  // claimed range, formulas; of `consistent`: the other side
  Comparison comparison = Comparison::equal;
  double within = 0.0;  // share of the claimed figure
  std::string unit;
  Text why;  // with {quantity:.1f} filled in

  // --- after it was run
  Outcome outcome = Outcome::holds;
  double factor = 1.0;  // by which prediction and claim differ, at least 1
  double claimed_low = 0.0, claimed_high = 0.0;
  Prediction predicted;
  Text because;
};

struct Quantity {
  std::string name;
  std::function<Value(const Values&)> compute;
};

struct Claim {
  std::string id, article;
  Text says;
  Text untestable;                   // why no machine can tell; empty = it can
  std::vector<Quantity> quantities;  // in order: formulas use earlier ones
  std::vector<Check> checks;

  // --- after it was run
  Values values;
  [[nodiscard]] const Check* worst() const;  // nothing where it cannot be tested
  [[nodiscard]] Outcome outcome() const;
  [[nodiscard]] std::string verdict() const;  // holds, off by 3.1 x, impossible, ...
  [[nodiscard]] Text why() const;
};

}  // namespace foretoken::validation::claims
