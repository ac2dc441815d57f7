// What every ObjectStore does. Instantiate with the stores' names and factories:
//   INSTANTIATE_TEST_SUITE_P(Directory, ObjectStoreContract, ::testing::Values(factory));
#ifndef EMBER_TESTS_CONTRACT_OBJECT_STORE_CONTRACT_H_
#define EMBER_TESTS_CONTRACT_OBJECT_STORE_CONTRACT_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/vault/object_store.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace ember::testing {

// Opens the store that keeps its objects below the given place; called again, it finds them there.
using OpenStore =
    std::function<absl::StatusOr<std::unique_ptr<vault::ObjectStore>>(const std::string& place)>;

class ObjectStoreContract : public ::testing::TestWithParam<OpenStore> {
 protected:
  void SetUp() override { Reopen(); }
  void Reopen() {
    store_.reset();
    ASSERT_OK_AND_ASSIGN(store_, GetParam()(place_.path()));
  }

  TempDir place_;
  std::unique_ptr<vault::ObjectStore> store_;
};

TEST_P(ObjectStoreContract, ReadsBackAnyRange) {
  ASSERT_OK(vault::PutObject(*store_, "packs/aa/one", "0123456789"));
  EXPECT_EQ(*store_->Size("packs/aa/one"), 10u);
  EXPECT_EQ(*store_->Read("packs/aa/one", 0, 10), "0123456789");
  EXPECT_EQ(*store_->Read("packs/aa/one", 3, 4), "3456");
  EXPECT_EQ(*store_->Read("packs/aa/one", 10, 0), "");
  EXPECT_THAT(store_->Read("packs/aa/one", 8, 3), HasCode(absl::StatusCode::kOutOfRange));
  EXPECT_THAT(store_->Read("packs/aa/one", 11, 0), HasCode(absl::StatusCode::kOutOfRange));
  EXPECT_THAT(store_->Read("packs/aa/one", ~uint64_t{0}, 2),
              HasCode(absl::StatusCode::kOutOfRange));
}

TEST_P(ObjectStoreContract, AbsentObjectsAreNotFound) {
  EXPECT_THAT(store_->Read("nothing", 0, 1), HasCode(absl::StatusCode::kNotFound));
  EXPECT_THAT(store_->Size("no/thing"), HasCode(absl::StatusCode::kNotFound));
  EXPECT_OK(store_->Delete("no/thing"));
}

TEST_P(ObjectStoreContract, ADirectoryIsNoObject) {
  ASSERT_OK(vault::PutObject(*store_, "a/b", "x"));
  EXPECT_THAT(store_->Size("a"), HasCode(absl::StatusCode::kNotFound));
}

TEST_P(ObjectStoreContract, IsInvisibleUntilPublished) {
  ASSERT_OK_AND_ASSIGN(std::unique_ptr<vault::ObjectWriter> writer, store_->Create());
  ASSERT_OK(writer->Append("abc"));
  EXPECT_THAT(*store_->List(""), ::testing::IsEmpty());
  ASSERT_OK(writer->Append("def"));
  ASSERT_OK(writer->Publish("x/y"));
  EXPECT_EQ(*store_->Read("x/y", 0, 6), "abcdef");
}

TEST_P(ObjectStoreContract, WhatFindsItsNameTakenCanReplaceIt) {
  ASSERT_OK(vault::PutObject(*store_, "a/b", "damaged"));
  ASSERT_OK_AND_ASSIGN(std::unique_ptr<vault::ObjectWriter> writer, store_->Create());
  ASSERT_OK(writer->Append("whole"));
  ASSERT_THAT(writer->Publish("a/b"), HasCode(absl::StatusCode::kAlreadyExists));
  ASSERT_OK(writer->Replace("a/b"));
  EXPECT_EQ(*store_->Read("a/b", 0, 5), "whole");
  EXPECT_EQ(*store_->Size("a/b"), 5u);
}

TEST_P(ObjectStoreContract, AnUnpublishedObjectGoesAway) {
  ASSERT_OK_AND_ASSIGN(std::unique_ptr<vault::ObjectWriter> writer, store_->Create());
  ASSERT_OK(writer->Append(std::string(3 << 20, 'a')));
  writer.reset();
  Reopen();
  EXPECT_THAT(*store_->List(""), ::testing::IsEmpty());
  EXPECT_EQ(store_->GetSpace()->used_bytes, 0);
}

TEST_P(ObjectStoreContract, NeverReplacesAnObject) {
  ASSERT_OK(vault::PutObject(*store_, "a/b", "first"));
  EXPECT_THAT(vault::PutObject(*store_, "a/b", "second"),
              HasCode(absl::StatusCode::kAlreadyExists));
  EXPECT_EQ(*store_->Read("a/b", 0, 5), "first");
}

TEST_P(ObjectStoreContract, ReplacesAnObjectOnlyWhenAskedTo) {
  ASSERT_OK(vault::PutObject(*store_, "a/b", "first"));
  ASSERT_OK_AND_ASSIGN(std::unique_ptr<vault::ObjectWriter> writer, store_->Create());
  ASSERT_OK(writer->Append("the second one"));
  EXPECT_EQ(*store_->Read("a/b", 0, 5), "first");
  ASSERT_OK(writer->Replace("a/b"));
  writer.reset();
  EXPECT_EQ(store_->GetSpace()->used_bytes, 14);
  Reopen();
  EXPECT_EQ(*store_->Read("a/b", 0, 14), "the second one");
  EXPECT_EQ(*store_->Size("a/b"), 14u);
  EXPECT_THAT(*store_->List(""), ::testing::ElementsAre("a/b"));
}

TEST_P(ObjectStoreContract, ReplacesNothingThatIsNotThere) {
  ASSERT_OK_AND_ASSIGN(std::unique_ptr<vault::ObjectWriter> writer, store_->Create());
  ASSERT_OK(writer->Append("bytes"));
  EXPECT_THAT(writer->Replace("a/b"), HasCode(absl::StatusCode::kNotFound));
  writer.reset();
  EXPECT_THAT(*store_->List(""), ::testing::IsEmpty());
  EXPECT_EQ(store_->GetSpace()->used_bytes, 0);
}

TEST_P(ObjectStoreContract, KeepsLargeObjectsWrittenInPieces) {
  ASSERT_OK_AND_ASSIGN(std::unique_ptr<vault::ObjectWriter> writer, store_->Create());
  std::string all;
  for (int i = 0; i < 300; ++i) {
    const std::string piece(static_cast<size_t>(i) * 397 % 90000, static_cast<char>('a' + i % 26));
    ASSERT_OK(writer->Append(piece));
    all += piece;
  }
  ASSERT_OK(writer->Append(std::string(2 << 20, 'Z')));
  all += std::string(2 << 20, 'Z');
  ASSERT_OK(writer->Publish("large"));
  Reopen();
  EXPECT_TRUE(*store_->Read("large", 0, all.size()) == all);
  EXPECT_EQ(*store_->Size("large"), all.size());
}

TEST_P(ObjectStoreContract, ListsByDirectorySorted) {
  for (const char* name : {"b/2", "a/x/1", "b-c", "a-b/1", "b/10", "top"}) {
    ASSERT_OK(vault::PutObject(*store_, name, name));
  }
  EXPECT_THAT(*store_->List(""),
              ::testing::ElementsAre("a-b/1", "a/x/1", "b-c", "b/10", "b/2", "top"));
  EXPECT_THAT(*store_->List("b"), ::testing::ElementsAre("b/10", "b/2"));
  EXPECT_THAT(*store_->List("a"), ::testing::ElementsAre("a/x/1"));
  EXPECT_THAT(*store_->List("none"), ::testing::IsEmpty());
  Reopen();
  EXPECT_EQ(store_->List("")->size(), 6u);
}

TEST_P(ObjectStoreContract, DeletesOnce) {
  ASSERT_OK(vault::PutObject(*store_, "a/b", "x"));
  EXPECT_OK(store_->Delete("a/b"));
  EXPECT_THAT(store_->Size("a/b"), HasCode(absl::StatusCode::kNotFound));
  EXPECT_OK(store_->Delete("a/b"));
  EXPECT_OK(vault::PutObject(*store_, "a/b", "again"));
}

TEST_P(ObjectStoreContract, CountsWhatItHolds) {
  ASSERT_OK(vault::PutObject(*store_, "a/b", std::string(1000, 'x')));
  ASSERT_OK(vault::PutObject(*store_, "c", std::string(500, 'x')));
  EXPECT_EQ(store_->GetSpace()->used_bytes, 1500);
  EXPECT_GT(store_->GetSpace()->free_bytes, 0);
  Reopen();
  EXPECT_EQ(store_->GetSpace()->used_bytes, 1500);
  ASSERT_OK(store_->Delete("a/b"));
  EXPECT_EQ(store_->GetSpace()->used_bytes, 500);
}

TEST_P(ObjectStoreContract, RefusesNamesThatAreNotNames) {
  for (const std::string& name :
       {std::string(), std::string("/a"), std::string("a/"), std::string("a//b"),
        std::string("../a"), std::string("a/../b"), std::string("a/.b"), std::string("."),
        std::string("a b"), std::string("a\0b", 3), std::string("\xc3\xa4"),
        std::string(256, 'a')}) {
    EXPECT_THAT(vault::PutObject(*store_, name, "x"), HasCode(absl::StatusCode::kInvalidArgument))
        << name;
    EXPECT_THAT(store_->Read(name, 0, 1), HasCode(absl::StatusCode::kInvalidArgument)) << name;
    EXPECT_THAT(store_->Delete(name), HasCode(absl::StatusCode::kInvalidArgument)) << name;
  }
  EXPECT_OK(vault::PutObject(*store_, std::string(255, 'a'), "x"));
}

TEST_P(ObjectStoreContract, ManyThreadsPublishSideBySide) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([this, t] {
      for (int i = 0; i < 10; ++i) {
        EXPECT_OK(vault::PutObject(*store_, absl::StrCat("d", i, "/", t), std::string(100, 'x')));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(store_->List("")->size(), 80u);
  EXPECT_EQ(store_->GetSpace()->used_bytes, 8000);
}

TEST_P(ObjectStoreContract, OneOfManyPublishersOfANameWins) {
  std::vector<std::thread> threads;
  std::atomic<int> won{0};
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([this, t, &won] {
      const absl::Status status = vault::PutObject(*store_, "same/name", absl::StrCat(t));
      if (status.ok()) {
        ++won;
      } else {
        EXPECT_THAT(status, HasCode(absl::StatusCode::kAlreadyExists));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(won, 1);
}

}  // namespace ember::testing

#endif  // EMBER_TESTS_CONTRACT_OBJECT_STORE_CONTRACT_H_
