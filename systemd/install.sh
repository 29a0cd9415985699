#!/usr/bin/env bash
# install.sh - puts edge-agent on this device as a system service, or upgrades it. Run as root; may be run again.
#
#   usage: install.sh [install|upgrade|rollback] [WHEEL] [OPTION ...]
#
#   install    (default) everything: user, venv, configuration, units; an installed service is upgraded
#   upgrade    a new venv beside the old one; returns to the old one by itself unless the new one is READY in time,
#              or when it is interrupted
#   rollback   back to the version before
#
# The first installation enables edge-agent.service. Later ones leave enabled what is enabled and disabled what is
# not: they try the new version with each unit that runs or is enabled, and start the latter.
#
#   WHEEL                   install this edge_agent-*.whl, what it depends on from PyPI
#   --wheelhouse DIR        install from the wheels in DIR, without network    [wheels/ beside this script, if there]
#   --source DIR            install from a checkout, its dependencies from PyPI        [the checkout of this script]
#   --extras +A,B           optional parts (pi, jetson, web) besides those installed, or the first time those of the board
#   --extras A,B            these and no others
#                           left out: those of the wheelhouse and those installed before
#                                                                                      [pi on a Pi, jetson on a Jetson]
#   --python FILE           the Python to use, 3.10 or later                                              [python3]
#   --system-site-packages  let the venv see the system's Python packages: for picamera2 or the system's OpenCV; kept
#                           at an upgrade                  [on a Pi with Python 3.13 or later, for python3-lgpio]
#   --ready SECONDS         how long a new version may take to be READY                                        [60]
#   --no-start              neither enable anything nor start what does not run
#   --dry-run               only say what would be done
#
# Layout: /opt/edge-agent/venvs/ID, with `current` and `previous` pointing into it; /etc/edge-agent/config.yaml;
# /etc/edge-agent/mqtt_password (root, 0600); state in /var/lib/edge-agent.
set -euo pipefail
umask 022                                        # the service's user must be able to read the program and its settings

PREFIX=/opt/edge-agent CONF=/etc/edge-agent UNITS=/etc/systemd/system
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ACTION=install WHEEL='' WHEELHOUSE='' SOURCE='' EXTRAS=auto PYTHON=python3 SYSTEM_SITE='' READY=60 START=1 DRY=''

usage() { sed -n '2,/^set -euo/p' "${BASH_SOURCE[0]}" | sed '$d; s/^# \{0,1\}//'; }
say() { printf '%s\n' "install: $*"; }
die() { printf '%s\n' "install: $*" >&2; exit 1; }
run() {   # does it, or with --dry-run says it
  if [ -n "$DRY" ]; then printf 'would run:'; printf ' %q' "$@"; printf '\n'; else "$@"; fi
}

while [ $# -gt 0 ]; do
  case $1 in
    install | upgrade | rollback) ACTION=$1 ;;
    --wheelhouse | --source | --extras | --python | --ready)
      [ $# -ge 2 ] || die "$1 needs a value"
      case $1 in
        --wheelhouse) WHEELHOUSE=$2 ;; --source) SOURCE=$2 ;; --extras) EXTRAS=$2 ;;
        --python) PYTHON=$2 ;; --ready) READY=$2 ;;
      esac
      shift ;;
    --system-site-packages) SYSTEM_SITE=1 ;;
    --no-start) START='' ;;
    --dry-run) DRY=1 ;;
    *.whl) WHEEL=$1 ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; die "unknown argument: $1" ;;
  esac
  shift
done

# ---------------------------------------------------------------- what there is
preconditions() {
  [ -n "$DRY" ] || [ "$(id -u)" = 0 ] || die "run it as root: sudo $0 $ACTION"
  [[ $READY =~ ^[1-9][0-9]*$ ]] || die "--ready needs a whole number of seconds"
  case ${EXTRAS#+} in *+*) die "--extras: one + before the whole list" ;; esac
  command -v systemctl >/dev/null || die "no systemd here"
  [ "$ACTION" != rollback ] || return 0
  command -v "$PYTHON" >/dev/null || die "$PYTHON not found: install Python 3.10 or later, or name one with --python"
  "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
    die "$("$PYTHON" --version) is too old: 3.10 or later is needed (--python FILE)"
  "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || die "no venv module: apt install python3-venv"
  if [ -n "$WHEEL" ]; then
    [ -f "$WHEEL" ] || die "no such file: $WHEEL"
    WHEEL=$(cd "$(dirname "$WHEEL")" && pwd)/$(basename "$WHEEL")
  elif [ -z "$WHEELHOUSE" ] && [ -z "$SOURCE" ]; then
    if compgen -G "$HERE/wheels/edge_agent-*.whl" >/dev/null; then WHEELHOUSE=$HERE/wheels
    elif [ -f "$HERE/../pyproject.toml" ]; then SOURCE=$HERE/..
    else die "nothing to install from: name a --wheelhouse or a --source"; fi
  fi
  if [ -n "$WHEELHOUSE" ]; then
    WHEELHOUSE=$(cd "$WHEELHOUSE" 2>/dev/null && pwd) || die "no such folder: --wheelhouse"
    [ -n "$WHEEL" ] || WHEEL=$(compgen -G "$WHEELHOUSE/edge_agent-*.whl" | sort -V | tail -1) ||
      die "no edge_agent-*.whl in $WHEELHOUSE"
  elif [ -n "$SOURCE" ]; then
    [ -f "$SOURCE/pyproject.toml" ] || die "no pyproject.toml in $SOURCE"
    SOURCE=$(cd "$SOURCE" && pwd)
  fi
}

board_extras() {
  local model=
  [ ! -r /proc/device-tree/model ] || model=$(tr -d '\0' </proc/device-tree/model)
  case $model in
    *"Raspberry Pi"*) echo pi ;;
    *Jetson* | *NVIDIA*) echo jetson ;;
    *) if grep -q '^Hardware.*BCM2' /proc/cpuinfo; then echo pi; fi ;;
  esac
}

venv_of() { readlink -f "$PREFIX/$1" 2>/dev/null || true; }   # current|previous -> folder, or nothing
assets_of() { compgen -G "$1/lib/python3*/site-packages/edge_agent/assets" | head -1; }
is_dir() { [ -n "$1" ] && [ -d "$1" ]; }
version_of() { "$1/bin/python" -I -c 'from importlib.metadata import version; print(version("edge-agent"))'; }

one_a_line() { tr -s ',[:space:]' '\n' | sed '/^$/d' | sort -u; }
usual_extras() {
  if [ -e "$OLD/extras" ] || [ -e "${WHEELHOUSE:-/nowhere}/extras" ]; then
    cat "$OLD/extras" ${WHEELHOUSE:+"$WHEELHOUSE/extras"} 2>/dev/null || true
  else board_extras; fi | one_a_line
}
wanted_extras() {   # in alphabetical order, with commas
  case $EXTRAS in
    auto) usual_extras ;;
    +*) usual_extras; printf '%s\n' "${EXTRAS#+}" ;;
    *) printf '%s\n' "$EXTRAS" ;;
  esac | one_a_line | paste -sd,
}
warn_of_dropped_extras() {   # without its board's own the service is READY all the same, and its buzzer dead
  local dropped
  case $EXTRAS in auto | +*) return ;; esac
  dropped=$(comm -23 <(usual_extras) <(printf '%s\n' "$EXTRAS" | one_a_line) | paste -sd,)
  [ -z "$dropped" ] ||
    printf '%s\n' "install: warning: without $dropped: --extras names all there shall be, unless it begins with a +" >&2
}

# There is no wheel of lgpio, which drives a Pi's pins, from Python 3.13 on: only the system's package.
pins_need_the_systems_lgpio() {   # EXTRAS
  case ,$1, in *,pi,*) "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 13))' ;; *) false ;; esac
}
warn_of_missing_lgpio() {
  # (not imported: it would make a FIFO in the working directory)
  "$PYTHON" -s -c 'import importlib.util as u; raise SystemExit(u.find_spec("lgpio") is None)' || printf '%s\n' "install: warning: a buzzer on a pin needs \
python3-lgpio: sudo apt install python3-lgpio; sudo systemctl restart edge-agent" >&2
}
system_opencv_has_cuda() {
  # -s: the service does not see root's own packages. The versions are those that pyproject.toml allows.
  "$PYTHON" -s -c 'import cv2; version = tuple(map(int, cv2.__version__.split(".")[:2]))
raise SystemExit(not (4, 8) <= version < (4, 12) or cv2.cuda.getCudaEnabledDeviceCount() < 1)' 2>/dev/null
}

# ---------------------------------------------------------------- a venv, complete before anything points to it
build_venv() {   # sets NEW: a new venv, or the old one when it was made from the very same wheel
  local id extras what option=() origin=
  id=$(date -u +%Y%m%dT%H%M%SZ)-$$
  NEW=$PREFIX/venvs/$id
  extras=$(wanted_extras)
  warn_of_dropped_extras
  [ ! -d "$OLD" ] || ! grep -qi 'include-system-site-packages = true' "$OLD/pyvenv.cfg" || SYSTEM_SITE=1
  if pins_need_the_systems_lgpio "$extras"; then
    SYSTEM_SITE=1
    warn_of_missing_lgpio
  fi
  [ -z "$WHEELHOUSE" ] || option=(--no-index --find-links "$WHEELHOUSE")
  if [ -n "$WHEEL" ]; then
    what=$WHEEL
    origin="$(sha256sum <"$what") [$extras] $("$PYTHON" --version) ${SYSTEM_SITE:+system}"
    if [ -d "$OLD" ] && [ "$origin" = "$(cat "$OLD/origin" 2>/dev/null)" ]; then
      say "this very version is installed already"
      NEW=$OLD
      return
    fi
  else
    what=$SOURCE
  fi
  say "building $NEW${extras:+ with $extras}${SYSTEM_SITE:+, seeing the packages of the system}"
  [ -n "$DRY" ] || trap 'rm -rf "$NEW"' EXIT     # half a venv is worth nothing
  run install -d -m 755 "$PREFIX" "$PREFIX/venvs"
  run "$PYTHON" -m venv ${SYSTEM_SITE:+--system-site-packages} "$NEW"
  run "$NEW/bin/pip" install --quiet --disable-pip-version-check --no-cache-dir ${option[@]+"${option[@]}"} \
    "$what${extras:+[$extras]}"
  # The wheel of OpenCV knows no CUDA, and in a venv it hides the system's OpenCV, which may.
  if [ -n "$SYSTEM_SITE" ] && system_opencv_has_cuda; then
    say "using the system's OpenCV, which has CUDA"
    run "$NEW/bin/pip" uninstall --quiet --yes opencv-python-headless
    run "$NEW/bin/python" -c 'import cv2; cv2.dnn.readNetFromCaffe'
  fi
  run "$NEW/bin/edge-agent" --version
  if [ -z "$DRY" ]; then
    printf '%s\n' "$origin" >"$NEW/origin"
    printf '%s\n' "$extras" >"$NEW/extras"
  fi
  trap - EXIT
}

# ---------------------------------------------------------------- user, folders, configuration
prepare_system() {   # VENV
  local assets=$1/…
  [ -n "$DRY" ] || assets=$(assets_of "$1")
  # so that uninstall.sh knows whether the group is ours to remove
  getent group gpio >/dev/null || run touch "$PREFIX/created-group-gpio"
  run install -D -m 644 "$assets/systemd/edge-agent.sysusers" /etc/sysusers.d/edge-agent.conf
  run systemd-sysusers /etc/sysusers.d/edge-agent.conf
  run install -D -m 644 "$assets/systemd/60-edge-agent.rules" /etc/udev/rules.d/60-edge-agent.rules
  if [ -S /run/udev/control ]; then
    run udevadm control --reload
    run udevadm trigger --subsystem-match=gpio
    run udevadm trigger --sysname-match=vcio
  fi
  run install -d -m 755 "$CONF"
  if [ -e "$CONF/config.yaml" ]; then
    say "keeping $CONF/config.yaml"
    run install -m 644 "$assets/config.yaml" "$CONF/config.yaml.new"
    [ -n "$DRY" ] || ! cmp -s "$CONF/config.yaml" "$CONF/config.yaml.new" || rm "$CONF/config.yaml.new"
  else
    run install -m 644 "$assets/config.yaml" "$CONF/config.yaml"
  fi
  [ -e "$CONF/mqtt_password" ] || run install -m 600 /dev/null "$CONF/mqtt_password"
  run chmod 600 "$CONF/mqtt_password"
  run install -d -m 755 /usr/local/bin
  run ln -sfn "$PREFIX/current/bin/edge-agent" /usr/local/bin/edge-agent
}

# ---------------------------------------------------------------- switching between versions
# (`if switch_to` switches `set -e` off in all of this: each line says itself what its failure means)
point() {   # LINK VENV: the link is replaced in one step
  run ln -sfn "$2" "$PREFIX/.$1.new" && run mv -T "$PREFIX/.$1.new" "$PREFIX/$1"
}
activate() {   # VENV [PREVIOUS]: its units and its program become the ones in force, PREVIOUS the way back
  local assets=$1/… unit
  if [ -z "$DRY" ]; then assets=$(assets_of "$1") || return 1; fi
  for unit in edge-agent.service edge-agent@.service; do
    run install -m 644 "$assets/systemd/$unit" "$UNITS/$unit" || return 1
  done
  run sync -f "$PREFIX" || return 1              # all of it is on the disk before the links point to it
  # the way back first: a power cut may follow each of these lines
  if [ -n "${2:-}" ]; then point previous "$2" || return 1; fi
  point current "$1" || return 1
  run systemctl daemon-reload || return 1
}
active_units() {
  systemctl list-units --plain --no-legend --state=active,activating,reloading 'edge-agent.service' 'edge-agent@*.service' \
    2>/dev/null | awk '{ print $1 }'
}
enabled_units() {   # list-unit-files does not name instances
  local link
  for link in "$UNITS"/*.wants/edge-agent.service "$UNITS"/*.wants/edge-agent@*.service; do
    [ ! -L "$link" ] || basename "$link"
  done
}
units_to_try() {   # one that its owner disabled is not started
  { active_units; [ -z "$START" ] || enabled_units; } | sort -u
}
restart_and_wait() {   # UNIT...: 0 when each is READY in time
  local unit
  for unit in "$@"; do
    run systemctl reset-failed "$unit" 2>/dev/null || true
    # Type=notify: the command returns when the service has said READY, or has failed
    # (in the background, since bash hears of a signal only between two commands, but at once in `wait`;
    # -k: one that is started while signals are ignored ignores them, too)
    if [ -n "$DRY" ]; then run timeout "$READY" systemctl restart "$unit"; continue; fi
    timeout -k 5 "$READY" systemctl restart "$unit" &
    CHILD=$!
    wait "$CHILD" || { say "$unit is not READY"; return 1; }
    CHILD=''
    systemctl is-active --quiet "$unit" || { say "$unit did not stay up"; return 1; }
  done
}
forget_old() {   # all but the current and the previous venv
  local keep folder
  keep="$(venv_of current) $(venv_of previous)"
  for folder in "$PREFIX"/venvs/*/; do
    folder=${folder%/}
    case " $keep " in *" $folder "*) ;; *) [ ! -d "$folder" ] || run rm -rf "$folder" ;; esac
  done
}
CHILD='' UNITS_TRIED=() BEFORE=''
switch_to() {   # NEW OLD
  local new=$1 old=$2
  BEFORE=$(venv_of previous)
  mapfile -t UNITS_TRIED < <(units_to_try)
  # shellcheck disable=SC2064  # the values of now
  trap "interrupted $(printf '%q %q' "$new" "$old")" HUP INT TERM
  # While this file is there nobody knows whether the version is any good: see `OLD=` below.
  if run touch "$new/unproven" && activate "$new" "$old" && restart_and_wait ${UNITS_TRIED[@]+"${UNITS_TRIED[@]}"}; then
    trap '' HUP INT TERM
    run rm -f "$new/unproven"
    trap - HUP INT TERM
    return 0
  fi
  trap '' HUP INT TERM                           # the way back is not cut off
  go_back "$new" "$old"
  trap - HUP INT TERM
  return 1
}
go_back() {   # NEW OLD
  say "going back to $2" || true                 # (the terminal may be gone)
  journalctl -n 5 --no-pager ${UNITS_TRIED[0]:+-u "${UNITS_TRIED[0]}"} 2>/dev/null || true
  activate "$2" || say "$2 could not be put back in force" || true
  if is_dir "$BEFORE" && [ "$BEFORE" != "$2" ]; then point previous "$BEFORE"; else run rm -f "$PREFIX/previous"; fi
  restart_and_wait ${UNITS_TRIED[@]+"${UNITS_TRIED[@]}"} ||
    say "the old version does not come up either: journalctl -u edge-agent" || true
  # what failed is not kept, unless it is the one to go on with
  [ "$(venv_of current)" = "$1" ] || [ "$ACTION" = rollback ] || run rm -rf "$1"
}
interrupted() {   # NEW OLD
  trap '' HUP INT TERM
  [ -z "$CHILD" ] || kill "$CHILD" 2>/dev/null || true
  say "interrupted" || true
  go_back "$1" "$2"
  exit 1
}

# ---------------------------------------------------------------- the three actions
preconditions
CURRENT=$(venv_of current)
OLD=$CURRENT
PREVIOUS=$(venv_of previous)
[ "$PREVIOUS" != "$CURRENT" ] || PREVIOUS=''
case $ACTION in
  rollback)
    is_dir "$PREVIOUS" || die "there is no version before this one"
    switch_to "$PREVIOUS" "$OLD" || die "the version before did not come up; the present one is in force again"
    say "back at edge-agent $(version_of "$PREVIOUS")"
    exit 0 ;;
  upgrade) is_dir "$OLD" || die "nothing to upgrade: run $0 install" ;;
esac
if [ -e "$OLD/unproven" ] && is_dir "$PREVIOUS"; then
  say "the last upgrade was cut off before it was READY: the version to return to is the one before"
  OLD=$PREVIOUS
fi

NEW=''
build_venv
prepare_system "$NEW"
is_dir "$CURRENT" || [ -n "$START" ] || run touch "$PREFIX/never-enabled"
if is_dir "$CURRENT" && [ "$NEW" != "$CURRENT" ]; then
  switch_to "$NEW" "$OLD" || die "the new version was not READY in $READY s; the old one is in force again"
else
  activate "$NEW"                                # its units, should somebody have changed them
fi
[ -n "$DRY" ] || forget_old
if [ -n "$START" ]; then
  mapfile -t units < <(enabled_units)
  # only the first time: which units are enabled is then their owner's affair
  if ! is_dir "$CURRENT" || { [ "$ACTION" = install ] && [ -e "$PREFIX/never-enabled" ] && [ ${#units[@]} = 0 ]; }; then
    run systemctl enable --quiet edge-agent.service
    units=(edge-agent.service)
  fi
  run rm -f "$PREFIX/never-enabled"
  for unit in ${units[@]+"${units[@]}"}; do
    ! systemctl is-active --quiet "$unit" 2>/dev/null || continue
    restart_and_wait "$unit" || {
      journalctl -n 10 --no-pager -u "$unit" 2>/dev/null || true
      name=${unit#edge-agent} name=${name#@} name=${name%.service}
      die "installed, but $unit does not come up: edge-agent check -c $CONF/${name:-config}.yaml"
    }
  done
fi
[ -n "$DRY" ] || say "edge-agent $(version_of "$NEW") is installed; its settings are in $CONF/config.yaml"
