#include "sim/core/error.hpp"

#include <algorithm>
#include <utility>

namespace foretoken::sim::core {

namespace {

std::string join(const std::vector<Diagnostic>& diagnostics) {
  std::string text;
  for (const Diagnostic& diagnostic : diagnostics) {
    if (!text.empty()) text += '\n';
    text += to_string(diagnostic);
  }
  return text;
}

// Tabs are kept in front of the caret so that it stays under its column in any terminal.
std::string caret_line(const Diagnostic& diagnostic) {
  std::string line;
  const auto before = static_cast<std::size_t>(std::max(diagnostic.column - 1, 0));
  for (std::size_t i = 0; i < before; ++i) {
    const bool tab = i < diagnostic.source_line.size() && diagnostic.source_line[i] == '\t';
    line += tab ? '\t' : ' ';
  }
  return line + '^';
}

}  // namespace

std::string to_string(const Diagnostic& diagnostic) {
  std::string text;
  if (!diagnostic.file.empty()) {
    text += diagnostic.file + ':';
    if (diagnostic.line > 0) {
      text += std::to_string(diagnostic.line) + ':';
      if (diagnostic.column > 0) text += std::to_string(diagnostic.column) + ':';
    }
    text += ' ';
  }
  text += diagnostic.warning ? "warning: " : "error: ";
  text += diagnostic.message;
  if (!diagnostic.source_line.empty()) {
    text += "\n  " + diagnostic.source_line;
    if (diagnostic.column > 0) text += "\n  " + caret_line(diagnostic);
  }
  return text;
}

InputError::InputError(std::vector<Diagnostic> diagnostics)
    : std::runtime_error(join(diagnostics)), diagnostics_(std::move(diagnostics)) {}

InputError::InputError(std::string message)
    : InputError(std::vector<Diagnostic>{Diagnostic{{}, 0, 0, std::move(message), {}, false}}) {}

void assertion_failed(const char* expression, const char* words, const char* file, int line) {
  throw std::logic_error(std::string(words) + " (" + expression + " at " + file + ":" +
                         std::to_string(line) + ")");
}

}  // namespace foretoken::sim::core
