// foretoken schema: the JSON Schema of scenario files.
#include <iostream>

#include "analysis/app/command.hpp"
#include "analysis/app/exit_code.hpp"
#include "analysis/app/options.hpp"
#include "scenarios/loader/scenario.hpp"
#include "scenarios/loader/scenario_training.hpp"
#include "scenarios/loader/traffic_scenario.hpp"

namespace foretoken::analysis::app {

int schema_command(const Invocation& invocation) {
  CommandPage page;
  page.synopsis = "schema [options]";
  page.about =
      "Prints the JSON Schema of scenario files. Editors that know YAML complete and check with "
      "it.\n";
  page.examples = "  foretoken schema > foretoken.schema.json\n";
  page.options = {{"training", "", "of training scenarios"},
                  {"traffic", "", "of scenarios of fabric traffic"}};
  const auto line = parse(page, invocation);
  if (!line) return kOk;
  std::string schema = line->has("training")  ? scenarios::loader::training_json_schema()
                       : line->has("traffic") ? scenarios::loader::traffic_json_schema()
                                              : scenarios::loader::json_schema();
  if (schema.empty() || schema.back() != '\n') schema += '\n';
  std::cout << schema;
  return kOk;
}

}  // namespace foretoken::analysis::app
