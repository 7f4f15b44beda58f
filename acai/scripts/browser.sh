#!/bin/sh
# What the browser's tests need: Chrome or Chromium, node 20 or later, npm. Installs Debian's where this user may (root,
# apt-get), and otherwise says what to install. Never fails: without them those tests are skipped, which they tell.

browser() {
  if [ -n "$CHROMIUM" ]; then
    command -v "$CHROMIUM" >/dev/null
    return
  fi
  for name in chromium chromium-browser google-chrome google-chrome-stable chrome; do
    command -v "$name" >/dev/null && return
  done
  [ -x "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" ]
}

node_20() { [ "$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)" -ge 20 ]; }

npm_there() { command -v npm >/dev/null; }

missing() {
  browser || printf 'chromium '
  node_20 || printf 'nodejs '
  npm_there || printf 'npm '
}

if [ -n "$(missing)" ] && [ -z "$CHROMIUM" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "browser: installing $(missing)(once)"
  said=$(mktemp)
  export DEBIAN_FRONTEND=noninteractive
  apt-get -o DPkg::Lock::Timeout=300 update >"$said" 2>&1
  for package in chromium nodejs npm; do # one by one: some builds of nodejs bring npm and refuse Debian's
    case " $(missing)" in
      *" $package "*) apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends $package >>"$said" 2>&1 \
        || { echo "browser: apt-get could not install $package:" >&2; tail -n 3 "$said" >&2; } ;;
    esac
  done
  rm -f "$said"
fi
lacking=$(missing)
[ -z "$lacking" ] && exit 0

advice=""
browser || advice="apt install chromium (or any Chrome, named by CHROMIUM=/path/to/it)"
node_20 && npm_there || advice="${advice:+$advice; }node 20 or later with npm (apt install nodejs npm, or nodejs.org where that is older)"
if [ "$CI" = true ]; then
  echo "################################################################################" >&2
  echo "# WARNING: NO BROWSER TESTS IN THIS RUN. Missing: $lacking" >&2
  echo "# To run them: $advice" >&2
  echo "################################################################################" >&2
else
  echo "browser: the browser's tests will be skipped. To run them: $advice" >&2
fi
exit 0
