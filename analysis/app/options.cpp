#include "analysis/app/options.hpp"

#include <fmt/format.h>

#include <boost/program_options.hpp>
#include <charconv>
#include <cmath>
#include <iostream>
#include <sstream>

#include "scenarios/loader/quantity.hpp"

namespace foretoken::analysis::app {
namespace {

namespace po = boost::program_options;
namespace loader = scenarios::loader;
using Values = std::vector<std::string>;

std::string long_name(const Option& option) { return option.name.substr(0, option.name.find(',')); }

po::options_description described(const std::vector<Option>& options) {
  po::options_description result("options");
  for (const Option& option : options) {
    if (option.value.empty()) {
      result.add_options()(option.name.c_str(), option.help.c_str());
      continue;
    }
    auto* value = po::value<Values>()->value_name(option.value);
    if (option.repeated) value->composing();
    if (!option.default_value.empty()) {
      value->default_value(Values{option.default_value}, option.default_value);
    }
    result.add_options()(option.name.c_str(), value, option.help.c_str());
  }
  return result;
}

po::variables_map parse_options(const po::options_description& all, const Values& args) {
  using Style = po::command_line_style::style_t;
  // No guessing: an abbreviation that is clear today is ambiguous tomorrow.
  constexpr int kStyle = Style::unix_style & ~Style::allow_guessing;
  po::positional_options_description positional;
  positional.add("argument", -1);
  po::variables_map values;
  po::store(po::command_line_parser(args).options(all).positional(positional).style(kStyle).run(),
            values);
  return values;
}

void print_page(const CommandPage& page, const po::options_description& options) {
  std::ostringstream text;
  text << options;
  std::cout << fmt::format("usage: foretoken {}\n\n{}\n{}", page.synopsis, page.about, text.str());
  if (!page.examples.empty()) std::cout << "\nexamples:\n" << page.examples;
}

ParsedLine collect(const CommandPage& page, const po::variables_map& values) {
  ParsedLine line;
  for (const Option& option : page.options) {
    const std::string name = long_name(option);
    if (values.count(name) == 0) continue;
    Values& given = line.options[name];
    if (!option.value.empty()) given = values[name].as<Values>();
    if (!option.repeated && given.size() > 1) {
      throw UsageError(fmt::format("--{} is given {} times", name, given.size()));
    }
  }
  if (values.count("argument") > 0) line.arguments = values["argument"].as<Values>();
  return line;
}

void check_count(const CommandPage& page, const ParsedLine& line) {
  const int count = static_cast<int>(line.arguments.size());
  if (count < page.min_arguments) {
    throw UsageError("something is missing; usage: foretoken " + page.synopsis);
  }
  if (page.max_arguments >= 0 && count > page.max_arguments) {
    throw UsageError(fmt::format("'{}' is one argument too many; usage: foretoken {}",
                                 line.arguments[static_cast<std::size_t>(page.max_arguments)],
                                 page.synopsis));
  }
}

std::optional<double> quantity(const ParsedLine& line, const std::string& name,
                               loader::Dimension dimension) {
  if (!line.has(name)) return std::nullopt;
  const std::string& text = line.text(name);
  const loader::QuantityText read = loader::parse_quantity(text, dimension);
  if (read.value && *read.value > 0) return read.value;
  const std::string problem = read.problem.empty()
                                  ? "must be above zero; write " + loader::describe(dimension)
                                  : read.problem;
  throw UsageError(fmt::format("--{} {}: {}", name, text, problem));
}

}  // namespace

std::optional<ParsedLine> parse(CommandPage page, const Invocation& invocation) {
  page.options.push_back({"help,h", "", "this page"});
  if (invocation.pages != nullptr) {
    PageList& list = *invocation.pages;
    list.entries.push_back({list.prefix + invocation.command, std::move(page)});
    return std::nullopt;
  }
  const po::options_description shown = described(page.options);
  po::options_description all;
  all.add(shown);
  all.add_options()("argument", po::value<Values>());
  try {
    const ParsedLine line = collect(page, parse_options(all, invocation.args));
    if (line.has("help")) {
      print_page(page, shown);
      return std::nullopt;
    }
    check_count(page, line);
    return line;
  } catch (const po::unknown_option& error) {
    Values names;
    for (const Option& option : page.options) names.push_back("--" + long_name(option));
    throw UsageError(fmt::format("unknown option '{}'{}", error.get_option_name(),
                                 suggestion(error.get_option_name(), names)));
  } catch (const po::error& error) {
    throw UsageError(error.what());
  }
}

PageList all_pages() {
  PageList list;
  for (const Command& command : commands())
    command.run({std::string(command.name), {}, {}, {}, &list});
  return list;
}

const std::string& ParsedLine::text(const std::string& name) const {
  return options.at(name).at(0);
}

std::int64_t ParsedLine::integer(const std::string& name, std::int64_t least,
                                 std::int64_t most) const {
  const std::string& word = text(name);
  std::int64_t value = 0;
  const char* const end = word.data() + word.size();
  const auto read = std::from_chars(word.data(), end, value);
  if (read.ec == std::errc() && read.ptr == end && value >= least && value <= most) return value;
  throw UsageError(
      most == INT64_MAX
          ? fmt::format("--{} {}: must be a whole number, at least {}", name, word, least)
          : fmt::format("--{} {}: must be a whole number from {} to {}", name, word, least, most));
}

double ParsedLine::number(const std::string& name, double least, double most) const {
  const std::string& word = text(name);
  double value = 0.0;
  const char* const end = word.data() + word.size();
  const auto read = std::from_chars(word.data(), end, value);
  if (read.ec == std::errc() && read.ptr == end && value >= least && value <= most) return value;
  throw UsageError(
      fmt::format("--{} {}: must be a number from {:g} to {:g}", name, word, least, most));
}

std::vector<std::string> ParsedLine::list(const std::string& name) const {
  const auto found = options.find(name);
  return found == options.end() ? Values{} : found->second;
}

const std::string& ParsedLine::choice(const std::string& name, const Values& choices) const {
  const std::string& word = text(name);
  for (const std::string& choice : choices) {
    if (choice == word) return word;
  }
  throw UsageError(fmt::format("--{} {}: it is one of {}{}", name, word, fmt::join(choices, ", "),
                               suggestion(word, choices)));
}

std::optional<double> ParsedLine::seconds(const std::string& name) const {
  return quantity(*this, name, loader::Dimension::seconds);
}

std::optional<double> ParsedLine::bytes(const std::string& name) const {
  return quantity(*this, name, loader::Dimension::bytes);
}

std::string suggestion(std::string_view word, const std::vector<std::string>& candidates) {
  const auto near = loader::did_you_mean(word, candidates);
  return near ? fmt::format(" (did you mean '{}'?)", *near) : std::string();
}

}  // namespace foretoken::analysis::app
