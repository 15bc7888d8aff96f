// SPDX-License-Identifier: Apache-2.0
// The thread that reads bodies back, over a connection of its own.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "storage/sqlite/group_source.hpp"
#include "storage/sqlite/index.hpp"
#include "storage/sqlite/sqlite_store.hpp"

namespace whimbrel::storage::sqlite {

/// Every statement and handle is closed after each range, so that the log is never pinned.
class reader {
 public:
  reader(const sqlite_options& options, const open_options& file, const live_index& index,
         std::mutex& moving, completion_sink& sink);
  ~reader();
  reader(const reader&) = delete;
  reader& operator=(const reader&) = delete;

  struct range {
    worker_id worker{};
    token done{};
    queue_id queue{};
    sequence from = 0;
    std::size_t octets_max = 0;
  };
  struct piece {
    worker_id worker{};
    token done{};
    body_id body{};
    std::uint64_t offset = 0;
    std::size_t octets_max = 0;
  };

  void start();
  void enqueue(range r) { enqueue_request(r); }
  void enqueue(piece p) { enqueue_request(p); }
  /// Answers what was asked, then ends the thread.
  void close();

 private:
  using request = std::variant<range, piece>;
  /// How far a range has got.
  struct progress {
    range asked;
    read_done answer;
    std::size_t octets = 0;
    bool is_full = false;
  };
  enum class step : std::uint8_t { goes_on, is_stale, failed };

  void enqueue_request(request r);
  void run();
  void answer(const range& r);
  void answer(const piece& p);
  [[nodiscard]] step read_more(progress& p);
  [[nodiscard]] step read_span(const live_span& span, progress& p);
  /// How many entries from `begin` on lie back to back and fit.
  [[nodiscard]] std::uint32_t fitting(const entries_view& view, std::uint32_t begin,
                                      std::uint32_t count, progress& p) const;
  [[nodiscard]] step read_stretch(const live_span& stretch, const entries_view& view, progress& p);
  [[nodiscard]] step judge_absence(const live_span& span, progress& p);
  void add(entry_key key, const stored_entry& e, std::span<const std::byte> octets, group_id group,
           progress& p);
  void add_damaged(const live_span& span, progress& p);
  void log(const std::string& what) const;

  const sqlite_options& options_;
  const live_index& index_;
  std::mutex& moving_;
  completion_sink& sink_;
  database db_;
  group_source source_;
  statement chunks_;
  std::vector<std::byte> buffer_;
  std::vector<live_span> spans_;

  // Guarded by mutex_.
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<request> arrived_;
  bool is_closing_ = false;

  std::thread thread_;
};

}  // namespace whimbrel::storage::sqlite
