"""The look of the page: its style sheet, in the reader's own light or dark, on wide screens, phones and paper."""

STYLE = """
:root { color-scheme: light dark; --ground: #ffffff; --ink: #1c1c1c; --edge: #d0d0d0; --quiet: #5c5c5c;
  --warn: #b35900; }
@media (prefers-color-scheme: dark) { :root { --ground: #15181d; --ink: #ececec; --edge: #3b4048; --quiet: #a9b1bb;
  --warn: #f0a030; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; padding: 20px 24px 60px; max-width: 1120px; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 24px; line-height: 1.25; margin: 8px 0 2px; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 0 0 8px; }
h3, .fl-explained h3 { font-size: 15px; margin: 18px 0 4px; }
h4, .fl-explained h4 { font-size: 15px; margin: 16px 0 4px; }
nav { display: flex; flex-wrap: wrap; gap: 2px 14px; margin: 10px 0 24px; } a { color: inherit; }
a:focus-visible, summary:focus-visible, .wide:focus-visible { outline: 2px solid #1f83c4; outline-offset: 2px; }
section { border-top: 1px solid var(--edge); padding: 18px 0 26px; }
p, .says { margin: 4px 0; max-width: 80ch; overflow-wrap: anywhere; }
.quiet { color: var(--quiet); }
.wide { overflow-x: auto; }
table { font-size: 14px; }
td, th { vertical-align: top; max-width: 34em; } td:not(.short) { white-space: normal !important; }
pre { overflow-x: auto; }
code { white-space: pre-wrap; overflow-wrap: anywhere; }
.finding { border-left: 3px solid var(--edge); padding: 2px 0 2px 12px; margin: 12px 0; }
.finding.warns { border-color: var(--warn); }
.finding h3 { margin: 2px 0 4px; }
.pictures { display: flex; flex-wrap: wrap; gap: 14px 20px; align-items: flex-start; margin: 8px 0; }
.pictures > * { min-width: 0; max-width: 100%; margin: 0; }
.shown { margin: 0; width: 114px; font-size: 13px; line-height: 1.35; overflow-wrap: anywhere; }
.shown img { display: block; width: 104px; height: auto; image-rendering: pixelated; border: 1px solid var(--edge);
  background: #fff; margin-bottom: 3px; }
svg { max-width: 100%; height: auto; } .wide svg { max-width: none; }
.fl-explained { padding: 0 !important; background: none !important; max-width: none !important; }
footer { border-top: 1px solid var(--edge); padding-top: 12px; font-size: 13px; color: var(--quiet); }
@media (max-width: 640px) { body { padding: 12px 14px 40px; } }
@media print { :root { color-scheme: light; --ground: #ffffff; --ink: #000000; --edge: #b0b0b0; --quiet: #444444; }
  nav { display: none; } body { max-width: none; padding: 0; font-size: 12px; } table { font-size: 11px; }
  .wide, pre { overflow: visible; } .wide svg { max-width: 100%; } pre { white-space: pre-wrap !important; }
  details::details-content { content-visibility: visible; block-size: auto; }
  h2, h3, h4 { break-after: avoid; } svg, tr, .finding, figure { break-inside: avoid; } }
"""

__all__ = ["STYLE"]
