#include "analysis/app/manual_page.hpp"

#include <fmt/format.h>

#include "analysis/app/options.hpp"

namespace foretoken::analysis::app {
namespace {

// Text as troff takes it literally: no line begins a request, no backslash or dash is eaten.
std::string escaped(std::string_view text) {
  std::string out;
  bool line_begins = true;
  for (const char c : text) {
    if (line_begins && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else
      out += c;
    line_begins = c == '\n';
  }
  return out;
}

std::string block(std::string_view text) {  // as it stands
  std::string out = ".nf\n" + escaped(text);
  if (!out.ends_with('\n')) out += '\n';
  return out + ".fi\n";
}

std::string option_text(const Option& option) {
  const std::size_t comma = option.name.find(',');
  std::string head = ".TP\n";
  if (comma != std::string::npos)
    head += fmt::format("\\fB\\-{}\\fR, ", escaped(option.name.substr(comma + 1)));
  head += fmt::format("\\fB\\-\\-{}\\fR", escaped(option.name.substr(0, comma)));
  if (!option.value.empty()) head += fmt::format(" \\fI{}\\fR", escaped(option.value));
  std::string help = escaped(option.help);
  if (!option.default_value.empty())
    help += fmt::format(" (default {})", escaped(option.default_value));
  return head + "\n" + help + "\n";
}

std::string command_text(const PageList::Entry& entry) {
  std::string out = fmt::format(".SS foretoken {}\n", escaped(entry.page.synopsis));
  out += escaped(entry.page.about);
  for (const Option& option : entry.page.options)
    if (!option.name.starts_with("help")) out += option_text(option);
  if (!entry.page.examples.empty())
    out += ".PP\nExamples:\n.RS\n" + block(entry.page.examples) + ".RE\n";
  return out;
}

}  // namespace

std::string manual_page(std::string_view exit_codes) {
  std::string out = fmt::format(".TH FORETOKEN 1 \"\" \"foretoken {}\"\n", FORETOKEN_VERSION);
  out +=
      ".SH NAME\nforetoken \\- latency, throughput, power and cost of an LLM deployment, "
      "predicted\n.SH SYNOPSIS\n.B foretoken\n.I COMMAND\n[\\fIarguments\\fR] "
      "[\\fIoptions\\fR]\n.SH DESCRIPTION\nSimulates clusters that serve or train DeepSeek and "
      "other models, and says with a stated error what they will do before the hardware is "
      "bought.\nStandard output is the answer, standard error progress and logs.\n.SH COMMANDS\n";
  for (const auto& entry : all_pages().entries) out += command_text(entry);
  out += ".SH EXIT STATUS\n" + block(exit_codes);
  out +=
      ".SH ENVIRONMENT\n.TP\n.B FORETOKEN_HOME\nFolder with scenarios/ and validation/ "
      "(default: found from the program upwards).\n.TP\n.B FORETOKEN_NO_BUILD\nSet to 1, the "
      "launcher does not look whether a source changed.\n";
  return out;
}

}  // namespace foretoken::analysis::app
