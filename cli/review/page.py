"""The review's page: one self-contained document that loads nothing but its cards."""

from html import escape

from strop.cli.review.script import SCRIPT

STYLE = """
:root { color-scheme: light dark; --page: #fff; --ink: #1f2834; --soft: #5b6673; --line: #e3e7ec;
  --panel: #f6f8fa; --mark: #fff0b8; --relevant: #0b7a4b; --not: #b23b00; --unsure: #5b6673;
  --accent: #0072b2; --on: #fff; }
@media (prefers-color-scheme: dark) { :root { --page: #14181d; --ink: #e6eaef; --soft: #a3aebb;
  --line: #2c343d; --panel: #1c2229; --mark: #5c4a10; --relevant: #4cc38a; --not: #f59450;
  --unsure: #a3aebb; --accent: #5bb4e8; --on: #14181d; } }
* { box-sizing: border-box; }
[hidden] { display: none !important; }
body { margin: 0 auto; max-width: 76rem; padding: 1rem 1.25rem 8rem; background: var(--page);
  color: var(--ink); font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
header { display: flex; flex-wrap: wrap; gap: 0.2rem 1.2rem; align-items: baseline;
  color: var(--soft); font-size: 0.9rem; }
header strong { color: var(--ink); font-size: 1rem; }
#place { margin-left: auto; }
progress { appearance: none; display: block; width: 100%; height: 0.4rem; margin: 0.6rem 0 0;
  border: 0; border-radius: 3px; overflow: hidden; background: var(--line); }
progress::-webkit-progress-bar { background: var(--line); }
progress::-webkit-progress-value { background: var(--accent); }
progress::-moz-progress-bar { background: var(--accent); }
#query { font-size: 1.45rem; line-height: 1.3; margin: 1.2rem 0 0.8rem; overflow-wrap: anywhere; }
h2 { font-size: 0.82rem; font-weight: 600; color: var(--soft); margin: 0 0 0.4rem; }
.sides { display: grid; grid-template-columns: 1fr 1fr; gap: 1.2rem; align-items: start; }
article { background: var(--panel); border-radius: 6px; padding: 0.9rem 1.1rem;
  margin-bottom: 0.8rem; overflow-wrap: anywhere; }
.suspect article { box-shadow: inset 4px 0 0 var(--accent); }
article h3 { font-size: 1rem; margin: 0 0 0.3rem; }
article p { margin: 0 0 0.5rem; white-space: pre-wrap; }
article small { color: var(--soft); }
mark { background: var(--mark); color: inherit; border-radius: 2px; }
dl { display: flex; flex-wrap: wrap; gap: 0.4rem 2rem; margin: 0 0 1rem; }
dt { color: var(--soft); font-size: 0.82rem; }
dd { margin: 0; font-variant-numeric: tabular-nums; }
#message { background: var(--panel); border-left: 4px solid var(--accent); border-radius: 4px;
  padding: 0.7rem 1rem; }
#message.wrong { border-color: var(--not); }
#keys { position: fixed; inset: auto 0 0 0; background: var(--page);
  border-top: 1px solid var(--line); }
#keys > div { max-width: 76rem; margin: 0 auto; padding: 0.7rem 1.25rem; display: flex;
  flex-wrap: wrap; gap: 0.5rem; }
button { font: inherit; color: var(--ink); background: var(--panel); cursor: pointer;
  border: 1px solid var(--line); border-radius: 6px; padding: 0.5rem 0.9rem; min-height: 2.75rem; }
button:disabled { opacity: 0.45; cursor: default; }
button:focus-visible { outline: 3px solid var(--accent); outline-offset: 1px; }
.verdict { flex: 1 1 9rem; font-weight: 600; border-color: currentColor; }
#key-r { color: var(--relevant); } #key-n { color: var(--not); } #key-u { color: var(--unsure); }
#key-r[aria-pressed=true] { background: var(--relevant); color: var(--on); }
#key-n[aria-pressed=true] { background: var(--not); color: var(--on); }
#key-u[aria-pressed=true] { background: var(--unsure); color: var(--on); }
#finish.ready { background: var(--accent); color: var(--on); border-color: var(--accent); }
kbd { font: 0.8rem ui-monospace, monospace; border: 1px solid currentColor; border-radius: 4px;
  padding: 0 0.35rem; margin-left: 0.35rem; opacity: 0.75; }
@media (max-width: 46rem) { body { padding: 0.8rem 1rem 11rem; }
  #counts { display: none; } .verdict { white-space: nowrap; font-size: 0.95rem; }
  .sides { grid-template-columns: 1fr; gap: 0.4rem; } .suspect { order: -1; }
  #query { font-size: 1.2rem; margin: 0.9rem 0 0.6rem; } kbd { display: none; }
  #keys > div { padding: 0.6rem 1rem; gap: 0.4rem; } .verdict { flex: 1 1 auto; padding: 0.4rem; }
  .other { flex: 1 1 18%; padding: 0.4rem; } dl { gap: 0.4rem 1.4rem; } }
"""

BODY = """
<header><strong>{title}</strong><span id="progress"></span><span id="counts"></span>
<span id="place"></span></header>
<progress id="bar" max="1" value="0" aria-label="suspects judged"></progress>
<p id="message" role="status" hidden></p>
<main id="review">
<h1 id="query"></h1>
<dl id="facts"></dl>
<div class="sides">
<section><h2 id="positives-title">Known positive</h2><div id="positives"></div></section>
<section class="suspect"><h2>Suspect: is it relevant too?</h2><div id="suspect"></div></section>
</div>
</main>
<main id="end" hidden>
<h1>Finished</h1>
<p>The verdicts are kept as artifact <code id="verdicts"></code>. <span id="sentence"></span>
You can close this page.</p>
</main>
<nav id="keys"><div>
<button id="key-r" class="verdict" aria-pressed="false">relevant<kbd>r</kbd></button>
<button id="key-n" class="verdict" aria-pressed="false">not relevant<kbd>n</kbd></button>
<button id="key-u" class="verdict" aria-pressed="false">unsure<kbd>u</kbd></button>
<button id="undo" class="other" disabled>undo<kbd>z</kbd></button>
<button id="back" class="other" aria-label="last suspect">←</button>
<button id="forward" class="other" aria-label="next suspect">→</button>
<button id="finish" class="other" disabled>finish</button>
</div></nav>
"""


def page(run: str, number: int, nonce: str) -> str:
    """The page for one round of a run; only style and script of this ``nonce`` take effect."""
    title = escape(f"{run} · round {number}")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>Review · {title}</title>\n<link rel="icon" href="data:,">\n'
        f'<style nonce="{nonce}">{STYLE}</style>\n</head>\n'
        f'<body>{BODY.format(title=title)}<script nonce="{nonce}">{SCRIPT}</script>\n'
        "</body>\n</html>\n"
    )
