import { createHash } from 'node:crypto'

import { count, rate } from '../figures.js'
import { Html, html } from './html.js'
import { meanings } from './parts.js'
import { compositionBar, missingSwatch, patterns, ratePlot, shareBar, signed, swatch } from './plots.js'
import type { Course } from './rate.js'
import { style } from './style.js'
import type { Command, Fact, Ranking, View } from './view.js'

const digest = createHash('sha256').update(style).digest('base64')
/** Nothing is loaded and nothing runs; and this one style sheet is all there is. */
const policy = `default-src 'none'; style-src 'sha256-${digest}'; base-uri 'none'; form-action 'none'`

/** One file that needs nothing else. */
export function htmlPage(view: View): string {
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>${view.title}</title>
<style>${new Html(style)}</style>
</head>
<body>
${patterns}
${top(view)}
<main>
${figures(view)}
${composition(view)}
${courses(view)}
<div class="pair">
${attack(view)}
${coverage(view)}
</div>
${traffic(view)}
<div class="pair">
${custody(view)}
${opening(view)}
</div>
</main>
<footer><p>Written by ${view.made}. Times are UTC. Sizes of packets are those on the wire.</p></footer>
</body>
</html>
`
  return page.text
}

function top({ title, reason, attack, rankings, composition, courses }: View): Html {
  const links: [string, string, boolean][] = [
    ['composition', 'Composition', composition.length > 0],
    ['rate', 'Rate', courses.length > 0],
    ['coverage', 'Coverage', true],
    ['traffic', 'Traffic', rankings.length > 0],
    ['custody', 'Custody', true],
  ]
  const verdict =
    attack === null
      ? null
      : html`<ul class="verdict"><li data-figure="vector">${attack.vector}</li><li class="severity-${severityClass(attack.severity)}">severity: <span data-figure="severity">${attack.severity}</span></li></ul>`
  return html`<header>
<h1>${title}</h1>
${reason === null ? null : html`<p class="reason">${reason}</p>`}
${verdict}
<nav aria-label="Parts of this page"><ul>${links.filter(([, , there]) => there).map(([id, text]) => html`<li><a href="#${id}">${text}</a></li>`)}</ul></nav>
</header>`
}

/** What a file says becomes no name of a class. */
const severityClass = (severity: string): string =>
  ['low', 'medium', 'high', 'critical'].find((known) => known === severity) ?? 'unknown'

function figures({ figures }: View): Html {
  return html`<dl class="figures">${figures.map(
    ({ name, label, text, value }) =>
      html`<div><dt>${label}</dt><dd>${value === null ? html`${text}` : html`<data data-figure="${name}" value="${value}">${text}</data>`}</dd></div>`,
  )}</dl>`
}

function composition({ composition, sections }: View): Html | null {
  if (composition.length === 0) return null
  const legend = composition.map(
    ({ part, meaning, packets, share }) =>
      html`<li>${swatch(part)}<b>${part}</b> <data data-part="${part}" value="${packets}">${count(packets)}</data> packet${packets === 1 ? '' : 's'}, ${percent(share)} <span class="soft">${meaning}</span></li>`,
  )
  const rows = sections.map(
    ({ name, packets, firstFrame, lastFrame, from, to }) =>
      html`<tr><th scope="row">${name}</th><td class="number">${count(packets)}</td><td class="number">${count(firstFrame)}–${count(lastFrame)}</td><td class="time">${from}</td><td class="time">${to}</td></tr>`,
  )
  return html`<section id="composition" aria-labelledby="composition-heading"><h2 id="composition-heading">Composition of the file</h2>
${compositionBar(composition)}
<ul class="legend">${legend}</ul>
<div class="scroll" tabindex="0" role="region" aria-label="Sections, a table"><table><caption>Sections</caption><thead><tr><th scope="col">Section</th><th scope="col" class="number">Packets</th><th scope="col" class="number">Frames</th><th scope="col">From</th><th scope="col">To</th></tr></thead><tbody>${rows}</tbody></table></div>
</section>`
}

function courses({ courses }: View): Html | null {
  if (courses.length === 0) return null
  return html`<section id="rate" aria-labelledby="rate-heading"><h2 id="rate-heading">Rate over time</h2>${courses.map((one, i) => course(one, `rate-${i}`, courses.length > 1))}</section>`
}

function course(course: Course, id: string, several: boolean): Html {
  const { title, since, parts, rows, holes } = course
  const legend = [
    ...parts.map((part) => html`<li>${swatch(part)}<b>${part}</b> <span class="soft">${meanings[part]}</span></li>`),
    ...(holes.length === 0 ? [] : [html`<li>${missingSwatch}<span class="soft">packets are missing here</span></li>`]),
  ]
  const table = rows.map(
    ({ from, to, total, pps }) =>
      html`<tr><th scope="row" class="time">${signed(from)} to ${signed(to)}</th><td class="number">${rate(total, 'pps')}</td><td>${
        Object.keys(pps)
          .filter((part) => (pps[part as keyof typeof pps] ?? 0) > 0)
          .join(', ') || '–'
      }</td></tr>`,
  )
  return html`<div class="course">${several ? html`<h3>${title}</h3>` : null}<p class="soft">Packets a second; time from ${since} on.</p>
${ratePlot(course, id)}
<ul class="legend">${legend}</ul>
<details><summary>${title}: the plot as a table</summary><table><thead><tr><th scope="col">Time</th><th scope="col" class="number">Mean rate</th><th scope="col">Part</th></tr></thead><tbody>${table}</tbody></table></details></div>`
}

function attack({ attack, kind }: View): Html | null {
  if (kind !== 'Incident') return null
  return html`<section id="attack" aria-labelledby="attack-heading"><h2 id="attack-heading">Attack</h2>${
    attack === null
      ? html`<p>No detector named a vector or a severity.</p>`
      : facts([{ label: 'Vector', text: attack.vector }, { label: 'Severity', text: attack.severity }, ...attack.facts])
  }</section>`
}

function coverage({ coverage, loss }: View): Html {
  const lost = loss === null ? null : html`<h3>Loss</h3><p>${loss}</p>`
  return html`<section id="coverage" aria-labelledby="coverage-heading"><h2 id="coverage-heading">Coverage</h2><ul class="words">${coverage.map((sentence) => html`<li>${unbroken(sentence)}</li>`)}</ul>${lost}</section>`
}

function traffic({ rankings }: View): Html | null {
  if (rankings.length === 0) return null
  return html`<section id="traffic" aria-labelledby="traffic-heading"><h2 id="traffic-heading">Packets in the file</h2><div class="pair rankings">${rankings.map(ranking)}</div></section>`
}

function ranking({ name, title, columns, rows, of, note }: Ranking): Html {
  if (rows.length === 0)
    return html`<div class="ranking"><table data-table="${name}"><caption>${title}</caption><tbody><tr><td>none</td></tr></tbody></table></div>`
  const cells = rows.map(
    ({ label, value, literal }) =>
      html`<tr><th scope="row"${literal ? new Html(' class="literal"') : null}>${label}</th><td class="number"><data value="${value}">${count(value)}</data></td><td class="number soft">${percent(of === 0 ? 0 : value / of)}</td><td class="graph">${shareBar(value, of)}</td></tr>`,
  )
  return html`<div class="ranking"><table data-table="${name}"><caption>${title}</caption><thead><tr><th scope="col">${columns[0]}</th><th scope="col" class="number">${columns[1]}</th><th scope="col" class="number">Share</th><td></td></tr></thead><tbody>${cells}</tbody></table>${note === null ? null : html`<p class="soft">${note}</p>`}</div>`
}

function custody({ custody, labels }: View): Html {
  const more = labels.length === 0 ? null : html`<h3>Labels</h3><div class="labels">${facts(labels)}</div>`
  return html`<section id="custody" aria-labelledby="custody-heading"><h2 id="custody-heading">Custody</h2>${facts(custody)}${more}</section>`
}

function opening({ commands }: View): Html | null {
  if (commands.length === 0) return null
  return html`<section id="open" aria-labelledby="open-heading"><h2 id="open-heading">Open the file</h2>${commands.map(({ tool, lines }: Command) => html`<h3>${tool}</h3><pre>${lines.join('\n')}</pre>`)}</section>`
}

/** Times in it stay in one line. */
const unbroken = (sentence: string): Html =>
  html`${sentence.split(/(\d{4}-\d\d-\d\dT[\d:.]+Z)/).map((part, i) => (i % 2 === 0 ? html`${part}` : html`<span class="time">${part}</span>`))}`

const facts = (all: readonly Fact[]): Html =>
  html`<dl class="facts">${all.map(({ label, text, literal }) => html`<dt>${label}</dt><dd>${literal ? html`<code>${text}</code>` : text}</dd>`)}</dl>`

/** `3.1 %`; what is there is never 0, what is not all never 100. */
function percent(share: number): string {
  if (share <= 0 || share >= 1) return `${share <= 0 ? 0 : 100} %`
  if (share < 0.001) return '< 0.1 %'
  if (share > 0.999) return '> 99.9 %'
  return `${(share * 100).toFixed(1)} %`
}
