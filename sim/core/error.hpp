#pragma once
// Errors. Bad input: one InputError that lists every problem found. Programming error:
// SIM_ASSERT, which says in words what went wrong. Nothing here prints or exits.
#include <stdexcept>
#include <string>
#include <vector>

namespace foretoken::sim::core {

// One problem in a user's file. line and column count from 1; 0 = not tied to a place.
struct Diagnostic {
  std::string file;
  int line = 0;
  int column = 0;
  std::string message;      // what was found and what to do
  std::string source_line;  // the offending line of the file, if known
  bool warning = false;
};

// "file:line:column: error: message" with the source line and a caret below.
std::string to_string(const Diagnostic& diagnostic);

class InputError : public std::runtime_error {
 public:
  explicit InputError(std::vector<Diagnostic> diagnostics);
  explicit InputError(std::string message);  // one diagnostic without a place
  [[nodiscard]] const std::vector<Diagnostic>& diagnostics() const { return diagnostics_; }

 private:
  std::vector<Diagnostic> diagnostics_;
};

// The input is well formed but nothing can satisfy it (a model that does not fit): exit code 4.
class InfeasibleError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

[[noreturn]] void assertion_failed(const char* expression, const char* words, const char* file,
                                   int line);  // throws std::logic_error

}  // namespace foretoken::sim::core

#define SIM_ASSERT(condition, words)                                                   \
  do {                                                                                 \
    if (!(condition))                                                                  \
      ::foretoken::sim::core::assertion_failed(#condition, words, __FILE__, __LINE__); \
  } while (false)
