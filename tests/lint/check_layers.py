#!/usr/bin/env python3
"""The arrows between boxes, and the third-party names that stay in named files (docs/architecture.md)."""
import os
import re
import sys

ROOT = sys.argv[1]

# A box may include itself and these.
MAY_INCLUDE = {
    "common/base": [],
    "common/crypto": ["common/base"],
    "common/rpc": ["common/base", "common/crypto", "proto"],
    "common/backup": ["common/base", "common/crypto", "common/rpc", "proto"],
    "common/vault": ["common/base", "common/crypto", "common/rpc", "proto"],
    "common/files": ["common/base", "common/backup", "proto"],
    "controller": ["common/base", "common/crypto", "common/rpc", "proto"],
    "node-agent": ["common/base", "common/crypto", "common/rpc", "common/backup", "common/vault", "common/files",
                   "proto"],
    "cli": ["common/base", "common/rpc", "common/backup", "common/vault", "common/files", "proto"],
}

# header prefix → the only files (or folders) that include it
ONLY_IN = {
    "openssl/": ["common/crypto/"],
    "rocksdb/": ["controller/catalog/rocksdb_catalog.cc", "common/vault/chunk_index.cc"],
    "yaml-cpp/": ["controller/estate/document.cc", "node-agent/orders/syntax_check.cc"],
    "curl/": ["node-agent/probe/probe_http.cc", "controller/notify/channel.cc"],
    "systemd/": ["controller/main.cc", "node-agent/"],
    "CLI/": ["controller/main.cc", "node-agent/", "cli/"],
    "nlohmann/": ["cli/", "controller/notify/channel.cc", "node-agent/orders/syntax_check.cc"],
    "zstd.h": ["common/backup/"],
    "isa-l/": ["common/vault/parity.cc"],
    "isa-l.h": [],
    "sqlite3.h": [],
    "libvirt/": ["node-agent/hypervisor/"],
}

# Pure deciders: no clock, no catalog, no gRPC, no threads.
PURE = [
    "controller/fleet/failure_detector", "controller/protect/schedule", "controller/protect/retention", "controller/recover/dependency_graph",
    "controller/recover/fence_command",
    "controller/notify/notices", "controller/recover/judge", "controller/recover/candidates", "controller/recover/saga", "controller/estate/",
    "node-agent/link/lease.", "node-agent/link/self_fence.", "node-agent/supervise/decide",
]
IMPURE = ["common/base/clock.h", "common/base/file.h", "controller/catalog/", "controller/em_state.h", "grpc", "thread",
          "absl/synchronization/"]

REAL_TIME = re.compile(r"absl::Now\(|absl::SleepFor|sleep_for|std::chrono::\w*clock|[^_]time\(nullptr\)|\busleep\(|clock_gettime")
REAL_TIME_ONLY_IN = ["common/base/clock.cc"]

INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.M)


def box_of(path):
    for box in sorted(MAY_INCLUDE, key=len, reverse=True):
        if path.startswith(box + "/"):
            return box
    return "proto" if path.startswith("ember/") else None


def sources():
    for top in ("common", "controller", "node-agent", "cli"):
        for folder, _, names in os.walk(os.path.join(ROOT, top)):
            for name in names:
                if name.endswith((".h", ".cc")):
                    yield os.path.relpath(os.path.join(folder, name), ROOT)


def main():
    problems, count = [], 0
    for path in sorted(sources()):
        count += 1
        text = open(os.path.join(ROOT, path), encoding="utf-8").read()
        code = re.sub(r"//[^\n]*", "", text)
        box = box_of(path)
        for include in INCLUDE.findall(text):
            target = box_of(include)
            if target and target != box and target not in MAY_INCLUDE[box]:
                problems.append(f"{path}: {box} must not include {include}")
            for prefix, files in ONLY_IN.items():
                if include.startswith(prefix) and not any(path.startswith(f) for f in files):
                    problems.append(f"{path}: {include} belongs only in {', '.join(files) or 'no file'}")
            if any(path.startswith(p) for p in PURE) and any(include.startswith(i) for i in IMPURE):
                problems.append(f"{path}: a pure decider includes {include}")
        if REAL_TIME.search(code) and path not in REAL_TIME_ONLY_IN:
            problems.append(f"{path}: real time is read only in {REAL_TIME_ONLY_IN[0]}")
    print("\n".join(problems))
    print(f"{count} files, {len(problems)} problems")
    return 1 if problems or count == 0 else 0


sys.exit(main())
