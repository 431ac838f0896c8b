// base/buffer, base/spans and base/pages: what is handed out is aligned, counted, nobody else's, and comes back.
#include <cstring>
#include <set>
#include <vector>

#include "base/buffer.h"
#include "base/spans.h"
#include "check.h"

namespace pcx::check {

namespace {

constexpr std::size_t mebibyte = 1 << 20;

void pool_keeps_its_books(Report& report) {
  report.start("pool_stats");
  pool_trim();
  const std::size_t before = pool_stats().in_use;
  for (std::size_t bytes : {std::size_t{1}, std::size_t{448}, std::size_t{449}, std::size_t{3} << 20}) {
    void* block = pool_take(bytes);
    report.expect(reinterpret_cast<std::uintptr_t>(block) % 64 == 0, "a block is not aligned to 64 bytes");
    report.expect(pool_stats().in_use >= before + bytes, "a block is not counted");
    std::memset(block, 1, bytes);
    pool_give(block);
    report.expect(pool_stats().in_use == before, "a block that came back is still counted");
  }
  report.expect(pool_stats().cached > 0, "the pool keeps nothing");
  pool_trim();
  report.expect(pool_stats().cached == 0, "trim keeps something");
}

// Memory that served one large block serves smaller ones, and a large one again when they have come back.
void large_blocks_share_memory(Report& report) {
  report.start("large blocks");
  pool_trim();
  const auto held = [] { return pool_stats().in_use + pool_stats().cached; };
  const std::size_t before = held();
  pool_give(pool_take(64 * mebibyte));
  const std::size_t once = held();
  std::vector<unsigned char*> blocks;
  for (int number = 0; number < 6; ++number) {
    const std::size_t bytes = (3 + 2 * number) * mebibyte;
    blocks.push_back(static_cast<unsigned char*>(pool_take(bytes)));
    std::memset(blocks.back(), number, bytes);
  }
  report.expect(held() <= once, "smaller blocks did not share the memory of the large one");
  bool kept = true;
  for (int number : {3, 0, 4, 1, 5, 2}) {  // back in such an order that both neighbours are free, used or missing
    const std::size_t bytes = (3 + 2 * number) * mebibyte;
    for (std::size_t i = 0; i < bytes; i += 4093) kept = kept && blocks[number][i] == number;
    pool_give(blocks[number]);
  }
  report.expect(kept, "large blocks overlap");
  pool_give(pool_take(64 * mebibyte));
  report.expect(held() <= once, "the parts did not become whole again");
  pool_give(pool_take(96 * mebibyte));
  report.expect(held() <= before + 98 * mebibyte, "a chunk that was too small stayed beside the larger one");
  pool_trim();
  report.expect(held() == before, "trim keeps a chunk");
}

// The system's pages, watched. Function pointers carry no state: it stands here.
struct Watched {
  std::set<const char*> owned;    // every 64 KiB that were taken or moved to and have not been given back
  std::size_t cleared = 0;        // bytes that came from the system, less those that others have replaced
  std::size_t until_failure = 0;  // 0: no move fails; n: every nth does
  std::size_t moves = 0;
  bool wrong = false;

  void add(void* memory, std::size_t bytes) {
    for (std::size_t at = 0; at < bytes; at += Spans::grain)
      wrong |= !owned.insert(static_cast<const char*>(memory) + at).second;
  }
  void remove(void* memory, std::size_t bytes) {
    for (std::size_t at = 0; at < bytes; at += Spans::grain)
      wrong |= !owned.erase(static_cast<const char*>(memory) + at);
  }
} watched;

void* watched_take(std::size_t bytes) {
  void* const memory = moving_pages.take(bytes);
  watched.add(memory, bytes);
  watched.cleared += bytes;
  return memory;
}

void watched_give(void* memory, std::size_t bytes) noexcept {
  watched.remove(memory, bytes);
  moving_pages.give(memory, bytes);
}

// A move that fails has already lost the place where the page was to go, as the system's may.
bool watched_move(void* from, void* to) noexcept {
  watched.remove(to, huge_page);
  if (watched.until_failure && ++watched.moves % watched.until_failure == 0) {
    moving_pages.give(to, huge_page);
    return false;
  }
  watched.remove(from, huge_page);
  watched.add(to, huge_page);
  watched.cleared -= huge_page;
  return moving_pages.move(from, to);
}

struct Block {
  unsigned char* data;
  std::size_t bytes;
  unsigned char mark;

  // One byte of every 4 KiB, and the last.
  template <class Each>
  void each(Each&& act) const {
    for (std::size_t at = 0; at < bytes; at += 4096) act(data[at]);
    act(data[bytes - 1]);
  }
};

Block take_marked(Spans& spans, std::size_t bytes, unsigned char mark) {
  const Block block{static_cast<unsigned char*>(spans.take(bytes)), bytes, mark};
  block.each([&](unsigned char& byte) { byte = mark; });
  return block;
}

bool give_marked(Spans& spans, const Block& block) {
  bool kept = true;
  block.each([&](unsigned char& byte) { kept = kept && byte == block.mark; });
  spans.give(block.data);
  return kept;
}

// Blocks of all sizes come and go, and pages move under the free ones, or fail to.
void blocks_are_nobody_elses(Report& report) {
  for (std::size_t until_failure : {0, 1, 5}) {
    for (const PageSource& source :
         {PageSource{watched_take, watched_give, nullptr},
          PageSource{watched_take, watched_give, moving_pages.move ? watched_move : nullptr}}) {
      report.start("spans of pages that %s, every move number %d fails", source.move ? "move" : "stay",
                   static_cast<int>(until_failure));
      watched = {};
      watched.until_failure = until_failure;
      Spans spans(source);
      Random random{7};
      std::vector<Block> blocks;
      bool kept = true;
      for (int turn = 0; turn < 1500; ++turn) {
        if (blocks.size() < 2 || (blocks.size() < 14 && random.coin())) {
          const std::size_t most = random.coin() ? 24 * mebibyte : 3 * mebibyte;
          const std::size_t bytes = 1 + static_cast<std::size_t>(random.below(static_cast<index>(most)));
          blocks.push_back(take_marked(spans, bytes, static_cast<unsigned char>(turn)));
        } else {
          const std::size_t which = static_cast<std::size_t>(random.below(static_cast<index>(blocks.size())));
          kept = give_marked(spans, blocks[which]) && kept;
          blocks.erase(blocks.begin() + static_cast<std::ptrdiff_t>(which));
        }
        if (turn % 97 == 0) spans.trim(16 * mebibyte);
      }
      for (const Block& block : blocks) kept = give_marked(spans, block) && kept;
      report.expect(kept, "a block was written by another, or lost its pages");
      report.expect(spans.free_bytes() == watched.owned.size() * Spans::grain, "free bytes are counted wrongly");
      spans.trim(0);
      report.expect(watched.owned.empty() && spans.free_bytes() == 0, "pages were not given back");
      report.expect(!watched.wrong, "a page was used that was not there");
    }
  }
}

// A step of training, again and again: sizes that no chunk of the last step fits.
void what_repeats_clears_no_page(Report& report) {
  if (!moving_pages.move) return report.start("pages do not move on this system");
  report.start("a step that repeats");
  watched = {};
  const PageSource source{watched_take, watched_give, watched_move};
  Spans spans(source);
  std::size_t before = 0;
  for (int step = 0; step < 12; ++step) {
    if (step == 2) before = watched.cleared;
    std::vector<Block> kept;
    for (std::size_t size : {108, 27, 54, 13, 28, 7, 15, 3}) {
      kept.push_back(take_marked(spans, size * mebibyte / 4, 1));
      give_marked(spans, take_marked(spans, (size + 11) * mebibyte / 3, 2));
    }
    while (!kept.empty()) {
      give_marked(spans, take_marked(spans, kept.back().bytes + mebibyte, 3));
      give_marked(spans, kept.back());
      kept.pop_back();
    }
  }
  report.expect(watched.cleared == before, "a later step took pages from the system");
  spans.trim(0);
  report.expect(watched.owned.empty() && !watched.wrong, "pages were not given back");
}

}  // namespace

void check_memory(Report& report) {
  pool_keeps_its_books(report);
  large_blocks_share_memory(report);
  blocks_are_nobody_elses(report);
  what_repeats_clears_no_page(report);
}

}  // namespace pcx::check
