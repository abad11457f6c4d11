#include "validation/claims/claims_page.hpp"

#include <fmt/format.h>

#include <map>

#include "analysis/html_text.hpp"
#include "analysis/report/assets.hpp"
#include "validation/claims/claim_text.hpp"
#include "validation/claims/verdict.hpp"

namespace foretoken::validation::claims {
namespace {

using analysis::html_text;

// On top of the report's style: which language shows, and the colours of verdicts.
constexpr std::string_view kStyle = R"(
#zh:checked ~ * .en, #en:checked ~ * .zh { display: none; }
#zh, #en { margin-left: 1.25rem; }
td { vertical-align: top; }
td.v { white-space: nowrap; font-weight: 600; }
.holds { color: var(--good); } .off { color: var(--doubt); }
.contradicts, .impossible { color: var(--bad); } .untestable { color: var(--quiet); }
details { margin: .2rem 0; } summary { cursor: pointer; }
)";

// Both languages, one of which the style hides.
std::string both(const std::string& en, const std::string& zh) {
  return fmt::format(R"(<span class="en" lang="en">{}</span><span class="zh" lang="zh">{}</span>)",
                     html_text(en), html_text(zh));
}
std::string both(const Text& text) { return both(text.en, text.zh); }

std::string_view class_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::holds:
      return "holds";
    case Outcome::off:
      return "off";
    case Outcome::contradicts:
      return "contradicts";
    case Outcome::impossible:
      return "impossible";
    case Outcome::untestable:
      return "untestable";
  }
  return "";
}

std::string zh_of(Outcome outcome, double factor) {
  switch (outcome) {
    case Outcome::holds:
      return "成立";
    case Outcome::off:
      return fmt::format(fmt::runtime(factor < 10 ? "相差 {:.2g} 倍" : "相差 {:.0f} 倍"), factor);
    case Outcome::contradicts:
      return "自相矛盾";
    case Outcome::impossible:
      return "不可能";
    case Outcome::untestable:
      return "此处无法检验";
  }
  return "";
}

std::string check_row(const Check& check) {
  return fmt::format(
      R"(<tr><td class="v {}">{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>)",
      class_of(check.outcome), both(outcome_text(check), zh_of(check.outcome, check.factor)),
      both(check.says), html_text(claimed_text(check)), html_text(predicted_text(check)),
      html_text(std::string(to_string(check.predicted.value.provenance))), both(check.because));
}

std::string claim_section(const Claim& claim) {
  const Check* const worst = claim.worst();
  std::string out = fmt::format(
      R"(<section aria-labelledby="{0}"><h3 id="{0}">{0} <span class="{1}">{2}</span></h3><p>{3}</p><p class="quiet">{4}</p>)",
      html_text(claim.id), class_of(claim.outcome()),
      both(claim.verdict(), zh_of(claim.outcome(), worst != nullptr ? worst->factor : 1.0)),
      both(claim.says), both(claim.why()));
  if (worst != nullptr) {
    out += fmt::format(R"(<p class="quiet">{}: {} {}, {} {}</p>)", both(worst->says),
                       both("claimed", "文章称"), html_text(claimed_text(*worst)),
                       both("predicted", "预测"), html_text(predicted_text(*worst)));
    out += fmt::format("<details><summary>{}</summary><table><thead><tr>",
                       both("every part of it", "逐项"));
    const std::pair<const char*, const char*> heads[] = {{"verdict", "结论"}, {"what", "内容"},
                                                         {"claimed", "文章"}, {"predicted", "预测"},
                                                         {"from", "来源"},    {"why", "原因"}};
    for (const auto& [en, zh] : heads) out += fmt::format("<th>{}</th>", both(en, zh));
    out += "</tr></thead><tbody>";
    for (const Check& check : claim.checks) out += check_row(check);
    out += "</tbody></table></details>";
  }
  return out + "</section>\n";
}

std::string counts(const std::vector<Claim>& claims) {
  std::map<Outcome, int> number;
  for (const Claim& claim : claims) ++number[claim.outcome()];
  std::string en, zh;
  for (const auto& [outcome, n] : number) {
    const std::string name =
        outcome == Outcome::off ? "off by a factor" : std::string(to_string(outcome));
    en += fmt::format("{}{} {}", en.empty() ? "" : ", ", n, name);
    zh += fmt::format("{}{} {}", zh.empty() ? "" : "，",
                      outcome == Outcome::off ? std::string("数值相差") : zh_of(outcome, 1.0), n);
  }
  return both(fmt::format("{} claims: {}.", claims.size(), en),
              fmt::format("共 {} 条：{}。", claims.size(), zh));
}

}  // namespace

std::string claims_page(const std::vector<Claim>& claims) {
  std::string out = fmt::format(
      R"(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Claims of two articles - Foretoken</title>
<style>{}{}</style>
</head>
<body>
<input type="radio" name="language" id="en" checked><label for="en">English</label>
<input type="radio" name="language" id="zh"><label for="zh" lang="zh">中文</label>
<main>
<h1>{}</h1>
<p>{}</p>
<p class="quiet">{}</p>
)",
      analysis::report_assets().style, kStyle,
      both("What two articles say a local deployment needs and costs, computed",
           "两篇文章关于本地部署需求与成本的说法：逐条计算与检验"),
      counts(claims),
      both("Each verdict is computed by running the scenario files of scenarios/claims; brackets "
           "are "
           "the prediction's stated error.",
           "每个结论均由 scenarios/claims 中的场景文件运行得出；括号内为预测误差范围。"));
  for (const Claim& claim : claims) out += claim_section(claim);
  return out + "</main>\n</body>\n</html>\n";
}

}  // namespace foretoken::validation::claims
