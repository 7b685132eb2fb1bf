/** Of the page. All of it, as the page takes no other; nothing in it comes from a report. */
export const style: string = `
:root{color-scheme:light dark;--back:#fff;--card:#f6f7f9;--text:#1b1f24;--soft:#555d68;--rule:#d5d9df;--focus:#0b57d0;--pre:#3a6ea5;--onset:#b86e00;--attack:#b3261e;--end:#5d6875;--value:#3a6ea5;--low:#2e6b34;--medium:#8a5a00;--high:#b3261e}
@media screen and (prefers-color-scheme:dark){:root{--back:#14171b;--card:#1d2126;--text:#e8eaed;--soft:#a9b1bc;--rule:#3a414a;--focus:#8ab4f8;--pre:#7fb0e3;--onset:#f0a848;--attack:#f2827a;--end:#a3afbd;--value:#7fb0e3;--low:#8fd198;--medium:#f0c060;--high:#f2a099}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--text);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
header,main,footer{max-width:72rem;margin:0 auto;padding:0 1.25rem}
header{padding-top:1.5rem}
h1{font-size:1.6rem;line-height:1.25;margin:0;overflow-wrap:anywhere;unicode-bidi:isolate}
h2{font-size:1.15rem;margin:0 0 .6rem}
h3{font-size:1rem;margin:1rem 0 .3rem}
p{margin:.3rem 0 .6rem}
a{color:var(--focus)}
.reason{font-size:1.05rem;color:var(--soft);overflow-wrap:anywhere;unicode-bidi:isolate}
.verdict{display:flex;flex-wrap:wrap;gap:.5rem;margin:.6rem 0;padding:0;list-style:none}
.verdict li{border:2px solid currentColor;border-radius:.4rem;padding:.1rem .6rem;font-weight:600;overflow-wrap:anywhere}
.severity-low{color:var(--low)}.severity-medium{color:var(--medium)}.severity-high,.severity-critical{color:var(--high)}
nav ul{display:flex;flex-wrap:wrap;gap:.2rem 1rem;margin:.5rem 0;padding:0;list-style:none;font-size:.95rem}
nav a{display:inline-block;padding:.25rem 0}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.75rem;margin:1rem 0}
.figures div{display:flex;flex-direction:column;justify-content:space-between;background:var(--card);border-radius:.5rem;padding:.6rem .75rem}
.figures dt{color:var(--soft);font-size:.85rem}
.figures dd{margin:0;font-size:1.2rem;font-weight:650;font-variant-numeric:tabular-nums;white-space:nowrap}
section{margin:0 0 1.75rem}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,24rem),1fr));gap:0 2.5rem}
.bar{display:block;border-radius:.4rem}
.legend{display:flex;flex-wrap:wrap;gap:.35rem 1.5rem;margin:.6rem 0;padding:0;list-style:none}
.legend b{margin-right:.3rem}
.swatch{margin-right:.4rem;vertical-align:-2px;border-radius:2px}
.soft{color:var(--soft)}
.patterns{position:absolute}
svg text{fill:var(--text);font-size:12px}
svg .inside{fill:var(--back);font-weight:700;font-size:13px;letter-spacing:.04em;paint-order:stroke;stroke-width:6px;stroke-linejoin:round}.on-pre{stroke:var(--pre)}.on-onset{stroke:var(--onset)}.on-end{stroke:var(--end)}
svg .tick{paint-order:stroke;stroke:var(--back);stroke-width:3.5px}
svg .label{font-weight:600;paint-order:stroke;stroke:var(--back);stroke-width:7px;stroke-linejoin:round}
.plot{display:block;overflow:visible}
.part-pre{fill:url(#strokes)}.part-onset{fill:url(#hatch)}.part-attack,.part-capture{fill:var(--attack)}.part-recording{fill:var(--pre)}.part-end{fill:url(#dots)}.part-counted{fill:url(#lines)}
.pre{fill:var(--pre)}.onset{fill:var(--onset)}.end{fill:var(--end)}.counted{fill:var(--attack)}.back,.over{fill:var(--back)}.faint{fill:var(--soft)}
.hole{fill:url(#missing);stroke:var(--rule)}
.grid{stroke:var(--rule)}.axis{stroke:var(--soft)}
.mark{stroke:var(--text);stroke-width:1.5}
.mark-onset{stroke-dasharray:2 3}.mark-cap{stroke-dasharray:7 4}.mark-resolved{stroke-dasharray:9 3 2 3}
.track{fill:var(--rule)}.value{fill:var(--value)}
.scroll{overflow-x:auto}.scroll th{white-space:nowrap}
table{border-collapse:collapse;width:100%;font-size:.93rem}
caption{text-align:left;font-weight:650;padding:0 0 .3rem;font-size:1.02rem}
th,td{text-align:left;padding:.22rem 1rem .22rem 0;border-bottom:1px solid var(--rule);vertical-align:baseline;font-weight:400}
thead th{color:var(--soft);font-size:.85rem}
.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.graph{width:30%;min-width:4rem;padding-right:0}
.share{display:block}
.ranking{margin:0 0 1.5rem}
.ranking th[scope=row]{white-space:nowrap}.ranking th.literal[scope=row]{white-space:normal;overflow-wrap:anywhere;min-width:8.8rem}
.time{white-space:nowrap;font-variant-numeric:tabular-nums}
code,pre,.literal{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono",monospace;font-size:.9em;unicode-bidi:isolate;overflow-wrap:anywhere}
pre{background:var(--card);border-radius:.4rem;padding:.45rem .7rem;margin:.2rem 0 .7rem;white-space:pre-wrap}
.facts{display:grid;grid-template-columns:minmax(6.5rem,max-content) 1fr;gap:.2rem 1rem;margin:0}
.facts dt{color:var(--soft)}
.facts dd{margin:0;overflow-wrap:anywhere;unicode-bidi:isolate;min-width:0}
.words{margin:0;padding-left:1.2rem}
.words li{margin:.2rem 0;overflow-wrap:anywhere}
details{margin:.4rem 0}
summary{cursor:pointer;color:var(--focus)}
:focus-visible{outline:3px solid var(--focus);outline-offset:2px}
footer{color:var(--soft);font-size:.9rem;padding-bottom:2rem}
@media (max-width:30rem){body{font-size:15px}header,main,footer{padding-left:.9rem;padding-right:.9rem}.figures{grid-template-columns:1fr 1fr}.figures dd{font-size:1.12rem}.facts{grid-template-columns:1fr;gap:0}.facts dd{margin:0 0 .45rem}th,td{padding-right:.7rem}.graph{width:14%;min-width:2.5rem}}
@media (forced-colors:active){:root{--back:Canvas;--card:Canvas;--text:CanvasText;--soft:CanvasText;--rule:GrayText;--focus:LinkText;--pre:CanvasText;--onset:CanvasText;--attack:CanvasText;--end:CanvasText;--value:CanvasText;--low:CanvasText;--medium:CanvasText;--high:CanvasText}.figures div,pre{border:1px solid}svg .inside{fill:Canvas;forced-color-adjust:none}}
@page{size:A4;margin:10mm}
@media print{
body{font-size:8.5px;line-height:1.3;print-color-adjust:exact;-webkit-print-color-adjust:exact}
header,main,footer{max-width:none;padding:0}
nav,details{display:none}
h1{font-size:16px}h2{font-size:11px;margin:0 0 2px}h3{font-size:9px;margin:3px 0 1px}
p{margin:1px 0 2px}
.reason{font-size:10px;max-height:40px;overflow:hidden}
.verdict{margin:3px 0}
.figures{grid-template-columns:repeat(6,1fr);gap:4px;margin:5px 0}.figures div{padding:3px 6px}.figures dt{font-size:8px}.figures dd{font-size:11px}
section{margin:0 0 7px;break-inside:avoid}
.pair{grid-template-columns:1fr 1fr;gap:0 16px}
.rankings{grid-template-columns:repeat(3,1fr)}
.legend{margin:3px 0;gap:1px 12px}
.bar{height:26px}svg .inside{font-size:9px;transform:translateY(-9px)}.swatch{width:8px;height:8px;vertical-align:-1px}
svg text{font-size:8px}
table{font-size:8px}caption{font-size:9px;padding:0 0 1px}thead th{font-size:7.5px}th,td{padding:.5px 5px .5px 0}.ranking th.literal[scope=row]{min-width:0}
.share{height:6px}.ranking{margin:0 0 6px;break-inside:avoid}
pre{padding:1px 5px;margin:0 0 2px}
.facts{gap:0 8px;grid-template-columns:max-content 1fr}.words{padding-left:11px}.words li{margin:0}
.labels{max-height:90px;overflow:hidden}
footer{padding:0;font-size:8px}
}
`
