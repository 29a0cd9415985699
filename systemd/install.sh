#!/usr/bin/env bash
# install.sh - puts edge-agent on this device as a system service, or upgrades it. Run as root; may be run again.
#
#   usage: install.sh [install|upgrade|rollback] [WHEEL] [OPTION ...]
#
#   install    (default) everything: user, venv, configuration, units; an installed service is upgraded
#   upgrade    a new venv beside the old one; returns to the old one by itself unless the new one is READY in time
#   rollback   back to the version before
#
#   WHEEL                   install this edge_agent-*.whl, what it depends on from PyPI
#   --wheelhouse DIR        install from the wheels in DIR, without network    [wheels/ beside this script, if there]
#   --source DIR            install from a checkout, its dependencies from PyPI        [the checkout of this script]
#   --extras A,B            optional parts: pi, jetson, web                            [pi on a Pi, jetson on a Jetson]
#   --python FILE           the Python to use, 3.10 or later                                              [python3]
#   --system-site-packages  let the venv see the system's Python packages: for picamera2, python3-lgpio or the
#                           system's OpenCV; kept at an upgrade
#   --ready SECONDS         how long a new version may take to be READY                                        [60]
#   --no-start              neither enable nor start anything
#   --dry-run               only say what would be done
#
# Layout: /opt/edge-agent/venvs/ID, with `current` and `previous` pointing into it; /etc/edge-agent/config.yaml;
# /etc/edge-agent/mqtt_password (root, 0600); state in /var/lib/edge-agent.
set -euo pipefail

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
version_of() { "$1/bin/python" -I -c 'from importlib.metadata import version; print(version("edge-agent"))'; }

# ---------------------------------------------------------------- a venv, complete before anything points to it
build_venv() {   # sets NEW: a new venv, or the old one when it was made from the very same wheel
  local id extras=$EXTRAS what option=() origin=
  id=$(date -u +%Y%m%dT%H%M%SZ)-$$
  NEW=$PREFIX/venvs/$id
  [ "$extras" != auto ] || extras=$(board_extras)
  [ ! -d "$OLD" ] || ! grep -qi 'include-system-site-packages = true' "$OLD/pyvenv.cfg" || SYSTEM_SITE=1
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
  say "building $NEW${extras:+ with $extras}${SYSTEM_SITE:+, seeing the system\'s packages}"
  [ -n "$DRY" ] || trap 'rm -rf "$NEW"' EXIT     # half a venv is worth nothing
  run install -d -m 755 "$PREFIX" "$PREFIX/venvs"
  run "$PYTHON" -m venv ${SYSTEM_SITE:+--system-site-packages} "$NEW"
  run "$NEW/bin/pip" install --quiet --disable-pip-version-check --no-cache-dir ${option[@]+"${option[@]}"} \
    "$what${extras:+[$extras]}"
  run "$NEW/bin/edge-agent" --version
  [ -n "$DRY" ] || printf '%s\n' "$origin" >"$NEW/origin"
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
point() {   # LINK VENV: the link is replaced in one step
  run ln -sfn "$2" "$PREFIX/.$1.new"
  run mv -T "$PREFIX/.$1.new" "$PREFIX/$1"
}
activate() {   # VENV: its units and its program become the ones in force
  local assets=$1/… unit
  [ -n "$DRY" ] || assets=$(assets_of "$1")
  for unit in edge-agent.service edge-agent@.service; do
    run install -m 644 "$assets/systemd/$unit" "$UNITS/$unit"
  done
  run sync -f "$PREFIX"                          # all of it is on the disk before the link points to it
  point current "$1"
  run systemctl daemon-reload
}
active_units() {
  systemctl list-units --plain --no-legend --state=active,activating,reloading 'edge-agent.service' 'edge-agent@*.service' \
    2>/dev/null | awk '{ print $1 }'
}
restart_and_wait() {   # UNIT...: 0 when each is READY in time
  local unit
  for unit in "$@"; do
    run systemctl reset-failed "$unit" 2>/dev/null || true
    # Type=notify: the command returns when the service has said READY, or has failed
    run timeout "$READY" systemctl restart "$unit" || { say "$unit is not READY"; return 1; }
    [ -n "$DRY" ] || systemctl is-active --quiet "$unit" || { say "$unit did not stay up"; return 1; }
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
switch_to() {   # NEW OLD
  local new=$1 old=$2 units=()
  mapfile -t units < <(active_units)             # one that its owner stopped is not started
  activate "$new"
  if restart_and_wait ${units[@]+"${units[@]}"}; then
    [ -z "$old" ] || [ "$old" = "$new" ] || point previous "$old"
    return 0
  fi
  [ -n "$old" ] || return 1
  say "going back to $old"
  journalctl -n 5 --no-pager -u "${units[0]}" 2>/dev/null || true
  activate "$old"
  restart_and_wait ${units[@]+"${units[@]}"} || die "the old version does not come up either: journalctl -u edge-agent"
  return 1
}

# ---------------------------------------------------------------- the three actions
preconditions
OLD=$(venv_of current)
case $ACTION in
  rollback)
    PREVIOUS=$(venv_of previous)
    [ -d "$PREVIOUS" ] || die "there is no version before this one"
    switch_to "$PREVIOUS" "$OLD" || die "the version before did not come up; the present one is in force again"
    say "back at edge-agent $(version_of "$PREVIOUS")"
    exit 0 ;;
  upgrade) [ -d "$OLD" ] || die "nothing to upgrade: run $0 install" ;;
esac

NEW=''
build_venv
prepare_system "$NEW"
if [ "$NEW" = "$OLD" ]; then
  activate "$NEW"                                # its units, should somebody have changed them
elif [ -d "$OLD" ]; then
  if ! switch_to "$NEW" "$OLD"; then
    run rm -rf "$NEW"
    die "the new version was not READY in $READY s; the old one is in force again"
  fi
else
  activate "$NEW"
fi
[ -n "$DRY" ] || forget_old
if [ -n "$START" ]; then
  run systemctl enable --quiet edge-agent.service
  if ! systemctl is-active --quiet edge-agent.service 2>/dev/null; then
    restart_and_wait edge-agent.service || {
      journalctl -n 10 --no-pager -u edge-agent.service 2>/dev/null || true
      die "installed, but it does not come up: edge-agent check -c $CONF/config.yaml"
    }
  fi
fi
[ -n "$DRY" ] || say "edge-agent $(version_of "$NEW") is installed; its settings are in $CONF/config.yaml"
