#include "scenarios/loader/quantity.hpp"

#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <cmath>

namespace foretoken::scenarios::loader {
namespace {

double value(std::string_view text, Dimension dimension) {
  const QuantityText parsed = parse_quantity(text, dimension);
  INFO(text << ": " << parsed.problem);
  REQUIRE(parsed.value);
  return *parsed.value;
}

std::string problem(std::string_view text, Dimension dimension) {
  const QuantityText parsed = parse_quantity(text, dimension);
  CHECK_FALSE(parsed.value);
  return parsed.problem;
}

using Catch::Contains;

TEST_CASE("quantities are read into base units") {
  // 80e9 is exact; 1 GiB = 2^30 = 1073741824.
  CHECK(value("80GB", Dimension::bytes) == 80e9);
  CHECK(value("80 GB", Dimension::bytes) == 80e9);
  CHECK(value("1GiB", Dimension::bytes) == 1073741824.0);
  CHECK(value("1e3kB", Dimension::bytes) == 1e6);
  // 400 gigabits are 400e9 / 8 = 50e9 bytes.
  CHECK(value("400Gb/s", Dimension::bytes_per_second) == 50e9);
  CHECK(value("50GB/s", Dimension::bytes_per_second) == 50e9);
  CHECK(value("3.35TB/s", Dimension::bytes_per_second) == 3.35e12);
  CHECK(value("989TFLOPS", Dimension::flops_per_second) == 989e12);
  CHECK(value("1979TOPS", Dimension::flops_per_second) == 1979e12);
  CHECK(value("10.2kW", Dimension::watts) == 10200.0);
  CHECK(value("20us", Dimension::seconds) == 20e-6);
  CHECK(value("20\u00b5s", Dimension::seconds) == 20e-6);
  CHECK(value("1h", Dimension::seconds) == 3600.0);
  CHECK(value("2min", Dimension::seconds) == 120.0);
  CHECK(value("3y", Dimension::seconds) == 3.0 * 365 * 86400);
  CHECK(value("300/min", Dimension::hertz) == 5.0);
  CHECK(value("5req/s", Dimension::hertz) == 5.0);
  CHECK(value("1.98GHz", Dimension::hertz) == 1.98e9);
  CHECK(value("0.25", Dimension::ratio) == 0.25);
  CHECK(value("25%", Dimension::ratio) == 0.25);
}

TEST_CASE("prices carry their currency") {
  const QuantityText energy = parse_quantity("0.8CNY/kWh", Dimension::money_per_kwh);
  CHECK(energy.value == 0.8);
  CHECK(energy.currency == "CNY");
  // 80 USD a MWh are 0.08 USD a kWh.
  CHECK(parse_quantity("80USD/MWh", Dimension::money_per_kwh).value == 0.08);
  CHECK(parse_quantity("2.00USD/GPU/h", Dimension::money_per_gpu_hour).currency == "USD");
  CHECK(parse_quantity("250000CNY", Dimension::money).value == 250000.0);
}

TEST_CASE("a quantity that cannot be read says what to write") {
  CHECK(problem("80", Dimension::bytes) ==
        "'80' has no unit; expected an amount of memory, such as 80GB");
  CHECK(problem("700W", Dimension::bytes) ==
        "'700W' is a power; expected an amount of memory, such as 80GB");
  CHECK(problem("3.35TB", Dimension::bytes_per_second) ==
        "'3.35TB' is an amount of memory; expected a bandwidth, such as 3.35TB/s or 400Gb/s");
  CHECK(problem("400Gbps", Dimension::bytes_per_second) ==
        "unknown unit 'Gbps' in '400Gbps'; write Gb/s for gigabits or GB/s for gigabytes");
  CHECK(problem("80gb", Dimension::bytes) == "unknown unit 'gb' in '80gb'; did you mean GB?");
  CHECK(problem("5m", Dimension::seconds) ==
        "unknown unit 'm' in '5m'; write min for minutes or ms for milliseconds");
  CHECK_THAT(problem("1,5GB", Dimension::bytes), Contains("without separators"));
  CHECK_THAT(problem("1_000GB", Dimension::bytes), Contains("without separators"));
  CHECK_THAT(problem("lots", Dimension::bytes), Contains("'lots' is not an amount of memory"));
  CHECK_THAT(problem("nan", Dimension::ratio), Contains("is not a ratio"));
  CHECK_THAT(problem("infGB", Dimension::bytes), Contains("is not an amount of memory"));
  CHECK_THAT(problem("1e999GB", Dimension::bytes), Contains("out of the range"));
  CHECK_THAT(problem("1e300TB", Dimension::bytes), Contains("out of the range"));
  CHECK_THAT(problem("1.2RMB/kWh", Dimension::money_per_kwh), Contains("write CNY/kWh"));
  CHECK_THAT(problem("2USD/h", Dimension::money_per_gpu_hour), Contains("USD/GPU/h"));
  CHECK_THAT(problem("0.8CNY", Dimension::money_per_kwh), Contains("is a price; expected"));
  CHECK_THAT(problem("", Dimension::seconds), Contains("is not a time span"));
}

TEST_CASE("formatting picks a short unit") {
  CHECK(format_quantity(141e9, Dimension::bytes) == "141GB");
  CHECK(format_quantity(4.8e12, Dimension::bytes_per_second) == "4.8TB/s");
  CHECK(format_quantity(20e-6, Dimension::seconds) == "20us");
  CHECK(format_quantity(0.0, Dimension::seconds) == "0s");
  CHECK(format_quantity(3600.0, Dimension::seconds) == "1h");
  CHECK(format_quantity(989e12, Dimension::flops_per_second) == "989TFLOPS");
  CHECK(format_quantity(0.8, Dimension::money_per_kwh, "CNY") == "0.8CNY/kWh");
  CHECK(format_quantity(0.25, Dimension::ratio) == "0.25");
}

TEST_CASE("what is formatted reads back to the same number") {
  const auto round_trip = [](Dimension dimension, std::string_view currency) {
    CHECK(rc::check("format and parse are inverse", [&] {
      // All magnitudes that hardware, money and traffic have.
      const double mantissa = *rc::gen::inRange(1, 1 << 30) / 1048576.0;
      const double number = mantissa * std::pow(10.0, *rc::gen::inRange(-12, 21));
      const std::string text = format_quantity(number, dimension, currency);
      const QuantityText parsed = parse_quantity(text, dimension);
      RC_ASSERT(parsed.value.has_value());
      RC_ASSERT(*parsed.value == number);
      RC_ASSERT(parsed.currency == currency);
    }));
  };
  for (const Dimension dimension :
       {Dimension::bytes, Dimension::bytes_per_second, Dimension::flops_per_second,
        Dimension::watts, Dimension::seconds, Dimension::hertz, Dimension::ratio}) {
    round_trip(dimension, "");
  }
  round_trip(Dimension::money, "CNY");
  round_trip(Dimension::money_per_kwh, "USD");
  round_trip(Dimension::money_per_gpu_hour, "CNY");
}

TEST_CASE("any text is read or refused in words") {
  CHECK(rc::check("no crash, no silence", [] {
    const auto text = *rc::gen::container<std::string>(
        rc::gen::elementOf(std::string("0123456789.eE+-kMGTiBbs/ WhFLOPSUDCNYmun%\xc2\xb5")));
    for (const Dimension dimension : {Dimension::bytes, Dimension::seconds, Dimension::money,
                                      Dimension::ratio, Dimension::hertz}) {
      const QuantityText parsed = parse_quantity(text, dimension);
      RC_ASSERT(parsed.value.has_value() == parsed.problem.empty());
      if (parsed.value) RC_ASSERT(std::isfinite(*parsed.value));
    }
  }));
}

TEST_CASE("the nearest word is proposed, and only a near one") {
  const std::vector<std::string> words = {"tensor", "pipeline", "expert", "data_attention"};
  CHECK(did_you_mean("tenser", words) == "tensor");
  CHECK(did_you_mean("tesnor", words) == "tensor");
  CHECK(did_you_mean("Pipeline", words) == "pipeline");
  CHECK(did_you_mean("data_atention", words) == "data_attention");
  CHECK_FALSE(did_you_mean("replicas", words));
  CHECK_FALSE(did_you_mean("", words));
}

}  // namespace
}  // namespace foretoken::scenarios::loader
