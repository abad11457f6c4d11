#include "validation/cases/case_file.hpp"

#include <catch2/catch.hpp>

#include "sim/core/error.hpp"

using namespace foretoken::validation::cases;
using foretoken::scenarios::loader::YamlFile;

namespace {

std::string text(const std::string& limit) {
  return "case: mine\nquantity: tokens/s\nmeasured: 2000\nlimit: " + limit +
         "\nsource: {is: a report, date: 2025-05}\nevaluate: step\n";
}

CaseHead read(const std::string& limit) {
  YamlFile file = YamlFile::parse(text(limit), "mine.yaml");
  CaseHead head = read_case_head(file, "mine.yaml");
  file.finish();
  return head;
}

}  // namespace

TEST_CASE("A case says what was measured, by whom, and how near a prediction must come") {
  const CaseHead head = read("8%");
  CHECK(head.id == "mine");
  CHECK(head.measured == 2000);
  CHECK(head.limit == 8);
  CHECK_FALSE(head.points);
  CHECK(head.date == "2025-05");
  CHECK(head.evaluator == "step");
  CHECK(read("10 points").points);
}

TEST_CASE("A limit without a unit, a negative one, and another file's name are refused") {
  for (const char* const limit : {"8", "-8%", "8 miles", "x"})
    CHECK_THROWS_AS(read(limit), foretoken::sim::core::InputError);
  YamlFile file = YamlFile::parse(text("8%"), "other.yaml");
  (void)read_case_head(file, "other.yaml");
  CHECK_THROWS_WITH(file.finish(), Catch::Contains("make them equal"));
}

TEST_CASE("A folder without cases is refused") {
  CHECK_THROWS_AS(case_files("/nonexistent"), foretoken::sim::core::InputError);
}
