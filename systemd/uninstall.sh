#!/usr/bin/env bash
# uninstall.sh - takes edge-agent off this device. Leaves nothing but what is asked to be kept.
#
#   usage: uninstall.sh [--keep-config] [--keep-state] [--yes] [--dry-run]
#
#   --keep-config   leave /etc/edge-agent (settings and credentials)
#   --keep-state    leave /var/lib/edge-agent (events not yet delivered, switches) and the user who owns it
#   --yes           don't ask
#   --dry-run       only say what would be done
set -euo pipefail

KEEP_CONFIG='' KEEP_STATE='' YES='' DRY=''
say() { printf '%s\n' "uninstall: $*"; }
die() { printf '%s\n' "uninstall: $*" >&2; exit 1; }
run() { if [ -n "$DRY" ]; then printf 'would run:'; printf ' %q' "$@"; printf '\n'; else "$@"; fi; }

for argument in "$@"; do
  case $argument in
    --keep-config) KEEP_CONFIG=1 ;;
    --keep-state) KEEP_STATE=1 ;;
    --yes) YES=1 ;;
    --dry-run) DRY=1 ;;
    -h | --help) sed -n '2,/^set -euo/p' "${BASH_SOURCE[0]}" | sed '$d; s/^# \{0,1\}//'; exit 0 ;;
    *) die "unknown argument: $argument (--help shows them)" ;;
  esac
done
[ -n "$DRY" ] || [ "$(id -u)" = 0 ] || die "run it as root: sudo $0"

if [ -z "$YES$DRY" ]; then
  [ -t 0 ] || die "say --yes when nobody is there to be asked"
  read -r -p "Remove edge-agent${KEEP_CONFIG:+ but its settings}${KEEP_STATE:+ but its state}? [y/N] " answer
  case $answer in [yY]*) ;; *) die "nothing removed" ;; esac
fi

mapfile -t units < <(systemctl list-units --all --plain --no-legend 'edge-agent.service' 'edge-agent@*.service' 2>/dev/null |
  awk '{ print $1 }')
for unit in ${units[@]+"${units[@]}"}; do
  run systemctl disable --now --quiet "$unit" 2>/dev/null || run systemctl stop "$unit" || true
done
run rm -rf /etc/systemd/system/edge-agent.service /etc/systemd/system/edge-agent@.service \
  /etc/systemd/system/edge-agent.service.d /etc/systemd/system/edge-agent@.service.d \
  /etc/systemd/system/multi-user.target.wants/edge-agent.service
run find /etc/systemd/system/multi-user.target.wants -name 'edge-agent@*.service' -delete
run find /etc/systemd/system -maxdepth 1 -name 'edge-agent@*.service.d' -exec rm -rf {} +
run systemctl daemon-reload
run systemctl reset-failed 'edge-agent*' 2>/dev/null || true

remove_state() {
  # may be a mount of its own, which can be emptied, not removed
  if mountpoint -q /var/lib/edge-agent; then run find /var/lib/edge-agent -mindepth 1 -delete
  else run rm -rf /var/lib/edge-agent; fi
}
OWN_GPIO=''
[ ! -e /opt/edge-agent/created-group-gpio ] || OWN_GPIO=1
run rm -rf /opt/edge-agent /usr/local/bin/edge-agent /run/edge-agent \
  /etc/sysusers.d/edge-agent.conf /etc/udev/rules.d/60-edge-agent.rules
[ ! -S /run/udev/control ] || run udevadm control --reload
[ -n "$KEEP_CONFIG" ] || run rm -rf /etc/edge-agent
if [ -z "$KEEP_STATE" ]; then
  remove_state || say "not all in /var/lib/edge-agent could be removed" >&2
  if getent passwd edge-agent >/dev/null; then run userdel edge-agent; fi
  if getent group edge-agent >/dev/null; then run groupdel edge-agent; fi
fi
if [ -n "$OWN_GPIO" ] && getent group gpio >/dev/null; then run groupdel gpio; fi
[ -n "$DRY" ] || say "removed${KEEP_CONFIG:+; kept /etc/edge-agent}${KEEP_STATE:+; kept /var/lib/edge-agent}"
