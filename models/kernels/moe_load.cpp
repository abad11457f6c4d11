#include "models/kernels/moe_load.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace foretoken::models::kernels {
namespace {

// Experts are taken in groups of equal popularity: enough for sums over 8 to 512 of them.
constexpr std::size_t kGroups = 32;

struct Popularity {
  std::array<double, kGroups> load;  // pairs of one expert of the group, falling
  std::size_t groups = 0;
  double experts_per_group = 0;
};

Popularity popularity(const llm::MoeOp& op, double pairs) {
  Popularity result;
  result.groups = std::min<std::size_t>(kGroups, static_cast<std::size_t>(op.experts));
  result.experts_per_group = static_cast<double>(op.experts) / static_cast<double>(result.groups);
  const double tokens = static_cast<double>(op.tokens);
  // Few pairs: the collector draws between 0.01 and 2 instead of 1 and 0.8 tokens.
  const double span = pairs > op.experts ? std::max(2.0, 0.8 * tokens) : 200.0;
  const double power = 1.0 - op.skew;
  const double top = std::pow(span, power) - 1;
  double sum = 0;
  for (std::size_t i = 0; i < result.groups; ++i) {
    const double u = 1 - (static_cast<double>(i) + 0.5) / static_cast<double>(result.groups);
    result.load[i] = std::abs(power) < 1e-6 ? std::pow(span, u) : std::pow(1 + u * top, 1 / power);
    sum += result.load[i] * result.experts_per_group;
  }
  // A token picks top_k different experts: none gets more pairs than there are tokens, and what is
  // cut goes to the others.
  double left = pairs, weight = sum;
  for (std::size_t i = 0; i < result.groups; ++i) {
    const double share = result.load[i] * result.experts_per_group;
    const double load = std::min(tokens, weight > 0 ? left * result.load[i] / weight : 0.0);
    weight -= share;
    left -= load * result.experts_per_group;
    result.load[i] = load;
  }
  return result;
}

double padded(double load, double tile) {
  return load <= 0 ? 0 : std::max(std::min(load, 1.0), load / tile + 0.5 * std::min(load, 1.0));
}

}  // namespace

MoeLoad moe_load(const llm::MoeOp& op) {
  const double pairs = static_cast<double>(op.tokens) * op.top_k;
  MoeLoad out;
  out.held = static_cast<double>(op.experts) / op.expert;
  const auto finish = [&](double scale) {
    out.experts = std::min({out.experts * scale, out.held, pairs});
    out.tiles16 *= scale;
    out.tiles64 *= scale;
    out.tiles128 *= scale;
  };
  const auto add = [&](double load, double count) {
    out.experts += count * std::min(1.0, load);
    out.tiles16 += count * padded(load, 16);
    out.tiles64 += count * padded(load, 64);
    out.tiles128 += count * padded(load, 128);
  };
  if (op.skew <= 0) {
    out.pairs = pairs / op.expert;
    add(out.pairs / out.held, out.held);
    finish(1.0);
    return out;
  }
  const Popularity experts = popularity(op, pairs);
  const double mean = pairs / op.experts;
  double variance = 0;
  for (std::size_t i = 0; i < experts.groups; ++i) {
    const double apart = experts.load[i] - mean;
    variance += apart * apart / static_cast<double>(experts.groups);
    add(experts.load[i], experts.experts_per_group);
  }
  // Sum of `held` loads drawn without replacement: the largest of `expert` such sums lies about
  // sqrt(2 ln r) standard deviations above the mean (Gaussian maximum), no less than the most
  // popular expert alone.
  const double ranks = op.expert;
  const double spread = std::sqrt(variance * out.held * std::max(0.0, 1 - 1 / ranks)) *
                        std::sqrt(2 * std::log(std::max(1.0, ranks)));
  out.pairs = std::clamp(mean * out.held + spread, std::min(experts.load[0], pairs), pairs);
  finish(out.held / op.experts * std::sqrt(out.pairs / std::max(mean * out.held, 1e-12)));
  out.experts = std::max(out.experts, std::min(1.0, pairs));
  return out;
}

}  // namespace foretoken::models::kernels
