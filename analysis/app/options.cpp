#include "analysis/app/options.hpp"

#include <fmt/format.h>

#include <iostream>
#include <sstream>

#include "scenarios/loader/quantity.hpp"

namespace foretoken::analysis::app {
namespace {

namespace loader = scenarios::loader;

std::vector<std::string> option_names(const po::options_description& options) {
  std::vector<std::string> names;
  for (const auto& option : options.options()) names.push_back("--" + option->long_name());
  return names;
}

void print_page(const CommandPage& page) {
  std::ostringstream options;
  options << page.options;
  std::cout << fmt::format("usage: foretoken {}\n\n{}\n{}", page.synopsis, page.about,
                           options.str());
  if (!page.examples.empty()) std::cout << "\nexamples:\n" << page.examples;
}

po::variables_map parse_options(const po::options_description& all,
                                const std::vector<std::string>& args) {
  using Style = po::command_line_style::style_t;
  // No guessing: an abbreviation that is clear today is ambiguous tomorrow.
  constexpr int kStyle = Style::unix_style & ~Style::allow_guessing;
  po::positional_options_description positional;
  positional.add("argument", -1);
  po::variables_map values;
  po::store(po::command_line_parser(args).options(all).positional(positional).style(kStyle).run(),
            values);
  po::notify(values);
  return values;
}

double parse_limit(const std::string& text, const char* option, loader::Dimension dimension) {
  const loader::QuantityText quantity = loader::parse_quantity(text, dimension);
  if (!quantity.value || !(*quantity.value > 0)) {
    throw UsageError(fmt::format("--{} {}: {}", option, text,
                                 quantity.problem.empty()
                                     ? "must be above zero; write " + loader::describe(dimension)
                                     : quantity.problem));
  }
  return *quantity.value;
}

}  // namespace

std::optional<ParsedLine> parse(CommandPage page, const Invocation& invocation) {
  page.options.add_options()("help,h", "this page");
  po::options_description all;
  all.add(page.options);
  all.add_options()("argument", po::value<std::vector<std::string>>());
  ParsedLine line;
  try {
    line.options = parse_options(all, invocation.args);
  } catch (const po::unknown_option& error) {
    throw UsageError(fmt::format("unknown option '{}'{}", error.get_option_name(),
                                 suggestion(error.get_option_name(), option_names(page.options))));
  } catch (const po::error& error) {
    throw UsageError(error.what());
  }
  if (line.has("help")) {
    print_page(page);
    return std::nullopt;
  }
  if (line.has("argument")) line.arguments = line.get<std::vector<std::string>>("argument");
  const int count = static_cast<int>(line.arguments.size());
  if (count < page.min_arguments) {
    throw UsageError("something is missing; usage: foretoken " + page.synopsis);
  }
  if (page.max_arguments >= 0 && count > page.max_arguments) {
    throw UsageError(fmt::format("'{}' is one argument too many; usage: foretoken {}",
                                 line.arguments[static_cast<std::size_t>(page.max_arguments)],
                                 page.synopsis));
  }
  return line;
}

std::string suggestion(std::string_view word, const std::vector<std::string>& candidates) {
  const auto near = loader::did_you_mean(word, candidates);
  return near ? fmt::format(" (did you mean '{}'?)", *near) : std::string();
}

double parse_seconds(const std::string& text, const char* option) {
  return parse_limit(text, option, loader::Dimension::seconds);
}

double parse_bytes(const std::string& text, const char* option) {
  return parse_limit(text, option, loader::Dimension::bytes);
}

}  // namespace foretoken::analysis::app
