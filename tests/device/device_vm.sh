#!/usr/bin/env bash
# device_vm.sh - "a device in a box": run a project checkout on a real systemd + real kernel with a
# simulated GPIO chip (gpio-sim) and a virtual V4L2 camera fed from a video file. No Pi needed.
#
#   usage: device_vm.sh CACHE_DIR PROJECT_DIR [COMMAND ...]
#
#   CACHE_DIR    everything that is built once is kept here (about 4 GB per architecture)
#   PROJECT_DIR  copied to /srv/job/project in the box; COMMAND runs there as root under bash -c.
#                COMMAND's stdout+stderr stream to this script's stdout, its exit status is ours.
#                Without COMMAND only the cache is built.
#
#   environment (all optional):
#     ARCH=amd64|arm64   architecture of the box (arm64 is emulated)                    [amd64]
#     BOX=qemu|nspawn    qemu: whole machine (own kernel, gpio, camera), emulated by TCG, resumed
#                        from a snapshot taken right after boot.
#                        nspawn: container on the host's kernel: native speed (amd64), real systemd,
#                        but no gpio chip and no camera. May reboot: COMMAND then runs again.  [qemu]
#     VIDEO=FILE         shown by the camera /dev/video0 in a loop (anything ffmpeg reads)
#     CAM_SIZE=640x480 CAM_FPS=10 CAM_SECONDS=20 CAM_FMT=MJPG|YUYV    what the camera delivers
#     CAMERA=loopback|vivid   vivid: the kernel's test pattern camera, can be unplugged  [loopback]
#     OUT=DIR            what the command left under /out in the box is put here
#     PIP="SPEC ..."     wheels preinstalled in the box's /opt/venv (first on PATH)           [none]
#     APT="PKG ..."      further Debian packages in the box
#     EXCLUDE="PAT ..."  tar --exclude patterns for PROJECT_DIR      [.git .venv venv __pycache__]
#     TIMEOUT=SECONDS    for the whole run                                              [540]
#     SMP=2 MEM=1536 CPU=MODEL   the virtual machine   PI_REVISION=c03111 (Pi 4B) what gpiozero sees
#     MIRROR=URL SECURITY=URL   Debian archives to build from        [those that this machine's apt uses]
#     VERBOSE=1          keep and show the box's console log on failure
#
#   helpers inside the box (see box-gpio --help, box-cam --help):
#     box-gpio get N | pull N 0|1 | wait N 0|1 SECONDS | trace FILE N...
#     box-cam start [FILE] | stop | unplug | plug
#
# Needs root, Debian 12, about 8 GB of disk; installs its tools with apt-get. Idempotent: each stage
# is skipped when its stamp (a hash of its inputs) is there. Opens no network connection except to
# the Debian mirror and PyPI while building; the box itself has no network but its own loopback.
set -euo pipefail

[ $# -ge 2 ] || { sed -n '2,/^set -euo/p' "$0" | sed '$d; s/^# \{0,1\}//'; exit 2; }
mkdir -p "$1"; CACHE=$(cd "$1" && pwd); PROJECT=$(cd "$2" && pwd); shift 2
ARCH=${ARCH:-amd64} BOX=${BOX:-qemu} SMP=${SMP:-2} MEM=${MEM:-1536} TIMEOUT=${TIMEOUT:-540}
CAM_SIZE=${CAM_SIZE:-640x480} CAM_FPS=${CAM_FPS:-10} CAM_SECONDS=${CAM_SECONDS:-20}
CAM_FMT=${CAM_FMT:-MJPG} CAMERA=${CAMERA:-loopback} PI_REVISION=${PI_REVISION:-c03111}
PIP=${PIP:-}
APT=${APT:-} EXCLUDE=${EXCLUDE-".git .venv venv __pycache__ *.pyc"}
archive() { apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null | awk -v r="$1" '$1 == r { sub("/$", "", $2); print $2; exit }'; }
SUITE=bookworm KSERIES=6.1 PYVER=311
MIRROR=${MIRROR:-$(archive $SUITE)} SECURITY=${SECURITY:-$(archive $SUITE-security)}
case $ARCH in
  amd64) QEMU=qemu-system-x86_64 MACHINE=q35 CPU=${CPU:-Nehalem} CONSOLE=ttyS0 WHEEL=x86_64 KARCH=x86 CROSS= ;;
  arm64) QEMU=qemu-system-aarch64 MACHINE=virt CPU=${CPU:-cortex-a72} CONSOLE=ttyAMA0 WHEEL=aarch64
         KARCH=arm64 CROSS=aarch64-linux-gnu- ;;
  *) echo "unknown ARCH $ARCH" >&2; exit 2 ;;
esac
D=$CACHE/$ARCH R=$CACHE/$ARCH/rootfs
mkdir -p "$D"
say() { printf 'box: %s\n' "$*" >&2; }
hash_of() { printf '%s\n' "$@" | sha256sum | cut -c1-16; }
fresh() { [ -f "$D/stamp.$1" ] && [ "$(cat "$D/stamp.$1")" = "$2" ]; }   # stage inputs-hash
stamp() { printf '%s' "$2" >"$D/stamp.$1"; }
exec 9>"$D/lock"; flock 9            # one build at a time; runs of a built box may overlap

# ---------------------------------------------------------------- 1 host tools
host_tools() {
  local need="mmdebstrap arch-test qemu-utils e2fsprogs cpio zstd kmod ffmpeg socat xz-utils make gcc systemd-container" p miss=
  case $ARCH in
    amd64) need="$need qemu-system-x86 linux-compiler-gcc-12-x86" ;;
    arm64) need="$need qemu-system-arm ipxe-qemu qemu-user-static gcc-12-aarch64-linux-gnu" ;;
  esac
  for p in $need; do dpkg -s "$p" 2>/dev/null | grep -q '^Status: install ok' || miss="$miss $p"; done
  [ -z "$miss" ] && return
  say "installing$miss"
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    -o DPkg::Lock::Timeout=600 $miss >"$D/apt.log" 2>&1 || { tail -5 "$D/apt.log" >&2; exit 1; }
}

# arm64 programs in the rootfs are run by qemu-user through the kernel's binfmt_misc
binfmt() {
  [ "$ARCH" = arm64 ] || return 0
  local b=/proc/sys/fs/binfmt_misc
  [ -e $b/register ] || mount -t binfmt_misc binfmt_misc $b
  [ -e $b/qemu-aarch64 ] || printf '%s' ':qemu-aarch64:M::\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/usr/bin/qemu-aarch64-static:OCF' >$b/register
}

# ---------------------------------------------------------------- 2 root file system
PKGS="systemd,systemd-sysv,udev,dbus,kmod,python3,python3-venv,python3-pip,gpiod,v4l-utils,ca-certificates,iproute2,procps,busybox-static,mosquitto,mosquitto-clients,openssl"
build_rootfs() {
  local h; h=$(hash_of 1 "$PKGS" "$APT" "$SUITE"); fresh rootfs "$h" && return
  say "building the $ARCH root file system (minutes)"; binfmt
  rm -rf "$R"; rm -f "$D"/stamp.*
  mmdebstrap --quiet --variant=minbase --architectures="$ARCH" --include="$PKGS${APT:+,${APT// /,}}" \
    --aptopt='Acquire::Retries "3"' "$SUITE" "$R" "deb $MIRROR $SUITE main" \
    "deb $MIRROR $SUITE-updates main" "deb $SECURITY $SUITE-security main" >"$D/rootfs.log" 2>&1 ||
    { tail -20 "$D/rootfs.log" >&2; exit 1; }
  stamp rootfs "$h"
}

# ---------------------------------------------------------------- 3 Debian's kernel + two modules
# Debian 12 ships vivid but neither gpio-sim nor gpio-mockup (CONFIG_GPIO_SIM is not set, in
# bookworm-backports neither), so gpio-sim is built from linux-source; v4l2loopback from its own package.
# Only .debs are unpacked: no kernel package is configured, no initramfs is made by hooks.
build_kernel() {
  local h; h=$(hash_of 2 "$(cat "$D/stamp.rootfs")"); fresh kernel "$h" && return
  say "fetching Debian's kernel, building gpio-sim and v4l2loopback"
  local K s=$D/kbuild apt
  # the rootfs' own apt lists, read by the host's apt-get (no emulation)
  cat >"$D/apt.conf" <<EOF
Dir "$R";
Dir::Bin::methods "/usr/lib/apt/methods";
APT::Architecture "$ARCH"; APT::Architectures { "$ARCH"; "amd64"; };
APT::Sandbox::User "root"; Acquire::Retries "3";
EOF
  apt="env APT_CONFIG=$D/apt.conf apt-get"
  rm -rf "$s"; mkdir -p "$s"
  (cd "$s"
   $apt -qq update
   K=$(env APT_CONFIG="$D/apt.conf" apt-cache depends "linux-image-$ARCH:$ARCH" |
       sed -n 's/.*Depends: linux-image-\([0-9][^:]*\).*/\1/p' | head -1)
   echo "$K" >"$D/kver"
   common=$(echo "$K" | sed "s/-$ARCH\$/-common/")
   # linux-kbuild holds programs that run on the build machine: take its amd64 build
   $apt -qq download "linux-image-$K:$ARCH" "linux-headers-$K:$ARCH" "linux-headers-$common" \
     "linux-kbuild-$KSERIES:amd64" "linux-source-$KSERIES" v4l2loopback-dkms >/dev/null
   for d in linux-headers* linux-kbuild* linux-source* v4l2loopback*; do dpkg-deb -x "$d" x; done
   # not straight into $R: the .deb's real lib/ would replace the rootfs' lib -> usr/lib link
   mkdir img; dpkg-deb -x linux-image* img
   mkdir -p "$R/usr/lib/modules"; cp -a img/lib/modules/. "$R/usr/lib/modules/"; cp img/boot/vmlinuz* "$D/vmlinuz"
   # the headers name each other by absolute path; make them relocatable
   sed -i "s#/usr/src/#$s/x/usr/src/#g" "x/usr/src/linux-headers-$K/Makefile"
   mkdir gpio-sim
   tar -xJf "x/usr/src/linux-source-$KSERIES.tar.xz" --strip-components=1 \
     "linux-source-$KSERIES/drivers/gpio/gpio-sim.c" "linux-source-$KSERIES/drivers/gpio/gpiolib.h" \
     "linux-source-$KSERIES/kernel/irq/irq_sim.c"
   cp drivers/gpio/gpio-sim.c gpio-sim/core.c; cp drivers/gpio/gpiolib.h kernel/irq/irq_sim.c gpio-sim/
   # irq_to_desc() is not exported to modules; generic_handle_irq() does the same here
   sed -i 's/handle_simple_irq(irq_to_desc(irqnum))/generic_handle_irq(irqnum)/' gpio-sim/irq_sim.c
   printf 'obj-m := gpio-sim.o\ngpio-sim-y := core.o irq_sim.o\n' >gpio-sim/Makefile
   mv x/usr/src/v4l2loopback-* v4l2loopback
   for m in gpio-sim v4l2loopback; do
     make -s -C "x/usr/src/linux-headers-$K" M="$s/$m" ARCH=$KARCH CROSS_COMPILE=$CROSS \
       CC=${CROSS}gcc-12 modules
     strip_=${CROSS}strip; $strip_ -g "$m/$m.ko"
     install -D -m644 -t "$R/lib/modules/$K/extra" "$m/$m.ko"
   done
   depmod -b "$R/usr" "$K" 2>/dev/null || depmod -b "$R" "$K"
  ) >"$D/kernel.log" 2>&1 || { tail -20 "$D/kernel.log" >&2; exit 1; }
  rm -rf "$s"
  K=$(cat "$D/kver")
  # a tiny initramfs: busybox and just the modules that reach the disk
  rm -rf "$D/ird"; mkdir -p "$D"/ird/{bin,proc,sys,dev,root,m}
  cp "$R/bin/busybox" "$D/ird/bin/"
  local i=100 f
  for f in $(for m in virtio_pci virtio_blk crc32c_generic ext4 virtio_console; do
               modprobe -d "$R" -S "$K" --show-depends $m; done | awk '$1=="insmod"&&!s[$2]++{print $2}'); do
    cp "$f" "$D/ird/m/$i-$(basename "$f")"; i=$((i+1))
  done
  cat >"$D/ird/init" <<'EOF'
#!/bin/busybox sh
B=/bin/busybox
$B mount -t proc proc /proc; $B mount -t sysfs sys /sys; $B mount -t devtmpfs dev /dev
for m in /m/*; do $B insmod $m 2>/dev/null; done
i=0; while [ ! -b /dev/vda ] && [ $i -lt 200 ]; do $B sleep 0.05; i=$((i+1)); done
$B mount -t ext4 -o rw,noatime /dev/vda /root || exec $B sh
$B mount -o move /dev /root/dev; $B umount /proc /sys
exec $B switch_root /root /lib/systemd/systemd
EOF
  chmod +x "$D/ird/init"
  (cd "$D/ird" && find . | cpio -o -H newc 2>/dev/null | gzip -1 >"$D/initrd.gz"); rm -rf "$D/ird"
  stamp kernel "$h"
}

# ---------------------------------------------------------------- 4 Python packages
build_python() {
  local h; h=$(hash_of 2 "$(cat "$D/stamp.rootfs")" "$PIP"); fresh python "$h" && return
  [ -z "$PIP" ] || say "installing Python packages: $PIP"; binfmt
  rm -rf "$D/wheels" "$R/opt/venv" "$R/opt/wheels"; mkdir -p "$D/wheels" "$R/opt/wheels"
  [ -n "$PIP" ] || { rm -rf "$R/opt/venv" "$R/opt/wheels"; stamp python "$h"; return; }
  local t plat=() spec=()
  for t in manylinux_2_36 manylinux_2_35 manylinux_2_34 manylinux_2_31 manylinux_2_28 manylinux_2_27 manylinux_2_24 manylinux_2_17 manylinux2014 linux; do
    plat+=(--platform "${t}_$WHEEL"); done
  # on the host, for the box's platform; installed in the box without network
  read -ra spec <<<"$PIP"
  python3 -m pip download -q -d "$D/wheels" --only-binary=:all: --implementation cp --python-version $PYVER \
    "${plat[@]}" "${spec[@]}" >"$D/pip.log" 2>&1 || { grep ERROR "$D/pip.log" >&2; exit 1; }
  cp "$D"/wheels/*.whl "$R/opt/wheels/"
  chroot "$R" /bin/sh -c 'PATH=/usr/bin:/bin; python3 -m venv --system-site-packages /opt/venv &&
    env -i PATH=$PATH /opt/venv/bin/pip install -q --no-index /opt/wheels/*.whl' >>"$D/pip.log" 2>&1 ||
    { tail -5 "$D/pip.log" >&2; exit 1; }
  rm -rf "$R/opt/wheels"
  stamp python "$h"
}

# ---------------------------------------------------------------- 5 what the box adds to Debian
overlay_files() {
  mkdir -p "$R/usr/local/sbin" "$R/etc/udev/rules.d" "$R/etc/systemd/system.conf.d" "$R/etc/systemd/system/graphical.target.wants"
  echo device >"$R/etc/hostname"; printf '127.0.0.1 localhost device\n' >"$R/etc/hosts"; : >"$R/etc/machine-id"
  printf '[Manager]\nDefaultTimeoutStopSec=15s\n' >"$R/etc/systemd/system.conf.d/box.conf"
  grep -q '^gpio:' "$R/etc/group" || echo 'gpio:x:997:' >>"$R/etc/group"
  grep -q '^gpio:' "$R/etc/gshadow" || echo 'gpio:!::' >>"$R/etc/gshadow"
  # as on Raspberry Pi OS: gpio chips belong to group gpio, cameras to group video
  echo 'SUBSYSTEM=="gpio", KERNEL=="gpiochip*", GROUP="gpio", MODE="0660"' >"$R/etc/udev/rules.d/60-gpio.rules"
  rm -f "$R"/etc/systemd/system/*.wants/{mosquitto.service,*.timer,e2scrub_reap.service,systemd-timesyncd.service}
  echo "$PI_REVISION" >"$R/etc/box-revision"

  cat >"$R/usr/local/sbin/box-gpio" <<'EOF'
#!/bin/bash
# box-gpio get N            level of line N as the board would see it (0 or 1)
# box-gpio pull N 0|1       drive an input line from outside (a button, a sensor)
# box-gpio wait N 0|1 SEC   until line N has that level; exit 1 when it has not within SEC
# box-gpio trace FILE N...  append "seconds line level" on every change, until killed (5 ms polling)
d=$(echo /sys/devices/platform/gpio-sim.0/gpiochip*)
case $1 in
  get) cat "$d/sim_gpio$2/value" ;;
  pull) case $3 in 1) echo pull-up ;; *) echo pull-down ;; esac >"$d/sim_gpio$2/pull" ;;
  wait) e=$(( $(date +%s%N) + ${4%.*}000000000 ))
        until [ "$(<"$d/sim_gpio$2/value")" = "$3" ]; do
          [ "$(date +%s%N)" -lt $e ] || exit 1; sleep 0.02; done ;;
  trace) exec python3 - "$d" "${@:2}" <<'PY'
import sys, time
d, out, lines = sys.argv[1], open(sys.argv[2], 'a', buffering=1), sys.argv[3:]
f = {n: open(f'{d}/sim_gpio{n}/value') for n in lines}; last = {}
while True:
    for n, h in f.items():
        h.seek(0); v = h.read().strip()
        if last.get(n) != v:
            last[n] = v; out.write(f'{time.time():.3f} {n} {v}\n')
    time.sleep(0.005)
PY
  ;;
  *) sed -n '2,5s/^# //p' "$0" ;;
esac
EOF
  cat >"$R/usr/local/sbin/box-feed" <<'EOF'
#!/usr/bin/python3
"""box-feed DEVICE FILE FMT WIDTH HEIGHT FPS - writes frames of FILE to a v4l2loopback device, for ever."""
import fcntl, os, struct, sys, time
dev, path, fmt, w, h, fps = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]), float(sys.argv[6])
data = open(path, 'rb').read()
if fmt == 'MJPG':
    frames, i = [], data.find(b'\xff\xd8')
    while i >= 0:
        j = data.find(b'\xff\xd9\xff\xd8', i)
        frames.append(data[i:j + 2] if j >= 0 else data[i:]); i = j + 2 if j >= 0 else -1
    size = w * h * 2
else:
    size = w * h * 2
    frames = [data[i:i + size] for i in range(0, len(data) - size + 1, size)]
fd = os.open(dev, os.O_RDWR)
buf = bytearray(208)                                   # struct v4l2_format, type OUTPUT
struct.pack_into('<I4x7I', buf, 0, 2, w, h, int.from_bytes(fmt.encode(), 'little'), 1, 0 if fmt == 'MJPG' else w * 2, size, 8)
fcntl.ioctl(fd, 0xc0d05605, buf)                       # VIDIOC_S_FMT
parm = bytearray(204); struct.pack_into('<IIIII', parm, 0, 2, 0, 0, 1000, int(fps * 1000))
try: fcntl.ioctl(fd, 0xc0cc5616, parm)                 # VIDIOC_S_PARM
except OSError: pass
# VIDIOC_STREAMON: v4l2loopback knows a program that only writes not as its writer, and once that one and its readers
# are gone it is neither camera nor output and takes no other feeder
fcntl.ioctl(fd, 0x40045612, struct.pack('<I', 2))
print(f'feeding {len(frames)} frames', flush=True)
t, n = time.monotonic(), 0
while True:
    os.write(fd, frames[n % len(frames)]); n += 1; t += 1 / fps
    s = t - time.monotonic()
    if s > 0: time.sleep(s)
    elif s < -1: t = time.monotonic()
EOF
  cat >"$R/usr/local/sbin/box-cam" <<'EOF'
#!/bin/bash
# box-cam start [FILE]  show the job's video (or FILE, same format) on /dev/video0
# box-cam stop          the camera stays but delivers no more frames (a hung camera)
# box-cam unplug        /dev/video0 disappears, under a reader too with CAMERA=vivid
# box-cam plug          and comes back
. /srv/job/box.env 2>/dev/null; v=/sys/bus/platform/drivers/vivid
case $1 in
  start) [ "$CAMERA" = vivid ] && exit 0
         systemctl reset-failed box-feed 2>/dev/null
         systemd-run -q --unit=box-feed box-feed /dev/video0 "${2:-/srv/job/video.bin}" "$CAM_FMT" "${CAM_SIZE%x*}" "${CAM_SIZE#*x}" "$CAM_FPS"
         # exclusive_caps: a capture device, to readers, once the feeder runs
         for i in $(seq 60); do sleep 0.1; v4l2-ctl -d /dev/video0 --info 2>/dev/null | grep -q 'Video Capture$' && exit 0
           systemctl is-active -q box-feed || break; done
         journalctl -u box-feed -n 3 --no-pager >&2; exit 1 ;;
  stop) systemctl stop box-feed ;;
  unplug) if [ "$CAMERA" = vivid ]; then echo vivid.0 >$v/unbind
          else systemctl stop box-feed 2>/dev/null; rmmod v4l2loopback; fi ;;
  plug) if [ "$CAMERA" = vivid ]; then echo vivid.0 >$v/bind
        else modprobe v4l2loopback video_nr=0 exclusive_caps=1 card_label="Box Camera" && "$0" start; fi
        udevadm settle ;;
  *) sed -n '2,5s/^# //p' "$0" ;;
esac
EOF
  cat >"$R/usr/local/sbin/box-devices" <<'EOF'
#!/bin/bash
# before the snapshot: the GPIO chip (28 lines, named and labelled as on a Pi 4) and gpiozero's board revision
# (the arm64 virt board has a chip of its own, for its power button: it leaves, so that ours is gpiochip0)
echo gpio-keys >/sys/bus/platform/drivers/gpio-keys/unbind 2>/dev/null
for d in /sys/bus/amba/drivers/pl061_gpio/*.pl061; do [ -e "$d" ] && basename "$d" >/sys/bus/amba/drivers/pl061_gpio/unbind; done
modprobe gpio-sim; c=/sys/kernel/config/gpio-sim
mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config
mkdir -p $c/pi/bank0; echo 28 >$c/pi/bank0/num_lines; echo pinctrl-bcm2711 >$c/pi/bank0/label
for n in $(seq 0 27); do mkdir $c/pi/bank0/line$n; echo GPIO$n >$c/pi/bank0/line$n/name; done
echo 1 >$c/pi/live; chip=$(cat $c/pi/bank0/chip_name); udevadm settle
[ "$chip" = gpiochip0 ] || echo "box: the simulated chip is /dev/$chip"
mkdir -p /run/box; { cat /proc/cpuinfo; printf '\nHardware\t: BCM2711\nRevision\t: %s\n' "$(cat /etc/box-revision)"; } >/run/box/cpuinfo
mount --bind /run/box/cpuinfo /proc/cpuinfo
EOF
  cat >"$R/usr/local/sbin/box-agent" <<'EOF'
#!/bin/bash
# Once per boot: prepare, say READY, wait for GO (a snapshot may lie between), run the job, report.
job() {
  . /srv/job/box.env
  export PATH=/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin HOME=/root LANG=C.UTF-8 PYTHONUNBUFFERED=1
  if [ "$BOX" = qemu ]; then
    if [ "$CAMERA" = vivid ]; then
      modprobe vivid n_devs=1 node_types=0x1 num_inputs=1 input_types=0 no_error_inj=1 vid_cap_nr=0
    else modprobe v4l2loopback video_nr=0 exclusive_caps=1 card_label="Box Camera"; fi
    udevadm settle
    [ -s /srv/job/video.bin ] && { box-cam start || echo "box: camera did not start"; }
  fi
  cd /srv/job/project && bash /srv/job/run.sh
}
mkdir -p /out
if [ -e /srv/boxdir ]; then                    # nspawn: directories are shared with the host
  # (a job may reboot the box; it is then run again, finds what it left, and its output goes on)
  [ -e /srv/job ] || cp -a /srv/boxdir/job /srv/job
  job >>/srv/boxdir/console 2>&1 </dev/null; echo $? >/srv/boxdir/rc
  tar -C /out -cf /srv/boxdir/out.tar .
  systemctl poweroff --force
else
  [ -z "$BOX_TRACE" ] || { exec 2>/dev/console; set -x; }
  box-devices
  for p in ctl out files; do until [ -c /dev/virtio-ports/box.$p ]; do sleep 0.2; done; done
  exec 3<>/dev/virtio-ports/box.ctl 4>/dev/virtio-ports/box.out 5>/dev/virtio-ports/box.files
  echo "READY $(cut -d' ' -f1 /proc/uptime)" >&3
  # (reads end-of-file at once while the host is not connected, so also across the snapshot)
  word=; until [ "$word" = GO ]; do read -r word epoch <&3 || sleep 0.2; done
  date -s "@$epoch" >/dev/null                 # the snapshot's clock is old
  blockdev --flushbufs /dev/vdb                # forget what was read of it before the snapshot
  mkdir -p /srv/job; tar -C /srv/job -xf /dev/vdb
  job >&4 2>&1 3>&- 5>&- </dev/null; rc=$?
  tar -C /out -cf - . >&5
  echo "EXIT $rc" >&3
  sleep 60                                     # the host ends the machine
  systemctl poweroff --force --force
fi
EOF
  chmod 755 "$R"/usr/local/sbin/box-*
  cat >"$R/etc/systemd/system/box-agent.service" <<'EOF'
[Unit]
Description=device box agent
After=multi-user.target systemd-udev-settle.service
[Service]
ExecStart=/usr/local/sbin/box-agent
StandardOutput=journal+console
StandardError=journal+console
EOF
  ln -sf ../box-agent.service "$R/etc/systemd/system/graphical.target.wants/"
}

# ---------------------------------------------------------------- 6 disk image and snapshot
# qemu_cmd DISK: everything but how it starts. The job disk is read-only with a fixed size, so that
# another job can be put behind it when the snapshot is resumed.
JOBSIZE=1G
qemu_cmd() {
  local run=$1
  local accel="tcg,thread=multi,tb-size=512"
  CMD=($QEMU -accel "$accel" -M $MACHINE -cpu "$CPU" -smp "$SMP" -m "$MEM"
    -nodefaults -no-user-config -no-reboot -display none -net none -serial "file:$run/console.log"
    -kernel "$D/vmlinuz" -initrd "$D/initrd.gz"
    -append "console=$CONSOLE quiet mitigations=off panic=-1 systemd.show_status=0 net.ifnames=0"
    -drive "file=$run/disk.qcow2,if=none,id=d0,format=qcow2,cache=unsafe,discard=unmap" -device virtio-blk-pci,drive=d0
    -drive "file=$run/job.tar,if=none,id=d1,format=raw,readonly=on,cache=unsafe" -device virtio-blk-pci,drive=d1
    -device virtio-rng-pci -device virtio-serial-pci
    -chardev "socket,id=ctl,path=$run/ctl,server=on,wait=off" -device virtserialport,chardev=ctl,name=box.ctl
    -chardev "file,id=out,path=$run/out.log" -device virtserialport,chardev=out,name=box.out
    -chardev "file,id=files,path=$run/out.tar" -device virtserialport,chardev=files,name=box.files
    -chardev "socket,id=mon,path=$run/mon,server=on,wait=off" -mon chardev=mon,mode=readline
    -pidfile "$run/pid")
}
build_snapshot() {
  overlay_files
  local h; h=$(hash_of 3 "$(cat "$D"/stamp.{rootfs,kernel,python})" "$SMP $MEM $CPU" "$PI_REVISION" "$(cat "$R"/usr/local/sbin/box-*)")
  fresh snap "$h" && return
  say "making the disk image"
  rm -f "$D"/{stamp.snap,base.raw,ready.qcow2,state.zst}
  truncate -s 6G "$D/base.raw"
  mke2fs -q -F -t ext4 -O '^metadata_csum' -E lazy_itable_init=1,lazy_journal_init=1 -d "$R" "$D/base.raw"
  say "first boot, then a snapshot"
  local w=$D/boot t0=$SECONDS; rm -rf "$w"; mkdir -p "$w"
  qemu-img create -q -f qcow2 -b "$D/base.raw" -F raw "$w/disk.qcow2"; truncate -s $JOBSIZE "$w/job.tar"
  qemu_cmd "$w"; "${CMD[@]}" </dev/null >"$w/qemu.log" 2>&1 & local q=$!
  until [ -S "$w/ctl" ] || ! kill -0 $q 2>/dev/null; do sleep 0.1; done
  # (not "socat | head": socat would only notice that head left at its next write)
  local line= fd; exec {fd}< <(exec timeout 600 socat -u "UNIX-CONNECT:$w/ctl" -); local sp=$!
  read -r line <&$fd || true; exec {fd}<&-; kill $sp 2>/dev/null || true
  case $line in READY*) ;; *) tail -5 "$w/qemu.log" "$w/console.log" >&2; kill $q 2>/dev/null; exit 1 ;; esac
  say "booted in $((SECONDS - t0)) s (uptime ${line#READY }); saving its state"
  sleep 3                                               # let the last boot jobs settle
  printf 'stop\nmigrate_set_parameter max-bandwidth 4G\nmigrate "exec:zstd -q -1 -f -o %s"\nquit\n' "$D/state.zst" |
    timeout 300 socat -t 300 - "UNIX-CONNECT:$w/mon" >>"$w/qemu.log" 2>&1 || true
  wait $q || true
  [ -s "$D/state.zst" ] || { tail -5 "$w/qemu.log" >&2; exit 1; }
  mv "$w/disk.qcow2" "$D/ready.qcow2"; rm -rf "$w"
  stamp snap "$h"
}

# ---------------------------------------------------------------- 7 a run
make_job() {   # into directory $1
  local j=$1 x=() p; mkdir -p "$j/project"
  for p in $EXCLUDE; do x+=(--exclude="$p"); done
  tar -C "$PROJECT" "${x[@]}" -cf - . | tar -C "$j/project" -xf -
  printf '%s\n' "$RUN" >"$j/run.sh"
  printf 'BOX=%s CAMERA=%s CAM_FMT=%s CAM_SIZE=%s CAM_FPS=%s\n' "$BOX" "$CAMERA" "$CAM_FMT" "$CAM_SIZE" "$CAM_FPS" >"$j/box.env"
  if [ -n "${VIDEO:-}" ] && [ "$BOX" = qemu ]; then   # decoded here, so that the box only copies frames
    local enc; case $CAM_FMT in
      MJPG) enc="-c:v mjpeg -q:v 4 -pix_fmt yuvj422p -f mjpeg" ;;
      YUYV) enc="-pix_fmt yuyv422 -f rawvideo" ;; esac
    ffmpeg -v error -nostdin -y -stream_loop -1 -i "$VIDEO" -t "$CAM_SECONDS" -an \
      -vf "fps=$CAM_FPS,scale=${CAM_SIZE/x/:}" $enc "$j/video.bin"
  fi
}
collect() { [ -z "${OUT:-}" ] || { mkdir -p "$OUT"; [ ! -s "$1" ] || tar -C "$OUT" --no-same-owner -xf "$1"; }; }

W= QPID= TPID=
cleanup() {
  set +e
  [ -n "$TPID" ] && kill "$TPID" 2>/dev/null
  [ -n "$QPID" ] && kill "$QPID" 2>/dev/null && wait "$QPID" 2>/dev/null
  mountpoint -q "$W/root" 2>/dev/null && umount -l "$W/root"
  [ -n "${VERBOSE:-}" ] && cat "$W"/{qemu.log,nspawn.log,console.log} >"$D/last-console.log" 2>/dev/null || true
  [ -n "$W" ] && rm -rf "$W"
  return 0
}

run_qemu() {
  W=$(mktemp -d "$CACHE/run.XXXXXX"); trap cleanup EXIT
  make_job "$W/j"
  tar -C "$W/j" -cf "$W/job.tar" .; rm -rf "$W/j"
  [ "$(stat -c %s "$W/job.tar")" -le $((1 << 30)) ] || { say "the job is larger than $JOBSIZE"; exit 2; }
  truncate -s $JOBSIZE "$W/job.tar"
  qemu-img create -q -f qcow2 -b "$D/ready.qcow2" -F qcow2 "$W/disk.qcow2"
  flock -u 9
  : >"$W/out.log"
  qemu_cmd "$W"
  "${CMD[@]}" -incoming "exec:zstd -q -dc $D/state.zst" </dev/null >"$W/qemu.log" 2>&1 & QPID=$!
  until [ -S "$W/ctl" ] || ! kill -0 $QPID 2>/dev/null; do sleep 0.05; done
  tail -n +1 -s 0.2 -f --pid=$QPID "$W/out.log" 9>&- & TPID=$!
  # resume (the snapshot was taken stopped), say GO, wait for EXIT
  (until printf 'info status\n' | socat -t 1 - "UNIX-CONNECT:$W/mon" | grep -q 'VM status: paused$\|VM status: paused[^(]*$'; do sleep 0.2; done
   printf 'cont\n' | socat -t 1 - "UNIX-CONNECT:$W/mon") >/dev/null 2>&1
  local line rc=
  coproc CTL { timeout "$TIMEOUT" socat - "UNIX-CONNECT:$W/ctl" 2>/dev/null; }
  echo "GO $(date +%s)" >&"${CTL[1]}"
  while read -r line <&"${CTL[0]}"; do case $line in EXIT*) rc=${line#EXIT }; break ;; esac; done
  if [ -z "$rc" ]; then
    say "no exit status from the box within $TIMEOUT s"; tail -3 "$W/qemu.log" >&2
    rc=124
  fi
  kill $QPID 2>/dev/null; wait $QPID 2>/dev/null || true; QPID=
  wait $TPID || true; TPID=                             # tail leaves after the last byte
  [ "$rc" != 124 ] || [ -z "${VERBOSE:-}" ] || tail -40 "$W/console.log" >&2
  collect "$W/out.tar"
  exit "$rc"
}

run_nspawn() {
  W=$(mktemp -d "$CACHE/run.XXXXXX"); trap cleanup EXIT
  mkdir -p "$W"/{root,up,work,boxdir}; make_job "$W/boxdir/job"; : >"$W/boxdir/console"; binfmt
  mount -t overlay overlay -o "lowerdir=$R,upperdir=$W/up,workdir=$W/work" "$W/root"
  flock -u 9
  tail -n +1 -s 0.1 -f "$W/boxdir/console" 9>&- & TPID=$!
  local rc=133
  while [ $rc = 133 ]; do                               # 133: the container wants to be started again
    timeout -k 5 "$TIMEOUT" systemd-nspawn -q -D "$W/root" --boot --register=no --keep-unit --private-network \
      -M "box$$" --bind="$W/boxdir:/srv/boxdir" </dev/null >"$W/nspawn.log" 2>&1 & QPID=$!
    rc=0; wait $QPID || rc=$?; QPID=
  done
  sleep 0.4; kill $TPID 2>/dev/null; wait $TPID 2>/dev/null || true; TPID=; collect "$W/boxdir/out.tar"
  [ -s "$W/boxdir/rc" ] || { say "no exit status from the box"; tail -5 "$W/nspawn.log" >&2; exit 124; }
  exit "$(cat "$W/boxdir/rc")"
}

host_tools
build_rootfs
[ "$BOX" = nspawn ] || build_kernel   # the container runs on the host's
build_python
case $BOX in
  qemu) build_snapshot ;;
  nspawn) overlay_files ;;
  *) echo "unknown BOX $BOX" >&2; exit 2 ;;
esac
[ $# -gt 0 ] || { say "ready"; exit 0; }
RUN="$*"
run_$BOX
