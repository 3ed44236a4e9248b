// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Store: all that one engine keeps: volumes, extents, clients, the ledger and the budget.
//
// It knows nothing of sockets; the daemon calls it and waits on its behalf. Owned by the engine's
// thread, which also runs every callback. `keeper` and `pool` outlive it.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "layout/ledger.h"
#include "os/mapping.h"
#include "os/page_toucher.h"
#include "store/budget.h"
#include "store/clients.h"
#include "store/durable_format.h"
#include "store/extent.h"
#include "store/extent_securing.h"
#include "store/figures.h"
#include "store/heard_volumes.h"
#include "store/memory_keeper.h"
#include "store/mirror.h"
#include "store/ready_chunks.h"
#include "store/spiller.h"
#include "store/volume.h"

namespace vineyard::store {

struct StoreOptions {
  uint64_t limit = 0;
  uint64_t inline_max = uint64_t{256} << 10;
  uint64_t generation = 1;
  uint64_t instance[2] = {0, 0};
  bool reserve_memory = false;                 // see ReadyChunks
  std::shared_ptr<os::PageToucher> toucher{};  // likewise; may be null
  bool after_fault = false;                    // of the engine before
  Disk* disk = nullptr;                        // to spill to; outlives the store
  SpillMarks spill_marks{};
  uint64_t guaranteed = 0;  // to the default volume
};

class Store final : public VolumeHost {
 public:
  static Result<std::unique_ptr<Store>> Create(const StoreOptions& options, MemoryKeeper& keeper,
                                               RunOnPool pool);
  ~Store() override;

  /// Takes the memory that is not in use yet (reserve_memory). Blocks; before anybody is served.
  Status ReserveMemory();

  // ---- volumes

  /// `ready` is called once the keeper has the catalog, with the volume open. kAlreadyExists at once, and what
  /// CheckGuarantee says. The guarantee counts from now on; see WaitForGuarantee.
  Status CreateVolume(CatalogSpec spec, std::function<void(Result<Volume*>)> ready);
  /// kInvalid: more than the quota; kOutOfMemory: more than the limit leaves beside other guarantees.
  [[nodiscard]] Status CheckGuarantee(const CatalogSpec& spec) const;
  /// Waits until as much is free as the volume to be is guaranteed. `ready` may then create it. Returns a ticket
  /// for CancelReserve.
  uint64_t WaitForGuarantee(const CatalogSpec& spec, os::TimePoint deadline,
                            std::function<void(Status)> ready);
  /// With all that is in it; `answer` is kept with the removal. `client` null: nobody asked.
  Status RemoveVolume(uint64_t id, const ClientState* client, const layout::Answer& answer);
  [[nodiscard]] Volume* FindVolume(uint64_t id);
  [[nodiscard]] Volume* FindVolume(std::string_view name);
  [[nodiscard]] const std::map<uint64_t, std::unique_ptr<Volume>>& volumes() const {
    return volumes_;
  }
  uint64_t NextVolumeId() { return next_volume_++; }

  // ---- what outlives the machine's power (store_durable.cc); docs/design/021-durability.md

  /// kNotSupported where there is no disk.
  [[nodiscard]] Status CheckDurable() const;
  /// What has to be on the disk, and how much room on it is to be promised, before a durable change.
  struct DurableNeeds {
    std::vector<ObjectId> extents;
    uint64_t room = 0;
  };
  /// Of making these durable. Errors are Volume::NotDurable's.
  [[nodiscard]] Result<DurableNeeds> NeedsOf(const Volume& volume,
                                             std::span<const uint64_t> ids) const;
  /// As long as it lives the room is kept.
  using RoomPromise = std::shared_ptr<void>;
  /// kOutOfMemory: the disk is full. REQUIRES: CheckDurable.
  Result<RoomPromise> PromiseRoom(uint64_t bytes);
  /// `ready` once they are secured; see ExtentSecuring. REQUIRES: CheckDurable.
  void Secure(std::span<const ObjectId> extents, std::function<void(Status)> ready) {
    securing_->Secure(extents, std::move(ready));
  }
  /// A reservation is to be published with so many bytes.
  void NoteSize(Extent& extent, uint64_t size);
  [[nodiscard]] bool IsSecured(const DurableNeeds& needs);
  /// The volume's own file, before the volume is made. `done` possibly from within. REQUIRES: CheckDurable.
  void KeepVolume(uint64_t id, const DurableVolume& volume, std::function<void(Status)> done);
  /// Of one that could not be made after all.
  void UnkeepVolume(uint64_t id);
  /// Null where there is no disk.
  [[nodiscard]] Mirror* mirror() { return mirror_.get(); }
  /// Of the start of this engine: what was found damaged, and what there was no memory for.
  struct Unrestored {
    uint64_t set_aside = 0;
    uint64_t left = 0;
  };
  [[nodiscard]] const Unrestored& unrestored() const { return unrestored_; }
  /// Bytes of these blobs are checked some time. REQUIRES: they have files.
  void CheckInBackground(std::vector<ObjectId> blobs);

  // ---- what names keep in memory (store_keeping.cc)

  /// After a start, once all that was taken over is there.
  void DeriveKept();
  /// What of it was found on the disk only, one after the other, as far as there is memory.
  void BringBackKept();

  // ---- extents

  /// Makes room for a blob of `size` bytes, for a client to fill; waits in order until the deadline.
  /// What is free, or about to be, is waited for a moment whatever the deadline.
  /// Sizes up to inline_max get an id only: their bytes come with the put. `ready` may be called from
  /// within, where nothing is to be waited for. Returns a ticket for CancelReserve, if it is waiting.
  uint64_t Reserve(Volume& volume, uint64_t client, uint64_t size, os::TimePoint deadline,
                   std::function<void(Result<Extent*>)> ready);
  void CancelReserve(uint64_t ticket);
  [[nodiscard]] bool IsWaiting(uint64_t ticket) const {
    return waiting_.contains(ticket) || (spiller_ != nullptr && spiller_->IsWaiting(ticket));
  }
  /// Null where there is no disk to spill to. CancelReserve is for its tickets too.
  [[nodiscard]] Spiller* spiller() { return spiller_.get(); }
  /// Of what the volume uses, what is on the disk only.
  [[nodiscard]] Spiller::Spilled SpilledOf(const Volume& volume) const {
    return spiller_ != nullptr ? spiller_->SpilledOf(volume.id()) : Spiller::Spilled();
  }
  /// kNotFound unless the client reserved it.
  Result<Extent*> FindReservation(uint64_t client, ObjectId blob);
  [[nodiscard]] Extent* FindExtent(ObjectId blob);
  void Abort(Extent& extent);
  /// After a restart: an id that was given out without memory is the client's again.
  void RestoreSmallReservation(ClientState& client, ObjectId blob);

  /// Waits for `bytes` of free memory without taking it; then `ready` may try again.
  uint64_t WaitForRoom(const Volume& volume, uint64_t bytes, os::TimePoint deadline,
                       std::function<void(Status)> ready);
  /// The client's table of what it keeps for later (layout/idle_table.h), instead of one before.
  static Status ShareIdle(ClientState& client, const os::UniqueFd& file);
  /// Bytes of the volume that its clients keep for later.
  uint64_t IdleBytes(const Volume& volume);
  /// Lets those go on who wait for their volume's quota. To be called after changes.
  void PumpQuota();

  // ---- clients

  /// Everything it reserved is given back, its leases end.
  void ForgetClient(uint64_t key);
  /// The client's process has no mapping of it any more.
  void Released(ClientState& client, ObjectId blob);

  // ---- time

  /// A client of the volume is waiting for an answer: pages are made ready a little later.
  void NoteActivity(uint64_t volume) {
    const os::TimePoint now = os::Clock::now();
    heard_->Note(volume, now);
    if (options_.toucher != nullptr) options_.toucher->NoteActivity(now);
  }
  [[nodiscard]] std::optional<os::TimePoint> NextDeadline() const;
  /// Ends waits whose time is up, and looks whether lingering extents are free now.
  void Tick(os::TimePoint now);
  /// True when Tick should come soon again: somebody may want memory that lingers, or is nobody's.
  [[nodiscard]] bool HasLingering() const { return !lingering_.empty() || !unclaimed_.empty(); }
  /// Moves a few records out of arenas that are to be emptied; false: nothing left.
  bool MoveSome();

  // ---- figures

  [[nodiscard]] Budget& budget() { return budget_; }
  [[nodiscard]] const StoreOptions& options() const { return options_; }
  [[nodiscard]] uint64_t lingering_bytes() const { return lingering_bytes_; }
  /// What the volume may use in all.
  [[nodiscard]] uint64_t LimitOf(const Volume& volume) const;
  [[nodiscard]] size_t waiting() const { return budget_.waiting() + quota_waiters_.size(); }
  /// "asked 2 GiB; free 1 GiB of 4 GiB; …": for whoever can't have memory.
  [[nodiscard]] std::string ExplainMemory(Holder who, uint64_t asked) const;
  /// "; 1 GiB are kept free, guaranteed to volume 'data' (1 GiB)", or nothing.
  [[nodiscard]] std::string ExplainGuarantees(Holder who) const;
  /// Takes as long as the volume's clients have reservations, and the store extents that linger.
  [[nodiscard]] VolumeMemory MemoryOf(const Volume& volume);
  /// Takes as long as the client holds extents.
  [[nodiscard]] ClientMemory MemoryOf(const ClientState& client);
  /// Of an extent that is stored, reserved or lingers; else 0.
  [[nodiscard]] uint64_t PagesOf(uint64_t blob) const;
  [[nodiscard]] MemoryWaits Waits() const;
  [[nodiscard]] const ReadyChunks& ready_chunks() const { return ready_; }

  // ---- VolumeHost
  layout::Ledger ledger() override { return ledger_; }
  ClientTable& clients() override { return *clients_; }
  uint64_t NextSequence() override { return next_sequence_++; }
  void FreeExtent(ObjectId blob) override;
  void NameChanged(Volume& volume, const std::string& name) override {
    if (on_name) on_name(volume, name);
  }
  void StreamChanged(Volume& volume, ObjectId stream) override {
    if (on_stream) on_stream(volume, stream);
  }
  void DurableEntryChanged(Volume& volume, ObjectId id, bool is_durable_now) override;
  void DurableNameChanged(Volume& volume, std::string_view name) override;
  void KeptChanged(ObjectId blob, int by) override;
  std::function<void(Volume&, const std::string&)> on_name;
  std::function<void(Volume&, ObjectId)> on_stream;
  /// NextDeadline may be sooner than it was.
  std::function<void()> on_deadline;
  /// Whether so many memory files more may be made for a volume now; for Holder{}: to be ready. Null: always.
  std::function<Status(Holder who, uint64_t files)> may_make_files;
  /// Of objects, deleted or not, and ready: that are open, or about to be.
  [[nodiscard]] uint64_t memory_files() const { return budget_.files() + ready_.files(); }

  ObjectId NextId();

 private:
  friend class Recovery;
  friend class Restoring;
  Store(const StoreOptions& options, MemoryKeeper& keeper, RunOnPool pool);

  struct Waiting {
    Budget::Id budget_id = 0;
    bool cancelled = false;
    uint64_t volume = 0;
    uint64_t promised = 0;  // of its quota
  };
  struct QuotaWaiter {
    uint64_t ticket;
    uint64_t volume;
    uint64_t bytes;
    os::TimePoint deadline;
    std::function<void(Status)> go;
  };

  Status OpenLedger();
  void StartSpilling();
  // store_durable.cc
  void StartMirror();
  void CheckNext();
  void Checked(ObjectId blob, const Status& status);
  /// Of durable extents that have lost their files.
  void SecureAgain(const std::vector<ObjectId>& blobs);
  // store_idle.cc
  enum class Whose : uint8_t { kOwn, kAnybodys };
  [[nodiscard]] uint64_t IdleBytesOf(const ClientState& client);
  uint64_t ClaimIdle(uint64_t bytes, Holder who, Whose whose);
  /// Has whoever can spare so many bytes give them up. Returns until when to wait for them: where all of
  /// them come without anybody else's doing, for a moment at least.
  os::TimePoint MakeRoom(Holder who, uint64_t bytes, os::TimePoint deadline);
  /// Within its quota too.
  os::TimePoint MakeRoom(const Volume& volume, uint64_t bytes, os::TimePoint deadline);
  uint64_t WaitInBudget(uint64_t ticket, Holder who, uint64_t bytes, os::TimePoint deadline,
                        std::function<void(Status)> ready);
  [[nodiscard]] bool MustWaitForQuota(const Volume& volume, uint64_t bytes) const;
  void Admit(uint64_t ticket, Volume& volume, uint64_t client, uint64_t size,
             os::TimePoint deadline, std::function<void(Result<Extent*>)> ready);
  void Unpromise(Waiting& waiting);
  /// REQUIRES: the pages have been taken from the budget.
  void MakeGranted(uint64_t ticket, Volume& volume, uint64_t client, uint64_t size, uint64_t pages,
                   const std::function<void(Result<Extent*>)>& ready);
  [[nodiscard]] Status MayMakeFiles(Holder who, uint64_t files) const;
  /// An extent on its way: what is at hand of it, and who wants it.
  struct Making {
    uint64_t ticket = 0;
    uint64_t client = 0;
    ObjectId blob;
    std::function<void(Result<Extent*>)> ready;
    std::vector<Chunk> chunks;  // those without a file are to be made
    OthersAreAbout others_are_about;
    ReadyChunks::Taken sacrificed;
    Status status;
  };
  void ReserveSmall(Volume& volume, uint64_t client, uint64_t size,
                    const std::function<void(Result<Extent*>)>& ready);
  void Make(uint64_t ticket, Volume& volume, uint64_t client, uint64_t size,
            std::vector<Chunk> chunks, std::function<void(Result<Extent*>)> ready);
  void MakeMissing(std::shared_ptr<Making> making);
  void HandOver(Making& making);
  /// The memory of an extent that is out of the table.
  void GiveBack(std::unique_ptr<Extent> extent);
  /// Gives a sealed or punched extent's memory back, or lets it linger while somebody maps it.
  void Retire(std::unique_ptr<Extent> extent);
  void Close(std::unique_ptr<Extent> extent);
  void CheckLingering();
  /// Of what an engine before left, and its client has not claimed yet: what nobody holds.
  void FreeUnclaimed();

  StoreOptions options_;
  MemoryKeeper& keeper_;
  RunOnPool pool_;
  Budget budget_;
  std::shared_ptr<HeardVolumes> heard_ = std::make_shared<HeardVolumes>();
  ReadyChunks ready_;
  os::UniqueFd ledger_fd_;
  os::Mapping ledger_mapping_;
  layout::Ledger ledger_;
  std::unique_ptr<ClientTable> clients_;
  std::map<uint64_t, std::unique_ptr<Volume>> volumes_;
  uint64_t next_volume_ = 2;                                         // 1 is 'default'
  std::unordered_map<uint64_t, std::unique_ptr<Extent>> extents_;    // by blob
  std::unordered_map<uint64_t, std::unique_ptr<Extent>> lingering_;  // by blob
  uint64_t lingering_bytes_ = 0;
  // Reserved by clients of an engine before: or published and deleted, and its memory not given back when that
  // engine ended. A client that says nothing would keep it for ever. Blobs.
  std::unordered_set<uint64_t> unclaimed_;
  uint64_t freeing_bytes_ = 0;                                      // still held, and soon free
  std::unordered_map<uint64_t, std::shared_ptr<Waiting>> waiting_;  // by ticket
  std::list<QuotaWaiter> quota_waiters_;
  std::unique_ptr<Spiller> spiller_;
  std::unique_ptr<ExtentSecuring> securing_;
  std::unique_ptr<Mirror> mirror_;
  Unrestored unrestored_;
  std::deque<ObjectId> unchecked_;
  std::deque<ObjectId> kept_away_;  // to be brought back
  uint64_t next_ticket_ = 1;
  uint64_t next_sequence_ = 1;
  uint64_t next_id_ = 0;
};

}  // namespace vineyard::store
