// SPDX-License-Identifier: Apache-2.0
// JUnit's XML: failures are failures, inconclusive clauses errors; warnings and notes go to
// system-out, since the format has no word for them.
#include "conformance/report/report.hpp"

namespace whimbrel::conformance {

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') {
          out += "\xef\xbf\xbd";
        } else {
          out += c;
        }
    }
  }
  return out;
}

namespace {

std::string frames_of(const finding& f) {
  std::string out;
  for (const std::string& line : f.frames) out += line + '\n';
  return out;
}

void add_case(std::string& out, const finding& f) {
  const clause* c = find_clause(f.clause);
  const std::string section(c == nullptr ? "" : c->section);
  out += "  <testcase classname=\"" + escaped(section) + "\" name=\"" + escaped(f.clause) + ' ' +
         escaped(f.check) + "\">";
  const std::string text = escaped(f.text);
  switch (f.is) {
    case verdict::fail:
      out += "<failure message=\"" + text + "\">" + escaped(frames_of(f)) + "</failure>";
      break;
    case verdict::inconclusive:
      out += "<error message=\"" + text + "\">" + escaped(frames_of(f)) + "</error>";
      break;
    case verdict::skip:
      out += "<skipped message=\"" + text + "\"/>";
      break;
    default:
      out += "<system-out>" + std::string(to_text(f.is)) + ": " + text + "</system-out>";
  }
  out += "</testcase>\n";
}

}  // namespace

std::string to_junit(const report& r) {
  std::string out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"AMQP 1.0: " +
                    escaped(r.subject) + "\" tests=\"" + std::to_string(r.findings.size()) +
                    "\" failures=\"" + std::to_string(r.count(verdict::fail)) + "\" errors=\"" +
                    std::to_string(r.count(verdict::inconclusive)) + "\" skipped=\"" +
                    std::to_string(r.count(verdict::skip)) + "\" time=\"" +
                    std::to_string(r.seconds) + "\">\n";
  for (const finding& f : r.findings) add_case(out, f);
  return out + "</testsuite>\n";
}

}  // namespace whimbrel::conformance
