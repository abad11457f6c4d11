#pragma once
// Arithmetic over named quantities: + - * / ^, brackets, comparisons, `a ? b : c`, min, max, sqrt,
// floor (muParser's language), with the error of the result.
#include <string>
#include <vector>

#include "validation/claims/claim.hpp"

namespace foretoken::validation::claims {

// Names that the formula uses. Throws InputError with the place where it cannot be read.
std::vector<std::string> variables_of(const std::string& formula);

// Errors of quantities are taken as independent: the result's is the root of the sum of squares of
// what each alone would do. Provenance is the weakest of those used. A quantity that cannot be had
// makes the result infeasible too.
Value evaluate(const std::string& formula, const Values& values);

}  // namespace foretoken::validation::claims
