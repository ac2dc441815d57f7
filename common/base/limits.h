// Every bound and time-out of Ember, each with its reason. Relations are checked at compile time.
// Settings that an estate may change are defaults here; controller/estate enforces the same relations on them.
#ifndef EMBER_COMMON_BASE_LIMITS_H_
#define EMBER_COMMON_BASE_LIMITS_H_

#include <cstddef>
#include <cstdint>

#include "absl/time/time.h"

namespace ember {

inline constexpr char kVersion[] = "0.1.0";

// --- heartbeat and lease -------------------------------------------------------------------------------------------
// How long the controller holds a beat that has nothing to answer. Short against kLease: six tries per lease.
inline constexpr int64_t kBeatSeconds = 3;
// What an acknowledged beat grants, counted by the agent from its own send time.
inline constexpr int64_t kLeaseSeconds = 20;
inline constexpr int64_t kSuspectSeconds = 10;
inline constexpr int64_t kUnreachableSeconds = 20;
// An agent without lease and majority needs this long to stop its exclusive workloads: TERM, then KILL.
inline constexpr int64_t kSelfFenceSeconds = 15;
inline constexpr int64_t kSelfFenceKillSeconds = 10;
// Clock rate differences, scheduling delays.
inline constexpr int64_t kFenceMarginSeconds = 10;
inline constexpr int64_t kDeadSeconds = 45;
static_assert(kBeatSeconds * 2 < kSuspectSeconds, "one lost beat must not make a node SUSPECT");
static_assert(kSelfFenceKillSeconds < kSelfFenceSeconds, "KILL must come within the self-fence time");
static_assert(kLeaseSeconds + kSelfFenceSeconds + kFenceMarginSeconds <= kDeadSeconds,
              "a silent node must have stopped its exclusive workloads before it is DEAD");
static_assert(kSuspectSeconds < kUnreachableSeconds && kUnreachableSeconds < kDeadSeconds);
// A machine's watchdog: how long an agent may hang before it is reset; how long after its deadline a workload may run on
// before the watchdog is starved; and how long that takes then.
inline constexpr int64_t kWatchdogSeconds = 60;
inline constexpr int64_t kWatchdogGraceSeconds = 5;
inline constexpr int64_t kWatchdogStarveSeconds = 2;
static_assert(kWatchdogGraceSeconds + kWatchdogStarveSeconds + 1 < kFenceMarginSeconds,
              "the machine must be reset before its node is DEAD");
// A beat is answered within kBeat; beyond this the agent dials again.
inline constexpr int64_t kBeatDeadlineSeconds = 10;
static_assert(kBeatDeadlineSeconds < kLeaseSeconds, "a lost reply must leave time for another beat");
// More than this share of the nodes silent within kFreezeWindow: no automatic recovery.
inline constexpr int kFreezeOverPercent = 30;
inline constexpr int64_t kFreezeWindowSeconds = 60;
inline constexpr int kThawPercent = 70;
inline constexpr int64_t kThawSeconds = 120;
// Nobody is DEAD within this many leases of a controller start or a thaw.
inline constexpr int kStartGraceLeases = 2;
inline constexpr int64_t kTickMillis = 500;
// A tick later than this by itself extends all leases by its lag.
inline constexpr int64_t kTickLagMillis = 2000;
inline constexpr int64_t kLastSeenFlushSeconds = 10;
inline constexpr int64_t kClockSkewWarnSeconds = 30;
// A peer's vote is asked once per lease and answered quickly or not at all.
inline constexpr int64_t kPeerVoteMillis = 2000;

// --- identity ------------------------------------------------------------------------------------------------------
inline constexpr int64_t kTokenHours = 1;
inline constexpr int64_t kCertificateDays = 90;
inline constexpr int64_t kRenewBeforeDays = 30;
inline constexpr int64_t kCaYears = 20;
// Certificates start in the past so that a node whose clock is a day slow can join.
inline constexpr int64_t kCertificateBackdateHours = 36;

// --- names and messages --------------------------------------------------------------------------------------------
inline constexpr size_t kNameBytesMax = 64;
inline constexpr size_t kEstateFileBytesMax = 1 << 20;
inline constexpr size_t kGrpcMessageBytesMax = 16 << 20;
inline constexpr size_t kNodesMax = 10000;
// In an estate of more nodes only those are told of all their peers that may have to ask for their vote.
inline constexpr size_t kPeersForAllMax = 100;
inline constexpr size_t kWorkloadsMax = 10000;
inline constexpr int kEventsPerReplyMax = 1000;
inline constexpr int kEventWaitSecondsMax = 30;
inline constexpr size_t kProblemsReportedMax = 100;
// A restore names what it removes only from a smaller backup: 16 MiB of hashes.
inline constexpr size_t kNamedRemovalsOfMax = 1 << 20;
inline constexpr int kChangesShown = 20;  // of each kind, to a person who is asked
inline constexpr size_t kLogTailLines = 20;
inline constexpr size_t kLogLineBytesMax = 512;

// --- what the controller keeps and tells -----------------------------------------------------------------------------
// Beyond these the oldest go; the event log keeps all of them.
inline constexpr size_t kEndedRunsKept = 1000;
inline constexpr size_t kEndedRecoveriesKept = 1000;
// A notice to a person: so many tries with pauses that double from the first one; what is older is no news.
inline constexpr int kNoticeTries = 5;
inline constexpr int64_t kNoticeRetryMillis = 1000;
inline constexpr int64_t kNoticeTimeoutSeconds = 10;
inline constexpr int64_t kNoticeAgeMaxHours = 24;

// --- estate file and schedules --------------------------------------------------------------------------------------
// Nodes of the document with aliases written out: a small file must not grow into a large estate in memory.
inline constexpr size_t kEstateDocumentNodesMax = 200000;
inline constexpr size_t kEstateDepthMax = 32;
// A broken file is corrected a screen at a time.
inline constexpr size_t kEstateErrorsMax = 20;
// All of them travel as one gRPC status, whose trailers hold 8 KiB.
inline constexpr size_t kEstateErrorBytesMax = 300;
inline constexpr size_t kEstateErrorsBytesMax = 5000;
// Vaults and policies are looked at for each workload.
inline constexpr size_t kVaultsMax = 1000;
inline constexpr size_t kPoliciesMax = 1000;
// A day without a controller is the longest anybody would call "not dead yet".
inline constexpr int64_t kDeadSecondsMax = 86400;
// Durations of an estate stay far from the end of 64-bit milliseconds.
inline constexpr int64_t kEstateDurationYearsMax = 100;
// More of anything that is counted (backups to keep, restarts, probes) is a typing error.
inline constexpr int kKeepCountMax = 100000;
inline constexpr int kRestartLimitMax = 1000;
inline constexpr int kProbeFailuresMax = 1000;
// Of environment variables and options; YAML itself stops at 1024.
inline constexpr size_t kVariableNameBytesMax = 256;
// Editors save a file in several steps.
inline constexpr int64_t kDebounceMillis = 5000;
inline constexpr int64_t kDebounceMillisMin = 100;
// Fewer nodes, and a lone cut-off node is no minority.
inline constexpr size_t kFailoverNodesMin = 3;
// Schedules are looked up from here to there: systemd's bounds.
inline constexpr int kCalendarYearMin = 1970;
inline constexpr int kCalendarYearMax = 2199;
inline constexpr size_t kScheduleBytesMax = 256;

// --- data plane ----------------------------------------------------------------------------------------------------
inline constexpr size_t kChunkMin = 64 << 10;
inline constexpr size_t kChunkTarget = 256 << 10;
inline constexpr size_t kChunkMax = 1 << 20;
static_assert(kChunkMin < kChunkTarget && kChunkTarget < kChunkMax);
// What a cut of a file depends on: long enough that unlike places rarely look alike, short enough to be four words.
inline constexpr size_t kCutWindowBytes = 32;
static_assert(kCutWindowBytes <= kChunkMin);
// Disks are cut between blocks of this size, the unit in which guests and file systems write.
inline constexpr size_t kCutBlockBytes = 4 << 10;
// Scattered writes change whole chunks of a disk, so these are smaller than a file's.
inline constexpr size_t kBlockChunkMin = 16 << 10;
inline constexpr size_t kBlockChunkTarget = 64 << 10;
inline constexpr size_t kBlockChunkMax = 256 << 10;
static_assert(kBlockChunkMin < kBlockChunkTarget && kBlockChunkTarget < kBlockChunkMax);
static_assert(kBlockChunkMin % kCutBlockBytes == 0 && kBlockChunkTarget % kCutBlockBytes == 0 &&
              kBlockChunkMax % kCutBlockBytes == 0);
static_assert(kBlockChunkMax <= kChunkMax, "buffers that hold a chunk hold one of a disk too");
// Files up to this size live in the manifest itself.
inline constexpr size_t kInlineBytesMax = 512;
// Files up to this size share a group record.
inline constexpr size_t kGroupedFileBytesMax = 64 << 10;
inline constexpr size_t kGroupTarget = 256 << 10;
inline constexpr size_t kGroupMax = 1 << 20;
static_assert(kGroupedFileBytesMax <= kChunkMin, "a grouped file is never cut");
static_assert(kGroupMax <= kChunkMax, "a group fits a record");
inline constexpr size_t kLeafBytesMax = 512 << 10;
inline constexpr uint64_t kLeafBoundary = 256;  // a leaf ends at one name in this many
inline constexpr size_t kNodeChildrenMax = 4096;
inline constexpr size_t kPackBytes = 64 << 20;
// Its table is in memory while it is written: a pack of very small records is full earlier.
inline constexpr int kPackRecordsMax = 32768;
inline constexpr int kOpenPacks = 2;
inline constexpr size_t kRecordBytesMax = kChunkMax + (64 << 10);
static_assert(kRecordBytesMax < kGrpcMessageBytesMax);
inline constexpr size_t kHaveBatchMax = 512;
// The walk of a tree: threads that look at names before it comes to them, how many names at a time, and how many times
// that ahead. Each name that waits is 256 bytes (struct statx).
inline constexpr int kLookAheadThreads = 2;
inline constexpr size_t kLookAheadNames = 128;
inline constexpr size_t kLookAheadPieces = 32;
static_assert(kLookAheadNames * kLookAheadPieces * 256 <= 1 << 20);
inline constexpr size_t kUploadMessageBytes = 1 << 20;
// What the writer keeps in flight between its stages; the larger part of an agent's memory.
inline constexpr size_t kInFlightBytes = 48 << 20;
inline constexpr size_t kRestoreWindowBytes = 48 << 20;
inline constexpr int kZstdLevel = 1;
// Compression that gains less than this is not kept.
inline constexpr int kCompressionGainPercentMin = 3;
// A file that changes while read is read again this often, then listed as a problem.
inline constexpr int kUnstableReadsMax = 3;
// A file modified this shortly before it was read may change again within its time stamp.
inline constexpr int64_t kRacySeconds = 2;
inline constexpr size_t kPathBytesMax = 64 << 10;
inline constexpr size_t kManifestDepthMax = 16;
// An entry with more extents goes on in further parts, each in a leaf of its own; a part ends at one id in kPartBoundary.
inline constexpr size_t kPartExtentsMax = 8192;
inline constexpr uint64_t kPartBoundary = 4096;
static_assert(kPartExtentsMax * 64 + kLeafBytesMax <= kRecordBytesMax, "a part and its metadata fit a record");
// Entries that wait for their contents before they reach the manifest; an open group is closed rather than exceed it.
inline constexpr size_t kPendingEntriesMax = 4096;
inline constexpr size_t kPendingExtentsMax = 65536;
// Every item in flight counts at least this, so that the queues are bounded in number too.
inline constexpr size_t kInFlightItemBytesMin = 4 << 10;
// What a source is read into: room for one read of kChunkMax behind a chunk that is not cut yet.
inline constexpr size_t kReadBufferBytes = 4 << 20;
static_assert(kReadBufferBytes >= 3 * kChunkMax);
// Sent to a vault and not yet acknowledged.
inline constexpr size_t kUploadWindowBytes = 16 << 20;
// The least that an estate may limit a node to: a record must not take minutes.
inline constexpr int64_t kBandwidthMin = 64 << 10;
inline constexpr int64_t kBandwidthMax = int64_t{1} << 40;
inline constexpr size_t kBandwidthRulesMax = 100;
// While a limit makes it wait, a sender looks this often whether its job was cancelled.
inline constexpr int64_t kPacePollMillis = 200;
// A connection that is alive but brings nothing for this long is given up: a vault's disk hangs.
inline constexpr int64_t kUploadStallSeconds = 120;
inline constexpr int64_t kVaultCallSeconds = 30;
// A commit checks every id and makes all durable.
inline constexpr int64_t kVaultCommitSeconds = 900;
inline constexpr size_t kManifestFetchBatch = 32;
inline constexpr size_t kRestoreBatchIds = 128;
// Records kept after their last use, for the next file of the same group.
inline constexpr size_t kRestoreRecentBytes = 8 << 20;
inline constexpr size_t kRestoreLookaheadParts = 1024;
// The first read-ahead; doubles with every object the target takes, ends with one it declines.
inline constexpr size_t kRestoreWindowBytesMin = 1 << 20;

// --- vault -----------------------------------------------------------------------------------------------------------
// An append that would leave less than this is refused, so that footers of open packs, reference sets and the index
// still have room and what is stored can be committed.
inline constexpr int64_t kVaultReserveBytes = 64 << 20;
// A commit names at most this many missing ids at a time: the reply stays far below kGrpcMessageBytesMax.
inline constexpr size_t kNeedIdsMax = 10000;
// Of one backup; 16 TiB at kChunkTarget. A commit looks each of them up, within kVaultCommitSeconds.
inline constexpr size_t kCommitIdsMax = 64 << 20;
// Of a reference set that a vault is sent: each of many commits at once may hold so much.
inline constexpr size_t kRefSetMemoryBytes = 4 << 20;
// Ids of a set that are held in memory; more of them go to a scratch file (8 MiB at a time).
inline constexpr size_t kIdsInMemory = 256 << 10;
// Ids that a backup knows to be in the vault without asking; 16 bytes each in a table that is half full (some 40 MiB).
inline constexpr size_t kKnownIdsMax = 1800000;
// What a vault tells of the ids of a domain when a session without a parent opens: for 2 M ids at most (some 500 GiB).
inline constexpr size_t kIdFilterBytesMax = 2 << 20;
inline constexpr size_t kIdFilterBitsMin = 8;  // for each id
inline constexpr size_t kIdFilterIdsMax = kIdFilterBytesMax * 8 / kIdFilterBitsMin;
inline constexpr size_t kIdFilterScanMax = 2 * kIdFilterIdsMax;  // what the vault looks at for it: a second or two
static_assert(kIdFilterBytesMax < kGrpcMessageBytesMax / 2);
inline constexpr size_t kSummaryBytesMax = 1 << 20;
inline constexpr size_t kKeyboxBytesMax = 4 << 10;
// A page of text.
inline constexpr size_t kRecoveryKitBytesMax = 64 << 10;
// Recovery recipients of an estate: some people and a safe.
inline constexpr size_t kRecoveryBoxesMax = 16;
// Boxes that a vault keeps of a domain: also those of recipients that an estate has no more.
inline constexpr size_t kDomainBoxesMax = 64;
static_assert(kRecoveryBoxesMax <= kDomainBoxesMax);
// A pack larger than this was not written by Ember; it is read into memory when its footer is damaged.
inline constexpr size_t kPackBytesMax = 2 * kPackBytes;
static_assert(kPackBytes + kRecordBytesMax < kPackBytesMax);
// One read of a pack: neighbours are read together, small gaps included, because a seek costs more than the gap.
inline constexpr size_t kReadRangeBytesMax = 4 << 20;
inline constexpr size_t kReadGapBytesMax = 64 << 10;
inline constexpr size_t kReadProblemsPerReply = 1000;
// Damaged records remembered so that the next backup sends them again; beyond this the disk is the problem.
inline constexpr size_t kDamagedIdsMax = 16384;
// What `backup delete` puts into the trash, and what a GC leaves there, can be had back for so long.
inline constexpr int64_t kTrashDays = 7;
// Of a vault's backups, within a day of the vault's clock, without a person's word; at least one.
inline constexpr int kDeletionBudgetPercent = 10;
// The rules of `keep` are looked at after each backup, and this often, because time passes.
inline constexpr int64_t kRetentionEverySeconds = 3600;
// Deletions by rule under way at once: some seconds of a vault's time.
inline constexpr int kRetentionDeletesMax = 50;
// Ids looked up, and asked of another vault, at a time: some pack reads, and never a message's worth of memory.
inline constexpr size_t kReplicaBatchIds = 1024;
// What could not be copied because a vault was away is tried again after this.
inline constexpr int64_t kReplicationRetrySeconds = 300;
// Anything else that a vault lacks, and that no new backup brings to mind, is looked at so often.
inline constexpr int64_t kReplicationSweepHours = 24;
// The records of a backup that was interrupted are kept for its next try.
inline constexpr int64_t kSessionLeaseHours = 24;
// A pack is rewritten when more than this much of it is garbage.
inline constexpr int kSweepDeadPercent = 25;
// So many become one; the tables of all are in memory meanwhile.
inline constexpr size_t kSweepGroupPacksMax = 8;
// Ids of reference sets held while they are compared with the index: a range of them at a time.
inline constexpr size_t kMarkBytes = 64 << 20;
inline constexpr size_t kRecordIdBytes = 32;
// One read of a set of ids.
inline constexpr size_t kIdsReadBytes = 64 << 10;
static_assert(kIdsReadBytes % kRecordIdBytes == 0, "whole ids");
// Ids flagged, or looked up and pinned, while the pin lock is held: milliseconds.
inline constexpr size_t kCondemnBatch = 1024;
// Reed-Solomon inside a pack: so many data and parity slices of so many bytes.
inline constexpr size_t kParityDataSlices = 40;
inline constexpr size_t kParitySlices = 2;
inline constexpr size_t kParitySliceBytes = 64 << 10;
// The last stripe's slices are shorter, but no shorter than a sector: a lost sector must not be many lost slices.
inline constexpr size_t kParitySliceBytesMin = 4 << 10;
// What a reader takes for a pack's parity: a symbol has eight bits; a slice is held in memory.
inline constexpr size_t kParitySlicesTotalMax = 255;
inline constexpr size_t kParitySliceBytesMax = 1 << 20;
static_assert(kParityDataSlices + kParitySlices <= kParitySlicesTotalMax);
static_assert(kParitySliceBytesMin <= kParitySliceBytes && kParitySliceBytes <= kParitySliceBytesMax);
inline constexpr size_t kIndexLookupBatch = 1024;
inline constexpr size_t kIndexCacheBytes = 32 << 20;
inline constexpr size_t kIndexWriteBufferBytes = 16 << 20;
// Object writers gather small appends, and start the write-back of what they have written so far.
inline constexpr size_t kObjectBufferBytes = 1 << 20;
inline constexpr size_t kWriteBackBytes = 8 << 20;

// --- sources ---------------------------------------------------------------------------------------------------------
// Directories held open while a tree is walked; those further up are opened again on the way back, so that a tree of
// any depth needs few descriptors.
inline constexpr size_t kOpenDirectoriesMax = 64;
// Places one restore swaps one by one; each holds descriptors, and a usual soft limit is 1024.
inline constexpr size_t kRestorePlacesMax = 200;
static_assert(kRestorePlacesMax * 3 + kOpenDirectoriesMax < 1024, "a restore stays within the usual descriptor limit");
// A file beyond this is announced to the kernel's read-ahead; smaller ones come with the first read anyway.
inline constexpr int64_t kReadAheadFileBytes = 256 << 10;
// Names of owners remembered during a walk.
inline constexpr size_t kOwnerNamesMax = 4096;

// --- catalog exports -------------------------------------------------------------------------------------------------
// Made when the estate or its keys changed, once that has been quiet for a moment, and this often for the backups' sake.
inline constexpr int64_t kExportEverySeconds = 3600;
inline constexpr int64_t kExportQuietSeconds = 3;
// About 300 bytes per backup: enough for 200,000.
inline constexpr size_t kExportBytesMax = 64 << 20;
inline constexpr size_t kExportPieceBytes = 256 << 10;
inline constexpr int64_t kExportFetchSeconds = 60;
// Older ones are for the case that the newest was made of a mistake.
inline constexpr size_t kExportsKept = 8;
// A controller made anew counts its terms from so far above those of the lost one, which may have begun some more.
inline constexpr uint64_t kExportEpochGap = 1000;

// --- messages --------------------------------------------------------------------------------------------------------
inline constexpr size_t kMessageBytesMax = 64 << 10;
inline constexpr size_t kMessageIdBytesMax = 128;
// Unconfirmed ones: of one receiver, and of all; they are held in memory.
inline constexpr size_t kMessagesPerReceiverMax = 10000;
inline constexpr size_t kMessagesMax = 50000;
inline constexpr size_t kMessageBytesTotalMax = 256 << 20;
// In one beat, which stays well below a gRPC message.
inline constexpr size_t kMessagesPerBeat = 100;
inline constexpr size_t kMessageBytesPerBeat = 1 << 20;
static_assert(kMessageBytesMax <= kMessageBytesPerBeat, "every message fits into a beat");
// What an agent keeps while the controller is away, in segments that are removed once all of them is acknowledged.
inline constexpr size_t kMessageSpoolBytesMax = 64 << 20;
inline constexpr size_t kMessageSegmentBytes = 1 << 20;
inline constexpr int64_t kMessageWaitSecondsMax = 60;
// A page of `message list`.
inline constexpr size_t kMessagesListedMax = 1000;

// --- services, probes, recovery --------------------------------------------------------------------------------------
inline constexpr int64_t kStopTimeoutSeconds = 10;
inline constexpr int64_t kProbeEveryMillis = 5000;
inline constexpr int64_t kProbeTimeoutMillis = 5000;
inline constexpr int kProbeFailures = 3;
inline constexpr int64_t kProbeEveryMillisMin = 100;
inline constexpr int kRestartLimit = 3;
inline constexpr int64_t kRestartWindowSeconds = 300;
inline constexpr int64_t kRecoveryVerifySeconds = 300;
inline constexpr int kQuarantineBackups = 2;
// Restores of recoveries: in the estate, to one node, out of one vault.
inline constexpr int kRecoveriesAtOnce = 4;
inline constexpr int kRecoveriesPerTarget = 2;
inline constexpr int kRecoveriesPerVault = 2;
// A fence command: it may have to wait until a machine has shut down.
inline constexpr int64_t kFenceSeconds = 60;
inline constexpr int64_t kFenceSecondsMax = 600;
// How often it is begun before a person is asked, and how long after each failure. Who runs it is given up so long after
// its time-out.
inline constexpr int kFenceAttempts = 4;
inline constexpr int64_t kFenceRetrySeconds = 10;
inline constexpr int64_t kFenceAnswerSeconds = 30;
// What a node was left with: so often is its backup begun, and so long after the first failure; then twice as long.
inline constexpr int kOrphanAttemptsMax = 3;
inline constexpr int64_t kOrphanRetrySeconds = 60;
// Scheduled backups of each policy that an agent may make while it is without a controller.
inline constexpr int kOfflineBackupsAhead = 7;
// In their ids, so that no backup that the controller orders has the same one.
inline constexpr int kOfflineBackupNumber = 99;
// What has just been applied may not have reached everybody yet.
inline constexpr int64_t kEstateNewSeconds = 20;
inline constexpr int kOrdersAtOnce = 2;  // per agent, of the long kinds
inline constexpr size_t kServiceLogBytesMax = 16 << 20;
inline constexpr int kBackupAttemptsMax = 3;
inline constexpr int64_t kBackupRetrySeconds = 30;
// Flap damping (RFC 2439 style): a penalty per death, halved every half-life.
inline constexpr double kFlapPenalty = 1000;
inline constexpr double kFlapSuppress = 3000;
inline constexpr int64_t kFlapHalfLifeSeconds = 900;

// Per node, told to every agent; a certificate lives 90 days, so nobody enrols one so often.
inline constexpr size_t kSupersededSerialsKept = 100;

// --- node agent --------------------------------------------------------------------------------------------------------
// Orders whose result the controller has recorded; remembered so that a late repeat is not run again.
inline constexpr size_t kOrdersRemembered = 10000;
// Open orders an agent takes; the controller offers the rest again with the next beat.
inline constexpr size_t kOrdersOpenMax = 1000;
// Order updates in one beat; keeps a beat far below kGrpcMessageBytesMax.
inline constexpr size_t kOrderUpdatesPerBeat = 200;
inline constexpr int kVaultOrdersAtOnce = 2;   // jobs of the vaults that it hosts, one per vault
inline constexpr int kPromptOrdersAtOnce = 4;  // start and stop: one slow stop must not delay the others
inline constexpr int kFenceOrdersAtOnce = 2;   // commands that switch other nodes off
inline constexpr int64_t kProgressMillis = 500;
inline constexpr int64_t kResultRetrySeconds = 2;  // a result that could not be written, for want of space
inline constexpr size_t kEventsSpooledMax = 400;
inline constexpr size_t kEventsPerBeat = 200;
// Two threads each; a host with more workloads than this is not a homelab host.
inline constexpr size_t kWorkloadsPerAgentMax = 256;
// The longest time between two looks at whether a service still runs.
inline constexpr int64_t kSuperviseMillisMax = 1000;
// A crashed service is restarted after this many times its recent restarts: at once, then 1 s, then 2 s.
inline constexpr int64_t kRestartDelayMillis = 1000;
inline constexpr int64_t kReconnectMillisMin = 200;
inline constexpr int64_t kReconnectMillisMax = 5000;
// Leases end up to a held beat apart, so peers are asked again and again within the self-fence time.
inline constexpr int64_t kVoteAgainMillis = 500;
// How long a silent node may take to answer its peers, and how often they look.
inline constexpr int64_t kLookoutSeconds = 2;
inline constexpr int64_t kLookoutEverySeconds = 3;
static_assert(kLookoutSeconds + kLookoutEverySeconds + 2 * kBeatSeconds < kDeadSeconds - kSuspectSeconds,
              "what peers see must be known when a node is declared DEAD");
inline constexpr int64_t kLeaseLookMillis = 250;  // how often the agent compares its lease with the time
static_assert(kSelfFenceSeconds - kSelfFenceKillSeconds > kBeatSeconds, "all leases of a dead controller must lapse "
              "before the first agent gives up asking");
// Beats that are answered at once follow each other no faster than this; an answer that could not be carried out (a
// full disk) is asked for again after kReplyRetryMillis.
inline constexpr int64_t kBeatMillisMin = 50;
inline constexpr int64_t kReplyRetryMillis = 1000;
inline constexpr int64_t kVaultRetrySeconds = 5;
inline constexpr int64_t kVaultLookMillis = 500;  // a vault just assigned is opened within this
inline constexpr int64_t kKeyReleaseSeconds = 30;
inline constexpr int64_t kJoinSeconds = 20;
inline constexpr int64_t kRenewRetryMinutes = 60;
// Of refusals: one event per peer and this time, and of so many peers; the controller counts each refused method.
inline constexpr int64_t kRefusedEventSeconds = 10;
inline constexpr size_t kRefusedPeersMax = 20;
inline constexpr size_t kRefusalsRemembered = 1000;
// Arenas of the C library's allocator: with one per thread, freed chunks of a backup stay with threads that need them no
// more, a quarter of the agent's memory.
inline constexpr int kMallocArenas = 2;
// Records come and go all the time; below these the kernel would clear their pages anew each time.
inline constexpr int kMallocTrimBytes = 4 << 20;
inline constexpr int kMallocMapBytes = 16 << 20;
// A clean stop takes at most 10 s in all; what has not ended by then is ended by the end of the process.
inline constexpr int64_t kAgentStopSeconds = 8;

// --- command line ----------------------------------------------------------------------------------------------------
// How long one call to the controller may take before `ember` says that it cannot be reached (--timeout).
inline constexpr int64_t kCliTimeoutSeconds = 10;
// A day: beyond it the number is a typing error, and a deadline that far is none.
inline constexpr int64_t kCliTimeoutSecondsMax = 86400;
// How often a waiting verb asks for its run: quick enough that a small backup feels immediate.
inline constexpr int64_t kRunPollMillis = 250;
// Progress without a terminal: one line this often, so that logs stay short.
inline constexpr int64_t kProgressLineSeconds = 10;
// The rate shown is that of the last seconds, so that a stall is visible.
inline constexpr int64_t kProgressRateSeconds = 10;
inline constexpr int64_t kWatchSeconds = 2;
// `events --follow` asks again this often; below kEventWaitSecondsMax, above what would load the controller.
inline constexpr int64_t kFollowWaitSeconds = 10;
static_assert(kFollowWaitSeconds <= kEventWaitSecondsMax);
// What `events --follow` shows of the past.
inline constexpr size_t kFollowPastEvents = 10;
// A page of `backup files`: it travels in a beat and lies in the catalog for minutes, so it stays well
// below a gRPC message; one row with the longest path and target fits.
inline constexpr size_t kListingBytesMax = 256 << 10;
// A part of a file for `backup cat`, which travels and lies there likewise.
inline constexpr int64_t kFilePartBytesMax = 512 << 10;
// Ended listings, and parts of files, that the controller keeps for whoever asked: as many as people ask for at once.
inline constexpr size_t kListingsKept = 16;
// A person's identity is renewed by the CLI when less than this part of its life is left: what is used
// once a month never runs out.
inline constexpr int kIdentityRenewPart = 3;
// Settings files whose syntax is checked after an in-place restore, and the largest of them: enough for
// any service's configuration, and never a wait that somebody notices.
inline constexpr size_t kSyntaxCheckFilesMax = 2000;
inline constexpr size_t kSyntaxCheckBytesMax = 1 << 20;
// `doctor` warns below this much room: less than a day of logs and a small backup.
inline constexpr int64_t kDoctorFreeBytes = 1 << 30;
// `schedule next` of one policy, at most.
inline constexpr int kNextRunsMax = 1000;
// Width of tables: fits a terminal, an e-mail and a bug report.
inline constexpr size_t kTableColumns = 100;

// --- connections -----------------------------------------------------------------------------------------------------
// A peer that vanished is noticed after one interval and one wait for its answer.
inline constexpr int kKeepaliveMillis = 10000;
inline constexpr int kServerKeepaliveMillis = 30000;
// Pings that come faster than this are a nuisance; clients send one per kKeepaliveMillis.
inline constexpr int kPingMillisMin = 5000;
static_assert(kPingMillisMin < kKeepaliveMillis, "our own clients must not count as a nuisance");
// One attempt to connect, TLS included: half a lease.
inline constexpr int kConnectMillis = 10000;
static_assert(kConnectMillis <= kLeaseSeconds * 1000 / 2);
// An error's text, and its hint, travel in HTTP/2 headers, where every byte may take three.
inline constexpr size_t kStatusMessageBytesMax = 8 << 10;
inline constexpr int kMetadataBytesMax = 64 << 10;
static_assert(2 * 3 * kStatusMessageBytesMax < kMetadataBytesMax);
inline constexpr size_t kPemBytesMax = 64 << 10;
// Certificates of peers remembered as verified, about 2 KiB each: every node's, before and after its renewal.
inline constexpr size_t kVerifiedCertificatesMax = 2 * kNodesMax;

// --- guards of services ----------------------------------------------------------------------------------------------
// A guard reads its deadline, and tries again what failed, this often.
inline constexpr int64_t kGuardPollMillis = 500;
static_assert(kSelfFenceKillSeconds * 1000 + kGuardPollMillis < kSelfFenceSeconds * 1000,
              "a guard whose agent is dead must KILL within the self-fence time");
// While processes end: short, because a recovery waits for it.
inline constexpr int64_t kProcessPollMillis = 20;
// From the start of a guard to its command running: a fork, an exec and two small synced files on a busy disk.
inline constexpr int64_t kGuardReadySeconds = 15;
// After KILL, for the kernel to take the processes away.
inline constexpr int64_t kGuardStopMarginSeconds = 5;
// Longer than any clean shutdown; a larger number is a typing error.
inline constexpr int64_t kStopTimeoutSecondsMax = 3600;
// Output read in one go, so that a chatty command cannot keep its guard from its deadline.
inline constexpr size_t kGuardReadBytes = 256 << 10;
// For systemd to finish a job: over its own default of 90 s for a unit to stop.
inline constexpr int64_t kSystemdJobSeconds = 100;
inline constexpr int64_t kSystemdCallSeconds = 5;
// Of a probe's output; only its last line is shown.
inline constexpr size_t kProbeOutputBytesMax = 4096;
static_assert(kProbeOutputBytesMax >= kLogLineBytesMax);

}  // namespace ember

#endif  // EMBER_COMMON_BASE_LIMITS_H_
