#include "validation/training/fit.hpp"

#include <algorithm>
#include <cmath>
#include <set>

namespace foretoken::validation::training {
namespace {

using scenarios::loader::FittedConstant;

// A free number: ln of a constant, with its prior.
struct Free {
  std::string name;
  double prior = 0, spread = 0.1, value = 0;
  double least = -1e9, most = 1e9;
  std::string around;  // special value: of this constant
};

std::vector<std::string> special_names(const FittedConstant& c, const Sample& sample) {
  std::vector<std::string> names;
  if (c.by == "release" && sample.account.tokens_per_expert > 0 && !sample.spec.release.empty())
    names.push_back(c.name + "/" + sample.spec.release);
  if (c.by == "gpu" || c.by == "gpu_arithmetic")
    names.push_back(c.name + "/gpu/" + sample.spec.node.gpu.name);
  if (c.by == "gpu_arithmetic")
    names.push_back(c.name + "/arithmetic/" + std::string(to_string(sample.spec.arithmetic)));
  return names;
}

class Problem {
 public:
  Problem(const std::vector<const Sample*>& samples, Constants base,
          const std::vector<FittedConstant>& fitted)
      : samples_(samples), base_(std::move(base)) {
    for (const FittedConstant& c : fitted) {
      Free common{c.name,
                  std::log(c.prior),
                  c.spread,
                  std::log(c.prior),
                  c.least > 0 ? std::log(c.least) : -1e9,
                  std::log(c.most),
                  ""};
      free_.push_back(common);
      if (c.by.empty()) continue;
      std::set<std::string> names;
      for (const Sample* sample : samples)
        for (std::string& name : special_names(c, *sample)) names.insert(std::move(name));
      for (const std::string& name : names)
        free_.push_back({name, 0.0, c.by_spread, 0.0, -1e9, 1e9, c.name});
    }
  }

  Constants solve() {
    std::vector<double> r = residuals();
    double best = cost(r);
    double damping = 1e-3;
    for (int round = 0; round < 60; ++round) {
      const auto step = newton_step(r, damping);
      std::vector<double> old;
      double moved = 0;
      for (std::size_t i = 0; i < free_.size(); ++i) {
        old.push_back(free_[i].value);
        free_[i].value = std::clamp(free_[i].value + step[i], free_[i].least, free_[i].most);
        moved = std::max(moved, std::abs(free_[i].value - old[i]));
      }
      const std::vector<double> next = residuals();
      if (cost(next) <= best) {
        r = next;
        best = cost(next);
        damping = std::max(1e-6, damping * 0.3);
      } else {
        for (std::size_t i = 0; i < free_.size(); ++i) free_[i].value = old[i];
        damping *= 10;
      }
      if (moved < 1e-6 || damping > 1e6) break;
    }
    return constants();
  }

 private:
  [[nodiscard]] Constants constants() const {
    Constants all = base_;
    std::map<std::string, double> common;
    for (const Free& f : free_)
      if (f.around.empty()) common[f.name] = f.value;
    for (const Free& f : free_) {
      // A release stands for itself; what is special to a GPU multiplies the common value.
      const bool whole = !f.around.empty() && f.around == "release";
      all[f.name] = std::exp(f.value + (whole ? common.at(f.around) : 0.0));
    }
    return all;
  }

  // ln(predicted / measured) of every row in units of what a good model leaves over, then the
  // distance of every constant from its prior.
  [[nodiscard]] std::vector<double> residuals() const {
    // Of layers with experts one configuration drifts by tens of per cent between releases.
    constexpr double kNoise = 0.03, kNoiseOfExperts = 0.10;
    const Constants all = constants();
    std::vector<double> r;
    r.reserve(samples_.size() + free_.size());
    for (const Sample* s : samples_)
      r.push_back(std::log(predict(*s, all) / s->row->step_s) /
                  (s->row->experts ? kNoiseOfExperts : kNoise));
    for (const Free& f : free_) r.push_back((f.value - f.prior) / f.spread);
    return r;
  }
  // Huber: beyond this many units an error counts by its size alone.
  static constexpr double kHuber = 2.0;
  [[nodiscard]] double cost(const std::vector<double>& r) const {
    double sum = 0;
    for (std::size_t i = 0; i < r.size(); ++i) {
      const double a = std::abs(r[i]);
      sum += i >= samples_.size() || a <= kHuber ? a * a : 2 * kHuber * a - kHuber * kHuber;
    }
    return sum;
  }
  [[nodiscard]] double weight(std::size_t i, double r) const {
    return i >= samples_.size() || std::abs(r) <= kHuber ? 1.0 : kHuber / std::abs(r);
  }

  std::vector<double> newton_step(const std::vector<double>& r, double damping) {
    const std::size_t n = free_.size();
    std::vector<std::vector<double>> columns;
    constexpr double kStep = 1e-4;
    for (Free& f : free_) {
      const double kept = f.value;
      f.value += kStep;
      std::vector<double> moved = residuals();
      f.value = kept;
      for (std::size_t i = 0; i < r.size(); ++i) moved[i] = (moved[i] - r[i]) / kStep;
      columns.push_back(std::move(moved));
    }
    std::vector<std::vector<double>> a(n, std::vector<double>(n + 1, 0.0));
    for (std::size_t j = 0; j < n; ++j)
      for (std::size_t i = 0; i < r.size(); ++i) {
        const double w = weight(i, r[i]);
        for (std::size_t k = 0; k < n; ++k) a[j][k] += w * columns[j][i] * columns[k][i];
        a[j][n] -= w * columns[j][i] * r[i];
      }
    for (std::size_t j = 0; j < n; ++j) a[j][j] *= 1 + damping;
    return eliminate(a);
  }
  // Gauss with partial pivoting; the priors keep the matrix positive.
  static std::vector<double> eliminate(std::vector<std::vector<double>>& a) {
    const std::size_t n = a.size();
    for (std::size_t j = 0; j < n; ++j) {
      std::size_t pivot = j;
      for (std::size_t i = j + 1; i < n; ++i)
        if (std::abs(a[i][j]) > std::abs(a[pivot][j])) pivot = i;
      std::swap(a[j], a[pivot]);
      for (std::size_t i = j + 1; i < n; ++i) {
        const double factor = a[i][j] / a[j][j];
        for (std::size_t k = j; k <= n; ++k) a[i][k] -= factor * a[j][k];
      }
    }
    std::vector<double> x(n);
    for (std::size_t j = n; j-- > 0;) {
      double sum = a[j][n];
      for (std::size_t k = j + 1; k < n; ++k) sum -= a[j][k] * x[k];
      x[j] = sum / a[j][j];
    }
    return x;
  }

  const std::vector<const Sample*>& samples_;
  Constants base_;
  std::vector<Free> free_;
};

}  // namespace

double predict(const Sample& sample, const Constants& constants) {
  sample.spec.software.constants = constants;
  return models::training::estimate_step(sample.spec, sample.account).seconds;
}

Constants fit_constants(const std::vector<const Sample*>& samples, const Constants& base,
                        const std::vector<FittedConstant>& fitted) {
  if (fitted.empty() || samples.empty()) return base;
  return Problem(samples, base, fitted).solve();
}

}  // namespace foretoken::validation::training
