// SPDX-License-Identifier: Apache-2.0
// The database file's settings, tables and versions. The format's document is storage/FORMAT.md.
#pragma once

#include <cstdint>

#include "storage/sqlite/database.hpp"

namespace whimbrel::storage::sqlite {

inline constexpr std::int64_t application_id = 0x57'48'4d'42;  // "WHMB"
inline constexpr std::int64_t format_version = 1;
inline constexpr std::int64_t page_size = 16384;

/// Makes a new file ours, brings an older one up to date, and refuses (system_error) a newer
/// format or another program's file without having written to it.
void prepare_schema(database& db);

/// Sets what lasts as long as a connection and asserts every setting by reading it back; throws
/// when SQLite does not give what was asked for.
void configure_writer(database& db);
void configure_reader(database& db);

}  // namespace whimbrel::storage::sqlite
