// JSON Schema of a training scenario's own blocks; what it shares with serving is in schema.cpp.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "scenarios/loader/quantity.hpp"
#include "scenarios/loader/scenario_training.hpp"

namespace foretoken::scenarios::loader {
namespace {

using Json = nlohmann::ordered_json;

Json integer(const char* what, int least = 1) {
  return {{"type", "integer"}, {"description", what}, {"minimum", least}};
}
Json boolean(const char* what) { return {{"type", "boolean"}, {"description", what}}; }
Json one_of(const char* what, std::initializer_list<const char*> words) {
  Json json = {{"type", "string"}, {"description", what}};
  for (const char* word : words) json["enum"].push_back(word);
  return json;
}
Json quantity(Dimension dimension, const char* what) {
  return {{"type", "string"}, {"description", fmt::format("{}: {}", what, describe(dimension))}};
}
Json map_of(const char* what, const Json& properties,
            std::initializer_list<const char*> required = {}) {
  Json json = {{"type", "object"}, {"description", what}, {"additionalProperties", false}};
  for (const char* key : required) json["required"].push_back(key);
  json["properties"] = properties;
  return json;
}

Json parallel() {
  return map_of("ranks: tensor first, then context, data (expert inside), pipeline",
                {{"data", integer("data parallelism; what is left of the GPUs if left out")},
                 {"tensor", integer("tensor parallelism, with sequence parallelism")},
                 {"pipeline", integer("pipeline stages")},
                 {"virtual_stages", integer("chunks of layers a GPU holds (interleaved)")},
                 {"context", integer("context parallelism")},
                 {"expert", integer("expert parallelism, inside data x context x tensor")},
                 {"expert_tensor", integer("tensor parallelism of one expert")},
                 {"shard_group", integer("ranks that share state; 0 = all of data x context", 0)},
                 {"stage_layers",
                  {{"type", "array"},
                   {"description", "layers of each chunk, first to last"},
                   {"items", integer("layers", 0)}}}});
}

Json run() {
  return map_of(
      "the run to its last token",
      {{"faults", {{"type", "string"}, {"description", "card of failure rates"}}},
       {"detect", quantity(Dimension::seconds, "until a failure is noticed")},
       {"restart", quantity(Dimension::seconds, "from notice to the first step")},
       {"spares", integer("nodes that stand by", 0)},
       {"checkpoint",
        map_of("what is written how",
               {{"node_bandwidth", quantity(Dimension::bytes_per_second, "written by one node")},
                {"storage_bandwidth",
                 quantity(Dimension::bytes_per_second, "taken by the storage as a whole")},
                {"asynchronous", boolean("training waits for the copy to host memory alone")},
                {"interval", quantity(Dimension::seconds,
                                      "between checkpoints; Daly's if left "
                                      "out")}})}});
}

}  // namespace

std::string training_json_schema() {
  const Json batch = map_of("of one step",
                            {{"sequences", integer("sequences a step, over all data ranks")},
                             {"micro", integer("sequences a micro-batch")},
                             {"sequence", integer("tokens a sequence")}},
                            {"sequences", "sequence"});
  const Json training = map_of(
      "the job",
      {{"arithmetic", one_of("of the matrix products in layers",
                             {"fp32", "bf16", "fp16", "fp8", "fp8_block", "mxfp8", "nvfp4"})},
       {"parallel", parallel()},
       {"sharding",
        one_of("what data ranks share (ZeRO)", {"none", "zero1", "zero2", "zero3", "fsdp"})},
       {"schedule", one_of("of the pipeline", {"gpipe", "1f1b", "interleaved", "zb_h1", "zb_v",
                                               "dualpipe", "dualpipe_v"})},
       {"recompute",
        one_of("activations; the least that fits if left out", {"none", "selective", "full"})},
       {"overlap",
        {{"type", "array"},
         {"description", "messages behind compute, instead of the software card's"},
         {"items", one_of("which", {"tensor", "gradients", "parameters", "pipeline", "experts"})}}},
       {"batch", batch},
       {"tokens", {{"type", "number"}, {"description", "of the whole run"}, {"minimum", 0}}},
       {"mtp", boolean("train the multi-token prediction modules")},
       {"cpu_offload", boolean("optimizer state and step on the host")},
       {"release", {{"type", "string"}, {"description", "of the software"}}},
       {"run", run()}},
      {"batch"});
  const Json software = {{"type", "string"}, {"description", "card of the training software"}};
  const Json result = {
      {"$schema", "https://json-schema.org/draft/2020-12/schema"},
      {"title", "Foretoken training scenario"},
      {"type", "object"},
      {"description",
       "a model, a cluster and a training job; other blocks as in a serving scenario"},
      {"required", {"foretoken", "model", "hardware", "training"}},
      {"properties", {{"software", software}, {"training", training}}}};
  return result.dump(2) + "\n";
}

}  // namespace foretoken::scenarios::loader
