# SPDX-License-Identifier: Apache-2.0
"""What is broken, where, and which cases are meant to notice.

A list that names text of the code follows the code: a mutation whose text is not there fails.
"""
from dataclasses import dataclass


@dataclass(frozen=True)
class Mutation:
    site: str
    name: str
    file: str
    old: str
    new: str
    program: str = "test_amqp"
    cases: str = "*"


def reader(name, old, new, file="amqp/codec/reader.hpp"):
    return Mutation("reader", name, file, old, new,
                    cases="codec:*,reader:*,limits:*,array:*,value:*,view:*,scan:*")


def window(name, old, new):
    return Mutation("window", name, "amqp/engine/window.hpp", old, new,
                    cases="*window:*,flow:*,session:*")


def credit(name, old, new):
    return Mutation("credit", name, "amqp/engine/credit.hpp", old, new, cases="*credit:*,flow:*")


def broker(site, name, file, old, new, cases):
    return Mutation(site, name, file, old, new, "test_broker", cases)


TAKE = """decoded<std::span<const std::byte>> take(std::size_t n) {
    if (n > remaining()) return fault(decode_fault::truncated);"""
SUB = """decoded<reader> sub(std::size_t n) {
    if (n > remaining()) return fault(decode_fault::truncated);"""
FLUSH = """  shard_.flush_store();
  shard_.flush_letters();
"""

MUTATIONS = [
    reader("take() one octet beyond the end", TAKE, TAKE.replace("n > r", "n > 1 + r")),
    reader("sub() beyond the end", SUB, SUB.replace("n > r", "n > 1 + r")),
    reader("integer() beyond the end", "if (sizeof(U) > remaining())",
           "if (sizeof(U) > remaining() + 1)"),
    reader("constructor() at the end",
           "if (remaining() == 0) return fault(decode_fault::truncated);\n    return static_cast",
           "return static_cast"),
    reader("a compound smaller than its count", "size < width || size > r.remaining()",
           "size > r.remaining()", "amqp/codec/reader.cpp"),
    reader("a compound larger than its frame", "size < width || size > r.remaining()",
           "size < width", "amqp/codec/reader.cpp"),
    reader("more items than octets", "if (count > size - width)",
           "if (count > size)", "amqp/codec/reader.cpp"),
    window("our window ignores what is under way at the wrap",
           "const std::int32_t under_way = std::max(next_ - seen, 0);",
           "const std::int32_t under_way = "
           "next_.value() > seen.value() ? std::max(next_ - seen, 0) : 0;"),
    window("the peer's window compared as plain numbers", "if (!next_.precedes(farthest_))",
           "if (next_.value() >= farthest_.value())"),
    window("a window one frame too wide", "limit_ = farthest_ = next_ + size_;",
           "limit_ = farthest_ = next_ + size_ + 1;"),
    credit("credit ignores what is under way at the wrap",
           "static_cast<std::uint32_t>(std::max(count_ - seen, 0));",
           "count_.value() > seen.value() ? count_.value() - seen.value() : 0;"),
    credit("a delivery beyond the limit at the wrap", "if (!count_.precedes(farthest_))",
           "if (count_.value() >= farthest_.value() && farthest_.value() != 0)"),
    credit("initial count forgotten", "    farthest_ += move;\n", ""),
    broker("turn", "mailboxes before the store", "broker/net/worker.cpp", FLUSH,
           "  shard_.flush_letters();\n  shard_.flush_store();\n", "worker:*"),
    broker("turn", "sockets before store and mailboxes", "broker/net/worker.cpp", FLUSH,
           "  for (connection* c : to_flush_) {\n    if (c != nullptr) c->wire->flush();\n  }\n"
           + FLUSH, "worker:*"),
    broker("commit", "a producer is answered although the batch is in doubt",
           "broker/core/commit.cpp", "    failed_ = true;\n    return false;\n",
           "    failed_ = true;\n    pay(in_flight_->due);\n    return false;\n", "commit:*"),
    broker("commit", "a consumer is answered before the removal is durable",
           "broker/core/queue_settle.cpp", "    if (wrote) home_.commits().answer(",
           "    if (wrote && l.first == 0) home_.commits().answer(", "queue*,commit:*"),
    broker("commit", "a message whose put is under way is taken for one in the open batch",
           "broker/core/queue_settle.cpp", "return s.stored && at >= open_from_ && !s.joint;",
           "return s.stored && !s.joint;", "queue*,commit:*"),
    broker("delivery-count", "modified does not count", "broker/core/queue_settle.cpp",
           "    ++s.failed;\n", "", "queue*"),
    broker("delivery-count", "the count does not reach the store", "broker/core/queue_settle.cpp",
           "      home_.commits().recount(settings_.id, at, stored_count(s.failed, s.priority));\n",
           "",
           "queue*,directory:*,commit:*"),
    broker("generation", "a link's slot is taken for the link", "broker/core/shard.cpp",
           "if (ref.slot >= links_.size() || links_[ref.slot].generation != ref.generation)",
           "if (ref.slot >= links_.size())", "shard:*,queue*"),
    broker("generation", "a queue's slot is taken for the queue", "broker/core/shard.cpp",
           "if (ref.slot >= queues_.size() || queues_[ref.slot].generation != ref.generation)",
           "if (ref.slot >= queues_.size())", "shard:*,queue*,directory:*"),
    Mutation("sync", "the file system says that it synced and did not",
             "tests/support/recording_vfs.cpp",
             "    const vfs_effect* const effect = w.owner->draw(vfs_call::sync, w.kind);\n",
             "    if (w.kind == vfs_file::log) return SQLITE_OK;\n"
             "    const vfs_effect* const effect = w.owner->draw(vfs_call::sync, w.kind);\n",
             "test_durability", "durability: no accepted*"),
]
