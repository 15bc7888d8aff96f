// SPDX-License-Identifier: Apache-2.0
#include "tests/tidy/source_file.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <utility>

namespace whimbrel::tidy {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> split_lines(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    out.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

/// Replaces comments and the insides of literals by blanks, keeping lines and columns.
class blanker {
 public:
  explicit blanker(std::string_view text) : text_(text), out_(text) {}

  std::string run() {
    while (at_ < text_.size()) {
      if (starts("//")) {
        blank_until("\n", false);
      } else if (starts("/*")) {
        blank_until("*/", true);
      } else if (starts("R\"") && !is_in_word()) {
        raw_string();
      } else if (text_[at_] == '"' || (text_[at_] == '\'' && !is_in_word())) {
        literal(text_[at_]);
      } else {
        ++at_;
      }
    }
    return out_;
  }

 private:
  [[nodiscard]] bool starts(std::string_view what) const {
    return text_.substr(at_).starts_with(what);
  }
  /// A quote behind a letter or digit separates digits or follows a prefix.
  [[nodiscard]] bool is_in_word() const {
    const char before = at_ == 0 ? ' ' : text_[at_ - 1];
    return std::isalnum(static_cast<unsigned char>(before)) != 0;
  }
  void blank_to(std::size_t end) {
    for (; at_ < std::min(end, text_.size()); ++at_) {
      if (out_[at_] != '\n') out_[at_] = ' ';
    }
  }
  void blank_until(std::string_view mark, bool with_mark) {
    const std::size_t end = text_.find(mark, at_ + (with_mark ? 2 : 0));
    blank_to(end == std::string_view::npos ? text_.size() : end + (with_mark ? mark.size() : 0));
  }
  void raw_string() {
    const std::size_t open = text_.find('(', at_);
    if (open == std::string_view::npos) return blank_to(text_.size());
    const std::string close = ')' + std::string(text_.substr(at_ + 2, open - at_ - 2)) + '"';
    at_ += 2;
    blank_until(close, true);
  }
  void literal(char quote) {
    std::size_t end = at_ + 1;
    while (end < text_.size() && text_[end] != quote && text_[end] != '\n') {
      end += text_[end] == '\\' ? 2 : 1;
    }
    ++at_;
    blank_to(end);
    ++at_;
  }

  std::string_view text_ = {};
  std::string out_ = {};
  std::size_t at_ = 0;
};

bool is_source(const fs::path& file) {
  constexpr std::array<std::string_view, 10> endings = {
      ".cpp", ".hpp", ".in", ".sh", ".py", ".js", ".mjs", ".go", ".java", ".rs"};
  // The load generator is an independent program, taken as it is so that figures compare.
  if (file.filename() == "proton_load.cpp") return false;
  const std::string ending = file.extension().string();
  return file.filename() == "CMakeLists.txt" || file.parent_path().filename() == ".ci" ||
         std::find(endings.begin(), endings.end(), ending) != endings.end();
}

bool is_skipped(const fs::path& folder) {
  const std::string name = folder.filename().string();
  return name == "build" || name == "node_modules" || name == "corpus" || name == "__pycache__" ||
         (name.starts_with('.') && name != ".ci");
}

}  // namespace

source_file make_source(std::string path, std::string_view text) {
  source_file out{.path = std::move(path), .lines = split_lines(text)};
  out.code = out.is_cpp() ? split_lines(blanker(text).run()) : out.lines;
  return out;
}

std::vector<source_file> read_tree(const fs::path& root) {
  std::vector<source_file> out;
  for (auto at = fs::recursive_directory_iterator(root); at != fs::end(at); ++at) {
    if (at->is_directory() && is_skipped(at->path())) at.disable_recursion_pending();
    if (!at->is_regular_file() || !is_source(at->path())) continue;
    std::ifstream file(at->path(), std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    out.push_back(make_source(fs::relative(at->path(), root).generic_string(), text));
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  return out;
}

}  // namespace whimbrel::tidy
