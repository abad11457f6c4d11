// Every distribution is held to its mean and variance (within five standard errors) and to a
// Kolmogorov-Smirnov test at the 0.1 % level, on fixed seeds.
#include "sim/core/random.hpp"

#include <Random123/philox.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <functional>
#include <vector>

using namespace foretoken::sim::core;

namespace {

constexpr std::size_t kDraws = 200'000;

std::vector<double> draws(const std::function<double(Random&)>& draw) {
  Random random(20240711, 7, 3);
  std::vector<double> values(kDraws);
  for (double& v : values) v = draw(random);
  return values;
}

double ks_distance(std::vector<double> values, const std::function<double(double)>& cdf) {
  std::sort(values.begin(), values.end());
  const auto n = static_cast<double>(values.size());
  double distance = 0.0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double f = cdf(values[i]);
    distance =
        std::max({distance, f - static_cast<double>(i) / n, static_cast<double>(i + 1) / n - f});
  }
  return distance;
}

// `fourth`: the fourth central moment, which gives the error of the sample variance.
void check(const std::vector<double>& values, double mean, double variance, double fourth) {
  const auto n = static_cast<double>(values.size());
  double sum = 0.0;
  for (const double v : values) sum += v;
  const double sample_mean = sum / n;
  double squares = 0.0;
  for (const double v : values) squares += (v - mean) * (v - mean);
  CHECK(std::abs(sample_mean - mean) < 5.0 * std::sqrt(variance / n));
  CHECK(std::abs(squares / n - variance) < 5.0 * std::sqrt((fourth - variance * variance) / n));
}

// 1.95 / sqrt(n): the 0.1 % critical value of the Kolmogorov-Smirnov statistic.
void check_ks(const std::vector<double>& values, const std::function<double(double)>& cdf) {
  CHECK(ks_distance(values, cdf) < 1.95 / std::sqrt(static_cast<double>(values.size())));
}

double normal_cdf(double z) { return 0.5 * std::erfc(-z / std::sqrt(2.0)); }

// The regularised lower incomplete gamma function by its power series.
double gamma_cdf(double shape, double x) {
  if (x <= 0.0) return 0.0;
  double term = 1.0 / shape;
  double sum = term;
  for (double k = 1.0; k < 2000.0 && term > 1e-17 * sum; k += 1.0) {
    term *= x / (shape + k);
    sum += term;
  }
  return sum * std::exp(-x + shape * std::log(x) - std::lgamma(shape));
}

}  // namespace

TEST_CASE("Philox gives the published words") {
  // Random123, kat_vectors: philox4x32 10, counter 0, key 0: 6627e8d5 e169c58d bc57ac4c 9b00dbd8.
  Random zero(0, 0, 0);
  CHECK(zero.bits() == 0xe169c58d6627e8d5U);
  CHECK(zero.bits() == 0x9b00dbd8bc57ac4cU);
}

TEST_CASE("every word is Random123's") {
  // Blocks are made several at a time, with vector instructions where the machine has them.
  const std::uint64_t seed = 0xfedcba9876543210U;
  const std::uint32_t entity = 0x80000001U, purpose = 0xffffffffU;
  Random random(seed, entity, purpose);
  for (std::uint32_t block = 0; block < 40; ++block) {
    const r123::Philox4x32 philox;
    const auto words = philox(r123::Philox4x32::ctr_type{{block, 0, entity, purpose}},
                              r123::Philox4x32::key_type{{0x76543210U, 0xfedcba98U}});
    CHECK(random.bits() == ((std::uint64_t{words[1]} << 32) | words[0]));
    CHECK(random.bits() == ((std::uint64_t{words[3]} << 32) | words[2]));
  }
}

TEST_CASE("streams repeat, and differ by seed, entity and purpose") {
  Random a(1, 2, 3), same(1, 2, 3), seed(2, 2, 3), entity(1, 3, 3), purpose(1, 2, 4);
  for (int i = 0; i < 100; ++i) {
    const std::uint64_t x = a.bits();
    CHECK(x == same.bits());
    CHECK(x != seed.bits());
    CHECK(x != entity.bits());
    CHECK(x != purpose.bits());
  }
}

TEST_CASE("uniform") {
  const auto values = draws([](Random& r) { return r.uniform(2.0, 6.0); });
  // Width w = 4: variance w^2/12 = 4/3, fourth central moment w^4/80 = 3.2.
  check(values, 4.0, 4.0 / 3.0, 3.2);
  check_ks(values, [](double x) { return (x - 2.0) / 4.0; });
  CHECK(*std::min_element(values.begin(), values.end()) >= 2.0);
  CHECK(*std::max_element(values.begin(), values.end()) < 6.0);
}

TEST_CASE("integers are uniform and keep to their range") {
  Random random(5, 0, 0);
  std::vector<int> counts(7, 0);
  for (std::size_t i = 0; i < 70'000; ++i) ++counts[random.below(7)];
  // Chi-squared with 6 degrees of freedom: 22.46 at the 0.1 % level.
  double chi = 0.0;
  for (const int c : counts) chi += (c - 10'000.0) * (c - 10'000.0) / 10'000.0;
  CHECK(chi < 22.46);
  for (int i = 0; i < 1000; ++i) {
    const std::int64_t x = random.integer(-3, 3);
    CHECK((x >= -3 && x <= 3));
  }
  CHECK(random.integer(4, 4) == 4);
  random.integer(INT64_MIN, INT64_MAX);
  CHECK_THROWS_AS(random.integer(1, 0), std::invalid_argument);
}

TEST_CASE("exponential") {
  const auto values = draws([](Random& r) { return r.exponential(3.0); });
  // Mean m: variance m^2, fourth central moment 9 m^4.
  check(values, 3.0, 9.0, 9.0 * 81.0);
  check_ks(values, [](double x) { return 1.0 - std::exp(-x / 3.0); });
}

TEST_CASE("the exponential's tail beyond the last layer has the right weight") {
  // P(X > 7.697) = exp(-7.697) = 4.541e-4: 908 of 2 million, standard deviation 30.
  Random random(9, 0, 0);
  int beyond = 0;
  double excess = 0.0;
  for (int i = 0; i < 2'000'000; ++i) {
    const double x = random.exponential(1.0);
    if (x <= 7.69711747013104972) continue;
    ++beyond;
    excess += x - 7.69711747013104972;
  }
  CHECK(std::abs(beyond - 908.2) < 150.0);
  CHECK(excess / beyond == Approx(1.0).margin(0.17));  // memoryless: mean 1, five errors of 1/30
}

TEST_CASE("normal") {
  const auto values = draws([](Random& r) { return r.normal(1.0, 2.0); });
  check(values, 1.0, 4.0, 3.0 * 16.0);
  check_ks(values, [](double x) { return normal_cdf((x - 1.0) / 2.0); });
}

TEST_CASE("the normal's tail beyond the last layer has the right weight") {
  // P(|X| > 3.654) = 2.58e-4: 516 of 2 million, standard deviation 23.
  Random random(10, 0, 0);
  int beyond = 0;
  for (int i = 0; i < 2'000'000; ++i) beyond += std::abs(random.normal()) > 3.6541528853610088;
  const double expected = 2e6 * std::erfc(3.6541528853610088 / std::sqrt(2.0));
  CHECK(std::abs(beyond - expected) < 5.0 * std::sqrt(expected));
}

TEST_CASE("gamma, above and below shape 1") {
  for (const double shape : {0.3, 1.0, 2.5, 40.0}) {
    const auto values = draws([&](Random& r) { return r.gamma(shape, 2.0); });
    // Scale s: mean k s, variance k s^2, fourth central moment (3 k^2 + 6 k) s^4.
    check(values, 2.0 * shape, 4.0 * shape, (3.0 * shape * shape + 6.0 * shape) * 16.0);
    check_ks(values, [&](double x) { return gamma_cdf(shape, x / 2.0); });
  }
  Random random(1, 1, 1);
  CHECK_THROWS_AS(random.gamma(0.0, 1.0), std::invalid_argument);
}

TEST_CASE("Weibull") {
  for (const double shape : {0.7, 1.0, 3.0}) {
    const auto values = draws([&](Random& r) { return r.weibull(shape, 5.0); });
    // Raw moments m_j = 5^j Gamma(1 + j / shape).
    const auto raw = [&](double j) { return std::pow(5.0, j) * std::tgamma(1.0 + j / shape); };
    const double m = raw(1);
    const double variance = raw(2) - m * m;
    const double fourth = raw(4) - 4 * m * raw(3) + 6 * m * m * raw(2) - 3 * m * m * m * m;
    check(values, m, variance, fourth);
    check_ks(values, [&](double x) { return 1.0 - std::exp(-std::pow(x / 5.0, shape)); });
  }
}

TEST_CASE("lognormal") {
  const auto values = draws([](Random& r) { return r.lognormal(0.5, 0.4); });
  // Raw moments m_j = exp(j mu + j^2 sigma^2 / 2).
  const auto raw = [](double j) { return std::exp(0.5 * j + 0.08 * j * j); };
  const double m = raw(1);
  check(values, m, raw(2) - m * m,
        raw(4) - 4 * m * raw(3) + 6 * m * m * raw(2) - 3 * m * m * m * m);
  check_ks(values, [](double x) { return normal_cdf((std::log(x) - 0.5) / 0.4); });
}

TEST_CASE("Zipf gives each rank its share") {
  for (const double exponent : {0.0, 0.8, 1.0, 1.7}) {
    const Zipf zipf(50, exponent);
    Random random(11, 0, 0);
    std::vector<double> counts(51, 0.0);
    for (std::size_t i = 0; i < kDraws; ++i) counts[zipf(random)] += 1.0;
    double norm = 0.0;
    for (int k = 1; k <= 50; ++k) norm += std::pow(k, -exponent);
    double chi = counts[0];
    for (int k = 1; k <= 50; ++k) {
      const double expected = static_cast<double>(kDraws) * std::pow(k, -exponent) / norm;
      const double off = counts[static_cast<std::size_t>(k)] - expected;
      chi += off * off / expected;
    }
    CHECK(chi < 85.35);  // chi-squared, 49 degrees of freedom, 0.1 % level
  }
  Random random(1, 0, 0);
  CHECK(Zipf(1, 1.1)(random) == 1);
  CHECK_THROWS_AS(Zipf(0, 1.0), std::invalid_argument);
  CHECK_THROWS_AS(Zipf(5, -1.0), std::invalid_argument);
}

TEST_CASE("empirical") {
  // Sorted 1, 2, 4, 8: the 0.5 quantile lies half-way between 2 and 4.
  const std::vector<double> sample{8, 1, 4, 2};
  const Empirical empirical(sample);
  CHECK(empirical.quantile(0.0) == 1.0);
  CHECK(empirical.quantile(0.5) == 3.0);
  CHECK(empirical.quantile(1.0) == 8.0);
  const auto values = draws([&](Random& r) { return empirical(r); });
  check_ks(values, [](double x) {
    return x < 2 ? (x - 1) / 3 : x < 4 ? (1 + (x - 2) / 2) / 3 : (2 + (x - 4) / 4) / 3;
  });
  // Each third is uniform over [1,2], [2,4], [4,8]: mean 3.5; E x^2 = (7/3 + 28/3 + 112/3)/3 =
  // 49/3.
  double sum = 0.0, squares = 0.0;
  for (const double v : values) {
    sum += v;
    squares += v * v;
  }
  CHECK(sum / kDraws == Approx(3.5).margin(5 * std::sqrt((49.0 / 3 - 12.25) / kDraws)));
  CHECK(squares / kDraws == Approx(49.0 / 3).margin(0.25));
  CHECK_THROWS_AS(Empirical(std::vector<double>{}), std::invalid_argument);
}

TEST_CASE("discrete gives each index its weight, and zero weight never") {
  const std::vector<double> weights{1, 0, 3, 6};
  const Discrete discrete(weights);
  Random random(3, 0, 0);
  std::vector<double> counts(4, 0.0);
  for (std::size_t i = 0; i < 100'000; ++i) counts[discrete(random)] += 1.0;
  CHECK(counts[1] == 0.0);
  const double chi = std::pow(counts[0] - 1e4, 2) / 1e4 + std::pow(counts[2] - 3e4, 2) / 3e4 +
                     std::pow(counts[3] - 6e4, 2) / 6e4;
  CHECK(chi < 13.82);  // 2 degrees of freedom, 0.1 % level
  CHECK_THROWS_AS(Discrete(std::vector<double>{0.0, 0.0}), std::invalid_argument);
  CHECK_THROWS_AS(Discrete(std::vector<double>{1.0, -1.0}), std::invalid_argument);
}
