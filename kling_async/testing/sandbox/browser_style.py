"""The style and the icon of the sandbox's pages. Both are in the pages, which load nothing."""

from __future__ import annotations

from typing import Final

__all__ = ["ICON", "STYLE"]

ICON: Final = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="3.5" fill="#2f7d54"/>'
    '<path d="M6 4.4 12 8 6 11.6z" fill="#fff"/></svg>'
)
"""An SVG, the same as that of the documentation and of the report."""

STYLE: Final = """\
:root {
  color-scheme: light dark;
  --page: light-dark(#fbfbfa, #16181b);
  --card: light-dark(#ffffff, #1e2125);
  --text: light-dark(#1d1f22, #e7e8ea);
  --soft: light-dark(#62666d, #9ba1a9);
  --line: light-dark(#e2e2df, #31353b);
  --link: light-dark(#1f5fae, #8ab8f5);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "Liberation Sans", "Noto Sans", sans-serif;
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); }
main { max-width: 70rem; margin: 0 auto; padding: 1.5rem clamp(1rem, 3vw, 2.5rem) 3rem; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.125rem; margin: 2rem 0 .5rem; }
p { margin: .5rem 0; max-width: 48rem; }
a { color: var(--link); }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; border-radius: 4px; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(8rem, 1fr)); gap: .75rem; margin: 1rem 0; }
dl div { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .6rem .9rem; }
dt { color: var(--soft); }
dd { margin: 0; font-size: 1.35rem; font-weight: 600; font-variant-numeric: tabular-nums; }
pre, .wide { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
pre { padding: .75rem .9rem; font-size: .8125rem; }
code { overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .75rem; text-align: start; vertical-align: top; border-bottom: 1px solid var(--line); }
th { font-weight: 400; color: var(--soft); white-space: nowrap; }
tbody tr:last-child td { border-bottom: 0; }
tfoot td { font-weight: 600; border: 0; border-top: 2px solid var(--line); }
td { white-space: nowrap; }
td.long { white-space: normal; overflow-wrap: anywhere; min-width: 13rem; max-width: 30rem; }
b { font-weight: 600; }
.good { color: light-dark(#2f7d54, #5fb98a); }
.bad { color: light-dark(#b3362d, #f08a80); }
.doubt { color: light-dark(#8f5700, #f0b75a); }
.open { color: light-dark(#3f6ea5, #7da7d9); }
details { margin: .5rem 0; }
summary { cursor: pointer; }
"""
