// JSON Schema of a scenario, for editors and for checks outside this program. Rules that a schema
// cannot say (a layout that divides the heads, GPUs against nodes) are the loader's alone.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "scenarios/loader/quantity.hpp"
#include "scenarios/loader/scenario_parts.hpp"
#include "scenarios/loader/traffic_scenario.hpp"

namespace foretoken::scenarios::loader {
namespace {

using Json = nlohmann::ordered_json;

// A text with a unit, e.g. "80GB".
Json quantity(Dimension dimension, const std::string& what) {
  std::string units;
  for (const std::string& unit : unit_names(dimension)) {
    if (!units.empty()) units += '|';
    units += unit;
  }
  return {{"type", "string"},
          {"description", fmt::format("{}: {}", what, describe(dimension))},
          {"pattern", fmt::format("^[+]?[0-9]*[.]?[0-9]+([eE][+-]?[0-9]+)? ?({})$", units)}};
}

Json ratio(const std::string& what) {
  return {{"description", what + "; a number or a percentage"},
          {"anyOf",
           {{{"type", "number"}, {"minimum", 0}},
            {{"type", "string"}, {"pattern", "^[0-9]*[.]?[0-9]+ ?%$"}}}}};
}

Json integer(const std::string& what, std::int64_t least = 1) {
  return {{"type", "integer"}, {"description", what}, {"minimum", least}};
}

Json text(const std::string& what) { return {{"type", "string"}, {"description", what}}; }

Json boolean(const std::string& what) { return {{"type", "boolean"}, {"description", what}}; }

Json one_of(const std::string& what, const std::vector<Named>& words) {
  Json json = {{"type", "string"}, {"description", what}};
  for (const Named& word : words) json["enum"].push_back(word.name);
  return json;
}

// One of the words, or a text that the pattern matches.
Json name_or_path(const std::string& what, const std::vector<Named>& words,
                  const std::string& path) {
  Json names = {{"type", "string"}};
  for (const Named& word : words) names["enum"].push_back(word.name);
  return {{"description", what}, {"anyOf", {names, {{"type", "string"}, {"pattern", path}}}}};
}

Json map_of(const std::string& what, const Json& properties,
            const std::vector<std::string>& required = {}) {
  Json json = {{"type", "object"}, {"description", what}, {"additionalProperties", false}};
  if (!required.empty()) json["required"] = required;
  json["properties"] = properties;
  return json;
}

Json list_of(const std::string& what, const Json& item) {
  return {{"type", "array"}, {"description", what}, {"items", item}};
}

Json hardware() {
  return map_of("what it runs on",
                {{"node", text("node card: catalogue name or path")},
                 {"nodes", integer("how many nodes are bought or rented")},
                 {"cpu", text("CPU card instead of the node card's: catalogue name or path")},
                 {"cpus", integer("sockets of a node")},
                 {"nic", text("network card instead of the node card's: catalogue name or path")},
                 {"storage", text("storage card that holds the model: catalogue name or path")},
                 {"gpu_memory", quantity(Dimension::bytes, "instead of the card's, per GPU")},
                 {"memory_bandwidth",
                  quantity(Dimension::bytes_per_second, "instead of the card's, per GPU")},
                 {"scale_up_bandwidth", quantity(Dimension::bytes_per_second,
                                                 "instead of the card's, per GPU, one direction")},
                 {"nic_bandwidth", quantity(Dimension::bytes_per_second,
                                            "instead of the card's, per NIC, one direction")},
                 {"power_limit", quantity(Dimension::watts, "cap set on each GPU below its TDP")}},
                {"node"});
}

Json schedule() {
  return list_of("who is in service when; before the first step all are",
                 map_of("a step",
                        {{"at", quantity(Dimension::seconds, "after the start of the run")},
                         {"replicas", integer("in service from then on", 0)}},
                        {"at", "replicas"}));
}

Json autoscale() {
  return map_of("as many replicas as the load needs",
                {{"min", integer("always in service")},
                 {"requests_per_replica", ratio("open requests that one replica is to have")},
                 {"interval", quantity(Dimension::seconds, "between two looks")},
                 {"start_delay", quantity(Dimension::seconds, "to load the model and start")},
                 {"cool_down", quantity(Dimension::seconds, "before replicas are taken away")}},
                {"requests_per_replica", "start_delay"});
}

Json expert_parallel() {
  return map_of(
      "expert ranks that exchange tokens",
      {{"two_batch_overlap", boolean("one micro-batch computes while another's tokens travel")},
       {"communication_sms", integer("multiprocessors that the exchange of prompts takes")},
       {"rebalance", boolean("experts placed so that ranks are loaded alike (EPLB)")},
       {"drift", ratio("share of the traffic that has moved since experts were placed")},
       {"token_nodes", integer("nodes that one token's experts may lie on; 0 is any", 0)}});
}

Json speculation() {
  return map_of("tokens guessed ahead and checked in one step (MTP, draft model)",
                {{"acceptance", list_of("chance of each guess if those before it were right",
                                        ratio("of one guess"))},
                 {"draft_cost", ratio("time of one guess over that of a decode step; one layer's "
                                      "share if left out")}},
                {"acceptance"});
}

Json cluster() {
  const auto random = [](const std::string& what, bool slows = false) {
    Json keys = {{"mean_between", quantity(Dimension::seconds, "mean time between failures")},
                 {"mean_repair", quantity(Dimension::seconds, "mean time to repair")}};
    if (slows) keys["slowdown"] = ratio("of its steps");
    return map_of(what, keys, {"mean_between", "mean_repair"});
  };
  const Json event =
      map_of("something that breaks",
             {{"kind", one_of("what", {{"gpu", ""},
                                       {"node", ""},
                                       {"link", ""},
                                       {"straggler", ""},
                                       {"switch", ""},
                                       {"storage", "the context cache"},
                                       {"router", "takes and hands on requests"}})},
              {"pool", one_of("where", {{"whole", ""}, {"prefill", ""}, {"decode", ""}})},
              {"unit", integer("number of the GPU, node or switch in the pool", 0)},
              {"at", quantity(Dimension::seconds, "after the start of the run")},
              {"lasts", quantity(Dimension::seconds, "until it is repaired")},
              {"slowdown", ratio("of a straggler's steps")}},
             {"kind", "at", "lasts"});
  const Json faults = map_of(
      "what breaks",
      {{"detection", quantity(Dimension::seconds, "until the router knows")},
       {"nodes_per_switch", integer("nodes of a pool that a leaf switch takes with it")},
       {"events", list_of("at stated times", event)},
       {"random",
        map_of("at random times", {{"gpu", random("each GPU")},
                                   {"node", random("each node")},
                                   {"link", random("each node's network")},
                                   {"straggler", random("each GPU, slow instead of down", true)},
                                   {"switch", random("each leaf switch")},
                                   {"storage", random("the context cache")},
                                   {"router", random("what takes and hands on requests")}})}});
  const Json remote =
      map_of("traffic served by somebody else's priced interface",
             {{"share", ratio("of all requests")},
              {"overflow", boolean("also what admission control would turn away")},
              {"round_trip", quantity(Dimension::seconds, "over the wide-area network")},
              {"first_token", quantity(Dimension::seconds, "time to first token there")},
              {"tokens_per_s", ratio("speed of one answer")},
              {"usd_per_million_input", ratio("price")},
              {"usd_per_million_output", ratio("price")}},
             {"round_trip", "first_token", "tokens_per_s", "usd_per_million_input",
              "usd_per_million_output"});
  return map_of(
      "what clients and router do, and what breaks",
      {{"open_requests_per_replica", integer("more are turned away; 0 is no limit", 0)},
       {"timeout", quantity(Dimension::seconds, "a client waits so long for a start")},
       {"retries", integer("of a request lost in a failure", 0)},
       {"retry_delay", quantity(Dimension::seconds, "before the next attempt")},
       {"pause", quantity(Dimension::seconds, "of a closed loop's client that was turned away")},
       {"faults", faults},
       {"remote_api", remote}});
}

Json deployment() {
  const Json parallel = map_of(
      "layout of one replica; it takes tensor x pipeline x data_attention x context GPUs",
      {{"tensor", integer("tensor parallelism of attention and dense layers")},
       {"pipeline", integer("pipeline stages")},
       {"data_attention", integer("data parallelism of attention")},
       {"context", integer("GPUs that share the tokens and KV cache of one attention rank")},
       {"expert", integer("expert parallelism of routed experts")},
       {"redundant_experts", integer("extra copies of hot experts over the expert ranks", 0)},
       {"all_to_all", boolean("experts exchange tokens by dispatch and combine (DeepEP)")},
       {"uneven_stages", boolean("pipeline stages may differ by one layer")}});
  const Json batching = map_of(
      "continuous batching",
      {{"policy", name_or_path("which work a step takes first", batching_policies(), "^.*[/.].*$")},
       {"max_tokens", integer("new tokens a step")},
       {"max_prompt_tokens", integer("of one prompt in a step; 0 is max_tokens", 0)},
       {"max_sequences", integer("sequences running at once")},
       {"swap_space",
        quantity(Dimension::bytes, "host memory a GPU for the KV of preempted requests")},
       {"timeout", quantity(Dimension::seconds, "dynamic: longest wait for a full batch")},
       {"length_error", ratio("shortest_job_first, least_slack: log-normal sigma of "
                              "predicted output lengths")},
       {"quantum", integer("multilevel_feedback: tokens of the first level")},
       {"levels", integer("multilevel_feedback: how many")},
       {"prompt_weight", ratio("fair: service of a prompt token")},
       {"output_weight", ratio("fair: service of an output token")},
       {"token_time", quantity(Dimension::seconds, "least_slack: time an output token takes")}});
  const Json weights = text(
      "format of the weights: fp8, bf16, fp16, fp8_block, int8_wo, int4_wo, nvfp4 or mxfp4; "
      "the checkpoint's if left out");
  const Json router_load_age =
      quantity(Dimension::seconds, "how old the loads are that the router goes by");
  const Json tier =
      map_of("memory or storage that all replicas reach",
             {{"name", text("hbm, dram, ssd, 3fs")},
              {"capacity", quantity(Dimension::bytes, "for KV")},
              {"bandwidth", quantity(Dimension::bytes_per_second, "of one request's read")},
              {"latency", quantity(Dimension::seconds, "of one request's read")}},
             {"name", "capacity", "bandwidth"});
  const Json pool =
      map_of("a pool that does only prompts, or only decodes; what is not said is as in deployment",
             {{"engine", text("instead of the scenario's")},
              {"node", text("node card instead of the scenario's")},
              {"weights", weights},
              {"kv_cache", text("format of the KV cache: bf16, fp16 or fp8")},
              {"parallel", parallel},
              {"replicas", integer("independent copies")},
              {"router", one_of("which replica takes a request", routers())},
              {"router_load_age", router_load_age},
              {"expert_skew", ratio("power-law exponent of expert popularity; 0 is balanced")},
              {"expert_parallel", expert_parallel()},
              {"batching", batching},
              {"schedule", schedule()},
              {"autoscale", autoscale()}});
  return map_of("how the model is spread and run",
                {{"weights", text("format of the weights: fp8, bf16, fp16, fp8_block, int8_wo, "
                                  "int4_wo, nvfp4 or mxfp4; the checkpoint's if left out")},
                 {"kv_cache", text("format of the KV cache: bf16, fp16 or fp8")},
                 {"experts_on", one_of("where routed experts live and run",
                                       {{"gpu", ""}, {"cpu", "host memory, the node's CPUs"}})},
                 {"engine_args", text("the engine's own command line, e.g. --tp-size 8")},
                 {"parallel", parallel},
                 {"replicas", integer("independent copies behind one router")},
                 {"router", one_of("which replica takes a request", routers())},
                 {"expert_skew", ratio("power-law exponent of expert popularity; 0 is balanced")},
                 {"prefix_caching", boolean("free KV blocks keep their content: a preempted "
                                            "request finds what is left of its own")},
                 {"batching", batching},
                 {"router_load_age", router_load_age},
                 {"expert_parallel", expert_parallel()},
                 {"speculation", speculation()},
                 {"schedule", schedule()},
                 {"autoscale", autoscale()},
                 {"prefill", pool},
                 {"decode", pool},
                 {"kv_transfer",
                  map_of("of a prompt's KV from the prefill to the decode pool",
                         {{"bandwidth", quantity(Dimension::bytes_per_second, "of one request")},
                          {"latency", quantity(Dimension::seconds, "of one request")}})},
                 {"context_cache",
                  map_of("KV of prompts seen before: a share of each, or tiers to look it up in",
                         {{"hit", ratio("share of every prompt that is there")},
                          {"bandwidth", quantity(Dimension::bytes_per_second, "of one request")},
                          {"latency", quantity(Dimension::seconds, "of one request")},
                          {"tiers", list_of("fastest first; what is not used sinks", tier)}})}});
}

Json workload() {
  const Json state = map_of("a state",
                            {{"rate", quantity(Dimension::hertz, "arrivals in it")},
                             {"dwell", quantity(Dimension::seconds, "mean stay")}},
                            {"rate", "dwell"});
  const Json arrivals = map_of(
      "exactly one of trace, poisson, gamma, weibull, deterministic, mmpp, clients, "
      "closed_loop, sessions",
      {{"trace", text("catalogue name, or path of a trace file")},
       {"rate_scale", ratio("arrivals come this many times as fast")},
       {"poisson", quantity(Dimension::hertz, "mean arrival rate")},
       {"gamma", quantity(Dimension::hertz, "mean arrival rate, gamma-distributed gaps")},
       {"weibull", quantity(Dimension::hertz, "mean arrival rate, Weibull gaps")},
       {"cv", ratio("of gamma and weibull: deviation of the gaps over their mean")},
       {"deterministic", quantity(Dimension::hertz, "arrival rate, all gaps equal")},
       {"mmpp", list_of("Poisson whose rate changes at random", state)},
       {"clients", text("client pool: catalogue name, or path of a file or folder")},
       {"from", quantity(Dimension::seconds, "of the pool's day: where to start")},
       {"closed_loop", integer("requests in flight; the next is sent as one ends")},
       {"sessions", quantity(Dimension::hertz, "conversations that begin")},
       {"turns", ratio("of a conversation, mean")},
       {"think_time",
        quantity(Dimension::seconds, "closed_loop, sessions: mean pause after an answer")}});
  const Json point = map_of(
      "a point", {{"at", quantity(Dimension::seconds, "when")}, {"factor", ratio("on the rate")}},
      {"at", "factor"});
  const Json profile = map_of("rate of random arrivals over time; one of hours, ramp_to, points",
                              {{"hours",
                                {{"type", "array"},
                                 {"description", "24 levels of a day, scaled to a mean of 1"},
                                 {"items", ratio("level")}}},
                               {"ramp_to", ratio("factor at the ramp's end; it stays")},
                               {"over", quantity(Dimension::seconds, "length of the ramp")},
                               {"points", list_of("factors, linear in between", point)},
                               {"period", quantity(Dimension::seconds, "points repeat after it")}});
  const Json request_class =
      map_of("a kind of request; a request's tenant is the number of its class",
             {{"name", text("for reports")},
              {"share", ratio("of requests, relative to the others")},
              {"priority", integer("lower is more urgent", 0)},
              {"deadline", quantity(Dimension::seconds, "after arrival")}},
             {"name"});
  const auto length = [](const std::string& what) {
    return map_of(
        what,
        {{"tokens", integer("longest length")},
         {"low_fraction",
          ratio("lengths are uniform between this share of tokens and tokens; 1 is fixed")},
         {"mean", ratio("log-normal lengths of this mean, cut at tokens")},
         {"sigma", ratio("of their logarithm")}},
        {"tokens"});
  };
  return map_of(
      "requests",
      {{"arrivals", arrivals},
       {"input", length("prompt length, for arrivals other than a trace")},
       {"output", length("output length, for arrivals other than a trace")},
       {"lengths", map_of("pairs of lengths to draw from, instead of input and output",
                          {{"trace", text("catalogue name, or path of a file")}}, {"trace"})},
       {"input_scale", ratio("prompts are this many times as long")},
       {"output_scale", ratio("outputs are this many times as long")},
       {"profile", profile},
       {"classes", list_of("kinds of requests", request_class)},
       {"duration", quantity(Dimension::seconds, "arrivals stop here, the run drains")},
       {"requests", integer("arrivals stop after so many")},
       {"warmup", quantity(Dimension::seconds, "earlier arrivals are not counted")},
       {"over_context",
        one_of("requests longer than the model's context", {{"reject", ""}, {"truncate", ""}})}},
      {"arrivals"});
}

Json cost() {
  const Json part = map_of("a part",
                           {{"of", text("gpu, server, network, storage, installation, ...")},
                            {"price", quantity(Dimension::money, "of one")},
                            {"count", ratio("in a node")}},
                           {"of", "price"});
  const Json loan = map_of("level monthly payments",
                           {{"share", ratio("of the purchase that is borrowed")},
                            {"rate", ratio("interest a year")},
                            {"term", quantity(Dimension::seconds, "until it is paid back")}},
                           {"share", "rate", "term"});
  const Json band = map_of("hours with one price",
                           {{"from", quantity(Dimension::seconds, "hour of the day")},
                            {"to", quantity(Dimension::seconds, "hour of the day")},
                            {"price", quantity(Dimension::money_per_kwh, "")}},
                           {"from", "to", "price"});
  const Json space = map_of("a rack in a data centre",
                            {{"rack_month", quantity(Dimension::money, "a rack and month")},
                             {"nodes", ratio("that a rack holds")}},
                            {"rack_month"});
  const Json role = map_of("a person or part of one",
                           {{"role", text("what they do")},
                            {"share", ratio("of a person")},
                            {"salary", quantity(Dimension::money, "a year, all costs")}},
                           {"role", "salary"});
  const Json updates =
      map_of("a new model now and then",
             {{"price", quantity(Dimension::money, "each")}, {"per_year", ratio("how many")}},
             {"price", "per_year"});
  return map_of("money; prices left out come from the price card",
                {{"prices", text("price card: catalogue name or path")},
                 {"currency", one_of("shown first", {{"CNY", ""}, {"USD", ""}})},
                 {"cny_per_usd", ratio("exchange rate instead of the price card's")},
                 {"node_price", quantity(Dimension::money, "one node, bought")},
                 {"gpu_hour", quantity(Dimension::money_per_gpu_hour, "one GPU, rented")},
                 {"rent", text("rented at this tier of the price card")},
                 {"electricity", quantity(Dimension::money_per_kwh, "electricity")},
                 {"tariff", text("electricity at this tariff of the price card")},
                 {"pue", ratio("facility power over server power, at least 1")},
                 {"horizon", quantity(Dimension::seconds, "straight-line depreciation to zero")},
                 {"maintenance", ratio("a year, as a share of the purchase price")},
                 {"carbon_kg_per_kwh", ratio("of the grid, kg of CO2 a kWh")},
                 {"formula", one_of("what counts", {{"full", ""}, {"article", ""}})},
                 {"capex", list_of("parts of a node's price, instead of node_price", part)},
                 {"cooling_premium", ratio("liquid cooling, a share of the purchases on top")},
                 {"depreciation", quantity(Dimension::seconds, "to zero; else over the horizon")},
                 {"financing", loan},
                 {"time_of_use", list_of("electricity by hour of the day", band)},
                 {"load_by_hour", list_of("factors on the mean power, 24 of them", ratio(""))},
                 {"space", space},
                 {"staff", list_of("who runs it", role)},
                 {"model_updates", updates},
                 {"api", text("the interface of somebody else to compare with, on the price card")},
                 {"cache_hit", ratio("share of input tokens that the interface bills as hits")}});
}

Json power() {
  return map_of("GPU power model instead of the card's: shares of (TDP - idle)",
                {{"busy", ratio("while any kernel runs")},
                 {"tensor", ratio("at full arithmetic rate")},
                 {"memory", ratio("at full memory bandwidth")},
                 {"link", ratio("at full scale-up bandwidth")}});
}

Json published() {
  const Json figure = map_of("one figure",
                             {{"figure", text("its place in summary.json: pools.decode.busy")},
                              {"quantity", text("what it is, with its unit")},
                              {"value", {{"type", "number"}, {"description", "as published"}}}},
                             {"figure", "quantity", "value"});
  return map_of("what was published of this very deployment, set beside the result",
                {{"source", text("who said so, where it stands")},
                 {"date", text("YYYY, YYYY-MM or YYYY-MM-DD")},
                 {"figures", list_of("figures", figure)}},
                {"source", "date", "figures"});
}

Json records() {
  // A word or a map: what is said of properties does not touch the word.
  return {{"description", "requests that are kept one by one; figures are always over all"},
          {"anyOf", {{{"enum", {"all", "none"}}}, {{"type", "object"}}}},
          {"required", {"one_in"}},
          {"additionalProperties", false},
          {"properties", {{"one_in", integer("keeps one request of so many in a row")}}}};
}

}  // namespace

std::string json_schema() {
  Json schema = map_of(
      "A deployment of a language model and the traffic it serves",
      {{"foretoken", {{"description", "format version"}, {"const", 1}}},
       {"name", text("title of the report")},
       {"model", text("catalogue name, or path of a Hugging Face config.json")},
       {"engine", text("catalogue name, such as sglang-0.5.9")},
       {"calibration",
        text("own measurements beside the product's: a file that foretoken calibrate "
             "wrote, relative to the scenario")},
       {"hardware", hardware()},
       {"deployment", deployment()},
       {"workload", workload()},
       {"slo",
        {{"type", "array"},
         {"description", "latency limits, such as ttft.p99 <= 2s"},
         {"items",
          {{"type", "string"},
           {"pattern", "^ *(ttft|tpot|e2el)[.](p50|p90|p95|p99|mean) *<=? *[0-9.]+ ?[a-z]+ *$"}}}}},
       {"published", published()},
       {"cost", cost()},
       {"power", power()},
       {"cluster", cluster()},
       {"network", Json::parse(network_json_schema())},
       {"records", records()},
       {"seed", integer("of every random stream", 0)}},
      {"foretoken", "model", "engine", "hardware", "workload"});
  Json result = {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                 {"title", "Foretoken scenario"}};
  result.update(schema);
  return result.dump(2) + "\n";
}

}  // namespace foretoken::scenarios::loader
