#pragma once
// Command-line parsing: help pages, usage errors with a did-you-mean, values with units.
#include <cstdint>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "analysis/app/command.hpp"

namespace foretoken::analysis::app {

// Wrong use of the command line: exit code 2.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Option {
  std::string name;   // "out,o": long and, if any, short
  std::string value;  // what stands for the value in the help: "DIR"; empty = a flag
  std::string help;
  std::string default_value = {};  // empty = none
  bool repeated = false;
};

struct CommandPage {
  std::string synopsis;  // "run SCENARIO [options]"
  std::string about;     // a paragraph, ends in a newline
  std::string examples;  // lines, each ends in a newline
  int min_arguments = 0;
  int max_arguments = 0;        // -1 = any number
  std::vector<Option> options;  // without --help, which every command has
};

class ParsedLine {
 public:
  std::vector<std::string> arguments;                       // what is not an option
  std::map<std::string, std::vector<std::string>> options;  // by long name, defaults included

  [[nodiscard]] bool has(const std::string& name) const { return options.contains(name); }
  // The option must be there or have a default.
  [[nodiscard]] const std::string& text(const std::string& name) const;
  // UsageError unless a whole number in [least, most].
  [[nodiscard]] std::int64_t integer(const std::string& name, std::int64_t least,
                                     std::int64_t most = INT64_MAX) const;
  // UsageError unless a finite number in [least, most].
  [[nodiscard]] double number(const std::string& name, double least, double most) const;
  // Every value of a repeated option; empty if it was not given.
  [[nodiscard]] std::vector<std::string> list(const std::string& name) const;
  // UsageError unless one of `choices`.
  [[nodiscard]] const std::string& choice(const std::string& name,
                                          const std::vector<std::string>& choices) const;
  // "30s" and "2GiB", above zero; nothing if it was not given.
  [[nodiscard]] std::optional<double> seconds(const std::string& name) const;
  [[nodiscard]] std::optional<double> bytes(const std::string& name) const;
};

// Pages of commands, and of the commands of commands ("validate kernels").
struct PageList {
  struct Entry {
    std::string name;
    CommandPage page;
  };
  std::vector<Entry> entries;
  std::string prefix;  // "validate " while its commands are asked
};

// Every page, in the order of --help.
PageList all_pages();

// Prints the page and returns nothing where --help is among the arguments; returns nothing, too,
// where the invocation only asks for the page.
std::optional<ParsedLine> parse(CommandPage page, const Invocation& invocation);

// " (did you mean 'x'?)", or nothing when no candidate is near.
std::string suggestion(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace foretoken::analysis::app
