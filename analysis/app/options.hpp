#pragma once
// Command-line parsing on top of Boost.Program_options: help pages, usage errors with a
// did-you-mean, values with units.
#include <boost/program_options.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "analysis/app/command.hpp"

namespace foretoken::analysis::app {

namespace po = boost::program_options;

// Wrong use of the command line: exit code 2.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct CommandPage {
  std::string synopsis;  // "run SCENARIO [options]"
  std::string about;     // a paragraph, ends in a newline
  std::string examples;  // lines, each ends in a newline
  int min_arguments = 0;
  int max_arguments = 0;            // -1 = any number
  po::options_description options;  // without --help, which every command has
};

struct ParsedLine {
  po::variables_map options;
  std::vector<std::string> arguments;  // what is not an option

  [[nodiscard]] bool has(const char* name) const { return options.count(name) > 0; }
  template <class T>
  [[nodiscard]] const T& get(const char* name) const {
    return options[name].as<T>();
  }
};

// Prints the page and returns nothing where --help is among the arguments.
std::optional<ParsedLine> parse(CommandPage page, const Invocation& invocation);

// " (did you mean 'x'?)", or nothing when no candidate is near.
std::string suggestion(std::string_view word, const std::vector<std::string>& candidates);

// "30s" and "2GiB"; UsageError names the option.
double parse_seconds(const std::string& text, const char* option);
double parse_bytes(const std::string& text, const char* option);

}  // namespace foretoken::analysis::app
