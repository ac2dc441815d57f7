# Part of ./quickstart: protects `directory` as `workload`, loses it, compares what comes back. Sourced.
#
# A directory of the user's own is never at risk: it is renamed to `kept` beside itself (instant, same file system,
# nothing is copied) and removed only after the restored tree proved identical to what it was. $state/kept names the
# two ("KEPT<newline>DIRECTORY") for as long as `kept` may exist, so that whatever ends this program, the next run puts
# the original back.

# The directory as given -> its absolute path; or says why it cannot be used.
checked_directory() {
  local path
  path=$(realpath -e -- "$1" 2>/dev/null) || usage "there is no directory $1"
  [ -d "$path" ] || usage "$path is not a directory"
  case $path in
    / | /home | /media | /mnt | /opt | /root | /srv | /tmp | /var | /var/lib | /bin* | /boot* | /dev* | /etc | /lib* | /proc* | /run | /sbin* | /sys* | /usr | "${HOME:-/}")
      usage "$path cannot be taken away even for seconds" "this machine, or you, stand on it: name a directory below it" ;;
    *[[:cntrl:]]*) usage "this directory's path has control characters" "the estate file cannot name it" ;;
  esac
  case $state/ in "$path"/*) usage "the state directory $state is inside $path" "--state with a directory elsewhere" ;; esac
  case $path/ in "$state"/*) usage "$path is inside the state directory $state" "give a directory of your own, or none for the sample" ;; esac
  case $root/ in "$path"/*) usage "$path holds this quickstart itself" "it would take away the programs that bring it back" ;; esac
  case ${EMBER_BIN:-$root}/ in "$path"/*) usage "$path holds the programs that would bring it back" ;; esac
  ! awk '{print $5}' /proc/self/mountinfo | while read -r mount; do
    mount=$(printf '%b' "$mount")
    case $mount/ in "$path"/*) echo found ;; esac
  done | grep found >/dev/null || usage "$path is a mount point or has one below it" "name a directory on one file system"
  [ -w "${path%/*}/" ] || usage "$path cannot be replaced: ${path%/*} is not writable by you"
  if [ "$(id -u)" != 0 ]; then
    local foreign
    foreign=$(find "$path" \( ! -user "$(id -u)" -o ! -type l ! -readable \) -print -quit 2>/dev/null) || true
    [ -z "$foreign" ] || usage "not everything in $path is yours: $foreign" "only root can give it back with its owner"
  fi
  [ -n "$(find "$path" -type f -size +0 -print -quit)" ] || usage "$path has no file with anything in it" "there would be nothing to lose"
  printf '%s' "$path"
}

is_protected() { cut -f1 "$state/protected" 2>/dev/null | grep -Fxq -- "$1"; }

# The workload of a directory: as before, else its last name made valid and unique.
workload_name() {
  local name base count=1
  name=$(awk -F'\t' -v path="$1" '$2 == path {print $1; exit}' "$state/protected" 2>/dev/null) || true
  if [ -z "$name" ]; then
    base=$(printf '%s' "${1##*/}" | tr -c 'A-Za-z0-9_-' '-' | sed 's/^[^A-Za-z0-9]*//' | cut -c1-40)
    base=${base:-data}
    name=$base
    while [ "$name" = sample ] || is_protected "$name"; do count=$((count + 1)) name=$base-$count; done
  fi
  printf '%s' "$name"
}

in_quotes() { printf '"%s"' "$(printf '%s' "$1" | sed 's/[\\"]/\\&/g')"; }

# The service of a workload only looks at the data: once a second it writes the list of what is there to
# service/WORKLOAD/listing. Healthy is a listing of the last seconds.
estate_file() {
  local name path own
  printf 'vaults:\n  - {name: here, node: %s, path: %s}\n' "$node" "$(in_quotes "$state/vault")"
  printf 'policies:\n  - {name: daily, schedule: "*-*-* 07:00", keep: {last: 10, daily: 30}, vaults: [here]}\n'
  printf 'workloads:\n'
  while IFS=$'\t' read -r name path; do
    own=$state/service/$name
    printf '  - name: "%s"\n    node: %s\n    rpo: 24h\n    policies: [daily]\n' "$name" "$node"
    printf '    sources: [{files: {paths: [%s]}}]\n' "$(in_quotes "$path")"
    printf '    service: {exec: {command: [/bin/sh, %s, %s, %s]}}\n' "$(in_quotes "$state/service/watch.sh")" "$(in_quotes "$path")" "$(in_quotes "$own")"
    printf '    health: {command: [/bin/sh, %s, %s], every: 1s, failures: 3}\n' "$(in_quotes "$state/service/healthy.sh")" "$(in_quotes "$own")"
  done <"$state/protected"
}

write_services() {
  cat >"$state/service/watch.sh" <<'SERVICE'
# The demonstration's service: lists the directory $1 in $2/listing, once a second.
echo $$ >"$2/pid.new" && mv "$2/pid.new" "$2/pid"
while :; do
  ls -A -- "$1" >"$2/listing.new" 2>/dev/null && mv "$2/listing.new" "$2/listing"
  sleep 1
done
SERVICE
  cat >"$state/service/healthy.sh" <<'SERVICE'
# Succeeds while the service of $1 has written its listing in the last five seconds.
[ -n "$(find "$1/listing" -newermt '-5 seconds' 2>/dev/null)" ] || { echo "no fresh listing"; exit 1; }
SERVICE
}

state_is() { ember workload show "$workload" --json | grep "^  \"state\": \"$1\""; }

protect() {
  local room needed
  needed=$(du -skx -- "$directory" 2>/dev/null | cut -f1)
  room=$(df -k --output=avail -- "$state" | tail -n 1)
  [ "$room" -gt $((needed + needed / 8 + 262144)) ] ||
    fail 1 "no room for a backup of $directory in $state" "it takes up to $((needed / 1024)) MiB, $((room / 1024)) MiB are free" "next: --state with a directory elsewhere"
  mkdir -p "$state/service/$workload"
  write_services
  is_protected "$workload" || printf '%s\t%s\n' "$workload" "$directory" >>"$state/protected"
  estate_file >"$state/estate.yaml"
  ember apply -f "$state/estate.yaml" --yes >"$state/log/apply.log" 2>&1 || fail 1 "the estate file was refused" "$(cat "$state/log/apply.log")"
  wait_until 90 state_is RUNNING || fail 1 "the service of $workload does not become healthy" "$(ember workload show "$workload" 2>&1)"
  say "protected: $directory as workload $workload, service running and healthy"
}

# Everything about the files that a restore must bring back: contents, and type, mode, owner, time, links.
# Fails when something cannot be read.
fingerprint() {
  attributes "$1" >"$2.attributes" && (cd -- "$1" && find . -type f -print0 | sort -z | xargs -0r sha256sum -z) >"$2.sums"
}
attributes() {
  (cd -- "$1" && find . \( -type d -printf 'd %m %U %G %T@ %p\0' \) -o \( -type l -printf 'l %U %G %T@ %l %p\0' \) -o \
    -printf '%y %m %U %G %n %s %T@ %p\0' | sort -z)
}
count_of() { tr -cd '\0' <"$1.sums" | wc -c; }

ids_of_recoveries() { ember recovery list ${workload:+--workload "$workload"} --json | sed -n 's/^ *"id": "\(.*\)",\{0,1\}$/\1/p' | sort; }
field() { sed -n "s/^  \"$1\": \"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}\$/\1/p"; }

new_recovery() { recovery=$(comm -13 <(printf '%s\n' "$recoveries_before") <(ids_of_recoveries) | tail -n 1); [ -n "$recovery" ]; }
recovery_begun() { new_recovery || state_is ESCALATED || state_is QUARANTINED; }
recovery_ended() { ember recovery show "$1" --json | field state | grep -E 'DONE|ESCALATED|CANCELLED'; }

# Prints the differences between two fingerprints, a few of them, and fails; or succeeds silently.
same() {
  cmp -s "$1.sums" "$2.sums" && cmp -s "$1.attributes" "$2.attributes" && return
  diff <(tr '\n\0' '?\n' <"$1.sums") <(tr '\n\0' '?\n' <"$2.sums") | grep '^[<>]' | head -n 5 || true
  diff <(tr '\n\0' '?\n' <"$1.attributes") <(tr '\n\0' '?\n' <"$2.attributes") | grep '^[<>]' | head -n 5 || true
  return 1
}

demonstrate() {
  local before=$state/before after=$state/after output pid killed
  fingerprint "$directory" "$before" || fail 1 "$directory cannot be read completely: nothing was touched"
  backup=$(ember backup run "$workload" --reason quickstart 2>"$state/log/backup.log") ||
    fail 1 "the backup is not complete: nothing was deleted" "$(cat "$state/log/backup.log")"
  say "backup $backup: $(tail -n 1 "$state/log/backup.log")"
  output=$(ember backup verify "$backup" 2>&1) || fail 1 "the backup cannot be read back: nothing was deleted" "$output"
  say "$output"
  attributes "$directory" >"$before.again"
  cmp -s "$before.attributes" "$before.again" ||
    fail 1 "$directory changed in the meantime: nothing was deleted" "next: run again while nobody writes there"
  files=$(count_of "$before")
  recoveries_before=$(ids_of_recoveries)
  # A person's word that earlier losses were intended: who dies again and again is not recovered again and again.
  ember workload release "$workload" >/dev/null
  destroy
  wait_until 120 recovery_begun || undo "no recovery began within two minutes"
  new_recovery || undo "the controller gave the workload up" "$(ember workload show "$workload" 2>&1)"
  wait_until 1800 recovery_ended "$recovery" || undo "the recovery did not end within half an hour"
  result=$(ember recovery show "$recovery" --json)
  [ "$(field state <<<"$result")" = DONE ] || undo "the recovery failed" "$(ember recovery show "$recovery" 2>&1)"
  fingerprint "$directory" "$after" || undo "the restored files cannot be read"
  output=$(same "$before" "$after") || undo "the restored files differ" "$output"
  forget_kept
}

destroy() {
  local kept=$directory.deleted
  pid=$(cat "$state/service/$workload/pid")
  if [ "$workload" != sample ]; then
    kept=${directory%/*}/.${directory##*/}.quickstart-kept
    [ ! -e "$kept" ] || fail 1 "$kept is in the way: nothing was deleted" "next: look what it is, and move it"
    trap 'undo "interrupted"' INT TERM HUP
    printf '%s\n%s\n' "$kept" "$directory" >"$state/kept"
    sync -- "$state/kept"
  fi
  gone_at=$(date +%s.%N)
  mv -- "$directory" "$kept"
  killed="its service had ended by itself"
  if is_service "$pid" && kill -KILL "$pid"; then killed="its service (process $pid, kill -9)"; fi
  destroyed="all $files files of $directory; $killed"
  say "destroyed: $destroyed"
  say "waiting for the recovery"
  [ "$workload" != sample ] || rm -rf -- "$kept"
}

# Whether process $1 is the service that this demonstration made, and nothing else.
is_service() { { tr '\0' '\n' <"/proc/$1/cmdline" | grep -Fx -- "$state/service/watch.sh"; } >/dev/null 2>&1; }

# The restored tree is identical: the original is not needed any more, unless somebody wrote to it through a file that
# was open.
forget_kept() {
  [ -e "$state/kept" ] || return 0
  local kept
  read -r kept <"$state/kept"
  fingerprint "$kept" "$state/before.kept" || undo "the original cannot be read any more"
  same "$state/before" "$state/before.kept" >/dev/null || undo "somebody wrote to a file of $directory that was open while it was away"
  # From here on it is the restored one that counts.
  mv -- "$kept" "$kept.removing" && rm -f "$state/kept" && trap - INT TERM HUP
  rm -rf -- "$kept.removing"
}

# Ends with an error. The user's original goes back first; nothing may act on it meanwhile, so all is stopped.
undo() {
  trap '' INT TERM HUP
  exec >&8 2>&8  # a trap may have come while a command was silenced
  if [ ! -e "$state/kept" ]; then
    [ $# -ge 2 ] || set -- "$1" "the sample is in $directory, the backup is $backup"
    fail 1 "$@" "next: ember --em 127.0.0.1:$em_port --identity $(quoted "$state/em/admin") status"
  fi
  stop_estate
  put_back
  fail 1 "$@" "$directory is as it was; the estate is stopped, its state and the logs are in $state"
}

put_back() {
  local kept place aside
  : >"$state/unsettled"
  { read -r kept && read -r place; } <"$state/kept" || { rm -f "$state/kept"; return 0; }
  if [ -e "$kept" ]; then
    if [ -e "$place" ]; then
      aside=$place.restored-by-ember-$(date +%Y%m%d-%H%M%S)
      mv -- "$place" "$aside"
      say "what had been restored until then is in $aside"
    fi
    mv -- "$kept" "$place"
    say "the original of $place is back"
  fi
  rm -f "$state/kept"
}

# A run that ended in the middle (kill -9, power): its original goes back before anything else is started.
finish_interrupted() {
  [ -e "$state/kept" ] || return 0
  say "an earlier run was interrupted"
  stop_estate
  put_back
}

# Before the agent starts again: a recovery that was on its way must not replace the original.
settle() {
  [ -e "$state/unsettled" ] || return 0
  local id
  for id in $(ids_of_recoveries); do
    if ! recovery_ended "$id" >/dev/null; then
      ember recovery cancel "$id" >/dev/null
      # Cancelling holds the workload, and here nobody would let it go.
      ember workload release "$(ember recovery show "$id" --json | field workload)" >/dev/null
    fi
  done
  rm -f "$state/unsettled"
}

print_summary() {
  local wall
  wall=$(awk -v from="$gone_at" -v to="$(date -d "$(field ended <<<"$result")" +%s.%N)" 'BEGIN {printf "%.1f", to - from}')
  seconds() { printf '%.1f s' "$(field "$1" <<<"$result")"; }
  say ""
  say "protected: $directory ($files files) as workload $workload on node $node"
  say "backup:    $backup"
  say "destroyed: $destroyed"
  say "recovery:  detection $(seconds detect_seconds), restore $(seconds restore_seconds), total $(seconds total_seconds) ($wall s after the loss)"
  say "checked:   all $files files identical"
  say "next:      export PATH=$(quoted "$EMBER_BIN"):\$PATH EMBER_EM=127.0.0.1:$em_port EMBER_IDENTITY=$(quoted "$state/em/admin")"
  say "           ember status"
  say "           ember recovery show $recovery"
  say "           ember restore $workload@latest --to $node:/tmp/$workload-restored"
  say "           (./quickstart --down$(state_option) stops everything)"
}
