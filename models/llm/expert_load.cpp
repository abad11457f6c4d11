#include "models/llm/expert_load.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace foretoken::models::llm {
namespace {

// Experts are taken in groups of equal popularity: enough for sums over 8 to 512 of them.
constexpr std::size_t kGroups = 32;

struct Popularity {
  std::array<double, kGroups> load{};  // pairs of one expert of the group, falling
  std::size_t groups = 0;
  double experts_per_group = 0;
};

Popularity popularity(const MoeOp& op, double pairs) {
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

// Pairs of the most popular experts that fill one rank.
double most_popular(const Popularity& experts, double held) {
  double most = 0;
  for (std::size_t i = 0; i < experts.groups && held > 0; ++i) {
    most += experts.load[i] * std::min(held, experts.experts_per_group);
    held -= experts.experts_per_group;
  }
  return most;
}

// The least L for which `copies` more slots hold every expert in parts of at most L pairs.
double largest_copy(const Popularity& experts, double copies) {
  double low = 0, high = experts.load[0];
  constexpr int kHalvings = 30;
  for (int i = 0; i < kHalvings; ++i) {
    const double limit = (low + high) / 2;
    double needed = 0;
    for (std::size_t g = 0; g < experts.groups; ++g)
      needed += experts.experts_per_group *
                std::max(0.0, std::ceil(experts.load[g] / std::max(limit, 1e-12)) - 1);
    (needed <= copies ? high : low) = limit;
  }
  return high;
}

struct Busiest {
  double pairs = 0;
  double largest = 0;
};

Busiest busiest_rank(const MoeOp& op, const Popularity& experts, double pairs, double held) {
  const double mean = pairs / op.expert;
  if (op.rebalanced) {
    const double largest =
        largest_copy(experts, std::max(0.0, static_cast<double>(op.slots - op.experts)));
    return {std::max(mean, std::min(largest, pairs)), largest};
  }
  // Sum of `held` loads drawn without replacement, and its largest of op.expert draws.
  const double even = pairs / op.experts;
  double variance = 0;
  for (std::size_t i = 0; i < experts.groups; ++i) {
    const double apart = experts.load[i] - even;
    variance += apart * apart / static_cast<double>(experts.groups);
  }
  const double ranks = op.expert;
  const double spread = std::sqrt(variance * held * std::max(0.0, 1 - 1 / ranks)) *
                        std::sqrt(2 * std::log(std::max(1.0, ranks)));
  const double most = std::max(mean, std::min(pairs, most_popular(experts, held)));
  const double least = std::clamp(experts.load[0], mean, most);
  return {std::clamp(mean + spread, least, most), experts.load[0]};
}

}  // namespace

ExpertLoad expert_load(const MoeOp& op) {
  const double pairs = static_cast<double>(op.tokens) * op.top_k;
  const double slots = std::max(op.slots, op.experts);
  ExpertLoad out;
  out.held = slots / op.expert;
  const auto add = [&](double load, double count) {
    out.experts_touched += count * std::min(1.0, load);
    out.tiles64 += count * padded(load, 64);
  };
  const auto finish = [&](double scale) {
    out.experts_touched = std::min({out.experts_touched * scale, out.held, pairs});
    out.tiles64 *= scale;
  };
  if (op.skew <= 0) {
    out.routed_tokens = pairs / op.expert;
    out.largest_expert = pairs / slots;
    add(out.routed_tokens / out.held, out.held);
    finish(1.0);
    out.experts_touched = std::max(out.experts_touched, std::min(1.0, pairs));
    return out;
  }
  const Popularity experts = popularity(op, pairs);
  const Busiest busiest = busiest_rank(op, experts, pairs, out.held);
  out.routed_tokens = busiest.pairs;
  out.largest_expert = busiest.largest;
  for (std::size_t i = 0; i < experts.groups; ++i) add(experts.load[i], experts.experts_per_group);
  finish(out.held / op.experts * std::sqrt(out.routed_tokens / std::max(pairs / op.expert, 1e-12)));
  out.experts_touched = std::max(out.experts_touched, std::min(1.0, pairs));
  return out;
}

std::vector<double> expert_popularity(const MoeOp& op) {
  const double pairs = static_cast<double>(op.tokens) * op.top_k;
  if (pairs <= 0 || op.experts <= 0) return {};
  if (op.skew <= 0) return {1.0};
  const Popularity experts = popularity(op, pairs);
  std::vector<double> over_mean;
  for (std::size_t i = 0; i < experts.groups; ++i)
    over_mean.push_back(experts.load[i] * op.experts / pairs);
  return over_mean;
}

}  // namespace foretoken::models::llm
