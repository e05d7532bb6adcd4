#!/usr/bin/env bash
# axe-core over the report of every state, at three widths, light and dark; needs chromium and npm.
# Other pages: check_report.sh FILE.html …
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
chromium=${CHROMIUM:-$(command -v chromium || command -v chromium-browser || command -v google-chrome)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$root/tests/browser/check_report.mjs" "$work"
npm install --silent --no-audit --no-fund --prefix "$work" axe-core@4 puppeteer-core@24
if [ $# -eq 0 ]; then
  mkdir "$work/pages"
  (cd "$root" && .venv/bin/python -m tests.browser.states "$work/pages")
  set -- "$work"/pages/*.html
fi
CHROMIUM="$chromium" node "$work/check_report.mjs" "$@"
