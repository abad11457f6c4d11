// Figures of cards: hardware, prices, models.
#include <fmt/format.h>

#include "scenarios/loader/card_file.hpp"
#include "scenarios/loader/cards.hpp"
#include "scenarios/loader/model_config.hpp"
#include "sim/core/error.hpp"
#include "validation/claims/quantity.hpp"

namespace foretoken::validation::claims {
namespace {

namespace loader = scenarios::loader;
using sim::core::InputError;

constexpr double kGiga = 1e9, kTera = 1e12;

Value from_card(double value) {
  // What a data sheet says is taken as it stands.
  return {value, 0.0, Provenance::analytical, {}};
}

// The card of whatever kind has this name.
std::map<std::string, double> figures_of(const std::string& name,
                                         const loader::Catalogue& catalogue) {
  std::map<std::string, double> out;
  const auto peaks = [&](const auto& peak) {
    for (const auto& [dtype, rate] : peak)
      out["peak_" + std::string(to_string(dtype))] = rate.value() / kTera;
  };
  const auto file = loader::YamlFile::open(loader::find_card(name, catalogue, "hardware", {}));
  const auto kind = file.root().optional<std::string>("card").value_or("");
  if (kind == "gpu") {
    const auto gpu = loader::load_gpu(name, catalogue).card.spec;
    peaks(gpu.peak);
    out["memory"] = gpu.memory.value() / kGiga;
    out["bandwidth"] = gpu.memory_bandwidth.value() / kGiga;
    out["link"] = gpu.scale_up_bandwidth.value() / kGiga;
    out["tdp"] = gpu.tdp.value();
  } else if (kind == "cpu") {
    const auto cpu = loader::load_cpu(name, catalogue).card.spec;
    peaks(cpu.peak);
    out["memory"] = cpu.memory.value() / kGiga;
    out["bandwidth"] = cpu.memory_bandwidth.value() / kGiga;
    out["tdp"] = cpu.tdp.value();
  } else if (kind == "nic") {
    const auto nic = loader::load_nic(name, catalogue).card.spec;
    out["bandwidth"] = nic.bandwidth.value() * 8 / kGiga;  // Gb/s
    out["latency"] = nic.latency_s * 1e6;                  // us
    out["power"] = nic.power.value();
  } else if (kind == "storage") {
    const auto storage = loader::load_storage(name, catalogue).card.spec;
    out["capacity"] = storage.capacity.value() / kGiga;
    out["read"] = storage.read_bandwidth.value() / kGiga;
    out["power"] = storage.power.value();
  } else if (kind == "node") {
    const auto node = loader::load_node(name, catalogue).card.spec;
    out["gpus"] = node.gpus;
    // At the wall, every GPU at its limit and the host loaded.
    out["full_load"] =
        (node.gpus * node.gpu.tdp.value() + node.host_load.value()) / node.psu_efficiency;
    out["idle"] =
        (node.gpus * node.gpu.idle.value() + node.host_idle.value()) / node.psu_efficiency;
  }
  return out;
}

const models::cost::Price* find(const std::map<std::string, models::cost::Price>& prices,
                                const std::string& name) {
  const auto it = prices.find(name);
  return it == prices.end() ? nullptr : &it->second;
}

}  // namespace

Compute card_quantity(const QuantityContext& context) {
  const auto name = context.node.required<std::string>("card");
  const auto figure = context.node.required<std::string>("figure");
  if (name.empty() || figure.empty()) return {};
  std::map<std::string, double> known;
  try {
    known = figures_of(name, context.workshop.catalogue());
  } catch (const InputError& error) {
    context.node.any_child("card").error(error.diagnostics().front().message);
    return {};
  }
  if (known.empty()) {
    context.node.any_child("card").error(fmt::format("'{}' is no card of hardware", name));
    return {};
  }
  const auto it = known.find(figure);
  if (it == known.end()) {
    std::vector<std::string> names;
    for (const auto& [key, value] : known) names.push_back(key);
    unknown_figure(context, figure, names);
    return {};
  }
  return [value = from_card(it->second)](const Values&) { return value; };
}

// In CNY: {price: CARD, gpu: NAME} or node, electricity, or rent with tier.
Compute price_quantity(const QuantityContext& context) {
  const auto card_name = context.node.required<std::string>("price");
  const auto gpu = context.node.optional<std::string>("gpu");
  const auto node = context.node.optional<std::string>("node");
  const auto rent = context.node.optional<std::string>("rent");
  const auto tier = context.node.optional<std::string>("tier");
  const auto electricity = context.node.optional<std::string>("electricity");
  if (card_name.empty()) return {};
  loader::PriceCard card;
  try {
    card = loader::load_prices(card_name, context.workshop.catalogue()).card;
  } catch (const InputError& error) {
    context.file.absorb(error.diagnostics());
    return {};
  }
  const models::cost::Price* price = nullptr;
  if (gpu) price = find(card.gpus, *gpu);
  if (node) price = find(card.nodes, *node);
  if (electricity) price = find(card.electricity, *electricity);
  if (rent && card.rent.contains(*rent)) price = find(card.rent.at(*rent), tier.value_or(""));
  if (price == nullptr) {
    context.node.error(fmt::format("price card {} has no such price", card_name));
    return {};
  }
  const bool stated = price->source.find("assumed") == std::string::npos;
  const double cny = models::cost::in_currency(*price, models::cost::Currency::CNY, card.exchange);
  const auto error = context.node.optional<loader::Ratio>("error").value_or(loader::Ratio{0.0});
  Value value{cny, error.value, stated ? Provenance::user : Provenance::assumed, {}};
  return [value](const Values&) { return value; };
}

Compute parameters_quantity(const QuantityContext& context) {
  const auto name = context.node.required<std::string>("parameters");
  if (name.empty()) return {};
  try {
    const auto model = loader::read_model_config(context.workshop.catalogue().root() /
                                                 "scenarios/models" / (name + ".json"));
    const auto count = models::llm::count_parameters(model);
    return [value = static_cast<double>(count.total) / kGiga](const Values&) {
      return from_card(value);
    };
  } catch (const InputError& error) {
    context.node.any_child("parameters").error(error.diagnostics().front().message);
    return {};
  }
}

}  // namespace foretoken::validation::claims
