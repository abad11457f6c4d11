#pragma once

namespace foretoken::analysis::app {

// `foretoken help exit-codes` explains them.
enum ExitCode : int {
  kOk = 0,
  kBug = 1,
  kUsage = 2,
  kBadInput = 3,
  kInfeasible = 4,
  kGateFailed = 5,
  kLimitHit = 6,
  kInterrupted = 130,
};

}  // namespace foretoken::analysis::app
