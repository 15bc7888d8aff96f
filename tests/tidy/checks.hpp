// SPDX-License-Identifier: Apache-2.0
// What the tree must keep to, one function a rule. Each takes one file and returns a sentence for
// every breach, with its place; so each can be shown a bad sample.
#pragma once

#include <string>
#include <vector>

#include "tests/tidy/source_file.hpp"

namespace whimbrel::tidy {

using findings = std::vector<std::string>;

/// Who may include what. The rules stand in checks_includes.cpp.
findings check_includes(const source_file& file);

findings check_file_length(const source_file& file);      // 600 lines; amqp/spec is tables, exempt
findings check_function_length(const source_file& file);  // 70 lines, tests included
findings check_line_length(const source_file& file);      // 100 characters
findings check_licence(const source_file& file);          // first line, or second behind #!
findings check_header_guard(const source_file& file);
findings check_unfinished(const source_file& file);  // a TO-DO must say when it ends
findings check_sleep(const source_file& file);       // none in unit tests
findings check_macros(const source_file& file);      // none of our own but two
findings check_using_namespace(const source_file& file);

/// A test case asserts something, directly or through a helper named for it.
findings check_assertions(const source_file& file);

/// What ctest cannot carry in a name is not in the name of a test case.
findings check_test_names(const source_file& file);

}  // namespace whimbrel::tidy
